"""The report in headless Chromium: no console message, tables that sort, nothing wider than the window, dark and light."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib.image import imread

from accelsim.report.compare_costs import costs_of
from accelsim.report.html_report import html_report
from accelsim.report.technology import load_technology
from tests.report.test_html_report import hostile, on_a_chip
from tests.synthetic_results import int8, ssvq

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", "--v=0"),
]
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
# Sorts the first table by its second column, down, and leaves on the root what a test wants to know.
PROBE = """<script>addEventListener("load", function () {
  const first = document.querySelector("table th:nth-child(2) button"); first.click(); first.click();
  const root = document.documentElement;
  root.dataset.probe = [root.scrollWidth, root.clientWidth, first.parentElement.getAttribute("aria-sort"),
    Array.from(document.images).every(function (one) { return one.complete && one.naturalWidth > 0; })].join(" ");
});</script>"""


@pytest.fixture(scope="module")
def text():
    return html_report(costs_of([on_a_chip(int8()), on_a_chip(ssvq()), hostile()], load_technology("nangate45")))


def chromium(tmp_path, *words):
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def probed(text):
    """The page without its policy, which forbids the probe as it should, and with the probe."""
    return re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("</body>", f"{PROBE}</body>")


def test_the_page_opens_without_a_console_message(text, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    done = chromium(tmp_path, "--dump-dom", path.as_uri())
    assert "</html>" in done.stdout
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []


def test_the_policy_stops_a_foreign_script_and_the_console_says_so(text, tmp_path):
    """What shows that the test above would see a message."""
    path = tmp_path / "report.html"
    path.write_text(text.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    done = chromium(tmp_path, "--dump-dom", path.as_uri())
    assert "data-probe" not in done.stdout
    assert any("CONSOLE" in line and "Content Security Policy" in line for line in done.stderr.splitlines())


@pytest.mark.parametrize("width", [500, 1600])
def test_tables_sort_pictures_show_and_nothing_is_wider_than_the_window(width, text, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(probed(text), encoding="utf-8")
    done = chromium(tmp_path, f"--window-size={width},900", "--dump-dom", path.as_uri())
    scroll, client, sort, shown = re.search(r'data-probe="([^"]*)"', done.stdout).group(1).split()
    assert int(scroll) <= int(client)
    assert sort == "descending"
    assert shown == "true"
    rows = re.search(r"<tbody>(.*?)</tbody>", done.stdout, re.S).group(1).split("<tr>")[1:]
    names = [re.findall(r"<td[^>]*>(.*?)</td>", row)[1] for row in rows]
    assert names == sorted(names, key=str.lower, reverse=True)


def test_a_telephone_of_360_pixels_scrolls_only_downwards(text, tmp_path):
    """A window of Chromium's has at least 500 pixels, so the page is put into a frame of 360."""
    (tmp_path / "report.html").write_text(probed(text), encoding="utf-8")
    frame = (
        '<iframe src="report.html" width="360" height="640"></iframe><script>addEventListener("message", function (event) '
        "{ document.body.dataset.inner = event.data; });</script>"
    )
    inner = PROBE.replace("});</script>", '  parent.postMessage(root.dataset.probe, "*"); });</script>')
    (tmp_path / "report.html").write_text(probed(text).replace(PROBE, inner), encoding="utf-8")
    (tmp_path / "telephone.html").write_text(frame, encoding="utf-8")
    done = chromium(tmp_path, "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "telephone.html").as_uri())
    scroll, client, *_ = re.search(r'data-inner="([^"]*)"', done.stdout).group(1).split()
    assert int(client) <= 360
    assert int(scroll) <= int(client)


@pytest.mark.parametrize(("scheme", "bright"), [("light", True), ("dark", False)])
def test_the_page_is_drawn_dark_and_light(scheme, bright, text, tmp_path):
    path, picture = tmp_path / "report.html", tmp_path / "shot.png"
    path.write_text(text, encoding="utf-8")
    setting = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    chromium(tmp_path, setting, "--window-size=1600,1200", f"--screenshot={picture}", path.as_uri())
    pixels = imread(picture)[..., :3]
    assert pixels.std() > 0.02
    assert (np.median(pixels) > 0.5) == bright

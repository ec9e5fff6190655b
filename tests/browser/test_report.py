"""The report in a browser, from file://: nothing on the console, no request, tables that sort by mouse and by keyboard, no page wider
than its window, and pictures of it in light and dark.

The pictures are kept where ACCELSIM_SCREENSHOTS says, for people to look at.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from accelsim.cost.technology import load_technology
from accelsim.report.html.page import to_page
from accelsim.report.report import make_report
from tests.browser.chromium import PROGRAM, Browser, Page, chromium
from tests.synthetic_results import int8, layer, on_chip, read, result, ssvq

pytestmark = [pytest.mark.browser, pytest.mark.skipif(PROGRAM is None, reason="Chromium is not there; `make test-extras` installs it")]

WIDTHS = (360, 768, 1600)
HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>\u202e" + "long_name" * 12


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run, two runs, and a run whose names would like to be more than names."""
    folder = tmp_path_factory.mktemp("reports")
    parts = (layer(HOSTILE, {"busy": 9, "dram": 4}, macs=3, traffic=(read("indices", 64),)), layer("b" * 200, {"busy": 1}, macs=1))
    odd = result(parts, parts, trace=HOSTILE, accelerator=HOSTILE, warnings=(HOSTILE,))
    technology = load_technology("nangate45")
    out = {}
    for name, runs in (("one", [int8()]), ("two", [int8(), ssvq()]), ("odd", [odd, odd])):
        out[name] = folder / f"{name}.html"
        out[name].write_text(to_page(make_report([on_chip(run) for run in runs], technology)), encoding="utf-8")
    return out


def column(page: Page, table: str, number: int) -> list[str]:
    return page.evaluate(f"[...document.getElementById('{table}').tBodies[0].rows].map(row => row.cells[{number}].textContent)")


def directions(page: Page, table: str) -> list[str]:
    return page.evaluate(f"[...document.querySelectorAll('#{table} th[aria-sort]')].map(cell => cell.getAttribute('aria-sort'))")


@pytest.mark.parametrize("name", ["one", "two", "odd"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_silent_and_as_wide_as_its_window(browser: Browser, reports: dict[str, Path], name: str, width: int) -> None:
    page = browser.open(reports[name], width)
    page.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true })")
    assert page.evaluate("innerWidth") == width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('main section').length") >= 8
    assert page.evaluate("document.querySelectorAll('img, body script:not(:last-child)').length") == 0
    assert page.messages() == []
    page.close()


def test_what_is_not_the_pages_own_is_stopped_and_seen(browser: Browser, reports: dict[str, Path], tmp_path: Path) -> None:
    """Also what shows that the test above would see a message."""
    foreign = "<script>document.title = 'taken'</script><img src='https://example.invalid/x.png'><p style='color: red'></p></body>"
    (tmp_path / "r.html").write_text(reports["one"].read_text(encoding="utf-8").replace("</body>", foreign), encoding="utf-8")
    page = browser.open(tmp_path / "r.html", 1000)
    assert page.evaluate("document.title").startswith("accelsim report")
    assert sum("Content Security Policy" in message for message in page.messages()) >= 3
    page.close()


def test_a_press_sorts_and_a_third_one_restores(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.open(reports["one"], 1000)
    press = "document.querySelectorAll('#t-cycles thead th')[1].querySelector('button').click()"
    before = column(page, "t-cycles", 1)
    assert before == ["360", "600", "40"]
    seen = []
    for _ in range(3):
        page.evaluate(press)
        seen.append((column(page, "t-cycles", 1), directions(page, "t-cycles"), page.evaluate("location.hash")))
    assert seen[0] == (["600", "360", "40"], ["none", "descending", "none"], "#sort=t-cycles,1,descending")
    assert seen[1][:2] == (["40", "360", "600"], ["none", "ascending", "none"])
    assert seen[2] == (before, ["none", "none", "none"], "")
    assert page.evaluate("document.querySelector('#t-cycles tfoot').textContent").startswith("all1,000")
    assert page.messages() == []
    page.close()


def test_the_keyboard_sorts_too(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.open(reports["one"], 1000)
    page.evaluate("document.querySelector('#t-cycles').closest('.scroll').focus()")
    page.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "category"
    page.press("Enter")
    assert column(page, "t-cycles", 0) == ["busy", "dram", "vector"]
    assert directions(page, "t-cycles")[0] == "ascending"
    page.press(" ")
    assert column(page, "t-cycles", 0) == ["vector", "dram", "busy"]
    page.close()


def test_a_link_opens_the_table_as_its_sender_sorted_it(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.open(reports["two"], 1000, fragment="#sort=run0-t-all-layers,4,ascending")
    assert column(page, "run0-t-all-layers", 4) == ["200", "400", "400"]
    assert page.evaluate("document.getElementById('run0-t-all-layers').closest('details').open")
    page.close()
    for fragment in ("#sort=t-none,1,ascending", "#sort=run0-layers,1,ascending", "#sort=t-speedup,99,ascending", "#sort=%3Cb%3E"):
        page = browser.open(reports["two"], 1000, fragment=fragment)
        assert page.messages() == []
        page.close()


def test_empty_cells_stay_last_in_both_directions(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.open(reports["one"], 1000)
    place = page.evaluate("[...document.querySelectorAll('#t-area thead th')].findIndex(cell => cell.textContent.startsWith('gates'))")
    for _ in range(2):
        page.evaluate(f"document.querySelectorAll('#t-area thead th')[{place}].querySelector('button').click()")
        gates = column(page, "t-area", place)
        filled = [text for text in gates if text]
        assert 0 < len(filled) < len(gates)
        assert gates[: len(filled)] == filled
    page.close()


@pytest.mark.parametrize("width", [360, 1600])
def test_dark_is_darker_than_light_and_figures_stay_legible(browser: Browser, reports: dict[str, Path], width: int) -> None:
    brightness = {}
    for dark in (False, True):
        page = browser.open(reports["two"], width, dark=dark)
        png = page.screenshot(whole=True)
        keep(f"two-{width}-{'dark' if dark else 'light'}", png)
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
        assert pixels.shape[1] == width
        assert pixels.std() > 10  # not blank
        brightness[dark] = pixels.mean()
        box = page.evaluate(
            "(({x, y, width, height}) => [x, y + scrollY, width, height])(document.querySelector('figure').getBoundingClientRect())"
        )
        x, y, wide, high = (int(value) for value in box)
        card = pixels[y + 4 : y + high - 4, x + 4 : x + wide - 4]
        if dark:  # light ink stands on a dark card
            assert np.median(card) < 60
            assert card.max() > 180
        else:
            assert np.median(card) > 200
            assert card.min() < 60
        page.close()
    assert brightness[True] < brightness[False] - 50


def test_it_prints(browser: Browser, reports: dict[str, Path]) -> None:
    page = browser.open(reports["one"], 1000)
    pdf = page.pdf()
    keep("one", pdf, "pdf")
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type/Page ") >= 2
    page.close()


def keep(name: str, content: bytes, end: str = "png") -> None:
    if folder := os.environ.get("ACCELSIM_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.{end}").write_bytes(content)

"""Interactive pages in a browser, from file://: nothing thrown, nothing loaded, and a pointer on a point shows its configuration."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accelsim.report.interactive.designs import designs_page
from accelsim.report.interactive.over_time import Bar, over_time_page
from accelsim.report.plots.over_time import Panel, Steps
from accelsim.report.plots.pareto import DesignPoints
from accelsim.report.plots.style import SERIES_PAINT
from tests.browser.chromium import PROGRAM, Browser, Page, chromium
from tests.processes import HANG_S

pytestmark = [pytest.mark.browser, pytest.mark.skipif(PROGRAM is None, reason="Chromium is not there; `make test-extras` installs it")]

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
# All text that is shown, also below the shadow roots in which Bokeh draws.
TEXT = """(() => { const out = []; const walk = node => {
  if (node.nodeType === 3) out.push(node.textContent);
  if (node.tagName === "SCRIPT" || node.tagName === "STYLE") return;
  if (node.shadowRoot) node.shadowRoot.childNodes.forEach(walk);
  node.childNodes.forEach(walk); }; walk(document.body); return out.join(" "); })()"""
CANVASES = """(() => { const out = []; const walk = node => {
  const box = node.tagName === "CANVAS" ? node.getBoundingClientRect() : null;
  if (box && box.width > 100) out.push([box.x, box.y, box.width, box.height]);
  if (node.shadowRoot) node.shadowRoot.childNodes.forEach(walk);
  node.childNodes.forEach(walk); }; walk(document.body); return out; })()"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


def pages(folder: Path) -> dict[str, Path]:
    plane = DesignPoints([1.0, 2.0, 3.0], [5.0, 4.0, 6.0], [True, True, False], "area (mm2)", "time (ms)", groups=["a", HOSTILE, "a"])
    panel = Panel({"read": Steps((0, 4), (1.0, 3.0), 12)}, SERIES_PAINT[:1], "B/cycle", "mean", ("peak", 4.0))
    out = {
        "points": designs_page("Points", [HOSTILE], [plane], {"ports": ["1", "2", HOSTILE]}),
        "over_time": over_time_page("Run", [], {"layers": [Bar(0, 12, {"layer": HOSTILE})]}, [panel]),
    }
    for name, content in out.items():
        (folder / f"{name}.html").write_bytes(content)
    return {name: folder / f"{name}.html" for name in out}


def complaints(page: Page) -> list[str]:
    """Messages but for Bokeh's own line that it has drawn."""
    return [message for message in page.messages() if "[bokeh " not in message]


def drawn(page: Page) -> list[list[float]]:
    deadline = time.monotonic() + HANG_S
    while not (found := page.evaluate(CANVASES)):
        assert time.monotonic() < deadline, "nothing is drawn"
    return found


@pytest.mark.parametrize("name", ["points", "over_time"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_draws_without_complaint_and_is_no_wider_than_its_window(browser: Browser, tmp_path: Path, name: str, dark: bool) -> None:
    for width in (420, 1200):
        page = browser.open(pages(tmp_path)[name], width, dark=dark)
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints(page) == []
        page.close()


def test_a_pointer_on_a_layer_shows_its_name_as_text(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(pages(tmp_path)["over_time"], 1000)
    x, y, width, height = drawn(page)[0]
    deadline = time.monotonic() + HANG_S
    shown = ""
    while HOSTILE not in shown:  # the strip's only lane: somewhere between its top and its axis
        assert time.monotonic() < deadline, shown
        for part in (0.2, 0.3, 0.4, 0.5):
            page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + width / 2, y=y + part * height)
            shown = page.evaluate(TEXT)
            if HOSTILE in shown:
                break
    assert "layer" in shown
    assert complaints(page) == []
    page.close()

"""Interactive pages as files: what they hold, what may run in them, and that no name in them becomes more than a name."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from accelsim.report.interactive.designs import MAX_POINTS, designs_page
from accelsim.report.interactive.over_time import MAX_STEPS, Bar, over_time_page
from accelsim.report.plots.over_time import Panel, Steps
from accelsim.report.plots.pareto import MAX_GROUPS, DesignPoints
from accelsim.report.plots.style import SERIES_PAINT

HOSTILE = "</script><script>alert(1)</script>\u202e<img src=x onerror=alert(1)>"
LARGEST_BYTES = 6 << 20


class Scripts(HTMLParser):
    """Type and text of every script, and the page's policy."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.scripts: list[tuple[str | None, str]] = []
        self.policy = ""
        self.tags: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        if tag == "script":
            self.scripts.append((found.get("type"), ""))
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found.get("content") or ""

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts and data.strip():
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)


def columns(page: bytes) -> list[dict[str, list[Any]]]:
    """The data of every source on a page, by column: numbers are compressed arrays of bytes."""
    figures = json.loads(next(text for kind, text in Scripts(page).scripts if kind == "application/json"))
    out = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("name") == "ColumnDataSource":
                out.append({name: decoded(column) for name, column in value["attributes"]["data"]["entries"]})
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(figures)
    return out


def decoded(column: Any) -> list[Any]:
    if isinstance(column, dict) and column.get("type") == "ndarray":
        raw = column["array"]
        if isinstance(raw, dict):
            return np.frombuffer(gzip.decompress(base64.b64decode(raw["data"])), column["dtype"]).tolist()
        return raw
    return column


def points_of(page: bytes) -> dict[str, list[Any]]:
    """The source of the points; lines have sources of their own."""
    return next(data for data in columns(page) if "group" in data)


def points(count: int, groups: list[str] | None = None) -> DesignPoints:
    x = [float(number + 1) for number in range(count)]
    return DesignPoints(x, x[::-1], [True] * count, x_label="area (mm2)", y_label="time (ms)", groups=groups)


def test_a_page_holds_every_point_with_its_configuration():
    plane = DesignPoints([1.0, 2.0, 3.0], [5.0, 4.0, 6.0], [True, True, False], "area (mm2)", "time (ms)", groups=["a", "b", "a"])
    page = designs_page("Points", ["three"], [plane], {"ports": ["1", "2", "4"], "trace": ["a", "b", "a"]})
    data = points_of(page)
    assert data["x0"] == [1.0, 2.0, 3.0]
    assert data["y0"] == [5.0, 4.0, 6.0]
    assert data["front0"] == [1.0, 1.0, 0.0]
    assert data["group"] == ["a", "b", "a"]
    assert data["hover0"] == ["1", "2", "4"]
    assert data["hover1"] == ["a", "b", "a"]
    text = page.decode()
    assert [f'["{name}","@hover{number}"]' in text.replace(" ", "") for number, name in enumerate(("ports", "trace"))] == [True, True]


@pytest.mark.parametrize("kind", ["designs", "over_time"])
def test_only_the_scripts_of_the_page_may_run_and_nothing_is_loaded(kind):
    if kind == "designs":
        page = designs_page(HOSTILE, [HOSTILE], [points(2, [HOSTILE, "b"])], {HOSTILE: [HOSTILE, "b"]})
    else:
        panel = Panel({HOSTILE: Steps((0,), (1.0,), 5)}, SERIES_PAINT[:1], HOSTILE)
        page = over_time_page(HOSTILE, [HOSTILE], {HOSTILE: [Bar(0, 5, {HOSTILE: HOSTILE})]}, [panel])
    found = Scripts(page)
    running = [text for kind, text in found.scripts if kind is None]
    assert len(running) == 2
    hashes = {"sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running}
    policy = {
        name: rest.split() for name, *rest in ([*part.split(maxsplit=1), ""][:2] for part in found.policy.split("; ")) for rest in rest
    }
    assert {item.strip("'") for item in policy["script-src"]} == hashes
    assert policy["default-src"] == ["'none'"]
    assert "img" not in found.tags
    assert len(found.scripts) == 4
    assert "\u202e" not in page.decode()
    assert len(page) < LARGEST_BYTES


def test_more_groups_than_colours_share_the_last_one():
    names = [f"g{number}" for number in range(MAX_GROUPS + 3)]
    data = points_of(designs_page("Points", [], [points(len(names), names)], {"name": names}))
    assert data["group"] == names[: MAX_GROUPS - 1] + ["others"] * 4


def test_of_too_many_points_the_front_stays_and_the_page_says_how_many_are_shown():
    count = 3 * MAX_POINTS
    front = np.zeros(count, bool)
    front[[1, 17, count - 2]] = True
    x = np.arange(1.0, count + 1)
    plane = DesignPoints(x.tolist(), x.tolist(), front.tolist(), "x", "y")
    page = designs_page("Points", [], [plane], {"number": [str(number) for number in range(count)]})
    data = points_of(page)
    assert {"1", "17", str(count - 2)} <= set(data["hover0"])
    assert len(data["x0"]) <= MAX_POINTS
    assert f"{len(data['x0']):,} of {count:,} points are shown" in page.decode()
    assert len(page) < LARGEST_BYTES


def test_a_run_shows_its_layers_and_the_steps_of_its_counters():
    steps = Steps((0, 4, 9), (1.0, 3.0, 0.0), 12)
    panel = Panel({"read": steps}, SERIES_PAINT[:1], "B/cycle", "mean", ("peak", 4.0))
    page = over_time_page("Run", [], {"layers": [Bar(0, 5, {"layer": "q"}), Bar(5, 12, {"layer": "k"})]}, [panel])
    layers, counter, limit = columns(page)
    assert layers["hover0"] == ["q", "k"]
    assert (layers["left"], layers["right"]) == ([0, 5], [5, 12])
    assert (counter["x"], counter["y"]) == ([0.0, 4.0, 9.0, 12.0], [1.0, 3.0, 0.0, 0.0])
    assert (limit["x"], limit["y"]) == ([0, 12], [4.0, 4.0])
    assert '"value":"peak 4"' in page.decode().replace(" ", "").replace("peak4", "peak 4")


def test_many_steps_become_bins_that_keep_their_sum():
    count = 3 * MAX_STEPS
    values = np.random.default_rng(0).random(count)
    steps = Steps(tuple(range(count)), tuple(values.tolist()), count)
    page = over_time_page("Run", [], {}, [Panel({"read": steps}, SERIES_PAINT[:1], "B/cycle")])
    (counter,) = columns(page)
    assert len(counter["x"]) == MAX_STEPS + 1
    assert np.dot(np.diff(counter["x"]), counter["y"][:-1]) == pytest.approx(values.sum())
    assert len(re.findall(rb"<h1", page)) == 1

"""The reader of the tests refuses what a viewer could not show: it is not blind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.timeline.trace_reader import read_trace

NAMES = [
    {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": "p"}},
    {"ph": "M", "name": "thread_name", "pid": 1, "tid": 1, "args": {"name": "t"}},
]


def piece(ts: Any, dur: Any, **more: Any) -> dict[str, Any]:
    return {"ph": "X", "name": "x", "cat": "c", "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": {}, **more}


def value(ts: float, **more: Any) -> dict[str, Any]:
    return {"ph": "C", "name": "n", "pid": 1, "ts": ts, "args": {"v": 1}, **more}


def arrow(phase: str, ts: float) -> dict[str, Any]:
    return {"ph": phase, "name": "a", "cat": "c", "id": 1, "pid": 1, "tid": 1, "ts": ts}


def write(folder: Path, *events: dict[str, Any]) -> Path:
    path = folder / "t.json"
    path.write_text(json.dumps({"traceEvents": [*NAMES, *events], "otherData": {}}))
    return path


def test_slices_that_nest_or_touch_are_read(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, piece(0, 2), piece(0, 1), piece(1, 1), piece(2, 1)))
    assert [(p.start, p.end, len(p.inside)) for p in trace.track("t")] == [(0, 2000, 2), (2000, 3000, 0)]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ((piece(0, 2), piece(1, 2)), "crosses"),
        ((piece(0, 1), piece(0, 2)), "crosses"),  # the outer one must come first
        ((piece("0", 1),), "is not of type 'number'"),
        ((piece(-1, 1),), "less than the minimum"),
        ((piece(0, None),), "is not of type 'number'"),
        ((piece(0.0005, 1),), "whole number of ns"),
        ((value(1), value(1)), "do not rise"),
        ((value(1, args={"v": "1"}),), "is not of type 'number'"),
        ((piece(0, 2), arrow("s", 1)), "arrow 1 is s"),
        ((piece(0, 2), arrow("s", 1), arrow("f", 0)), "arrow 1 is fs"),
        ((piece(0, 2), arrow("s", 1), arrow("f", 2)), "outside of any slice"),
        (({"ph": "Q", "name": "x", "pid": 1},), "'Q' is not one of"),
    ],
)
def test_what_breaks_the_format_is_refused(events: tuple[dict[str, Any], ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=message):
        read_trace(write(tmp_path, *events))

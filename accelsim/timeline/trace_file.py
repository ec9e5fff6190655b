"""A file in Chrome's trace-event format (JSON object format), written event by event, gzipped when its name ends in .gz.

Times are integer picoseconds here. The file has them in microseconds, as the format asks, cut to whole nanoseconds: viewers know no less,
and cutting each end of a slice by itself would let slices cross. Cycles stand as integers in the arguments.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from accelsim.report.export.whole_file import FileKind

TIMELINE_FILE = FileKind("a timeline", (".json", ".json.gz"), b'"traceEvents"')
PS_PER_NS = 1000
NS_PER_US = 1000


def microseconds(time_ns: int) -> float:
    """A time as the format writes it, such that a viewer finds each of its nanoseconds whether it rounds to them or cuts.

    1.001 * 1000 is a little less than 1001 in floating point, and 1000 to who cuts: slices that touch would overlap, and one be dropped.
    Then it is the next number, 1.0010000000000001.
    """
    value = time_ns / NS_PER_US
    return value if value * NS_PER_US >= time_ns else math.nextafter(value, math.inf)


@dataclass(frozen=True)
class Track:
    """A row of the viewer: a thread of a process, by number; both are sorted by their numbers."""

    process: int
    thread: int


@dataclass(frozen=True)
class Slice:
    """A unit's activity from `start_ps` to `end_ps`; slices of a track nest or are disjoint."""

    track: Track
    name: str
    category: str
    start_ps: int
    end_ps: int
    arguments: Mapping[str, Any] = field(default_factory=dict)


class TraceFile:
    """A file being written: `close` it after the last event.

    Attributes
    ----------
    events : events written, without the names of tracks
    """

    def __init__(self, out: IO[bytes], header: Mapping[str, Any]) -> None:
        self._out = out
        self.events = 0
        self._first = True
        start = json.dumps({"displayTimeUnit": "ns", "otherData": header}, allow_nan=False)
        self._out.write(start[:-1].encode() + b', "traceEvents": [\n')

    def process(self, number: int, name: str) -> None:
        """Name a process and give it its place."""
        self._name({"pid": number}, "process", name, number)

    def track(self, track: Track, name: str) -> None:
        """Name a track and give it its place in its process."""
        self._name({"pid": track.process, "tid": track.thread}, "thread", name, track.thread)

    def slice(self, item: Slice) -> None:
        """A slice; one that holds others must come before them."""
        start, end = item.start_ps // PS_PER_NS, item.end_ps // PS_PER_NS
        self._write(
            {
                "ph": "X",
                "name": item.name,
                "cat": item.category,
                "pid": item.track.process,
                "tid": item.track.thread,
                "ts": microseconds(start),
                "dur": microseconds(end - start),
                "args": item.arguments,
            }
        )

    def counter(self, process: int, name: str, time_ps: int, values: Mapping[str, int | float]) -> None:
        """Values from `time_ps` on; each is a line or a stacked area of the counter's track."""
        self._write({"ph": "C", "name": name, "pid": process, "ts": microseconds(time_ps // PS_PER_NS), "args": values})

    def flow(self, number: int, name: str, phase: Literal["s", "t", "f"], track: Track, time_ps: int) -> None:
        """Start, step or end of an arrow; it belongs to the innermost slice of `track` at `time_ps`, which must have been written."""
        event: dict[str, Any] = {
            "ph": phase,
            "name": name,
            "cat": "data",
            "id": number,
            "pid": track.process,
            "tid": track.thread,
            "ts": microseconds(time_ps // PS_PER_NS),
        }
        if phase != "s":
            event["bp"] = "e"  # the slice around this time, not the next one
        self._write(event)

    def close(self) -> None:
        """End the list of events."""
        self._out.write(b"\n]}\n")

    def _name(self, whose: Mapping[str, int], kind: Literal["process", "thread"], name: str, place: int) -> None:
        self._put({"ph": "M", "name": f"{kind}_name", **whose, "args": {"name": name}})
        self._put({"ph": "M", "name": f"{kind}_sort_index", **whose, "args": {"sort_index": place}})

    def _write(self, event: Mapping[str, Any]) -> None:
        self.events += 1
        self._put(event)

    def _put(self, event: Mapping[str, Any]) -> None:
        text = json.dumps(event, separators=(",", ":"), allow_nan=False)
        self._out.write((b"" if self._first else b",\n") + text.encode())
        self._first = False

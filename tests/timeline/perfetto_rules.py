"""What Perfetto's importer makes of a file of trace events, rule by rule, from a reading of its source; shares nothing with our writer.

Source: `src/trace_processor/importers` of github.com/google/perfetto, read in November 2026: `json/json_trace_tokenizer.cc` (times and
threads), `json/json_trace_parser.cc` (phases), `common/slice_tracker.cc` (nesting), `common/flow_tracker.cc` (arrows); the order of threads
is that of `ui/src/plugins/dev.perfetto.ProcessThreadGroups`. Errors have the names of its table `stats`. Versions differ in how a time
becomes nanoseconds: some cut the product with 1000, later ones round it; and in what they do to a slice that crosses another: here it is
dropped, later ones move it to a track of its own. `tests/browser/test_trace_processor.py` holds these rules to version 52 itself.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_DEPTH = 512  # kMaxDepth of slice_tracker.h

Rounding = Callable[[float], int]
ROUNDINGS: dict[str, Rounding] = {"rounded": round, "cut": int}


@dataclass(eq=False)
class ImportedSlice:
    """A row of the table `slice`; `depth` is its place in the stack of its thread."""

    name: str
    thread: tuple[int, int]
    ts: int
    dur: int
    depth: int
    args: dict[str, Any]


@dataclass
class Imported:
    """The tables that a file fills: times in nanoseconds.

    Attributes
    ----------
    flows : (slice that the arrow leaves, slice that it enters)
    counters : (process, name and argument) -> (time, value)
    threads : (process, thread) -> name; in the order of the viewer: of a process the main thread (its number is the process's) first
    errors : error of the table `stats` -> how often
    """

    slices: list[ImportedSlice] = field(default_factory=list)
    flows: list[tuple[ImportedSlice, ImportedSlice]] = field(default_factory=list)
    counters: dict[tuple[int, str], list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    processes: dict[int, str] = field(default_factory=dict)
    threads: dict[tuple[int, int], str] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)


def import_trace(path: Path, rounding: Rounding = round) -> Imported:
    """Import a file event by event, in the order of time; of equal times the longer slice first, then in that of the file."""
    raw = path.read_bytes()
    text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw  # told by its first bytes, not by its name
    events = json.loads(text)["traceEvents"]
    out = Imported()
    times = [_nanoseconds(event.get("ts"), rounding) for event in events]
    stacks: dict[tuple[int, int], list[ImportedSlice]] = defaultdict(list)
    arrows: dict[tuple[int, str, str], ImportedSlice] = {}
    lengths = [_nanoseconds(event.get("dur"), rounding) for event in events]
    for index in sorted(range(len(events)), key=lambda index: (times[index] or 0, -(lengths[index] or 0))):
        event, time = events[index], times[index]
        thread = (event["pid"], event.get("tid") or event["pid"])
        if event["ph"] == "M":
            _metadata(out, event, thread)
        elif time is None:
            out.errors["json_tokenizer_failure"] += 1
        elif event["ph"] == "X":
            _slice(out, event, thread, time, _nanoseconds(event.get("dur"), rounding), stacks[thread])
        elif event["ph"] == "C":
            for name, value in event["args"].items():
                out.counters[event["pid"], f"{event['name']} {name}"].append((time, float(value)))
        elif event["ph"] in "stf":
            _arrow(out, event, stacks[thread], arrows)
    out.threads = dict(sorted(out.threads.items(), key=lambda item: (item[0][0], item[0][1] != item[0][0], item[0][1])))
    return out


def _nanoseconds(microseconds: float | int | None, rounding: Rounding) -> int | None:
    """A whole number is exact; another is a double whose product with 1000 is rounded or cut."""
    if isinstance(microseconds, int):
        return microseconds * 1000
    return None if microseconds is None else rounding(microseconds * 1000.0)


def _metadata(out: Imported, event: dict[str, Any], thread: tuple[int, int]) -> None:
    if event["name"] == "process_name":
        out.processes[event["pid"]] = event["args"]["name"]
    elif event["name"] == "thread_name":
        out.threads[thread] = event["args"]["name"]


def _slice(out: Imported, event: dict[str, Any], thread: tuple[int, int], ts: int, dur: int | None, stack: list[ImportedSlice]) -> None:
    """What has ended is closed, but for a slice of no length at this time; what partly overlaps what is open is dropped."""
    if dur is None:
        out.errors["json_parser_failure"] += 1
        return
    while stack and stack[-1].ts + stack[-1].dur <= ts and stack[-1].ts < ts:
        stack.pop()
    if stack and ts + dur > stack[-1].ts + stack[-1].dur:
        out.errors["slice_drop_overlapping_complete_event"] += 1
        return
    if len(stack) >= MAX_DEPTH:
        out.errors["slice_max_depth_exceeded"] += 1
        return
    item = ImportedSlice(event["name"], thread, ts, dur, len(stack), event.get("args", {}))
    out.slices.append(item)
    stack.append(item)


def _arrow(out: Imported, event: dict[str, Any], stack: list[ImportedSlice], arrows: dict[tuple[int, str, str], ImportedSlice]) -> None:
    """Ends bind to the slice that was opened last on their thread; of two slices, the arrow leaves the one that began first."""
    key = (event["id"], event["cat"], event["name"])
    if event["ph"] == "f" and event.get("bp") != "e":
        out.errors["an arrow that ends at the next slice, whatever it is"] += 1
        return
    if not stack:
        out.errors["flow_no_enclosing_slice"] += 1
        return
    here = stack[-1]
    if event["ph"] == "s":
        if key in arrows:
            out.errors["flow_duplicate_id"] += 1
        arrows.setdefault(key, here)
        return
    before = arrows.get(key)
    if before is None:
        out.errors["flow_step_without_start" if event["ph"] == "t" else "flow_end_without_start"] += 1
        return
    out.flows.append((here, before) if before.ts > here.ts else (before, here))
    if event["ph"] == "t":
        arrows[key] = here

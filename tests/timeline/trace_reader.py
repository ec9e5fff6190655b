"""A reader of trace-event files that shares nothing with their writer, as strict as the viewers: slices nest, arrows end in slices.

Times are read as a viewer reads them: microseconds as a decimal number, rounded to whole nanoseconds.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = Path(__file__).with_name("trace_event.schema.json")


@dataclass
class Piece:
    """A slice with what lies in it."""

    name: str
    category: str
    start: int
    end: int
    args: dict[str, Any]
    inside: list[Piece] = field(default_factory=list)


@dataclass
class ReadTrace:
    """What a viewer shows: slices by (process, track), counters by (process, counter), arrows by id as (phase, slice)."""

    tracks: dict[tuple[str, str], list[Piece]]
    counters: dict[tuple[str, str], list[tuple[int, dict[str, float]]]]
    arrows: dict[int, list[tuple[str, tuple[str, str], Piece, int]]]
    header: dict[str, Any]

    def track(self, name: str) -> list[Piece]:
        """The outer slices of the one track of that name."""
        (found,) = (pieces for (_, track), pieces in self.tracks.items() if track == name)
        return found

    def counter(self, name: str) -> list[tuple[int, dict[str, float]]]:
        (found,) = (values for (_, counter), values in self.counters.items() if counter == name)
        return found


@cache
def validator() -> Any:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def read_trace(path: Path) -> ReadTrace:
    """The content of a file, or an AssertionError that says which rule of the format it breaks."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    content = json.loads(raw, parse_constant=lambda text: 1 / 0)
    problem = next(validator().iter_errors(content), None)
    assert problem is None, f"{problem.json_path}: {problem.message}"
    events = content["traceEvents"]
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert len(set(threads.values())) == len(threads), "two tracks have one name"

    slices: dict[tuple[int, int], list[Piece]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            start, length = nanoseconds(event["ts"]), nanoseconds(event["dur"])
            slices[event["pid"], event["tid"]].append(Piece(event["name"], event["cat"], start, start + length, event["args"]))
    tracks = {(processes[key[0]], threads[key]): nest(found) for key, found in slices.items()}

    counters: dict[tuple[str, str], list[tuple[int, dict[str, float]]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "C":
            series = counters[processes[event["pid"]], event["name"]]
            time = nanoseconds(event["ts"])
            assert not series or series[-1][0] < time, f"{event['name']}: its times do not rise at {time} ns"
            series.append((time, event["args"]))

    arrows: dict[int, list[tuple[str, tuple[str, str], Piece, int]]] = defaultdict(list)
    flows = [event for event in events if event["ph"] in "stf"]
    for event in sorted(flows, key=lambda event: nanoseconds(event["ts"])):  # viewers sort by time and keep the order in the file
        key = (processes[event["pid"]], threads[event["pid"], event["tid"]])
        time = nanoseconds(event["ts"])
        piece = innermost(tracks[key], time)
        assert piece is not None, f"arrow {event['id']} ends at {time} ns outside of any slice of {key}"
        arrows[event["id"]].append((event["ph"], key, piece, time))
    for number, ends in arrows.items():
        phases = "".join(phase for phase, *_ in ends)
        assert phases in ("sf", "stf"), f"arrow {number} is {phases}"
    return ReadTrace(tracks, dict(counters), dict(arrows), content["otherData"])


def nanoseconds(microseconds: float) -> int:
    found = round(microseconds * 1000)
    assert abs(microseconds * 1000 - found) < 1e-3, f"{microseconds} us is not a whole number of ns"
    return found


def nest(pieces: list[Piece]) -> list[Piece]:
    """The outer slices, in the order of time, each with what lies in it.

    A viewer sorts by start and leaves slices of one start in the order of the file, so a slice must come before what lies in it.
    """
    outer: list[Piece] = []
    stack: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: piece.start):
        while stack and stack[-1].end <= piece.start:
            stack.pop()
        if stack:
            assert piece.end <= stack[-1].end, f"{piece.name} {piece.start}..{piece.end} crosses {stack[-1].name} {stack[-1].end}"
        (stack[-1].inside if stack else outer).append(piece)
        stack.append(piece)
    return outer


def innermost(pieces: list[Piece], time: int) -> Piece | None:
    """The deepest slice around a time; where two touch, the later."""
    found = None
    for piece in pieces:
        if piece.start <= time < piece.end:
            found = innermost(piece.inside, time) or piece
    return found

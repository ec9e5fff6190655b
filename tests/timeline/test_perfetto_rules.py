"""By the rules of Perfetto's importer a timeline arrives whole: no slice is dropped, arrows bind and point forward, tracks keep order."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.presets import find_trace
from accelsim.simulation import RecordedRun, simulate_recorded
from accelsim.timeline.timeline import write_timeline
from accelsim.timeline.trace_file import microseconds
from accelsim.timeline.window import make_window
from accelsim.trace.trace import load_trace
from tests.engine.machines import machines
from tests.timeline.perfetto_rules import ROUNDINGS, Imported, Rounding, import_trace

MACHINES = machines()
CHIPS = (
    ("edge-64x64", ()),
    ("edge-64x64-x16", ()),  # starved: the loader waits for what is not issued yet
    ("mcu-16x16", ()),  # a cycle is 2.5 ns
    ("edge-32x32", ("clock=1.7 GHz",)),  # a cycle is shorter than what a viewer can show
    ("edge-64x64", ("dram={device: lpddr5-6400-x16, channels: 3, policy: bank-queues, background: {bandwidth: 2 GB/s}}",)),
)


def write(
    run: RecordedRun, folder: Path, name: str = "t.json", layers: str | None = None, cycles: tuple[int, int | None] | None = None
) -> Path:
    write_timeline(run, make_window(run.result, layers, cycles), folder / name)
    return folder / name


def check(run: RecordedRun, found: Imported) -> None:
    """Nothing is lost, and the order is that of the machine."""
    assert found.errors == Counter()
    booked: Counter[str] = Counter()
    for item in found.slices:
        if found.threads[item.thread] == "MAC array" and item.name in run.result.cycles and "tile" not in item.args:
            booked[item.name] += item.args["cycles"]
    assert booked == +Counter(run.result.cycles)
    assert found.flows or run.accelerator.dram.device == "ideal"  # what takes no time is no slice to leave from
    for before, after in found.flows:
        assert before.ts <= after.ts
        track, to = found.threads[before.thread], found.threads[after.thread]
        assert (track.partition(" ")[0], to) in {("slot", "loader and decoder"), ("slot", "MAC array"), ("loader", "MAC array")}
    for series in found.counters.values():
        assert all(before[0] <= after[0] for before, after in pairwise(series))
    numbers = [thread for _, thread in found.threads]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & set(found.processes)


@pytest.mark.parametrize("rounding", ROUNDINGS.values(), ids=ROUNDINGS)
@pytest.mark.parametrize(("chip", "overrides"), CHIPS, ids=lambda item: item if isinstance(item, str) else "+".join(item)[:20])
def test_a_viewer_shows_all_of_a_preset(chip: str, overrides: tuple[str, ...], rounding: Rounding, tmp_path: Path) -> None:
    run = simulate_recorded(load_accelerator(chip, overrides), load_trace(find_trace("tiny_vit_ssvq")))
    check(run, import_trace(write(run, tmp_path), rounding))


@pytest.mark.parametrize("name", MACHINES)
def test_a_viewer_shows_all_of_a_machine_that_collides(name: str, tmp_path: Path) -> None:
    run = simulate_recorded(*MACHINES[name])
    path = write(run, tmp_path, "t.json.gz")
    for rounding in ROUNDINGS.values():
        check(run, import_trace(path, rounding))


@pytest.mark.parametrize("name", MACHINES)
def test_a_part_of_a_run_is_shown_without_an_error_too(name: str, tmp_path: Path) -> None:
    """Windows that cut tiles, transfers and arrows; the last one holds the wait for the last write alone."""
    run = simulate_recorded(*MACHINES[name])
    whole, last = run.result.total_cycles, next(layer.name for layer in reversed(run.result.layers) if layer.op == "gemm")
    for cycles in ((whole // 3, whole // 3 + 1), (whole // 3, whole // 2), (whole - 1, None)):
        for rounding in ROUNDINGS.values():
            found = import_trace(write(run, tmp_path, cycles=cycles), rounding)
            assert found.errors == Counter()
            assert all(before.ts <= after.ts for before, after in found.flows)
    assert import_trace(write(run, tmp_path, layers=last)).errors == Counter()


def test_busy_time_is_that_of_the_result_in_what_a_viewer_measures(tmp_path: Path) -> None:
    """At 1 GHz a cycle is a nanosecond: durations are cycles."""
    run = simulate_recorded(load_accelerator("edge-64x64"), load_trace(find_trace("tiny_vit_ssvq")))
    for rounding in ROUNDINGS.values():
        found = import_trace(write(run, tmp_path), rounding)
        time: Counter[tuple[str, str]] = Counter()
        for item in found.slices:
            time[found.threads[item.thread], item.name] += item.dur
        assert {name: time["MAC array", name] for name in run.result.cycles} == dict(run.result.cycles)
        vector = sum(dur for (track, _), dur in time.items() if track == "vector unit")
        assert vector == run.result.counters["vector_busy_cycles"]


def test_tracks_are_in_the_order_of_the_machine(tmp_path: Path) -> None:
    run = simulate_recorded(load_accelerator("edge-64x64"), load_trace(find_trace("tiny_vit_ssvq")))
    shown = list(import_trace(write(run, tmp_path)).threads.values())
    assert shown[:5] == ["layers", "MAC array", "loader and decoder", "codebook load", "vector unit"]
    assert shown[5:7] == ["slot 0", "slot 1"]
    assert [name for name in shown if name.startswith("channel")][:4] == [
        *("channel 0 data bus", "channel 0 refresh", "channel 0 bank 0", "channel 0 bank 1"),
    ]


@pytest.mark.parametrize("first", [0, 10**6, 123_456_789_000])
def test_a_time_is_found_again_whether_it_is_rounded_or_cut(first: int) -> None:
    for time in range(first, first + 20_000):
        written = json.loads(json.dumps(microseconds(time)))
        assert {rounding(written * 1000.0) for rounding in ROUNDINGS.values()} == {time}


# What follows holds the rules themselves to what the source says: they see what is wrong.


def slices(*spans: tuple[float, float], **more: Any) -> list[dict[str, Any]]:
    return [{"ph": "X", "name": f"{ts}", "cat": "c", "pid": 1, "tid": 7, "ts": ts, "dur": dur, **more} for ts, dur in spans]


def arrow(phase: str, ts: float, **more: Any) -> dict[str, Any]:
    return {"ph": phase, "name": "a", "cat": "c", "id": 1, "pid": 1, "tid": 7, "ts": ts, **({"bp": "e"} if phase == "f" else {}), **more}


def imported(folder: Path, *events: dict[str, Any], rounding: Rounding = round) -> Imported:
    path = folder / "t.json"
    path.write_text(json.dumps({"traceEvents": list(events)}))
    return import_trace(path, rounding)


# Trace events -> the importer's error and the depths of what it keeps; `tests/browser/test_trace_processor.py` asks Perfetto the same.
CASES: dict[str, tuple[list[dict[str, Any]], str, list[int]]] = {
    "one inside another": (slices((0, 3), (1, 1)), "", [0, 1]),
    "one across another": (slices((0, 2), (1, 2)), "slice_drop_overlapping_complete_event", [0]),
    "begun together, the short one first": (slices((0, 1), (0, 3), (1, 1), (3, 1)), "", [0, 1, 1, 0]),
    "two that touch": (slices((0, 1), (1, 1)), "", [0, 0]),
    "no length, then some": (slices((0, 0), (0, 2)), "", [0, 1]),
    "twice no length": (slices((0, 0), (0, 0), (1, 1)), "", [0, 1, 0]),
    "no duration": ([{"ph": "X", "name": "x", "pid": 1, "tid": 7, "ts": 0}], "json_parser_failure", []),
    "an arrow from nowhere": ([arrow("s", 1)], "flow_no_enclosing_slice", []),
    "an arrow before its slice": ([arrow("s", 0), *slices((0, 2)), arrow("f", 1)], "", [0]),
    "an arrow begun twice": ([*slices((0, 2)), arrow("s", 1), arrow("s", 1)], "flow_duplicate_id", [0]),
    "an arrow that ends only": ([*slices((0, 2)), arrow("f", 1)], "flow_end_without_start", [0]),
    "an arrow without a start": ([*slices((0, 2)), arrow("t", 1)], "flow_step_without_start", [0]),
    "an arrow that ends as another": ([*slices((0, 2)), arrow("s", 1), arrow("f", 1, name="b")], "flow_end_without_start", [0]),
    "a counter without a time": ([{"ph": "C", "name": "x", "pid": 1, "args": {"v": 1}}], "json_tokenizer_failure", []),
}


@pytest.mark.parametrize("name", CASES)
def test_the_importer_keeps_what_nests_and_counts_what_is_wrong(name: str, tmp_path: Path) -> None:
    events, error, depths = CASES[name]
    found = imported(tmp_path, *events)
    assert dict(found.errors) == ({error: 1} if error else {})
    assert [item.depth for item in found.slices] == depths


def test_slices_that_touch_overlap_where_times_are_cut(tmp_path: Path) -> None:
    touching = slices((0.5, 0.501), (1.001, 0.5))
    assert not imported(tmp_path, *touching, rounding=round).errors
    assert imported(tmp_path, *touching, rounding=int).errors == {"slice_drop_overlapping_complete_event": 1}


def test_an_arrow_leaves_the_slice_that_began_first(tmp_path: Path) -> None:
    late = slices((3, 2), tid=8)
    ((before, after),) = imported(tmp_path, *slices((0, 9)), *late, arrow("s", 4, tid=8), arrow("f", 5)).flows
    assert (before.ts, after.ts) == (0, 3000)


def test_the_main_thread_of_a_process_is_shown_first(tmp_path: Path) -> None:
    names = [{"ph": "M", "name": "thread_name", "pid": 2, "tid": tid, "args": {"name": str(tid)}} for tid in (1, 2, 3)]
    assert list(imported(tmp_path, *names).threads.values()) == ["2", "1", "3"]

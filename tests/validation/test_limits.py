"""Limits that must come out: the closed form's 30 cells, and the walk from the ratio of bits to a preset's own speed-up."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.errors import TraceError
from accelsim.report.compare import compare
from accelsim.simulation import simulate
from accelsim.studies.closed_form import closed_form, limit_cells
from accelsim.studies.ideal_machines import Overlap, closed_form_machine
from accelsim.studies.network_parts import compressed_matrices, products_alone, stacked
from accelsim.studies.walk import walk
from accelsim.trace.trace import Trace, load_trace

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).parent / "data" / "limits" / "block_matrices.csv"
TOLERANCE = 0.03

# DeiT-tiny by hand: width 192, 12 blocks, 3 heads, MLP 768, 14 x 14 patches of 16 x 16 x 3 and a class token, 1000 classes.
BLOCK_WEIGHTS = 12 * (4 * 192 * 192 + 2 * 192 * 768)
BLOCK_CHANNELS = 12 * (4 * 192 + 768 + 192)
MACS = 196 * 768 * 192 + 197 * BLOCK_WEIGHTS + 12 * 2 * 197 * 197 * 192 + 192 * 1000
BITS = {"int8": 8.0, "ssvq": 1.5}


@pytest.fixture(scope="module")
def traces() -> tuple[Trace, Trace]:
    return load_trace(ROOT / "traces/deit_tiny_int8"), load_trace(ROOT / "traces/deit_tiny_ssvq_k16d8")


def rows_of_table() -> list[tuple[int, float, float, float]]:
    with TABLE.open(encoding="utf-8") as file:
        return [(int(row["array"]), *(float(value) for value in list(row.values())[1:])) for row in csv.DictReader(file)]  # type: ignore[misc]


def by_hand(array: int, rate: float) -> tuple[float, float]:
    work = MACS / array**2
    int8, ssvq = (BLOCK_WEIGHTS * bits / 8 / rate for bits in BITS.values())
    return (int8 + work) / (ssvq + work), max(int8, work) / max(ssvq, work)


def test_the_published_table_is_the_closed_form_rounded_to_two_decimals() -> None:
    rows = rows_of_table()
    assert len(rows) == 15
    for array, rate, serial, overlapped in rows:
        assert by_hand(array, rate) == (pytest.approx(serial, abs=0.0051), pytest.approx(overlapped, abs=0.0051))


def test_the_closed_form_of_traces_is_the_one_by_hand(traces: tuple[Trace, Trace]) -> None:
    assert traces[0].macs == MACS
    for array, rate, _, _ in rows_of_table():
        assert closed_form(*traces, array, rate) == pytest.approx(by_hand(array, rate), rel=1e-12)


def test_all_thirty_cells_are_simulated_within_their_tolerance(traces: tuple[Trace, Trace]) -> None:
    cells = {(cell.array, cell.bytes_per_cycle): cell for cell in limit_cells(*traces)}
    rows = rows_of_table()
    assert len(cells) == len(rows)
    for array, rate, serial, overlapped in rows:
        cell = cells[array, rate]
        assert cell.serial == pytest.approx(serial, rel=TOLERANCE), (array, rate)
        assert cell.overlapped == pytest.approx(overlapped, rel=TOLERANCE), (array, rate)
        assert cell.serial_cycles[0] >= MACS * 0.998 / array**2 + BLOCK_WEIGHTS / rate  # 236 rows for 236.18


@pytest.mark.parametrize(("array", "rate"), [(16, 0.5), (32, 1.0), (64, 2.0)])
@pytest.mark.parametrize("overlap", ["layer", "prefetch"])
def test_the_matrices_themselves_take_their_bits_and_scales_and_macs(
    traces: tuple[Trace, Trace], array: int, rate: float, overlap: Overlap
) -> None:
    names = compressed_matrices(*traces)
    work = 197 * BLOCK_WEIGHTS / array**2  # 192 and 768 are multiples of every array's side
    for trace, bits in zip(traces, BITS.values(), strict=True):
        load = (BLOCK_WEIGHTS * bits / 8 + 8 * BLOCK_CHANNELS) / rate  # a float32 scale and an int32 bias a channel
        expected = load + work if overlap == "layer" else max(load, work)
        result = simulate(closed_form_machine(array, rate, overlap), products_alone(trace, names))
        assert result.total_cycles == pytest.approx(expected, rel=TOLERANCE)


def test_the_walk_starts_at_the_bits_and_ends_at_the_preset_itself(traces: tuple[Trace, Trace]) -> None:
    accelerator = load_accelerator("edge-64x64-x16")
    found = walk(accelerator, *traces)
    assert found.start == pytest.approx(8 / 1.5, rel=1e-12)
    runs = [simulate(accelerator, trace) for trace in traces]
    assert found.end == compare(runs[0], [runs[1]]).speedups[0].speedup
    last = found.steps[-1]
    assert last.baseline == runs[0]
    assert last.other == runs[1]


def test_each_step_of_a_walk_moves_at_least_the_macs_and_bytes_of_the_one_before(traces: tuple[Trace, Trace]) -> None:
    runs = [step.baseline for step in walk(load_accelerator("mcu-16x16"), *traces).steps if step.baseline]
    for before, after in pairwise(runs):
        assert after.macs >= before.macs
        assert after.useful_bytes >= before.useful_bytes


def test_traces_in_one_format_have_no_walk(traces: tuple[Trace, Trace]) -> None:
    with pytest.raises(TraceError, match="give two that differ"):
        compressed_matrices(traces[0], traces[0])


def test_a_stack_has_the_weights_of_its_matrices(traces: tuple[Trace, Trace]) -> None:
    names = compressed_matrices(*traces)
    stack = stacked(traces[1], names, 64, 197)
    assert sum(layer.weight.count for layer in stack.weighted_layers()) == BLOCK_WEIGHTS
    assert stack.macs == 197 * BLOCK_WEIGHTS


def test_a_stack_of_two_formats_is_refused(traces: tuple[Trace, Trace]) -> None:
    with pytest.raises(TraceError, match="allowed: one format"):
        stacked(traces[1], [layer.name for layer in traces[1].weighted_layers()], 64, 197)

"""Networks of independent layers: an input comes just before it is read and an output leaves once it is written, so neither takes room."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.open_trace import open_trace
from accelsim.importers.import_model import import_model
from accelsim.kernels.compute_state import CATEGORIES
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.naive_machine import NaiveMachine
from tests.system.test_row_tiles import check_order_in_dram, check_places, run_recorded
from tests.tiny_machines import tiny_accelerator


def table(folder: Path, rows: list[tuple[int, int, int]]) -> Trace:
    """Independent products of (M, N, K) in 8 bits."""
    lines = ["Layer, M, N, K", *(f"l{index}, {m}, {n}, {k}" for index, (m, n, k) in enumerate(rows))]
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    import_model(str(folder / "table.csv"), folder / "net", seed=1)
    return open_trace(f"{folder / 'net'}@uniform:bits=8")


def test_four_independent_layers_take_four_times_one(tmp_path: Path) -> None:
    """Each has 128 KiB of results, the buffer 384 KiB; every weight is read once."""
    chip = load_accelerator("edge-32x32")
    (tmp_path / "four").mkdir()
    one, four = table(tmp_path, [(64, 2048, 64)]), table(tmp_path / "four", [(64, 2048, 64)] * 4)
    result = simulate(chip, four)
    assert result.total_cycles <= 4 * simulate(chip, one).total_cycles
    assert sum(bits for flow, bits in result.traffic.items() if flow.operand == "raw_weights") == 8 * 4 * 2048 * 64


@pytest.mark.parametrize("capacity", [700, 800, 900, 1300])
@pytest.mark.parametrize("rows", [[(4, 96, 24)] * 3, [(8, 32, 40), (3, 80, 16), (8, 48, 24), (1, 96, 64)]])
def test_no_place_is_written_before_its_output_has_left(rows: list[tuple[int, int, int]], capacity: int, tmp_path: Path) -> None:
    chip = tiny_accelerator(activation_buffer__capacity=capacity)
    program = compile_trace(chip, table(tmp_path, rows), frames=2)
    assert program.peak_activation_bytes <= capacity
    outcome, landings = run_recorded(chip, program)
    twin = NaiveMachine(program, landings)
    cycles, runs = twin.simulate()
    assert cycles == outcome.cycles - outcome.tail_cycles
    assert runs == [{name: count for name, count in zip(CATEGORIES, row, strict=False) if count} for row in outcome.run_results.tolist()]
    check_places(program, twin, landings)
    check_order_in_dram(program)
    outputs = [slot for slot in program.slots if slot.stored >= 0]
    assert len(outputs) == 2 * len(rows)

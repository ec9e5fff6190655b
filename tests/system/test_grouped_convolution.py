"""A depthwise convolution on this array: each group is a product of one column, requantized one value a row; the result shows the waste."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.importers.import_model import import_model
from accelsim.kernels.compute_state import DRAIN
from accelsim.simulation import simulate
from tests.naive_machine import records, row_source
from tests.tiny_convnets import ConvNet
from tests.tiny_machines import tiny_accelerator

GROUPS, SIDE = 40, 16


def test_a_depthwise_layer_uses_one_column_and_one_lane_a_group(tmp_path: Path) -> None:
    topology = tmp_path / "net.csv"
    topology.write_text(f"Layer, H, W, FH, FW, Channels, Filters, Stride,\nDP1, {SIDE + 2}, {SIDE + 2}, 3, 3, {GROUPS}, 1, 1,\n")
    floats = import_model(str(topology), tmp_path / "float", seed=1)
    trace, _ = compress_trace(floats, make_recipe("uniform"), payload=False)
    (layer,) = simulate(load_accelerator("edge-32x32"), trace).layers
    rows = SIDE * SIDE * GROUPS  # each group: 256 positions, 9 taps in one K-tile, one output
    assert layer.cycles["busy"] == rows
    assert layer.vector_cycles == layer.bounds["vector"] == rows  # one pass over one value
    assert layer.macs == 9 * rows
    assert layer.total_cycles > layer.bounds["array"]
    # The image: 9 rows of 32 columns of 8 bits per group, which is 18 words of 128 bits, for the 9 weights of one column.
    moved = {item.operand: item.bits // 8 for item in layer.traffic}
    assert moved["raw_weights"] == 9 * GROUPS
    assert moved["padding"] == (9 * 32 - 9) * GROUPS


@pytest.mark.parametrize("outputs", [1, 3, 4, 5, 8])
def test_a_product_waits_for_the_last_group_of_the_convolution_before(outputs: int) -> None:
    """By the definition: all columns of a position are there when the drain has put out the position in every stripe of every group."""
    groups, side, cols = 6, 3, 4
    net = ConvNet(groups, side, side).conv(groups * outputs, 3, groups=groups).conv(8, 1)
    program = compile_trace(tiny_accelerator(array={"rows": 4, "cols": cols, "max_m": 16}), net.trace())
    positions, stripes = side * side, groups * -(-outputs // cols)
    fed = [run for run in records(program.runs) if run["in_task"] >= 0 and program.tasks["units"][run["in_task"]] == positions * stripes]
    assert fed
    for run in fed:
        for row in range(run["m"]):
            task, unit = row_source(run, 0, row, 4) or (-1, -1)
            assert program.tasks["kind"][task] == DRAIN
            stripe, position = divmod(unit, positions)
            assert stripe == stripes - 1
            assert position >= run["m0"] + row

"""A depthwise convolution on this array: each group is a product of one column, requantized one value a row; the result shows the waste."""

from __future__ import annotations

from pathlib import Path

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate

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
    # The image: 9 rows of 32 columns of 8 bits a group, which is 18 words of 128 bits, for the 9 weights of one column.
    moved = {item.operand: item.bits // 8 for item in layer.traffic}
    assert moved["raw_weights"] == 9 * GROUPS
    assert moved["padding"] == (9 * 32 - 9) * GROUPS

"""Grouped convolutions in block-diagonal tiles: the cycles of the core's twin, the zeros that are stored, and the exceptions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compression.open_trace import open_trace
from accelsim.errors import ConfigError
from accelsim.result import LayerResult
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.naive_core import NaiveCore, simulate_run
from tests.tiny_convnets import ConvNet, every_layer
from tests.tiny_machines import tiny_accelerator

SIDE = 5  # of an image: 25 positions with a 3 x 3 window and its padding


def chip(rows: int, cols: int, d: int, ports: int, depthwise: str = "block_diagonal", **array: Any) -> Accelerator:
    """A machine whose units beside the array take no time: lanes, memory, and one access a row."""
    return tiny_accelerator(
        array={"rows": rows, "cols": cols, "max_m": 64, "accumulator_banks": 2, "depthwise": depthwise, **array},
        codebook={"ports": ports, "codeword_length": d, "codewords": 64},
        vector_unit={"lanes": 0, "latency": 0},
        weight_buffer={"capacity": "64 KiB", "word_bits": 8 * ports * d},
        activation_buffer={"capacity": "64 KiB", "banks": 64, "width_bits": 64, "loader_bits": 64},
        dma={"transfer": 512, "max_transfers": 4, "fabric_latency": "0 ns"},
        dram={"device": "ideal"},
    )


def convolution(groups: int, inputs: int = 1, outputs: int = 1) -> Trace:
    """One 3 x 3 convolution of `groups` groups."""
    return ConvNet(groups * inputs, SIDE, SIDE).conv(groups * outputs, 3, groups=groups).trace()


def only_layer(accelerator: Accelerator, trace: Trace, **how: int) -> LayerResult:
    (layer,) = simulate(accelerator, trace, **how).layers
    return layer


def stored_bytes(layer: LayerResult) -> tuple[int, int]:
    """(bytes of weights, bytes of padding) that a layer reads."""
    moved = {item.operand: item.bits // 8 for item in layer.traffic}
    return moved["raw_weights"], moved["padding"]


@pytest.mark.parametrize("sets", [1, 2])
@pytest.mark.parametrize(
    ("groups", "tiles", "reduction"),
    [
        (32, 5, 7 * 9),  # floor(64 / 9) = 7 channels a tile: 7, 7, 7, 7, 4
        (16, 3, 6 * 9),  # three tiles, evenly filled: 6, 6, 4
        (7, 1, 7 * 9),
        (2, 1, 2 * 9),
    ],
)
def test_the_array_takes_the_cycles_of_the_core_for_as_many_tiles(groups: int, tiles: int, reduction: int, sets: int) -> None:
    core = NaiveCore(R=64, C=64, D=8, KCB=1, P=8, W=512, DECODE=0, SIGN=0, AXIS=0, MAXM=64, sets=sets)
    counters = simulate_run(core, SIDE * SIDE, reduction, tiles * 64, 0, 1, 0)
    layer = only_layer(chip(64, 64, 8, 8, shadow_sets=sets), convolution(groups))
    assert layer.cycles["busy"] == counters["cp_rows"] == SIDE * SIDE * tiles
    between = sum(layer.cycles.get(name, 0) for name in ("dram", "buffer_width", "decode", "swap"))
    assert between == counters["st_start"] + counters["st_tile"]


def test_zeros_are_stored_in_all_columns_of_the_tile_and_the_last_tile_is_filled_up() -> None:
    # 32 channels of 9 weights; 5 tiles of 63 rows x 64 columns, of 8 bits, in one stream of whole words.
    weights, padding = stored_bytes(only_layer(chip(64, 64, 8, 8), convolution(32)))
    assert weights == 32 * 9
    assert weights + padding == 5 * 63 * 64
    # In columns, a tile of 9 rows x 64 columns for each channel.
    assert sum(stored_bytes(only_layer(chip(64, 64, 8, 8, "column"), convolution(32)))) == 32 * 9 * 64


def test_groups_of_several_channels_share_tiles_by_rows_and_by_columns() -> None:
    # 2 inputs x 9 taps = 18 rows a group: 3 of 64 rows; 5 outputs a group: 3 of 16 columns, but 1 of 8.
    grouped = convolution(6, 2, 5)
    wide, narrow = (only_layer(chip(64, cols, 8, 8), grouped) for cols in (16, 8))
    assert wide.cycles["busy"] == 2 * SIDE * SIDE
    assert wide.lowering == "tiles of 3 groups, block-diagonal"
    assert narrow.cycles["busy"] == 6 * SIDE * SIDE
    assert narrow.lowering == "a tile per group"
    assert wide.macs == narrow.macs == SIDE * SIDE * 18 * 30


def test_a_group_that_fills_more_than_half_of_the_rows_keeps_its_tile() -> None:
    assert only_layer(chip(16, 16, 8, 8), convolution(4)).cycles["busy"] == 4 * SIDE * SIDE


def test_cheapest_takes_columns_where_filling_up_the_last_tile_costs_more() -> None:
    # 3 groups, 2 in a tile: with 4 columns and one port, 2 x (2 x 9 x 2 + 3) cycles of loading, not 3 x (9 x 2 + 3).
    three = convolution(3)
    assert only_layer(chip(18, 4, 2, 1, "cheapest"), three).lowering == "a tile per group"
    assert only_layer(chip(18, 4, 2, 1, "block_diagonal"), three).lowering == "tiles of 2 groups, block-diagonal"
    assert only_layer(chip(18, 4, 2, 4, "cheapest"), three).lowering == "tiles of 2 groups, block-diagonal"


@pytest.mark.parametrize("form", ["ssvq:k=8,d=3,axis=1", "vq:k=8,d=3,axis=1", "vecq:bits=4"])
def test_weights_that_have_no_code_for_zero_keep_a_tile_per_group(form: str) -> None:
    trace = ConvNet(8, SIDE, SIDE).conv(8, 3, groups=8).trace(form, "*")
    plain, merged = (only_layer(chip(48, 48, 3, 8, mode), trace) for mode in ("column", "block_diagonal"))
    assert merged.lowering == "a tile per group"
    assert (merged.cycles, stored_bytes_of(merged)) == (plain.cycles, stored_bytes_of(plain))


def stored_bytes_of(layer: LayerResult) -> dict[str, int]:
    return {item.operand: item.bits for item in layer.traffic}


def test_the_default_is_a_tile_per_group_which_no_result_mentions() -> None:
    layer = only_layer(tiny_accelerator(), convolution(4))
    assert tiny_accelerator().array.depthwise == "column"
    assert "group" not in layer.lowering


def test_a_result_counts_the_layers_in_block_diagonal_tiles() -> None:
    choices = simulate(chip(32, 32, 8, 8), every_layer().trace()).choices
    assert choices["grouped_convolutions"] == "2 of 2 in block-diagonal tiles, the others a tile per group"
    assert "grouped_convolutions" not in simulate(chip(32, 32, 8, 8, "column"), every_layer().trace()).choices


def test_an_unknown_mapping_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"array.depthwise.*'column', 'block_diagonal', 'column_feed', 'vector' or 'cheapest'"):
        load_accelerator("edge-64x64", ["array.depthwise=diagonal"])


@settings(max_examples=25)
@given(
    st.integers(1, 9), st.integers(1, 2), st.integers(1, 3), st.sampled_from([18, 24, 48]), st.sampled_from([4, 8]),
    st.sampled_from([3, 16]), st.sampled_from(["block_diagonal", "cheapest"]), st.integers(1, 2),
)  # fmt: skip
def test_random_grouped_convolutions_equal_the_twin_of_the_machine(
    groups: int, inputs: int, outputs: int, rows: int, cols: int, max_m: int, depthwise: str, batch: int
) -> None:
    net = ConvNet(groups * inputs, SIDE, SIDE).conv(groups * outputs, 3, 2, groups).relu().conv(4, 1)
    accelerator = tiny_accelerator(array={"rows": rows, "cols": cols, "max_m": max_m, "depthwise": depthwise})
    compare(accelerator, net.trace(), batch=batch)


def test_row_tiles_of_a_depthwise_layer_hold_the_same_macs_and_weights() -> None:
    whole = every_layer(channels=32).trace()
    roomy, tight = (
        simulate(tiny_accelerator(array={"rows": 20, "cols": 4, "max_m": 32, "depthwise": "block_diagonal"}, **buffer), whole)
        for buffer in ({}, {"activation_buffer__capacity": 1792})
    )
    assert any("row tiles" in layer.lowering and "block-diagonal" in layer.lowering for layer in tight.layers)
    assert [layer.macs for layer in roomy.layers] == [layer.macs for layer in tight.layers]


def test_mobilenet_v2_takes_at_most_a_third_of_the_array_time_of_a_tile_per_channel() -> None:
    trace = open_trace("mobilenet_v2_float@uniform:bits=8")
    fields = ["clock=480 MHz", "activation_buffer.capacity=4 MiB"]
    column, merged = (
        simulate(load_accelerator("edge-64x64", [*fields, f"array.depthwise={mode}"]), trace) for mode in ("column", "cheapest")
    )
    assert 3 * merged.total_cycles <= column.total_cycles
    assert merged.frames[0].macs == column.frames[0].macs


def test_a_program_is_compiled_for_each_mapping_of_its_own() -> None:
    trace = convolution(4)
    runs = {mode: compile_trace(chip(64, 64, 8, 8, mode), trace).runs.size for mode in ("column", "block_diagonal")}
    assert runs == {"column": 4, "block_diagonal": 1}

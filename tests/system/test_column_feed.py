"""Columns with feeds of their own: check values worked by hand, the twins, exact sums, energy and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.image import LayerImage
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.importers.graph.windows import Convolution
from accelsim.result import LayerResult
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.naive_column_feed import FedArray
from tests.naive_machine import NaiveMachine
from tests.recorded import run_recorded
from tests.tiny_convnets import ConvNet, convnets, every_layer
from tests.tiny_machines import accelerators, tiny_accelerator

FEEDS = "a channel per column, each with a feed of its own"


def fed(accelerator: Accelerator, side: int | None, depthwise: str = "column_feed", **array: Any) -> Accelerator:
    """The same machine with windows of `side` x `side` registers, or without feeds."""
    fields = {**accelerator.array.model_dump(), "depthwise": depthwise, "column_feed": side, **array}
    return accelerator.model_copy(update={"array": type(accelerator.array).model_validate(fields)})


def chip(rows: int, cols: int, d: int, ports: int, width: int, side: int | None, **array: Any) -> Accelerator:
    """A machine whose units beside the array take no time, and whose activation buffer reads `width` bytes per cycle, one by one."""
    plain = tiny_accelerator(
        array={"rows": rows, "cols": cols, "max_m": 256, "accumulator_banks": 2},
        codebook={"ports": ports, "codeword_length": d, "codewords": 64},
        vector_unit={"lanes": 0, "latency": 0},
        weight_buffer={"capacity": "64 KiB", "word_bits": 8 * ports * d},
        activation_buffer={"capacity": "64 KiB", "banks": width, "width_bits": 8, "loader_bits": 8},
        dma={"transfer": 512, "max_transfers": 4, "fabric_latency": "0 ns"},
        dram={"device": "ideal"},
    )
    return fed(plain, side, **{"raw_weights_per_cycle": ports * d, **array})


def depthwise(channels: int, lines: int, positions: int, k: int, stride: int, form: str = "uniform") -> Trace:
    """A depthwise convolution of lines x positions outputs without padding."""
    net = ConvNet(channels, stride * (lines - 1) + k, stride * (positions - 1) + k)
    conv = Convolution(channels, (k, k), (stride, stride), (0, 0), (1, 1), channels, None)
    net.at = net.builder.conv2d("depthwise", net.at, conv, True)
    return net.trace(form, "*" if form != "uniform" else None)


def only_layer(accelerator: Accelerator, trace: Trace) -> LayerResult:
    (layer,) = simulate(accelerator, trace).layers
    return layer


class DepthwiseTwin(Protocol):
    """Registers that hold a depthwise convolution without padding on numbers."""

    def run(self, image: list[list[list[int]]], weights: list[list[int]], k: int, stride: int) -> tuple[int, list[list[list[int]]]]:
        """(cycles, sums [channel][oy][ox]) of `image` [channel][y][x] by `weights` [channel][tap]."""


def twin(array: DepthwiseTwin, channels: int, lines: int, positions: int, k: int, stride: int) -> int:
    """Cycles of the twin, whose sums are those of the definition."""
    rng = np.random.default_rng([channels, lines, positions, k, stride])
    image = rng.integers(-9, 10, (channels, stride * (lines - 1) + k, stride * (positions - 1) + k))
    weights = rng.integers(-9, 10, (channels, k * k))
    cycles, sums = array.run(image.tolist(), weights.tolist(), k, stride)
    for y in range(lines):
        for x in range(positions):
            taps = image[:, y * stride : y * stride + k, x * stride : x * stride + k].reshape(channels, -1)
            assert [channel[y][x] for channel in sums] == (taps * weights).sum(axis=1).tolist()
    return cycles


# (channels, OY = OX, k, stride, C, width, window): swaps, end.
# 8,4,3,1 on 4 columns: 9 records a tile, popped in cycles 1 to 9, swapped in 11; 4 lines of 3 + 3 shifts of 4 x 3 of 16 bytes: 24 cycles;
# the end is 35 + 24 + 9 + 1. With 6 bytes a shift takes 2 cycles; without windows a row of 36 bytes takes 3: 48 cycles, both.
# 8,2,3,2: 2 lines of 3 + 2 shifts, 10 cycles, and the load behind the swap ends in 20: 22 + 10 + 9 + 1.
CHECKS = [
    ((8, 4, 3, 1, 4, 16, 3), [11, 35], 69),
    ((8, 4, 3, 1, 4, 6, 3), [11, 59], 117),
    ((8, 4, 3, 1, 4, 16, 0), [11, 59], 117),
    ((8, 2, 3, 2, 4, 16, 3), [11, 22], 42),
]


@pytest.mark.parametrize(("case", "swaps", "end"), CHECKS)
def test_the_twin_and_the_machine_give_the_cycles_worked_by_hand(case: tuple[int, ...], swaps: list[int], end: int) -> None:
    channels, side, k, stride, cols, width, window = case
    array = FedArray(16, cols, 4, 1, width, window)
    assert twin(array, channels, side, side, k, stride) == end
    assert array.swaps == swaps
    accelerator, trace = chip(16, cols, 4, 1, width, window), depthwise(channels, side, side, k, stride)
    layer = only_layer(accelerator, trace)
    assert layer.lowering == FEEDS
    assert layer.total_cycles == end
    assert check_functional(accelerator, trace).ok


@settings(max_examples=40)
@given(
    st.integers(2, 9), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 3]), st.integers(1, 3),
    st.sampled_from([(2, 1, 1), (5, 3, 1), (9, 3, 3), (16, 4, 2), (6, 6, 2), (3, 9, 3), (7, 5, 1)]), st.integers(1, 3), st.integers(1, 64),
    st.integers(0, 3),
)  # fmt: skip
def test_random_geometries_equal_the_twin(
    channels: int, lines: int, positions: int, k: int, stride: int, size: tuple[int, int, int], ports: int, width: int, window: int
) -> None:
    rows, cols, d = size
    ports = min(ports, cols // d * rows)
    side = max(window, k) if window else 0  # windows that fit, or none
    accelerator, trace = chip(rows, cols, d, ports, width, side), depthwise(channels, lines, positions, k, stride)
    array = FedArray(rows, cols, d, ports, width, side)
    assert only_layer(accelerator, trace).total_cycles == twin(array, channels, lines, positions, k, stride)


def test_a_layer_whose_window_does_not_fit_gets_no_feeds() -> None:
    layer = only_layer(chip(16, 4, 4, 1, 64, 2), depthwise(8, 4, 4, 3, 1))
    assert (layer.lowering, layer.feed_reads) == ("a tile per group", None)


def test_of_more_taps_than_rows_each_k_tile_moves_the_windows_over_the_image() -> None:
    # 9 taps on 4 rows: tiles of 4, 4 and 1 rows for each of two stripes; 2 lines of 3 + 1 shifts.
    accelerator, trace = chip(4, 4, 4, 1, 64, 3), depthwise(8, 2, 2, 3, 1)
    layer = only_layer(accelerator, trace)
    assert layer.cycles["busy"] == 2 * 3 * 2 * (3 + 1)
    assert layer.macs == 8 * 9 * 4
    assert check_functional(accelerator, trace).ok
    compare(accelerator, trace)


@pytest.mark.parametrize("form", ["ssvq:k=8,d=4,axis=1", "vq:k=8,d=4,axis=1", "uniform:bits=4", "vecq:bits=4"])
def test_formats_decode_into_a_tile_of_channels(form: str) -> None:
    accelerator = chip(12, 8, 4, 2, 64, 3)
    trace = depthwise(12, 3, 3, 2 if "axis=1" in form else 3, 1, form)
    assert check_functional(accelerator, trace).ok
    assert only_layer(accelerator, trace).lowering == FEEDS
    compare(accelerator, trace)


def test_a_flipped_bit_of_the_image_is_found_in_its_tile() -> None:
    def flip(name: str, image: LayerImage) -> LayerImage:
        data = image.data.copy()
        data[9 * 4 + 2] ^= 1  # the third channel of the second stripe: its first tap
        return replace(image, data=data)

    (layer,) = check_functional(chip(16, 4, 4, 1, 16, 3), depthwise(8, 3, 3, 3, 1), tamper=flip).layers
    assert not layer.ok
    assert "tile (nt=1, kt=0): weight [0,2]" in layer.message


@pytest.mark.parametrize("form", ["int_group:bits=4,group=8"])
def test_scales_per_group_of_taps_keep_a_tile_per_group(form: str) -> None:
    assert only_layer(chip(16, 4, 4, 1, 64, 3), depthwise(8, 2, 2, 3, 1, form)).lowering == "a tile per group"


def test_each_shift_reads_a_value_per_line_of_the_window_and_used_column() -> None:
    # 6 channels on 4 columns: stripes of 4 and 2; 2 lines of 3 + 1 shifts of 3 values per column, 1 byte each.
    layer = only_layer(chip(16, 4, 4, 1, 64, 3), depthwise(6, 2, 2, 3, 1))
    assert layer.feed_reads == 2 * 4 * 3 * (4 + 2)
    assert only_layer(chip(16, 4, 4, 1, 64, 0), depthwise(6, 2, 2, 3, 1)).feed_reads == 4 * 9 * (4 + 2)


def with_feeds() -> st.SearchStrategy[Accelerator]:
    """Small machines of every kind whose columns have feeds."""
    return st.builds(fed, accelerators(), st.integers(0, 3), st.sampled_from(["column_feed", "cheapest"]))


@settings(max_examples=40)
@given(with_feeds(), convnets(), st.integers(1, 2))
def test_random_convolutional_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace, batch: int) -> None:
    try:
        compare(accelerator, trace, batch=batch)
    except CompileError:
        return


@settings(max_examples=25)
@given(
    st.integers(2, 12), st.sampled_from([(3, 4), (9, 5), (12, 7)]), st.sampled_from([2, 5, 16]), st.integers(0, 3), st.integers(1, 5),
    st.sampled_from(["second_port", "stall"]), st.sampled_from(["predicted", "simple"]), st.integers(1, 2), st.integers(1, 2),
)  # fmt: skip
def test_depthwise_layers_between_products_equal_the_twin_on_odd_arrays(
    channels: int, size: tuple[int, int], max_m: int, side: int, lanes: int, read: str, rule: str, banks: int, sets: int
) -> None:
    net = ConvNet(2, 5, 5).conv(channels, 1).conv(channels, 3, 2, channels).relu().conv(channels, 3, 1, channels).conv(4, 1)
    plain = tiny_accelerator(
        array={
            "rows": size[0], "cols": size[1], "max_m": max_m, "accumulator_read": read, "accumulator_rule": rule,
            "accumulator_banks": banks, "shadow_sets": sets,
        },
        codebook={"ports": 2, "codeword_length": 1, "codewords": 64}, vector_unit={"lanes": lanes, "latency": 2},
    )  # fmt: skip
    compare(fed(plain, side), net.trace())


@pytest.mark.parametrize("buffer", [{}, {"activation_buffer__capacity": 2048}])
def test_nets_in_row_tiles_and_chunks_are_bit_exact_and_equal_the_twin(buffer: dict[str, Any]) -> None:
    trace = every_layer(channels=8).trace()
    accelerator = fed(tiny_accelerator(array={"rows": 20, "cols": 4, "max_m": 32}, **buffer), 3)
    compare(accelerator, trace)
    assert check_functional(accelerator, trace).ok


@pytest.mark.parametrize("name", ["feed_rows", "line_shifts", "row_shifts", "last_accesses"])
def test_a_run_that_differs_in_one_number_differs_from_the_twin(name: str) -> None:
    """The twin is not blind: told another run than the one that ran, it finds other cycles."""
    accelerator = chip(16, 4, 4, 1, 4, 3)
    program = compile_trace(accelerator, depthwise(6, 3, 4, 3, 2))
    outcome, landings = run_recorded(accelerator, program)
    program.runs[name] += 1 if name != "last_accesses" else 4
    assert NaiveMachine(program, landings).simulate()[0] != outcome.cycles - outcome.tail_cycles


def test_mobilenet_v2_takes_less_than_half_of_the_time_of_block_diagonal_tiles() -> None:
    trace = open_trace("mobilenet_v2_float@uniform:bits=8")
    fields = ["clock=480 MHz", "activation_buffer.capacity=4 MiB", "array.depthwise=cheapest"]
    merged, feeds = (simulate(load_accelerator("edge-64x64", [*fields, *more]), trace) for more in ([], ["array.column_feed=3"]))
    assert 2 * feeds.total_cycles < merged.total_cycles
    assert feeds.frames[0].macs == merged.frames[0].macs


def test_a_chip_with_feeds_that_no_layer_uses_has_the_cycles_of_one_without() -> None:
    trace = every_layer().trace()
    plain, unused = (simulate(accelerator, trace) for accelerator in (tiny_accelerator(), fed(tiny_accelerator(), 3, "column")))
    assert [layer.cycles for layer in plain.layers] == [layer.cycles for layer in unused.layers]


def test_cheapest_takes_the_mapping_with_the_fewest_cycles() -> None:
    trace = depthwise(16, 8, 8, 3, 1)
    modes = ("column", "block_diagonal", "column_feed")
    for accelerator in (chip(64, 16, 4, 4, 64, 3), chip(64, 16, 4, 4, 4, 3)):
        each = {mode: only_layer(fed(accelerator, 3, mode), trace) for mode in modes}
        best = min(each.values(), key=lambda layer: layer.total_cycles)
        assert only_layer(fed(accelerator, 3, "cheapest"), trace).lowering == best.lowering


def test_a_result_counts_the_layers_with_feeds() -> None:
    choices = simulate(fed(tiny_accelerator(), 3), every_layer().trace()).choices
    assert choices["grouped_convolutions"] == "0 of 2 in block-diagonal tiles, 2 in columns with feeds, the others a tile per group"


def test_a_mapping_that_the_chip_has_no_feeds_for_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="depthwise = 'column_feed' needs column_feed"):
        load_accelerator("edge-64x64", ["array.depthwise=column_feed"])

"""Depthwise layers on the lanes of the vector unit: check values worked by hand, the twins, exact sums, the choice and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.compiler.image import LayerImage
from accelsim.compression.open_trace import open_trace
from accelsim.errors import CompileError, ConfigError
from accelsim.functional import check_functional
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_cores_closed_loop import chip as chip_of_cores
from tests.engine.test_cores_closed_loop import compare as compare_cores
from tests.engine.test_machine_twin import compare
from tests.naive_machine import NaiveMachine
from tests.naive_vector_path import DepthwiseLanes
from tests.recorded import run_recorded
from tests.system.test_column_feed import chip, depthwise, only_layer, twin
from tests.tiny_convnets import ConvNet, convnets, every_layer
from tests.tiny_machines import accelerators, tiny_accelerator

ON_LANES = "on the vector unit, a channel per lane"


def with_lanes(accelerator: Accelerator, taps: int = 64, depthwise: str = "vector", **vector: Any) -> Accelerator:
    """The same machine with lanes that multiply and accumulate."""
    array = {**accelerator.array.model_dump(), "depthwise": depthwise}
    lanes = {**accelerator.vector_unit.model_dump(), "depthwise_taps": taps, **vector}
    return accelerator.model_copy(
        update={
            "array": type(accelerator.array).model_validate(array),
            "vector_unit": type(accelerator.vector_unit).model_validate(lanes),
        }
    )


def bench(cols: int, d: int, ports: int, lanes: int, width: int = 64, taps: int = 64, passes: int = 1, rows: int = 16) -> Accelerator:
    """A machine whose memory takes no time; its buffer serves `width` accesses of a byte per cycle, and its lanes have no latency."""
    plain = chip(rows, cols, d, ports, width, None, depthwise="column")
    return with_lanes(plain, taps, lanes=lanes, latency=0, passes={"requantize": passes})


# (channels, OY = OX, k, stride, C, X, lanes): cycles in which stripes are given to the lanes, end. The requantization takes a pass.
# 8,4,3,1 on stripes of 4, 4 lanes: 9 groups in cycles 1 to 9, given in 10; 16 positions of 9 + 1 cycles from 11 on, twice.
# With 8 lanes two positions at a time; with 3 lanes ceil(64 / 3) = 22 turns of the lanes for each stripe.
# 12 channels: the third stripe's weights wait until the first has left the lanes in 31 (one position of 9 + 1 cycles per stripe, from
# 11 and 21 on): popped in 21 to 29, given in 30.
CHECKS = [
    ((8, 4, 3, 1, 4, 4, 4), [10, 19], 11 + 2 * 160),
    ((8, 4, 3, 1, 4, 4, 8), [10, 19], 11 + 2 * 80),
    ((8, 4, 3, 1, 4, 4, 3), [10, 19], 11 + 2 * 220),
    ((12, 1, 3, 1, 4, 4, 4), [10, 19, 30], 11 + 3 * 10),
    ((6, 2, 2, 2, 4, 4, 4), [5, 9], 6 + 4 * 5 + 2 * 5),
]


@pytest.mark.parametrize(("case", "given_in", "end"), CHECKS)
def test_the_twin_and_the_machine_give_the_cycles_worked_by_hand(case: tuple[int, ...], given_in: list[int], end: int) -> None:
    channels, side, k, stride, cols, group, lanes = case
    array = DepthwiseLanes(cols, 4, group // 4, lanes, 1)
    assert twin(array, channels, side, side, k, stride) == end
    assert array.given == given_in
    accelerator, trace = bench(cols, 4, group // 4, lanes), depthwise(channels, side, side, k, stride)
    layer = only_layer(accelerator, trace)
    assert layer.lowering == ON_LANES
    assert layer.total_cycles == end
    assert check_functional(accelerator, trace).ok


@settings(max_examples=40)
@given(
    st.integers(2, 13), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 3]), st.integers(1, 3),
    st.sampled_from([(1, 1), (3, 1), (4, 2), (6, 2), (9, 3), (5, 5)]), st.integers(1, 3), st.integers(1, 9), st.integers(1, 3),
    st.integers(1, 4),
)  # fmt: skip
def test_random_geometries_equal_the_twin(
    channels: int, lines: int, positions: int, k: int, stride: int, size: tuple[int, int], ports: int, lanes: int, passes: int, heights: int
) -> None:
    cols, d = size
    ports = ports if cols // d % ports == 0 else 1  # a K-tile ends with a group, which the twin knows nothing of
    accelerator, trace = bench(cols, d, ports, lanes, passes=passes, rows=heights * d), depthwise(channels, lines, positions, k, stride)
    assert only_layer(accelerator, trace).total_cycles == twin(
        DepthwiseLanes(cols, d, ports, lanes, passes), channels, lines, positions, k, stride
    )


@pytest.mark.parametrize(("width", "slow"), [(4, 1), (3, 2), (2, 2), (1, 4)])
def test_lanes_that_read_more_than_the_buffer_serves_are_slower(width: int, slow: int) -> None:
    # 4 lanes read 9 bytes each and write one in 10 cycles, a byte per access: 4 accesses per cycle.
    accelerator, trace = bench(4, 4, 1, 4, width), depthwise(8, 4, 4, 3, 1)
    layer = only_layer(accelerator, trace)
    assert layer.total_cycles == twin(DepthwiseLanes(4, 4, 1, 4, 1, slow), 8, 4, 4, 3, 1)
    assert layer.lane_reads == 2 * 16 * 9 * 4


def test_a_layer_counts_its_cycles_on_the_lanes_and_the_array_does_nothing() -> None:
    layer = only_layer(bench(4, 4, 1, 4), depthwise(6, 2, 2, 3, 1))
    assert (layer.pe_cycles, layer.cycles["busy"], layer.macs) == (0, 0, 6 * 4 * 9)
    assert layer.lane_mac_cycles == (4 + 2) * 9  # four positions of four channels, then eight outputs of two
    assert layer.vector_cycles == (4 + 2) * 10
    assert layer.lane_reads == 4 * 9 * (4 + 2)
    assert layer.bounds["vector"] == layer.vector_cycles
    assert layer.decoded_weights == 2 * 9 * 4


def test_a_layer_with_more_taps_than_the_lanes_hold_stays_on_the_array() -> None:
    layer = only_layer(bench(4, 4, 1, 4, taps=8), depthwise(8, 4, 4, 3, 1))
    assert (layer.lowering, layer.lane_mac_cycles) == ("a tile per group", None)


@pytest.mark.parametrize("form", ["ssvq:k=8,d=4,axis=1", "vq:k=8,d=4,axis=1", "uniform:bits=4", "vecq:bits=4"])
def test_formats_decode_into_the_lanes_registers(form: str) -> None:
    accelerator = with_lanes(chip(12, 8, 4, 2, 64, None, depthwise="column"), lanes=5, latency=3)
    trace = depthwise(12, 3, 3, 2 if "axis=1" in form else 3, 1, form)
    assert check_functional(accelerator, trace).ok
    assert only_layer(accelerator, trace).lowering == ON_LANES
    compare(accelerator, trace)


def test_scales_per_group_of_taps_keep_a_tile_per_group() -> None:
    assert only_layer(bench(4, 4, 1, 4), depthwise(8, 2, 2, 3, 1, "int_group:bits=4,group=8")).lowering == "a tile per group"


def test_a_flipped_bit_of_the_image_is_found_in_its_tile() -> None:
    def flip(name: str, image: LayerImage) -> LayerImage:
        data = image.data.copy()
        data[9 * 4 + 2] ^= 1  # the third channel of the second stripe: its first tap
        return replace(image, data=data)

    (layer,) = check_functional(bench(4, 4, 1, 4), depthwise(8, 3, 3, 3, 1), tamper=flip).layers
    assert not layer.ok
    assert "tile (nt=1, kt=0): weight [0,2]" in layer.message


def lane_machines() -> st.SearchStrategy[Accelerator]:
    """Small machines of every kind whose lanes multiply and accumulate."""
    return st.builds(with_lanes, accelerators(), st.sampled_from([4, 9, 64]), st.sampled_from(["vector", "cheapest"]))


@settings(max_examples=60)
@given(lane_machines(), convnets(), st.integers(1, 2))
def test_random_convolutional_nets_on_random_machines_equal_the_twin(accelerator: Accelerator, trace: Trace, batch: int) -> None:
    try:
        compare(accelerator, trace, batch=batch)
    except CompileError:
        return


@settings(max_examples=60)
@given(
    st.integers(2, 12), st.sampled_from([(3, 4), (9, 5), (12, 7)]), st.sampled_from([2, 5, 16]), st.sampled_from([4, 64]),
    st.integers(0, 5),
    st.sampled_from(["second_port", "stall"]), st.sampled_from(["predicted", "simple"]), st.integers(1, 2), st.integers(1, 2),
    st.sampled_from(["vector", "cheapest"]), st.sampled_from([None, 3]), st.sampled_from(["chained", "isolated"]),
    st.sampled_from(["prefetch", "layer", "none"]),
)  # fmt: skip
def test_depthwise_layers_between_products_equal_the_twin_on_odd_arrays(
    channels: int, size: tuple[int, int], max_m: int, taps: int, lanes: int, read: str, rule: str, banks: int, sets: int, how: str,
    side: int | None, runs: str, overlap: str,
) -> None:  # fmt: skip
    net = ConvNet(2, 5, 5).conv(channels, 1).conv(channels, 3, 2, channels).relu().conv(channels, 2, 1, channels).conv(4, 1)
    plain = tiny_accelerator(
        array={
            "rows": size[0], "cols": size[1], "max_m": max_m, "accumulator_read": read, "accumulator_rule": rule,
            "accumulator_banks": banks, "shadow_sets": sets, "column_feed": side,
        },
        codebook={"ports": 2, "codeword_length": 1, "codewords": 64}, vector_unit={"lanes": lanes, "latency": 2},
        control={"runs": runs, "overlap": overlap},
    )  # fmt: skip
    compare(with_lanes(plain, taps, how), net.trace())


@pytest.mark.parametrize(("overlap", "capacity"), [("none", 512), ("layer", 512), ("layer", 104), ("none", 104)])
def test_weights_that_load_before_their_taps_are_used_come_a_whole_stripe_at_a_time(overlap: str, capacity: int) -> None:
    """Nine taps on three rows are three K-tiles, which the lanes take together: each waits for none of the others."""
    plain = tiny_accelerator(
        array={"rows": 3, "cols": 4, "max_m": 16},
        codebook={"ports": 2, "codeword_length": 1, "codewords": 64},
        weight_buffer={"capacity": capacity, "word_bits": 32},
        dma={"transfer": 16, "max_transfers": 2, "fabric_latency": "0 ns"},
        control={"overlap": overlap},
    )
    compare(with_lanes(plain), depthwise(8, 4, 4, 3, 1))


@pytest.mark.parametrize("buffer", [{}, {"activation_buffer__capacity": 2048}])
def test_nets_in_row_tiles_and_chunks_are_bit_exact_and_equal_the_twin(buffer: dict[str, Any]) -> None:
    trace = every_layer(channels=8).trace()
    accelerator = with_lanes(tiny_accelerator(array={"rows": 20, "cols": 4, "max_m": 32}, **buffer))
    compare(accelerator, trace)
    assert check_functional(accelerator, trace).ok


@settings(max_examples=8)
@given(st.sampled_from(["cheapest", "stripes", "rows"]), st.integers(2, 3), st.integers(1, 6), convnets())
def test_cores_with_such_lanes_equal_their_twin(split: str, cores: int, lanes: int, trace: Trace) -> None:
    plain = chip_of_cores(cores, split, 2, 8, 0, activation_buffer__capacity="64 KiB")
    try:
        compare_cores(with_lanes(plain, lanes=lanes), trace)
    except CompileError:
        return


def test_a_run_that_is_not_of_the_vector_path_differs_from_the_twin() -> None:
    """The twin is not blind: told another run than the one that ran, it finds other cycles."""
    accelerator = bench(4, 4, 1, 4)
    program = compile_trace(accelerator, depthwise(6, 3, 4, 3, 2))
    outcome, landings = run_recorded(accelerator, program)
    program.tasks["passes"] += 1
    assert NaiveMachine(program, landings).simulate()[0] != outcome.cycles - outcome.tail_cycles


def test_a_product_that_needs_no_result_of_the_lanes_runs_beside_them() -> None:
    net = ConvNet(8, 6, 6)
    image = net.at
    depthwise_result = net.conv(8, 3, 1, 8).at
    net.at = image
    net.conv(16, 1)
    net.at = depthwise_result
    trace = net.conv(8, 1).trace()
    compare(bench(4, 4, 1, 4), trace)
    product = next(layer for layer in simulate(bench(4, 4, 1, 4), trace).layers if layer.macs == 16 * 8 * 36)
    assert product.cycles["vector"] < product.cycles["busy"]


def test_a_chip_with_lanes_that_no_layer_uses_has_the_cycles_of_one_without() -> None:
    trace = every_layer().trace()
    plain, unused = (simulate(accelerator, trace) for accelerator in (tiny_accelerator(), with_lanes(tiny_accelerator(), 64, "column")))
    assert [layer.cycles for layer in plain.layers] == [layer.cycles for layer in unused.layers]


def test_cheapest_takes_the_mapping_with_the_fewest_cycles() -> None:
    trace = depthwise(16, 8, 8, 3, 1)
    modes = ("column", "block_diagonal", "vector")
    for lanes in (8, 64):
        accelerator = bench(16, 4, 4, lanes, rows=64)
        each = {mode: only_layer(with_lanes(accelerator, 64, mode), trace) for mode in modes}
        best = min(each.values(), key=lambda layer: layer.total_cycles)
        assert only_layer(with_lanes(accelerator, 64, "cheapest"), trace).cycles == best.cycles
        assert (best.lowering == ON_LANES) == (lanes == 64)


def test_a_result_counts_the_layers_on_the_vector_unit() -> None:
    choices = simulate(with_lanes(tiny_accelerator()), every_layer().trace()).choices
    assert choices["grouped_convolutions"] == "0 of 2 in block-diagonal tiles, 2 on the vector unit, the others a tile per group"


def test_mobilenet_v2_on_the_lanes_takes_less_than_a_quarter_of_the_time_of_columns() -> None:
    trace = open_trace("mobilenet_v2_float@uniform:bits=8")
    fields = ["clock=480 MHz", "activation_buffer.capacity=4 MiB"]
    column = simulate(load_accelerator("edge-64x64", fields), trace)
    lanes = simulate(load_accelerator("edge-64x64", [*fields, "vector_unit.depthwise_taps=9", "array.depthwise=vector"]), trace)
    assert 4 * lanes.total_cycles < column.total_cycles
    assert lanes.frames[0].macs == column.frames[0].macs


def test_a_mapping_that_the_chip_has_no_lanes_for_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"array.depthwise = 'vector' needs vector_unit.depthwise_taps, 1 to 4096"):
        load_accelerator("edge-64x64", ["array.depthwise=vector"])

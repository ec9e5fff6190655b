"""Reductions over a tensor in DRAM: bytes and cycles by hand, shares that add up to the whole, and the figures of a larger buffer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim.importers.graph.windows import Pool
from accelsim.ops.pool import PoolLayer
from accelsim.ops.shapes import TensorShape
from accelsim.result import LayerResult, Result
from accelsim.simulation import simulate
from accelsim.trace.trace import Trace
from tests.engine.test_machine_twin import compare
from tests.system.test_row_tiles import machine, moved
from tests.tiny_convnets import ConvNet

ROOMY = 1 << 16
LANES = 4  # of the tiny machine
IMAGE, CHANNELS = 16 * 16, 8  # positions of the map that does not fit, and its bytes per position


def reduced(pool: Pool) -> Trace:
    """A map of 16 x 16 positions of 8 channels, and a pool of it."""
    return ConvNet(1, 16, 16).conv(CHANNELS).pool(pool).trace()


def normalized(channel_groups: int) -> Trace:
    return ConvNet(1, 16, 16).conv(CHANNELS).group_norm(channel_groups).trace()


def second(result: Result) -> LayerResult:
    return result.layers[1]


def spilled(result: Result, operand: str) -> int:
    """Bytes that the second layer moves."""
    return sum(item.bits for item in second(result).traffic if item.operand == operand) // 8


@pytest.mark.parametrize("capacity", [1500, 1024, 640])
def test_a_global_average_reads_its_map_once_and_takes_the_cycles_of_one_that_fits(capacity: int) -> None:
    """256 positions, a pass over two groups of four lanes each."""
    trace = reduced(Pool("avg_pool2d", (16, 16), (16, 16)))
    tiled, whole = simulate(machine(capacity), trace), simulate(machine(ROOMY), trace)
    assert "operand read in" in second(tiled).lowering
    assert spilled(tiled, "spill_in") == moved(tiled, "spill_out") == IMAGE * CHANNELS
    assert moved(whole, "spill_in", "spill_out") == 0
    assert second(tiled).vector_cycles == second(whole).vector_cycles == IMAGE * CHANNELS // LANES
    assert tiled.choices["row_tiles"].startswith("2 layers")
    compare(machine(capacity), trace, frames=2)


def test_lines_of_wide_windows_are_accumulated_one_after_the_other() -> None:
    """Windows of 9 lines by strides of 6 with two lines of padding above: lines 0 to 6 of the map, then 4 to 12, of 16 positions each.

    Two lines of two windows of 9 x 8 taps, over two groups of four lanes.
    """
    trace = reduced(Pool("max_pool2d", (9, 8), (6, 8), (2, 0)))
    tiled, whole = simulate(machine(1024), trace), simulate(machine(ROOMY), trace)
    assert "operand read in 3 parts" in second(tiled).lowering
    assert spilled(tiled, "spill_in") == (7 + 9) * 16 * CHANNELS
    assert second(tiled).vector_cycles == second(whole).vector_cycles == 2 * 2 * 9 * 8 * CHANNELS // LANES
    compare(machine(1024), trace, frames=2)


@pytest.mark.parametrize("batch", [1, 3])
def test_each_image_of_a_batch_has_sums_of_its_own(batch: int) -> None:
    trace = reduced(Pool("avg_pool2d", (16, 16), (16, 16)))
    result = simulate(machine(1500), trace, batch=batch)
    assert spilled(result, "spill_in") == batch * IMAGE * CHANNELS
    assert second(result).vector_cycles == batch * IMAGE * CHANNELS // LANES


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("channel_groups", [1, 4, 8])
def test_a_group_norm_reads_its_map_for_the_moments_and_again_to_normalize_it(channel_groups: int, batch: int) -> None:
    """Two passes over each position, as where the map fits."""
    trace = normalized(channel_groups)
    tiled, whole = (simulate(machine(capacity), trace, batch=batch) for capacity in (1024, ROOMY))
    assert "moments in a pass of their own" in second(tiled).lowering
    assert spilled(tiled, "spill_in") == 2 * batch * IMAGE * CHANNELS
    assert second(tiled).vector_cycles == second(whole).vector_cycles == 2 * batch * IMAGE * CHANNELS // LANES
    if batch == 1:
        compare(machine(1024), trace, frames=2)


@pytest.mark.parametrize(("passes", "tiled_passes"), [(1, 2), (3, 3)])
def test_a_second_pass_is_charged_where_the_chip_needs_one_alone(passes: int, tiled_passes: int) -> None:
    chip = machine(1024, vector_unit={"lanes": LANES, "latency": 3, "passes": {"layernorm": passes}})
    assert second(simulate(chip, normalized(4))).vector_cycles == tiled_passes * IMAGE * CHANNELS // LANES


def test_what_fits_is_not_read_part_by_part() -> None:
    for trace in (reduced(Pool("avg_pool2d", (16, 16), (16, 16))), normalized(4)):
        assert second(simulate(machine(ROOMY), trace)).lowering == ""


@st.composite
def pools(draw: st.DrawFn) -> PoolLayer:
    sizes = [draw(st.integers(2, 9)) for _ in range(2)]
    taps = [draw(st.integers(1, size)) for size in sizes]
    before, after = ([draw(st.integers(0, tap - 1)) for tap in taps] for _ in range(2))
    strides = [draw(st.integers(1, 4)) for _ in range(2)]
    places = [(sizes[axis] + before[axis] + after[axis] - taps[axis]) // strides[axis] + 1 for axis in (0, 1)]
    assume(all((places[axis] - 1) * strides[axis] - before[axis] < sizes[axis] for axis in (0, 1)))
    return PoolLayer(
        op=draw(st.sampled_from(["max_pool2d", "avg_pool2d"])), name="pool", inputs=("x",), image=tuple(sizes), taps=tuple(taps),
        strides=tuple(strides), padding=tuple(before), padding_end=tuple(after), output=TensorShape(rows=places[0] * places[1], width=3),
    )  # fmt: skip


@given(pools(), st.data())
def test_the_shares_of_input_lines_make_up_each_line_of_a_pool(pool: PoolLayer, data: st.DataObject) -> None:
    """By the pool's definition on integers; and their passes are those of the whole window, padding included."""
    height, width = pool.image
    image = np.random.default_rng(1).integers(-128, 128, (height * width, 3)).astype(np.int8)
    whole = pool.exact_sums(image).reshape(*pool.positions, 3)
    for line in range(pool.positions[0]):
        start = max(0, line * pool.strides[0] - pool.padding[0])
        stop = min(height, line * pool.strides[0] - pool.padding[0] + pool.taps[0])
        cuts = sorted({start, stop, *data.draw(st.lists(st.integers(start, stop), max_size=3))})
        parts = [pool.of_lines(line, first, end - first) for first, end in pairwise(cuts)]
        shares = [part.exact_sums(image[first * width : (first + part.image[0]) * width]) for part, first in zip(parts, cuts, strict=False)]
        total = np.maximum.reduce(shares) if pool.op == "max_pool2d" else np.sum(shares, axis=0)
        assert (total == whole[line]).all()
        assert sum(part.passes(lambda _: 1, False) for part in parts) == pool.taps[0] * pool.taps[1]

"""Groups that meet their rows as they leave the decoder: the core equals its twin, and both the cycles worked by hand."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler.group_scales import tile_block
from accelsim.hw.decode_mac_core import CoreGeometry, WordSupply, run_stand_alone
from accelsim.hw.mappings.gemv import Gemv
from tests.kernels.test_core_kernel import SUPPLIES, cores
from tests.kernels.test_group_scales import cores as scaled_cores
from tests.naive_core import COUNTERS, NaiveCore
from tests.naive_gemv import simulate_gemv


def model_of(core: NaiveCore, m: int, k: int, n: int, lanes: int, supply: tuple[int, int, int] = (0, 1, 0)) -> dict[str, int]:
    geometry = CoreGeometry(
        core.R, core.C, core.D, core.KCB, core.P, core.W, bool(core.DECODE), bool(core.SIGN), core.AXIS, 64, core.b,
        shadow_sets=core.sets, mapping=Gemv(),
        block=tile_block(core.R, core.g, core.taps) if core.g else 0,
        scales=((core.g, core.SB),) if core.SB else (),
    )  # fmt: skip
    return asdict(run_stand_alone(geometry, m, k, n, WordSupply(*supply), lanes))


def raw_core(side: int, width: int) -> NaiveCore:
    """A square core of int8 records as long as a row, with `width` weights per cycle."""
    return NaiveCore(side, side, side, 1, width // side, 8 * width, 0, 0, 0, 256)


@pytest.mark.parametrize(
    ("k", "n", "side", "width", "m", "lanes", "cycles"),
    [
        # 2 x 2 tiles of 8 groups: 32 pops in cycles 1 to 32, the last product is added in 35, and 8 lanes drain the bank in 36.
        (16, 16, 8, 8, 1, 8, 37),
        (16, 16, 8, 16, 1, 8, 21),  # 4 groups a tile
        (16, 16, 8, 8, 2, 8, 70),  # 2 cycles per group: 64, and 2 for the bank of 16 values
        (20, 16, 8, 8, 1, 8, 45),  # K-tiles of 8, 8 and 4 rows: 20 groups a stripe
        (20, 16, 8, 24, 1, 8, 21),  # 3, 3 and 2 groups a stripe, as a tile ends with its group
        (4, 24, 8, 8, 1, 8, 17),  # 3 stripes of 4 groups
        (4, 24, 8, 8, 1, 1, 32),  # 8 cycles drain a bank, in 8 to 15, 16 to 23 and 24 to 31; the third stripe is popped from 16 on
        (16, 8, 8, 8, 3, 16, 54),  # one stripe of 16 groups: 48 + 4, and 24 values through 16 lanes in 2
    ],
)
def test_few_rows_take_the_cycles_worked_by_hand(k: int, n: int, side: int, width: int, m: int, lanes: int, cycles: int) -> None:
    core = raw_core(side, width)
    assert simulate_gemv(core, m, k, n, lanes)["cycles"] == cycles
    assert model_of(core, m, k, n, lanes)["cycles"] == cycles


@pytest.mark.parametrize(
    ("m", "cycles"),
    [
        # Two tiles of 8 groups, each behind 4 pops of 64 bits for 8 scales of 32: pops in cycles 1 to 24, 4 + 1 to the lanes' last value.
        (1, 29),
        (2, 45),  # 8 groups take 16 cycles; the second tile's scales need 3 more than that of the last group's second row: 39 + 4 + 2
        (3, 61),  # 4 + 24 + 2 + 24, + 4 + 3
        (5, 93),  # all four pass while the last group meets its rows: 4 + 40 + 40, + 4 + 5
    ],
)
def test_scales_are_popped_ahead_of_a_tile_and_beside_the_rows_of_the_group_before(m: int, cycles: int) -> None:
    core = NaiveCore(8, 8, 1, 1, 8, 512, 0, 0, 0, 256, g=8, SB=32)
    assert simulate_gemv(core, m, 16, 8, 8)["cycles"] == cycles
    assert model_of(core, m, 16, 8, 8)["cycles"] == cycles


@given(scaled_cores(), st.integers(1, 5), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0, 1, 3, 8]), SUPPLIES)
def test_the_core_counts_what_the_twin_counts_with_scales(
    core: NaiveCore, m: int, k: int, n: int, lanes: int, supply: tuple[int, int, int]
) -> None:
    assert model_of(core, m, k, n, lanes, supply) == simulate_gemv(core, m, k, n, lanes, *supply)


def test_the_same_layer_tile_by_tile_waits_for_the_wave() -> None:
    # Tiles of 8 groups, a swap 15 cycles after the one before: 10 + 3 x 15 + 1 + 16; with two sets after 8, as a tile loads behind another.
    one, two = (
        run_stand_alone(CoreGeometry(8, 8, 8, 1, 1, 64, False, False, 0, 256, shadow_sets=sets), 1, 16, 16).cycles for sets in (1, 2)
    )
    assert (one, two) == (72, 51)


@given(cores(), st.integers(1, 5), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0, 1, 2, 3, 8, 64]), SUPPLIES)
def test_the_core_counts_what_the_twin_counts(core: NaiveCore, m: int, k: int, n: int, lanes: int, supply: tuple[int, int, int]) -> None:
    assert model_of(core, m, k, n, lanes, supply) == simulate_gemv(core, m, k, n, lanes, *supply)


@given(cores(), st.integers(1, 5), st.integers(1, 30), st.integers(1, 30), SUPPLIES)
def test_cycles_are_start_steps_idle_and_the_way_to_the_sums(core: NaiveCore, m: int, k: int, n: int, supply: tuple[int, int, int]) -> None:
    got = model_of(core, m, k, n, 0, supply)
    assert set(got) == set(COUNTERS)
    assert got["cycles"] == got["st_start"] + got["cp_rows"] + got["st_tile"] + 3

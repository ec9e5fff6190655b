"""Scales of groups of weights: the core's cycles equal those worked out by hand and those of the clock-by-clock twin.

Words are always there: the first pop is in cycle 1. X weights per cycle are popped, in records of one weight.
"""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler.group_scales import tile_block
from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone
from tests.naive_core import NaiveCore, simulate_core


def twin(core: NaiveCore, m: int, k: int, n: int) -> dict[str, int]:
    """Counters of the clock-by-clock twin."""
    return simulate_core(
        core.R, core.C, core.D, core.KCB, core.P, core.W, core.DECODE, core.SIGN, core.AXIS, core.MAXM, m, k, n,
        b=core.b, sets=core.sets, g=core.g, SB=core.SB, taps=core.taps,
    )  # fmt: skip


def model(core: NaiveCore, m: int, k: int, n: int) -> dict[str, int]:
    """Counters of the kernel."""
    geometry = CoreGeometry(
        core.R, core.C, core.D, core.KCB, core.P, core.W, bool(core.DECODE), bool(core.SIGN), core.AXIS, core.MAXM, core.b,
        shadow_sets=core.sets,
        block=tile_block(core.R, core.g, core.taps) if core.g else 0,
        scales=((core.g, core.SB),) if core.SB else (),
        drain_stages=int(core.taps > 1),
    )  # fmt: skip
    return asdict(run_stand_alone(geometry, m, k, n))


def raw(size: int, g: int, taps: int, scale_bits: int = 0, sets: int = 1) -> NaiveCore:
    """A square array that takes a row of raw 8-bit weights per cycle."""
    return NaiveCore(size, size, 1, 1, size, 64 * size, 0, 0, 0, 256, sets=sets, g=g, SB=scale_bits, taps=taps)


@pytest.mark.parametrize(
    ("size", "k", "g", "taps", "m", "cycles"),
    [
        # 8x8, K = 16: two tiles of 8 groups, last pop in cycle 8, swaps in 10 and 10 + 8 + 7, end M + R + C + 1 later
        (8, 16, 4, 2, 1, 43),
        (8, 16, 4, 2, 16, 59),
        # four tiles of 4 groups: swaps in 6, 17, 28, 39
        (8, 16, 4, 1, 1, 56),
        (8, 16, 4, 1, 16, 86),
        (64, 128, 32, 2, 1, 323),
        (64, 128, 32, 1, 1, 448),
        # groups of 16 rows are two tiles, whose foot scales them as any other; 16 x 8 weights end as a tile of 8 x 8 does
        (8, 16, 16, 1, 1, 42),
        # groups of 12: tiles of 8, 4 and 4 rows; swaps in 10, 10 + 4 + 7 and 21 + 11
        (8, 16, 12, 1, 1, 32 + 17),
    ],
)
def test_taps_and_cut_tiles_take_the_cycles_worked_out_by_hand(size: int, k: int, g: int, taps: int, m: int, cycles: int) -> None:
    core = raw(size, g, taps)
    assert twin(core, m, k, size)["cycles"] == model(core, m, k, size)["cycles"] == cycles


@pytest.mark.parametrize(("sets", "scale_bits", "last_swap"), [(1, 32, 44), (1, 0, 40), (2, 32, 50), (2, 0, 34)])
def test_scales_hide_behind_the_wave_of_one_set_but_not_of_two(sets: int, scale_bits: int, last_swap: int) -> None:
    """8x8, M = 1, H = 4 pops of 64 bits for 8 scales of 32: swaps in 14, 29, 44 with one set, in 14, 26, 38, 50 with two."""
    core = raw(8, 8, 1, scale_bits, sets)
    k = 24 if sets == 1 else 32
    assert twin(core, 1, k, 8)["cycles"] == model(core, 1, k, 8)["cycles"] == last_swap + 1 + 8 + 8


@pytest.mark.parametrize(("axis", "sets", "period"), [(0, 1, 127), (1, 1, 134), (1, 2, 67)])
def test_codewords_along_the_reduction_cost_a_set_up_to_seven_cycles_per_tile(axis: int, sets: int, period: int) -> None:
    """64x64, vectors of 8, X = 64, M = 1: a record fills 8 rows of a column, and the last row waits for all; the mean of two tiles."""
    core = NaiveCore(64, 64, 8, 16, 8, 4096, 1, 1, axis, 256, sets=sets)
    cycles = [twin(core, 1, 64 * tiles, 64)["cycles"] for tiles in (3, 5)]
    assert [model(core, 1, 64 * tiles, 64)["cycles"] for tiles in (3, 5)] == cycles
    assert cycles[1] - cycles[0] == 2 * period


@st.composite
def cores(draw: st.DrawFn) -> NaiveCore:
    """Small cores with scales of groups of any length, whole codewords each."""
    axis, d = draw(st.integers(0, 1)), draw(st.sampled_from([1, 2, 4]))
    along, across = d * draw(st.integers(1, 4)), draw(st.integers(2, 9))
    rows, cols = (along, across) if axis else (across, along)
    return NaiveCore(
        R=rows, C=cols, D=d, KCB=draw(st.sampled_from([1, 5, 16])), P=draw(st.integers(1, 9)), W=draw(st.sampled_from([8, 33, 64, 128])),
        DECODE=draw(st.integers(0, 1)), SIGN=draw(st.integers(0, 1)), AXIS=axis, MAXM=draw(st.sampled_from([2, 64])),
        sets=draw(st.integers(1, 2)), g=d * draw(st.integers(1, 8)), SB=draw(st.sampled_from([0, 4, 16, 20])),
        taps=draw(st.sampled_from([taps for taps in (1, 2, 4) if rows % taps == 0])),
    )  # fmt: skip


@given(cores(), st.integers(1, 12), st.integers(1, 40), st.integers(1, 20))
def test_the_kernel_counts_what_the_twin_counts(core: NaiveCore, m: int, k: int, n: int) -> None:
    assert model(core, m, k, n) == twin(core, m, k, n)


@pytest.mark.parametrize(
    ("rows", "group", "taps", "block"),
    [
        (64, 64, 1, 64), (64, 256, 1, 64), (64, 96, 1, 96),  # whole tiles, or 64 and 32 rows
        (64, 32, 1, 32), (64, 32, 2, 64), (64, 32, 4, 64), (64, 16, 2, 16),  # a tap every 32 rows does not end a group of 16
        (64, 24, 8, 48), (64, 24, 1, 24),
    ],
)  # fmt: skip
def test_tiles_end_with_groups_unless_a_tap_does(rows: int, group: int, taps: int, block: int) -> None:
    assert tile_block(rows, group, taps) == block

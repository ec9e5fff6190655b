"""The kernel of the decode-and-MAC core equals its clock-by-clock twin, and both equal the closed form where there is one."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accelsim.hw.decode_mac_core import CoreGeometry, WordSupply, run_stand_alone
from tests.naive_core import NaiveCore, simulate_core

SUPPLIES = st.one_of(
    st.just((0, 1, 0)),
    st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(0, 40)),
)


@st.composite
def cores(draw: st.DrawFn) -> NaiveCore:
    """Small cores of every form: the codeword divides the columns (axis 0) or the rows (axis 1)."""
    file = draw(st.sampled_from([1, 1, 2, 3, 5]))
    axis, d = draw(st.integers(0, 1)), draw(st.sampled_from([1, 2, 3, 4, 8]))
    along, across = d * draw(st.integers(1, 4)), draw(st.integers(1, 9))
    rows, cols = (along, across) if axis else (across, along)
    return NaiveCore(
        R=rows,
        C=cols,
        D=d,
        KCB=draw(st.sampled_from([1, 2, 3, 4, 5, 16, 17, 300])),
        P=draw(st.integers(1, 9)),
        W=draw(st.sampled_from([8, 12, 16, 33, 64, 128])),
        DECODE=draw(st.integers(0, 1)),
        SIGN=draw(st.integers(0, 1)),
        AXIS=axis,
        MAXM=file * draw(st.sampled_from([1, 2, 5, 64])),
        sets=draw(st.sampled_from([1, 2])),
        E=file,
    )


def model_of(core: NaiveCore, m: int, k: int, n: int, supply: tuple[int, int, int]) -> dict[str, int]:
    """What the model counts for the twin's core."""
    geometry = CoreGeometry(
        core.R, core.C, core.D, core.KCB, core.P, core.W, bool(core.DECODE), bool(core.SIGN), core.AXIS, core.MAXM, core.b,
        shadow_sets=core.sets, file=core.E,
    )  # fmt: skip
    return asdict(run_stand_alone(geometry, m, k, n, WordSupply(*supply)))


def twin_of(core: NaiveCore, m: int, k: int, n: int, supply: tuple[int, int, int]) -> dict[str, int]:
    """What the twin counts."""
    return simulate_core(
        core.R, core.C, core.D, core.KCB, core.P, core.W, core.DECODE, core.SIGN, core.AXIS, core.MAXM, m, k, n, *supply,
        b=core.b, sets=core.sets, E=core.E,
    )  # fmt: skip


@given(cores(), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30), SUPPLIES)
@example(NaiveCore(4, 4, 4, 16, 1, 16, 1, 1, 0, 256), 1, 1, 1, (0, 1, 0))
@example(NaiveCore(1, 1, 1, 1, 1, 8, 1, 0, 0, 1), 3, 2, 2, (1, 7, 0))
def test_kernel_counts_what_the_twin_counts(core: NaiveCore, m: int, k: int, n: int, supply: tuple[int, int, int]) -> None:
    assert model_of(core, m, k, n, supply) == twin_of(core, m, k, n, supply)


@given(cores(), st.sampled_from([1, 2, 4, 16]), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30))
def test_raw_records_of_other_widths_take_the_cycles_of_their_bits(core: NaiveCore, bits: int, m: int, k: int, n: int) -> None:
    raw = NaiveCore(core.R, core.C, core.D, core.KCB, core.P, core.W, 0, 0, core.AXIS, core.MAXM, bits, core.sets)
    assert model_of(raw, m, k, n, (0, 1, 0)) == twin_of(raw, m, k, n, (0, 1, 0))


@given(cores(), st.integers(1, 12), st.integers(1, 30), st.integers(1, 30), SUPPLIES)
def test_cycles_are_the_sum_of_start_rows_idle_and_drain(core: NaiveCore, m: int, k: int, n: int, supply: tuple[int, int, int]) -> None:
    got = model_of(core, m, k, n, supply)
    runs = -(-m // (core.MAXM // min(core.E, -(-n // core.C))))
    assert got["cycles"] == got["st_start"] + got["cp_rows"] + got["st_tile"] + runs * (core.R + core.C)


@given(
    rows=st.integers(1, 9), d=st.sampled_from([1, 2, 4]), g=st.sampled_from([3, 4, 6]), p=st.sampled_from([1, 2, 3]),
    m=st.integers(1, 40), k=st.integers(1, 40), n=st.integers(1, 40),
)  # fmt: skip
def test_a_core_that_never_lacks_words_takes_the_closed_form(rows: int, d: int, g: int, p: int, m: int, k: int, n: int) -> None:
    # With W >= n, all words there from cycle 0, axis 0, C >= 3 and P dividing G, tile i takes L_i = rows_i * G / P groups, one a
    # cycle. A tile is ready L + C - 1 cycles after the swap before it (the first row's wave passes C - 2 columns before the first
    # pop, one cycle of codebook, one of swap), so a tile costs max(M, L + C - 1); the first costs L + 2, the drain M + R + C.
    g *= p  # P divides G
    cols = g * d
    core = NaiveCore(rows, cols, d, 16, p, max(8, p * (4 + d)), 1, 1, 0, 64)
    groups = [min(rows, k - top) * g // p for _ in range(0, n, cols) for top in range(0, k, rows)]
    cycles = groups[0] + 2 + sum(max(m, count + cols - 1) for count in groups[1:]) + m + rows + cols
    assert model_of(core, m, k, n, (0, 1, 0))["cycles"] == cycles
    assert twin_of(core, m, k, n, (0, 1, 0))["cycles"] == cycles


@pytest.mark.parametrize(
    ("side", "lanes", "k", "n", "m", "file", "cycles"),
    [
        # Lanes X = P * D weights a cycle. 4x4, X = 4: L = 4; the first fold of two tiles is popped in cycles 1 to 8 and swapped in at 10,
        # the next is popped from 10 + 2 on, its second tile in 16 to 19, and swapped in at 21; the third at 32, and 32 + 2 + 8 = 42.
        (4, 4, 12, 8, 1, 2, 42),
        (4, 4, 12, 8, 1, 1, 50),
        (4, 4, 12, 8, 8, 2, 66),  # the array limits: swaps at 10, 26, 42, and 16 + 8 cycles more; plain, the first tile is there earlier
        (4, 4, 12, 8, 8, 1, 62),
        (8, 8, 24, 32, 1, 4, 132),  # swaps at 34, 73, 112
        (8, 8, 24, 32, 1, 1, 192),
        (8, 16, 24, 32, 1, 4, 92),
        (8, 16, 24, 32, 1, 1, 188),  # a tile of 4 groups every 15 cycles: 6 + 11 x 15 + 1 + 16
    ],
)
def test_a_file_of_weights_takes_the_cycles_worked_by_hand(side: int, lanes: int, k: int, n: int, m: int, file: int, cycles: int) -> None:
    core = NaiveCore(side, side, side, 1, lanes // side, 8 * lanes, 0, 0, 0, 256, E=file)
    assert model_of(core, m, k, n, (0, 1, 0))["cycles"] == cycles
    assert twin_of(core, m, k, n, (0, 1, 0))["cycles"] == cycles


@pytest.mark.parametrize("file", [2, 4, 16])
def test_a_run_takes_as_many_rows_as_the_accumulators_hold_for_all_tiles_of_a_fold(file: int) -> None:
    # 64 accumulator rows of 4 columns: 64 / E rows of A; a layer of two N-tiles needs two sums a row, however many the file could hold.
    core = NaiveCore(4, 4, 4, 1, 1, 32, 0, 0, 0, 64, E=file)
    one, two = (model_of(core, m, 12, 4 * file, (0, 1, 0)) for m in (64 // file, 64 // file + 1))
    assert (one["words"], two["words"]) == (3 * file * 4, 2 * 3 * file * 4)
    assert model_of(core, 32, 12, 8, (0, 1, 0))["words"] == 3 * 2 * 4


def swaps_of(sets: int, m: int, groups: int, cols: int, tiles: int) -> list[int]:
    """Swap cycles of a core whose words are there, whose codewords lie along the columns and whose P divides G, by CORE.md's rules.

    Group g is popped one a cycle from cycle 1 on, behind the wave (C - 2 cycles for the first row, and a row's groups take a cycle
    or more) of the tile that was in its set before; a tile is swapped in two cycles after its last pop, and not before the array has
    taken the M rows of the tile before.
    """
    swaps: list[int] = []
    pop = 0
    for tile in range(tiles):
        vacated = swaps[tile - sets] + cols - 2 if tile >= sets else 0
        pop = max(pop + 1, vacated) + groups - 1
        swaps.append(max(swaps[-1] + m if swaps else 0, pop + 2))
    return swaps


@given(
    rows=st.integers(1, 6), g=st.sampled_from([2, 3, 4]), p=st.sampled_from([1, 2]), m=st.integers(1, 40), k=st.integers(1, 5),
    n=st.integers(1, 4), sets=st.sampled_from([1, 2]),
)  # fmt: skip
def test_shadow_sets_take_the_cycles_of_the_rules_worked_tile_by_tile(rows: int, g: int, p: int, m: int, k: int, n: int, sets: int) -> None:
    cols = g * p * 2
    core = NaiveCore(rows, cols, 2, 16, p, max(8, p * 6), 1, 1, 0, 64, sets=sets)
    cycles = swaps_of(sets, m, rows * g, cols, k * n)[-1] + m + rows + cols
    assert model_of(core, m, k * rows, n * cols, (0, 1, 0))["cycles"] == cycles


@pytest.mark.parametrize(
    ("rows", "m", "p", "one", "two"),
    [
        # C = 64, D = 8: G = 8 records a row, L = 8 R / P groups a tile. One set: max(M, L + C - 1); two: max(M, L, (L + C - 1) / 2).
        (64, 49, 4, 128 + 63, 128),
        (64, 49, 8, 64 + 63, 64),
        (64, 1, 4, 128 + 63, 128),
        (64, 1, 8, 64 + 63, 64),
        (64, 256, 4, 256, 256),
        (16, 49, 8, 16 + 63, 49),
        (16, 1, 8, 16 + 63, 39.5),
    ],
)
def test_a_second_shadow_set_hides_the_swap_wave_of_short_tiles(rows: int, m: int, p: int, one: float, two: float) -> None:
    tiles = 12
    for sets, wanted in ((1, one), (2, two)):
        core = NaiveCore(rows, 64, 8, 16, p, 12 * p, 1, 1, 0, 256, sets=sets)
        short, long = (model_of(core, m, rows * count, 64, (0, 1, 0))["cycles"] for count in (tiles, 2 * tiles))
        assert long - short == wanted * tiles

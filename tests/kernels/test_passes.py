"""Passes: codewords of several codebooks as weights one after the other, and rows of more than 8 bits that enter 8 bits at a time.

Words are always there: the first pop is in cycle 1.
"""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.hw.decode_mac_core import CoreGeometry, run_stand_alone
from tests.naive_core import NaiveCore, simulate_core


def twin(core: NaiveCore, m: int, k: int, n: int) -> dict[str, int]:
    """Counters of the clock-by-clock twin."""
    return simulate_core(
        core.R, core.C, core.D, core.KCB, core.P, core.W, core.DECODE, core.SIGN, core.AXIS, core.MAXM, m, k, n,
        b=core.b, sets=core.sets, books=core.books, abits=core.abits,
    )  # fmt: skip


def model(core: NaiveCore, m: int, k: int, n: int) -> dict[str, int]:
    """Counters of the kernel."""
    geometry = CoreGeometry(
        core.R, core.C, core.D, core.KCB, core.P, core.W, bool(core.DECODE), bool(core.SIGN), core.AXIS, core.MAXM, core.b,
        shadow_sets=core.sets, tables=core.books, passes=core.books, row_passes=core.abits // 8,
    )  # fmt: skip
    return asdict(run_stand_alone(geometry, m, k, n))


@pytest.mark.parametrize(
    ("k", "books", "m", "cycles"),
    [
        # 8x8, vectors of 4 on two ports, eight weights per cycle: tiles of 8 groups, swaps in 10, 25, 40 and 55, end 1 + 8 + 8 later
        (16, 2, 1, 72),
        (16, 1, 1, 42),
        # 20 rows: tiles of 8, 8 and 4 rows, twice each; swaps in 10, 25, 40, 55, 55 + 4 + 7 and 77
        (20, 2, 1, 94),
        # 16 rows are longer than a load behind the wave: swaps in 10, 26, 42, 58
        (16, 2, 16, 58 + 16 + 16),
    ],
)
def test_a_pass_per_codebook_loads_and_enters_each_tile_again(k: int, books: int, m: int, cycles: int) -> None:
    core = NaiveCore(8, 8, 4, 16, 2, 1024, 1, 0, 0, 256, books=books)
    assert twin(core, m, k, 8)["cycles"] == cycles
    assert model(core, m, k, 8) == twin(core, m, k, 8)


@pytest.mark.parametrize(("bits", "m", "period"), [(8, 1, 127), (16, 1, 127), (8, 128, 128), (16, 128, 256), (32, 128, 512)])
def test_rows_of_sixteen_bits_take_two_cycles_each(bits: int, m: int, period: int) -> None:
    """64x64, 64 weights per cycle: a tile takes its rows, or 64 + 63 cycles of loading behind the wave."""
    core = NaiveCore(64, 64, 8, 1, 8, 4096, 0, 0, 0, 256, abits=bits)
    for run in (twin, model):
        assert run(core, m, 256, 64)["cycles"] - run(core, m, 192, 64)["cycles"] == period


@st.composite
def cores(draw: st.DrawFn) -> NaiveCore:
    d = draw(st.sampled_from([1, 2, 4]))
    rows, cols = draw(st.integers(1, 3)) * d, draw(st.integers(1, 3)) * d
    ports = draw(st.integers(1, rows * cols // d))
    books = draw(st.integers(1, 3))
    decode = draw(st.booleans()) or books > 1
    return NaiveCore(
        rows, cols, d, 16, ports, draw(st.integers(1, 12)) * 8, int(decode), int(decode and draw(st.booleans())),
        draw(st.sampled_from([0, 1])), draw(st.integers(1, 9)), sets=draw(st.sampled_from([1, 2])), books=books,
        abits=draw(st.sampled_from([8, 16, 32])),
    )  # fmt: skip


@given(core=cores(), m=st.integers(1, 12), k=st.integers(1, 20), n=st.integers(1, 12))
def test_the_kernel_equals_its_clock_by_clock_twin(core: NaiveCore, m: int, k: int, n: int) -> None:
    assert model(core, m, k, n) == twin(core, m, k, n)

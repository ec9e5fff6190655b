"""The SRAM model: CACTI's own points, what lies between them, and what lies outside."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ConfigError
from accelsim.report.sram_grid import sram_point
from accelsim.report.sram_macros import Macro
from accelsim.report.technology import load_technology


def test_a_grid_point_is_cactis_own() -> None:
    # CACTI 7, 45 nm, lop, 1RW, 128 KiB, 64-bit words: area 0.50120167 mm2, read 8.12978 pJ, write 19.2913 pJ,
    # leakage 1.66689 + 6.2192 mW, cycle 1.89457 ns.
    point = sram_point(45, "lop", "1rw", 131072, 64)
    assert point.area_um2 == pytest.approx(501_201.67, rel=1e-5)
    assert (point.read_pj, point.write_pj, point.cycle_ns) == (8.12978, 19.2913, 1.89457)
    assert point.leakage_mw == pytest.approx(7.88609)
    assert point.notes == ()


def test_between_two_sizes_the_geometric_middle_is_the_geometric_mean() -> None:
    # 4 KiB is 13,135.04 um2 and 16 KiB is 58,089.6 um2, with 28,793.67 um2 at 8 KiB between: 4 KiB * sqrt(2) lies on the first segment.
    point = sram_point(45, "lop", "1rw", round(4096 * sqrt(2)), 64)
    assert point.area_um2 == pytest.approx(sqrt(13_135.04 * 28_793.67), rel=1e-3)


def test_leakage_depends_on_the_device_by_three_orders_of_magnitude() -> None:
    # 256 KiB, 45 nm, 64-bit words: hp 259 mW, lop 15.8 mW, lstp 0.046 mW.
    leakage = {device: sram_point(45, device, "1rw", 262144, 64).leakage_mw for device in ("hp", "lop", "lstp")}  # type: ignore[arg-type]
    assert leakage == pytest.approx({"hp": 259.5, "lop": 15.77, "lstp": 0.0457}, rel=1e-3)


def test_a_wide_word_is_read_from_macros_side_by_side() -> None:
    one, two = sram_point(45, "lop", "1rw", 16384, 256), sram_point(45, "lop", "1rw", 32768, 512)
    assert two.area_um2 == pytest.approx(2 * one.area_um2)
    assert two.read_pj == pytest.approx(2 * one.read_pj)
    assert "2 macros side by side" in two.notes[0]


def test_a_capacity_beyond_the_grid_is_several_macros_of_which_one_is_read() -> None:
    one, four = sram_point(45, "lop", "1rw", 2**21, 64), sram_point(45, "lop", "1rw", 2**23, 64)
    assert four.area_um2 == pytest.approx(4 * one.area_um2)
    assert four.read_pj == pytest.approx(one.read_pj)
    assert "beyond the grid" in four.notes[0]


def test_below_the_grid_and_narrow_words_are_named() -> None:
    assert "below the grid" in sram_point(45, "lop", "1rw", 128, 32).notes[0]
    assert "narrower than the grid" in sram_point(45, "lop", "1rw", 1024, 16).notes[0]


def test_a_node_without_a_table_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no SRAM table for 65 nm.*\[32, 45\]"):
        sram_point(65, "lop", "1rw", 1024, 32)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(32, 2**23), width=st.sampled_from([32, 64]), factor=st.floats(1.0, 4.0))
def test_a_larger_memory_is_never_smaller_nor_dearer_to_leak(size: int, width: int, factor: float) -> None:
    small, large = sram_point(45, "lop", "1rw", size, width), sram_point(45, "lop", "1rw", int(size * factor), width)
    if large.notes == small.notes:  # the step to several macros is not smooth
        assert large.area_um2 >= small.area_um2 * (1 - 1e-9)


def test_the_small_size_correction_does_not_make_a_smaller_macro_larger() -> None:
    memory = load_technology("nangate45").memory
    sizes = [256, 1024, 3000, 4095, 4096, 4097, 5000, 8192, 16384]
    areas = [Macro(1, size, 64, "1rw").area_um2(memory).nominal for size in sizes]
    assert all(low <= high for low, high in pairwise(areas))
    assert areas[1] == pytest.approx(0.55 * 8 * 1024)  # FakeRAM45's figure where CACTI has 0.44 um2/bit
    assert areas[-1] == pytest.approx(58_089.6, rel=1e-4)  # CACTI's own

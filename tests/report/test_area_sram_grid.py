"""The SRAM model: CACTI's own points, what lies between them, and what lies outside."""

from __future__ import annotations

import csv
from itertools import pairwise
from math import sqrt
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.cost.sram_grid import SramPorts, grid_file, sram_point
from accelsim.cost.sram_macros import Macro
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError


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
    with pytest.raises(ConfigError, match=r"no SRAM table for 65 nm.*\[22, 32, 45\]"):
        sram_point(65, "lop", "1rw", 1024, 32)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(32, 2**23), width=st.sampled_from([32, 64]), factor=st.floats(1.0, 4.0))
def test_a_larger_memory_is_never_smaller_nor_dearer_to_leak(size: int, width: int, factor: float) -> None:
    small, large = sram_point(45, "lop", "1rw", size, width), sram_point(45, "lop", "1rw", int(size * factor), width)
    assert large.area_um2 >= small.area_um2 * (1 - 1e-9)
    assert large.leakage_mw >= small.leakage_mw * (1 - 1e-9)


def test_one_byte_beyond_the_grid_is_not_a_smaller_memory() -> None:
    largest, beyond = (sram_point(45, "lop", "1r1w", size, 256) for size in (2**21, 2**21 + 1))
    assert beyond.area_um2 == pytest.approx(largest.area_um2, rel=1e-5)
    assert beyond.area_um2 > largest.area_um2


def test_the_area_of_a_memory_does_not_depend_on_its_device() -> None:
    # CACTI's medians of hp and lstp over lop are within 0.1 %; single points are up to 31 % apart, by other choices of sub-arrays.
    with grid_file().open(encoding="utf-8", newline="") as file:
        areas = {(row["device"], row["node_nm"], row["ports"], row["word_bits"], row["size_bytes"]): float(row["area_um2"])
                 for row in csv.DictReader(file)}  # fmt: skip
    for device in ("hp", "lstp"):
        ratios = [area / areas["lop", *where] for (name, *where), area in areas.items() if name == device]
        assert median(ratios) == pytest.approx(1, abs=0.001)
        assert min(ratios) > 0.7
        assert max(ratios) < 1.33
    points = [sram_point(45, device, "1rw", 262144, 64) for device in ("hp", "lop", "lstp")]  # type: ignore[arg-type]
    assert {point.area_um2 for point in points} == {1_014_170.0}


@pytest.mark.parametrize("ports", ["1rw", "1r1w"])
@pytest.mark.parametrize("size", [4097, 5000, 6000])
def test_the_small_size_correction_ends_without_a_step_down(ports: SramPorts, size: int) -> None:
    memory = load_technology("nangate45").memory
    at, above = Macro(1, 4096, 128, ports).area_um2(memory), Macro(1, size, 128, ports).area_um2(memory)
    assert above.nominal >= at.nominal
    assert above.high >= at.high


def test_points_that_are_left_out_of_the_grid_are_found_within_the_errors_that_the_page_states() -> None:
    # Each inner size of the 45 nm, lop grid from its two neighbours, four times apart: the worst case of an interpolation.
    errors: dict[str, list[float]] = {"area_um2": [], "read_pj": [], "write_pj": [], "leakage_mw": []}
    for ports in ("1rw", "1r1w"):
        for width in (32, 64, 128, 256):
            sizes = [2**power for power in range(10, 22)]
            points = [sram_point(45, "lop", ports, size, width) for size in sizes]  # type: ignore[arg-type]
            for low, own, high in zip(points, points[1:], points[2:], strict=False):
                for name, found in errors.items():
                    found.append(abs(sqrt(getattr(low, name) * getattr(high, name)) / getattr(own, name) - 1))
    largest = {name: round(100 * max(found)) for name, found in errors.items()}
    assert largest == {"area_um2": 17, "read_pj": 26, "write_pj": 33, "leakage_mw": 18}
    assert median(errors["area_um2"]) < 0.06


def test_the_small_size_correction_does_not_make_a_smaller_macro_larger() -> None:
    memory = load_technology("nangate45").memory
    sizes = [256, 1024, 3000, 4095, 4096, 4097, 5000, 8192, 16384]
    areas = [Macro(1, size, 64, "1rw").area_um2(memory).nominal for size in sizes]
    assert all(low <= high for low, high in pairwise(areas))
    assert areas[1] == pytest.approx(0.55 * 8 * 1024)  # FakeRAM45's figure where CACTI has 0.44 um2/bit
    assert areas[-1] == pytest.approx(58_089.6, rel=1e-4)  # CACTI's own

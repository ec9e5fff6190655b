"""Quantities with units: what is read, what is refused, and that clock edges and cycles are each other's inverse."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.quantities import cycle_at, edge_ps, human_bytes, parse_bytes, parse_bytes_per_s, parse_hz, parse_ps


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_bytes, "64 KiB", 65536),
        (parse_bytes, "64KiB", 65536),
        (parse_bytes, " 1.5 MiB ", 1572864),
        (parse_bytes, "2 kB", 2000),
        (parse_bytes, "1e3 B", 1000),
        (parse_bytes, 4096, 4096),
        (parse_bytes, "4096", 4096),
        (parse_ps, "1.25 ns", 1250),
        (parse_ps, "0.625 ns", 625),
        (parse_ps, "100 ns", 100_000),
        (parse_ps, "3.9 us", 3_900_000),
        (parse_ps, 0, 0),
        (parse_hz, "800 MHz", 800_000_000),
        (parse_hz, "1.6 GHz", 1_600_000_000),
        (parse_hz, 300e6, 300_000_000),
        (parse_bytes_per_s, "0.4 GB/s", 400_000_000),
        (parse_bytes_per_s, "6.4 GB/s", 6_400_000_000),
        (parse_bytes_per_s, "1 KiB/s", 1024),
    ],
)
def test_a_quantity_is_read_exactly(parse: Callable[[object], int], text: object, value: int) -> None:
    got = parse(text)
    assert (got, type(got)) == (value, int)


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_bytes, "64 kib", "unit 'kib'.*KiB"),
        (parse_bytes, "64 Kb", "unit 'Kb'"),
        (parse_bytes, "64 ns", "unit 'ns'"),
        (parse_bytes, "1.5 B", "whole number"),
        (parse_bytes, "many", "allowed: a number and one of"),
        (parse_bytes, "", "allowed: a number"),
        (parse_bytes, "1 2 KiB", "allowed: a number"),
        (parse_bytes, True, "true is not"),
        (parse_bytes, None, "null is not"),
        (parse_bytes, [64], "is not a size"),
        (parse_bytes, float("nan"), "nan is not"),
        (parse_bytes, float("inf"), "inf is not"),
        (parse_ps, 5, "unit ''"),
        (parse_ps, "5", "unit ''"),
        (parse_ps, "0.3 ps", "whole number"),
        (parse_hz, "800 Mhz", "unit 'Mhz'"),
        (parse_bytes_per_s, "0.4 GB", "unit 'GB'"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_units_that_are(parse: Callable[[object], int], text: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


CLOCKS = st.one_of(st.sampled_from([300_000_000, 400_000_000, 800_000_000, 10**9, 1_600_000_000]), st.integers(1, 4 * 10**9))


@given(st.integers(0, 10**9), CLOCKS)
def test_an_edge_is_the_first_whole_picosecond_at_or_after_its_exact_time(cycle: int, clock_hz: int) -> None:
    exact = Fraction(cycle * 10**12, clock_hz)
    assert 0 <= edge_ps(cycle, clock_hz) - exact < 1


@given(st.integers(0, 10**9), CLOCKS)
def test_the_cycle_at_an_edge_is_that_edges(cycle: int, clock_hz: int) -> None:
    assert cycle_at(edge_ps(cycle, clock_hz), clock_hz) == cycle


@given(st.integers(1, 10**15), CLOCKS)
def test_the_cycle_at_a_time_is_the_first_whose_edge_is_not_before_it(time_ps: int, clock_hz: int) -> None:
    cycle = cycle_at(time_ps, clock_hz)
    assert edge_ps(cycle, clock_hz) >= time_ps
    assert cycle == 0 or edge_ps(cycle - 1, clock_hz) < time_ps


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (5308416, "5.06 MiB"), (3 * 2**30, "3.00 GiB"), (5 * 2**40, "5120.00 GiB")],
)
def test_a_size_is_shown_in_the_largest_unit_that_keeps_it_above_one(value: int, text: str) -> None:
    assert human_bytes(value) == text

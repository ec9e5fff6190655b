"""Rounding, saturation and requantization as the vector unit states them, against exact fractions and values worked by hand."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.ops.grid import Grid, Requantizer


def test_halves_go_up_and_what_lies_outside_saturates() -> None:
    values = np.array([0.25, -0.25, 0.74, 63.4, 1e9, -1e9, np.inf, -np.inf, np.nan])
    assert Grid(0.5, 8).quantize(values).tolist() == [1, 0, 1, 127, 127, -128, 127, -128, 0]


def test_the_finest_grid_ends_at_the_largest_value() -> None:
    assert Grid.covering(12.7, 8) == Grid(pytest.approx(0.1), 8)
    assert Grid.covering(0.0, 8).scale == 1.0
    assert Grid(0.5, 8).real(np.array([-128, 3])).tolist() == [-64.0, 1.5]


def test_a_requantizer_adds_the_bias_first() -> None:
    # (6 + 4) x 0.25 = 2.5 goes up to 3; (-6 + 1) x 0.75 = -3.75 becomes -4
    unit = Requantizer.of(np.array([0.25, 0.75]), np.array([4.0, 1.0]), 32, 32)
    assert unit.apply(np.array([[6, -6]]), Grid(1.0, 8)).tolist() == [[3, -4]]


def test_narrow_multipliers_of_a_layer_share_one_shift() -> None:
    # 8 bits hold up to 127: 0.75 = 96 / 2^7, and 0.003 on the same shift is 0 / 2^7.
    unit = Requantizer.of(np.array([0.75, 0.003]), np.zeros(1), 8, 32)
    assert (unit.multipliers.tolist(), unit.shift) == ([96, 0], 7)


@given(
    st.lists(st.floats(2.0**-50, 2.0**30), min_size=1, max_size=4),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(-1e9, 1e9),
    st.sampled_from([8, 16, 32]),
)
def test_a_requantization_equals_exact_fractions(ratios: list[float], total: int, bias: float, bits: int) -> None:
    unit = Requantizer.of(np.array(ratios), np.array([bias]), 32, 32)
    found = unit.apply(np.full((1, len(ratios)), total), Grid(1.0, bits)).tolist()[0]
    word = min(max(total + floor(Fraction(bias) + Fraction(1, 2)), -(2**31)), 2**31 - 1)
    for value, ratio in zip(found, ratios, strict=True):
        multiplier = min(floor(Fraction(ratio) * 2**unit.shift + Fraction(1, 2)), 2**31 - 1)
        exact = floor(Fraction(word * multiplier, 2**unit.shift) + Fraction(1, 2))
        assert value == min(max(exact, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


@given(st.floats(2.0**-30, 2.0**20), st.integers(-(2**24), 2**24))
def test_a_multiplier_of_32_bits_errs_by_a_billionth(ratio: float, total: int) -> None:
    found = int(Requantizer.of(np.array([ratio]), np.zeros(1), 32, 32).apply(np.array([total]), Grid(1.0, 32))[0])
    wanted = min(max(total * Fraction(ratio), -(2**31)), 2**31 - 1)
    assert abs(found - wanted) <= Fraction(1, 2) + abs(wanted) * Fraction(1, 2**30) + 1 * (abs(wanted) >= 2**31 - 1)

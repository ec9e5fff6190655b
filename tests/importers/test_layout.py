"""Views followed symbolically point at the elements that NumPy's reshape, transpose and indexing point at."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ImportModelError
from accelsim.importers.graph.layout import View, whole


def positions(view: View, groups: int, rows: int, columns: int) -> np.ndarray:
    """The place in memory of each logical element, digit by digit."""
    found = np.empty(view.shape, dtype=np.int64)
    for index in itertools.product(*(range(size) for size in view.shape)):
        at = {"group": 0, "row": view.row or 0, "column": 0}
        for coordinate, dim in zip(index, view.dims, strict=True):
            for digit in reversed(dim):
                at[digit.axis] += coordinate % digit.size * digit.stride
                coordinate //= digit.size
        found[index] = (at["group"] * rows + at["row"]) * columns + at["column"]
    return found


def factorings(draw: st.DrawFn, total: int) -> tuple[int, ...]:
    """A random shape of `total` elements."""
    shape = []
    while total > 1:
        size = draw(st.sampled_from([d for d in range(1, total + 1) if total % d == 0]))
        shape.append(size)
        total //= size
    return tuple(shape) or (1,)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, int, list[tuple[str, tuple[int, ...]]]]:
    groups, rows, columns = (draw(st.sampled_from([1, 2, 3, 4, 6])) for _ in range(3))
    steps: list[tuple[str, tuple[int, ...]]] = []
    dims = 3
    for _ in range(draw(st.integers(0, 4))):
        if draw(st.booleans()):
            shape = factorings(draw, groups * rows * columns)
            steps.append(("reshape", shape))
            dims = len(shape)
        else:
            steps.append(("permute", tuple(draw(st.permutations(range(dims))))))
    return groups, rows, columns, steps


@settings(max_examples=150, deadline=None)
@given(cases())
def test_views_follow_numpy_or_refuse(case: tuple[int, int, int, list[tuple[str, tuple[int, ...]]]]) -> None:
    groups, rows, columns, steps = case
    view = whole("x", (("group", groups), ("row", rows), ("column", columns)))
    memory = np.arange(groups * rows * columns).reshape(groups, rows, columns)
    for kind, argument in steps:
        try:
            view = view.reshape(argument) if kind == "reshape" else view.permute(argument)
        except ImportModelError:
            return  # a reshape that no digits can say; the next test shows that ordinary ones are not refused
        memory = memory.reshape(argument) if kind == "reshape" else memory.transpose(argument)
    np.testing.assert_array_equal(positions(view, groups, rows, columns), memory)


def test_splitting_heads_and_merging_them_again_is_the_identity() -> None:
    view = whole("x", (("group", 1), ("row", 197), ("column", 192)))
    heads = view.reshape((1, 197, 3, 64)).transpose(1, 2)
    assert heads.shape == (1, 3, 197, 64)
    assert heads.transpose(1, 2).reshape((1, 197, 192)) == view


def test_a_row_is_selected_once_and_only_whole() -> None:
    view = whole("x", (("group", 1), ("row", 5), ("column", 4)))
    row = view.select(1, -2)
    assert (row.row, row.shape) == (3, (1, 4))
    assert row.select(0, 0).shape == (4,)
    for wrong in (lambda: view.select(2, 0), lambda: view.reshape((5, 2, 2)).select(1, 0), lambda: view.reshape((20,)).select(0, 0)):
        with pytest.raises(ImportModelError, match="one row"):
            wrong()


def test_a_reshape_that_cuts_across_an_axis_is_refused() -> None:
    turned = whole("x", (("group", 1), ("row", 6), ("column", 4))).transpose(1, 2)
    with pytest.raises(ImportModelError, match="cuts across"):
        turned.reshape((1, 3, 8)).reshape((1, 8, 3))
    with pytest.raises(ImportModelError, match="cannot become"):
        turned.reshape((5, 5))
    assert math.prod(turned.reshape((24,)).shape) == 24

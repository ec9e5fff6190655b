"""Copies of views that no layer can read where they lie: the loops of a move, and the order of its result."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.importers.graph.layout import View
from accelsim.importers.graph.readings import Extent, Split


@dataclass(frozen=True)
class Order:
    """Dimensions of a view by where a copy puts them: matrices, rows and columns, the slowest first."""

    groups: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @classmethod
    def matrix(cls, rank: int) -> Order:
        """The last dimension in columns, all others in rows."""
        return cls((), tuple(range(rank - 1)), (rank - 1,) if rank else ())

    @classmethod
    def row(cls, rank: int) -> Order:
        """All dimensions in columns."""
        return cls((), (), tuple(range(rank)))

    @classmethod
    def natural(cls, rank: int) -> Order:
        """An image's positions in rows and its channels in columns, as the array writes them; else a matrix."""
        return cls((), (0, 2, 3), (1,)) if rank == 4 else cls.matrix(rank)

    @classmethod
    def by_head(cls, rank: int) -> Order:
        """A matrix of the last two dimensions for each index of the others."""
        return cls(tuple(range(rank - 2)), (rank - 2,), (rank - 1,))

    @property
    def all(self) -> tuple[int, ...]:
        """The dimensions from the slowest to the fastest."""
        return (*self.groups, *self.rows, *self.columns)

    def extent(self, shape: tuple[int, ...]) -> Extent:
        """The axes of the copy."""
        groups, rows, columns = (math.prod(shape[place] for place in part) for part in (self.groups, self.rows, self.columns))
        return Extent(groups, rows, columns)

    def view(self, whole: View, shape: tuple[int, ...]) -> View:
        """The copy, in the dimensions of the view."""
        there = whole.reshape(tuple(shape[place] for place in self.all))
        return there.permute([self.all.index(place) for place in range(len(shape))])


@dataclass(frozen=True)
class Source:
    """A tensor as it lies in memory: its shape, and the strides of its axes in elements."""

    dims: tuple[int, int, int]
    strides: dict[str, int]

    @classmethod
    def of(cls, extent: Extent, split: Split) -> Source:
        """Heads side by side, or one matrix after the other."""
        if split == "columns":
            width = extent.groups * extent.columns
            return cls((1, extent.rows, width), {"group": extent.columns, "row": width, "column": 1})
        strides = {"group": extent.rows * extent.columns, "row": extent.columns, "column": 1}
        return cls((extent.groups, extent.rows, extent.columns), strides)


def loops_of(source: Source, view: View, order: Order) -> tuple[int, tuple[tuple[int, int], ...]]:
    """(first element, (size, stride) of each loop) of a view's elements in an order; loops that count on as one are one."""
    group, row, column = view.start
    strides = source.strides
    start = group * strides["group"] + (row + (view.row or 0)) * strides["row"] + column
    outer, inner = (
        _joined([(digit.size, digit.stride * strides[digit.axis]) for place in part for digit in view.dims[place]])
        for part in ((*order.groups, *order.rows), order.columns)
    )
    return start, (*outer, *inner) or ((1, 1),)


def loops_through(addresses: npt.NDArray[np.int64]) -> tuple[int, tuple[tuple[int, int], ...]] | None:
    """(first element, (size, stride) of each loop) of addresses, a loop for each dimension; None if they are not evenly apart."""
    start, loops, even = int(addresses.flat[0]), [], np.array(addresses.flat[0])
    for axis, size in enumerate(addresses.shape):
        stride = int(addresses.take([min(1, size - 1)], axis).flat[0]) - start
        loops.append((size, stride))
        even = even[..., None] + stride * np.arange(size)
    return (start, tuple(loops) or ((1, 1),)) if np.array_equal(even, addresses) else None


def _joined(loops: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for size, stride in loops:
        if joined and joined[-1][1] == stride * size:
            size *= joined.pop()[0]
        joined.append((size, stride))
    return joined

"""Views of a produced tensor: reshape, permute and select, followed symbolically down to the tensor's own axes.

A logical dimension is a product of digits of the three physical axes (group, row, column), most significant first. What two
views share is then a comparison of digits, and a reshape that cuts across a digit is an error, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from accelsim.errors import ImportModelError

Axis = Literal["group", "row", "column"]


@dataclass(frozen=True)
class Digit:
    """`size` values of an axis, `stride` apart: coordinate = sum of digit * stride over the axis' digits."""

    axis: Axis
    stride: int
    size: int


Dim = tuple[Digit, ...]


@dataclass(frozen=True)
class View:
    """A logical tensor over a produced one.

    Attributes
    ----------
    producer
        Name of the layer or model input whose output is viewed.
    dims
        Logical dimensions; one of size 1 has no digits.
    row
        The selected row, after select(); None when all rows are there.
    """

    producer: str
    dims: tuple[Dim, ...]
    row: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return tuple(math.prod(digit.size for digit in dim) for dim in self.dims)

    @property
    def essential(self) -> tuple[Dim, ...]:
        """Dimensions larger than 1."""
        return tuple(dim for dim in self.dims if dim)

    def permute(self, order: Sequence[int]) -> View:
        """Dimensions in a new order (negative positions count from the end)."""
        return replace(self, dims=tuple(self.dims[position] for position in order))

    def transpose(self, first: int, second: int) -> View:
        """Two dimensions exchanged."""
        order = list(range(len(self.dims)))
        order[first], order[second] = order[second], order[first]
        return self.permute(order)

    def reshape(self, shape: Sequence[int]) -> View:
        """The same elements in row-major order under a new shape (all sizes known).

        Raises
        ------
        ImportModelError
            The element count differs, or a new dimension cuts through digits that do not lie in one line.
        """
        if math.prod(shape) != math.prod(self.shape):
            raise ImportModelError(f"view of {self.producer!r}: shape {self.shape} cannot become {tuple(shape)}")
        rest = list(_merged([digit for dim in self.dims for digit in dim]))
        dims: list[Dim] = []
        for size in reversed(shape):
            taken: list[Digit] = []
            needed = size
            while needed > 1:
                last = rest.pop()
                if needed % last.size == 0:
                    taken.insert(0, last)
                    needed //= last.size
                elif last.size % needed == 0:
                    taken.insert(0, Digit(last.axis, last.stride, needed))
                    rest.append(Digit(last.axis, last.stride * needed, last.size // needed))
                    needed = 1
                else:
                    raise ImportModelError(f"view of {self.producer!r}: shape {self.shape} as {tuple(shape)} cuts across an axis")
            dims.insert(0, _merged(taken))
        return replace(self, dims=tuple(dims))

    def select(self, position: int, index: int) -> View:
        """One index of a dimension that is the whole row axis, or any dimension of size 1."""
        dim = self.dims[position]
        dims = tuple(other for place, other in enumerate(self.dims) if place != position % len(self.dims))
        if not dim:
            return replace(self, dims=dims)
        elsewhere = {digit.axis for remaining in dims for digit in remaining}
        if len(dim) != 1 or dim[0].axis != "row" or dim[0].stride != 1 or "row" in elsewhere or self.row is not None:
            raise ImportModelError(f"view of {self.producer!r}: a selection of anything but one row is not supported")
        return replace(self, dims=dims, row=index % dim[0].size)


def whole(producer: str, axes: Sequence[tuple[Axis, int]]) -> View:
    """A view whose dimensions are whole physical axes, in the given order."""
    return View(producer, tuple(axis_dim(axis, size) for axis, size in axes))


def axis_dim(axis: Axis, size: int, stride: int = 1) -> Dim:
    """A dimension of one digit; none when the size is 1."""
    return (Digit(axis, stride, size),) if size > 1 else ()


def _merged(digits: Sequence[Digit]) -> Dim:
    """Neighbouring digits that count on as one, merged: (stride 64, size 3)(stride 1, size 64) is (stride 1, size 192)."""
    merged: list[Digit] = []
    for digit in digits:
        if merged and merged[-1].axis == digit.axis and merged[-1].stride == digit.stride * digit.size:
            digit = Digit(digit.axis, digit.stride, merged.pop().size * digit.size)
        merged.append(digit)
    return tuple(merged)

"""Views of a produced tensor: reshape, permute and select, followed symbolically down to the tensor's own axes.

A logical dimension is a product of digits of the three physical axes (group, row, column), most significant first. Finding the
part that two views share is then a comparison of digits, and a reshape that cuts across a digit is an error, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from accelsim.errors import ImportModelError
from accelsim.ops.shapes import window_positions

Axis = Literal["group", "row", "column"]


@dataclass(frozen=True)
class Digit:
    """`size` values of an axis, `stride` apart: coordinate = sum of digit * stride over the axis' digits."""

    axis: Axis
    stride: int
    size: int


Dim = tuple[Digit, ...]
_AXES: tuple[Axis, ...] = ("group", "row", "column")


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
    start
        Group, row and column of the first element, after narrow().
    """

    producer: str
    dims: tuple[Dim, ...]
    row: int | None = None
    start: tuple[int, int, int] = (0, 0, 0)

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

    def can_become(self, shape: Sequence[int]) -> bool:
        """True if `reshape` to this shape cuts through no digit."""
        try:
            self.reshape(shape)
        except ImportModelError:
            return False
        return True

    def narrow(self, position: int, taken: range) -> View | None:
        """Some indices of a dimension, evenly apart; None if they cut through digits that do not lie in one line."""
        dim = self.dims[position]
        inner = math.prod(digit.size for digit in dim[1:])
        kept: Dim
        if not dim or (taken.start == 0 and len(taken) == dim[0].size * inner):
            return self
        if len(taken) == 1:
            kept, index, moved = (), taken.start, self
            for digit in reversed(dim):
                index, place = divmod(index, digit.size)
                moved = moved._shifted(digit, place)
        elif taken.start % inner == 0 and len(taken) % inner == 0 and (taken.step == 1 or inner == 1):
            first, *rest = dim
            size = len(taken) // inner
            kept = (*((Digit(first.axis, first.stride * taken.step, size),) if size > 1 else ()), *rest)
            moved = self._shifted(first, taken.start // inner)
        else:
            return None
        dims = list(self.dims)
        dims[position] = kept
        return replace(moved, dims=tuple(dims))

    def _shifted(self, digit: Digit, index: int) -> View:
        start = list(self.start)
        start[_AXES.index(digit.axis)] += index * digit.stride
        return replace(self, start=(start[0], start[1], start[2]))

    def repeat(self, position: int, times: int, each: bool = False) -> View:
        """A dimension repeated as a whole, or each of its indices: the same elements read several times."""
        repeated = axis_dim("column", times, 0)
        dims = list(self.dims)
        dims[position] = _merged((*dims[position], *repeated) if each else (*repeated, *dims[position]))
        return replace(self, dims=tuple(dims))

    def expand(self, shape: Sequence[int]) -> View:
        """Broadcast to a shape: dimensions of one element repeated, new ones put before."""
        padded = replace(self, dims=((),) * (len(shape) - len(self.dims)) + self.dims)
        for position, (size, wanted) in enumerate(zip(padded.shape, shape, strict=True)):
            if size != wanted:
                padded = padded.repeat(position, wanted)
        return padded

    def windows(self, position: int, taps: int, stride: int, dilation: int = 1) -> View | None:
        """A dimension as two, taps of a window and windows, which may overlap; None if its indices do not lie in one line."""
        dim = self.dims[position]
        count = window_positions(self.shape[position], taps, stride, 0, 0, dilation)
        if len(dim) > 1 or count < 1:
            return None
        apart = [axis_dim(digit.axis, size, digit.stride * step) for digit in dim for size, step in ((taps, dilation), (count, stride))]
        return replace(self, dims=(*self.dims[:position], *(apart or ((), ())), *self.dims[position + 1 :]))

    def is_row(self, position: int) -> bool:
        """True if a dimension is the row axis alone, or has one element: `select` takes an index of it."""
        place = position % len(self.dims)
        elsewhere = {digit.axis for other, dim in enumerate(self.dims) if other != place for digit in dim}
        dim = self.dims[place]
        alone = len(dim) == 1 and dim[0].axis == "row" and dim[0].stride == 1 and "row" not in elsewhere
        return not dim or (alone and self.row is None and not any(self.start))

    def select(self, position: int, index: int) -> View:
        """One index of a dimension that is the whole row axis (`is_row`), or any dimension of size 1."""
        dim = self.dims[position]
        dims = tuple(other for place, other in enumerate(self.dims) if place != position % len(self.dims))
        if not dim:
            return replace(self, dims=dims)
        if not self.is_row(position):
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

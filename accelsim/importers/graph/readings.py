"""Interpretation of a view: whole rows, heads merged in columns or stored per head, or an image.

Each function compares the view's digits with those of the reading, so a view that needs a copy never matches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from accelsim.importers.graph.layout import Digit, Dim, View, axis_dim

Split = Literal["columns", "groups"]


@dataclass(frozen=True)
class Extent:
    """Axes of a produced tensor: `groups` heads (or planes) of rows x columns, before the layout of the heads is known."""

    groups: int
    rows: int
    columns: int


def is_rows(extent: Extent, view: View) -> bool:
    """True for whole rows of one matrix, all or one, with the heads side by side."""
    if any(view.start):
        return False
    flat = view.reshape((math.prod(view.shape[:-1]), view.shape[-1]))
    row = axis_dim("row", extent.rows) if view.row is None else ()
    if flat.shape[-1] != extent.groups * extent.columns:  # a column of single elements is no row of them
        return False
    return flat.essential == _essential(row, axis_dim("group", extent.groups) + axis_dim("column", extent.columns))


def heads_of(extent: Extent, view: View, may_transpose: bool) -> tuple[Split, bool] | None:
    """Layout of a (heads, x, y) view: heads as columns or matrices; rows x columns, or columns x rows when transposed."""
    heads, x, y = view.shape
    if any(view.start):
        return None
    for transposed in (False, True) if may_transpose else (False,):
        rows, columns = (y, x) if transposed else (x, y)
        row, column = axis_dim("row", rows), axis_dim("column", columns)
        inner = (column, row) if transposed else (row, column)
        if extent == Extent(heads, rows, columns) and view.dims == (axis_dim("group", heads), *inner):
            return "groups", transposed
        if extent == Extent(1, rows, heads * columns) and view.dims == (axis_dim("column", heads, columns), *inner):
            return "columns", transposed
    return None


def heads_in_rows(extent: Extent, view: View) -> int:
    """Heads in each row of a (..., rows, heads, width) view, if its last two dimensions make up whole rows; else 1."""
    if len(view.shape) < 3 or view.shape[-2] == 1 or view.row is not None:
        return 1
    flat = (*view.shape[:-2], view.shape[-2] * view.shape[-1])
    whole_rows = view.can_become(flat) and is_rows(extent, view.reshape(flat))
    return view.shape[-2] if whole_rows and not is_rows(extent, view) else 1


def without_repeats(view: View) -> tuple[View, int]:
    """A (heads, x, y) view without the repetitions of each head, and how often each was there."""
    *kept, last = view.dims[0] or (Digit("column", 1, 1),)
    return (View(view.producer, (tuple(kept), *view.dims[1:]), view.row, view.start), last.size) if last.stride == 0 else (view, 1)


def image_layout(extent: Extent, view: View) -> Literal["planar", "interleaved"] | None:
    """Whether a (1, C, H, W) view is planes, as a model's image arrives, or rows of channels, as an array writes them."""
    _, channels, height, width = view.shape
    if any(view.start):
        return None
    planar = (axis_dim("group", channels), axis_dim("row", height), axis_dim("column", width))
    interleaved = (axis_dim("column", channels), axis_dim("row", height, width), axis_dim("row", width))
    if extent == Extent(channels, height, width) and view.essential == _essential(*planar):
        return "planar"
    if extent == Extent(1, height * width, channels) and view.essential == _essential(*interleaved):
        return "interleaved"
    return None


def flattened_image(extent: Extent, view: View, is_input: bool) -> View | None:
    """The image (1, C, H, W) of several positions that a view of one row holds flattened, channel after channel; None if it holds none.

    The positions of an activation count on, so its image may as well be one position wide; planes are a model's input only.
    """
    if math.prod(view.shape[:-1]) != 1 or view.row is not None or any(view.start) or extent.rows == 1 or extent.columns == 1:
        return None
    digits = view.essential[0] if view.essential else ()
    if digits == (Digit("column", 1, extent.columns), Digit("row", 1, extent.rows)) and extent.groups == 1:
        return view.reshape((1, extent.columns, extent.rows, 1))
    planes = (*axis_dim("group", extent.groups), Digit("row", 1, extent.rows), Digit("column", 1, extent.columns))
    return view.reshape((1, extent.groups, extent.rows, extent.columns)) if digits == planes and is_input else None


def covers(extent: Extent, view: View) -> bool:
    """True if each element of a tensor is there exactly once."""
    sizes = {"group": extent.groups, "row": extent.rows, "column": extent.columns}
    for axis, size in sizes.items():
        digits = sorted((digit.stride, digit.size) for dim in view.dims for digit in dim if digit.axis == axis)
        reach = 1
        for stride, count in digits:
            if stride != reach:
                return False
            reach *= count
        if reach != size:
            return False
    return True


def _essential(*dims: Dim) -> tuple[Dim, ...]:
    return tuple(dim for dim in dims if dim)

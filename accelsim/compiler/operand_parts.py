"""Reductions whose operand does not fit: the layer that each operation computes of them.

A line of a pool is accumulated part by part: the first part begins it, each later one reads what there is so far and goes on, the last
writes the line. A normalization of groups accumulates the moments of each image, then reads all rows again to normalize them. The vector
unit works as long as in one go; it writes and reads the partial results besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from accelsim.compiler.plan import Op, Plan, RowTile
from accelsim.compiler.row_tiles import parts_of_rows, rows_of
from accelsim.ops.operation import VectorLayer


class OperandPart(NamedTuple):
    """Rows of an operand, from `first_row` on, and the layer that reads them alone."""

    first_row: int
    rows: int
    layer: VectorLayer


def parts_of_a_line(plan: Plan, op: Op, line: RowTile, parts: int) -> Iterator[OperandPart]:
    """The parts of the operand of one line of a result by windows, in order."""
    layer, window = op.layer.vector, op.layer.window
    assert layer is not None
    assert window is not None
    first, rows = rows_of(plan, op, op.reads[0][0], line.first_row, line.rows)
    image, y = divmod(line.first_row // window.positions, window.lines)
    for start, count in parts_of_rows(op, first, rows, parts):
        yield OperandPart(start, count, layer.of_lines(y, start // window.width - image * window.height, count // window.width))


def parts_of_an_image(plan: Plan, op: Op, image: int, row_tiles: int) -> list[tuple[int, int]]:
    """(first row, rows) of each part of an image whose moments are accumulated: about the rows of a row tile."""
    rows = plan.tensors[op.writes].rows
    height = rows // plan.batch
    return parts_of_rows(op, image * height, height, max(1, -(-row_tiles // plan.batch)))


def in_two_passes(op: Op) -> tuple[VectorLayer, VectorLayer] | None:
    """See `VectorLayer.in_two_passes`; None for what has no moments."""
    layer = op.layer.vector
    return layer.in_two_passes() if layer is not None and layer.partial is not None and layer.window is None else None

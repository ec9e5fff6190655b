"""Two activations joined: side by side (channels), or one after the other (tokens, positions).

Disputable assumption: both are copied, as an activation is one matrix of consecutive rows; a concatenation of more is several of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, Piece, VectorLayer
from accelsim.ops.shapes import MAX_ELEMENTS, TensorShape
from accelsim.quantities import unit

KIND = "concat"

Turn = Annotated[int, Field(ge=1, le=MAX_ELEMENTS), unit("elements")]


class ConcatLayer(VectorLayer):
    """Two activations joined along a dimension: runs of consecutive elements of the first and of the second in turn.

    Attributes
    ----------
    turns
        Elements that are taken in turn of the first and of the second: their widths where they come side by side, all of them where one
        comes after the other.
    """

    operands = 2
    pass_name = "move"
    default_passes = 1
    pass_note = "of a copy in another order, and of a concatenation"

    op: Literal["concat"] = "concat"
    turns: tuple[Turn, Turn]

    @property
    def in_step(self) -> bool:
        """True if each row of the result joins the same rows of both."""
        return sum(self.turns) == self.output.width

    def operand_rows(self, operand: int, first_row: int, rows: int) -> tuple[int, int]:
        """The rows that hold its share of these elements; (0, 0) if they are all of the other."""
        taken, width = self.turns[operand], self.output.width
        begin, end = (self._taken_before(operand, row * width) for row in (first_row, first_row + rows))
        if begin == end:
            return 0, 0
        own = taken if self.in_step else width
        return begin // own, -(-end // own) - begin // own

    def _taken_before(self, operand: int, element: int) -> int:
        """Elements of an operand among the first ones of the result."""
        turn, rest = divmod(element, sum(self.turns))
        return turn * self.turns[operand] + min(max(rest - operand * self.turns[0], 0), self.turns[operand])

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """Both make up the result, in as many turns."""
        turns = self.output.elements // sum(self.turns)
        for name, shape, taken in zip(self.inputs, shapes, self.turns, strict=True):
            width = taken if self.in_step else self.output.width
            if shape.dims != (1, turns * taken // width, width):
                raise self._refuse(f"input {name!r} is {shape.describe()}; it gives {turns} x {taken} elements in rows of {width}")
        if turns * sum(self.turns) != self.output.elements or self.output.groups != 1:
            raise self._refuse(f"{self.turns} elements in turn do not make up {self.output.describe()}")

    def row_pieces(self, widths: Sequence[int]) -> list[Piece]:
        """Both operands' rows, or the row of one."""
        return super().row_pieces(widths if self.in_step else widths[:1])

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The first, then the second."""
        parts = [operand.reshape(-1, taken) for operand, taken in zip(operands, self.turns, strict=True)]
        return np.concatenate(parts, axis=1).reshape(self.output.dims)


SPEC = ConcatLayer
EXAMPLES = (
    Example({"turns": (1, 1)}, ((1.0, 3.0), (2.0, 4.0)), (1.0, 2.0, 3.0, 4.0), rows=2, output_rows=2, width=1),
    Example({"turns": (2, 2)}, ((1.0, 2.0), (3.0, 4.0)), (1.0, 2.0, 3.0, 4.0), output_rows=2),
)

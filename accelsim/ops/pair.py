"""The base of operations that combine two activations element by element; the second may be broadcast over the first."""

from __future__ import annotations

from typing import ClassVar, Literal

from accelsim.ops.operation import VectorLayer
from accelsim.ops.shapes import TensorShape


class PairLayer(VectorLayer):
    """Two activations, element by element; the second may be one row for all rows (a gate per channel), or one column.

    Attributes
    ----------
    second_sign
        Sign of the second operand where the result is a sum or a difference; 0 otherwise.
    """

    second_sign: ClassVar[Literal[-1, 0, 1]] = 0
    operands = 2
    default_passes = 1
    fusable = True

    def check_inputs(self, shapes: tuple[TensorShape, ...]) -> None:
        """The first has the output's shape, the second as well but for one row, or one column."""
        first, second = shapes
        groups, rows, width = self.output.dims
        self._expect(f"input {self.inputs[0]!r}", first.dims, self.output.dims)
        planes = ((groups, rows), (groups, 1), (1, 1))
        if (second.groups, second.rows) not in planes or second.width not in (width, 1):
            full = " x ".join(map(str, self.output.dims))
            raise self._refuse(
                f"input {self.inputs[1]!r} is {second.describe()} (groups x rows x width); allowed: {full}, one row, or one column"
            )

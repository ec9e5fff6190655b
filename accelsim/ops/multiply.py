"""The product of two activations, element by element: a gate (SwiGLU, squeeze-and-excitation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats
from accelsim.ops.pair import PairLayer

KIND = "multiply"


class MultiplyLayer(PairLayer):
    """The product of two activations, element by element: a gate."""

    pass_name = "multiply"
    pass_note = "of a product of two activations, element by element, and of factors and terms per channel"

    op: Literal["multiply"] = "multiply"

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        return operands[0] * operands[1]


SPEC = MultiplyLayer
EXAMPLES = (
    Example({}, ((1.0, 2.0), (10.0, -2.0)), (10.0, -4.0)),
    Example({}, ((1.0, 2.0, 3.0, 4.0), (10.0, -2.0)), (10.0, -4.0, 30.0, -8.0), rows=2, output_rows=2, operand_rows=(2, 1)),
)

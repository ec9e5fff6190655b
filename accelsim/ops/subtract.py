"""The difference of two activations, element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats
from accelsim.ops.pair import PairLayer

KIND = "subtract"


class SubtractLayer(PairLayer):
    """The difference of two activations, the first less the second."""

    pass_name = "add"
    pass_note = "of a residual sum, and of position embeddings"
    second_sign = -1

    op: Literal["subtract"] = "subtract"

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        return operands[0] - operands[1]


SPEC = SubtractLayer
EXAMPLES = (Example({}, ((1.0, 2.0), (10.0, -2.0)), (-9.0, 4.0)),)

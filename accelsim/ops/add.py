"""The sum of two activations: a residual connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer

KIND = "add"


class AddLayer(VectorLayer):
    """The sum of two activations: a residual connection."""

    operands = 2
    pass_name = "add"
    default_passes = 1
    pass_note = "of a residual sum, and of position embeddings"
    fusable = True

    op: Literal["add"] = "add"

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        return operands[0] + operands[1]


SPEC = AddLayer
EXAMPLES = (Example({}, ((1.0, 2.0), (10.0, -2.0)), (11.0, 0.0)),)

"""The sum of two activations: a residual connection, or a term per channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats
from accelsim.ops.pair import PairLayer

KIND = "add"


class AddLayer(PairLayer):
    """The sum of two activations: a residual connection."""

    pass_name = "add"
    pass_note = "of a residual sum, and of position embeddings"
    second_sign = 1
    residual = True

    op: Literal["add"] = "add"

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        return operands[0] + operands[1]


SPEC = AddLayer
EXAMPLES = (Example({}, ((1.0, 2.0), (10.0, -2.0)), (11.0, 0.0)),)

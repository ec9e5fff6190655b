"""The larger of two activations, element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats
from accelsim.ops.pair import PairLayer

KIND = "maximum"


class MaximumLayer(PairLayer):
    """The larger of two activations."""

    pass_name = "add"
    pass_note = "of a residual sum, and of position embeddings"

    op: Literal["maximum"] = "maximum"

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """Of an operand that is nonnegative."""
        return any(operands)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        return np.maximum(operands[0], operands[1])


SPEC = MaximumLayer
EXAMPLES = (Example({}, ((1.0, 2.0), (10.0, -2.0)), (10.0, 2.0)),)

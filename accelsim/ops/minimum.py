"""The smaller of two activations, element by element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats
from accelsim.ops.pair import PairLayer

KIND = "minimum"


class MinimumLayer(PairLayer):
    """The smaller of two activations."""

    pass_name = "add"
    pass_note = "of a residual sum, and of position embeddings"

    op: Literal["minimum"] = "minimum"

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """Of two operands that are both nonnegative."""
        return all(operands)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        return np.minimum(operands[0], operands[1])


SPEC = MinimumLayer
EXAMPLES = (Example({}, ((1.0, 2.0), (10.0, -2.0)), (1.0, -2.0)),)

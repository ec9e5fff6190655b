"""A ReLU whose slope below 0 is trained, one per channel (He et al. 2015, arXiv 1502.01852)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer

KIND = "prelu"


class PReluLayer(VectorLayer):
    """Each element, or below 0 its channel's slope times it; slopes of `parameter_bits` bits."""

    pass_name = "multiply"
    default_passes = 1
    pass_note = "of a product of two activations, element by element, and of factors and terms per channel"

    op: Literal["prelu"] = "prelu"
    parameter_bits: ConstantBits = 32

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Slopes."""
        return {"slope": self.output.width}

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element."""
        return np.where(operands[0] < 0, operands[0] * constants["slope"], operands[0])


SPEC = PReluLayer
EXAMPLES = (Example({}, ((-2.0, -3.0, 4.0, 5.0),), (-1.0, -0.3, 4.0, 5.0), {"slope": (0.5, 0.1)}, rows=2, output_rows=2),)

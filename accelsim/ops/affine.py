"""A factor and a term of each channel: a batch norm that no product before it takes, or a lone factor.

Disputable assumption: an integer multiplier per channel, as a requantization has it, so factor and term together take one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer
from accelsim.quantities import unit

KIND = "affine"


class AffineLayer(VectorLayer):
    """Each element times a factor, plus a term: of its channel (trained), or one number for all.

    Attributes
    ----------
    per_channel
        True: `scale` and `shift` hold a factor and a term per channel, applied before `factor` and `term`.
    factor, term
        Numbers for all elements.
    """

    pass_name = "multiply"
    default_passes = 1
    pass_note = "of a product of two activations, element by element, and of factors and terms per channel"
    neutral_constants: ClassVar[Mapping[str, float]] = {"scale": 1.0}

    op: Literal["affine"] = "affine"
    per_channel: bool = Field(default=False, description="true: a trained factor and term per channel")
    factor: Annotated[float, unit("ratio")] = 1.0
    term: Annotated[float, unit("activation's real value")] = 0.0
    parameter_bits: ConstantBits = 32

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Factors and terms of the channels."""
        return {"scale": self.output.width, "shift": self.output.width} if self.per_channel else {}

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The channel's function, then that of all."""
        x = operands[0] * constants["scale"] + constants["shift"] if self.per_channel else operands[0]
        return np.asarray(self.factor * x + self.term, np.float64)


SPEC = AffineLayer
EXAMPLES = (
    Example({"factor": 2.0, "term": 1.0}, ((1.0, -3.0),), (3.0, -5.0)),
    Example({"per_channel": True}, ((1.0, 5.0),), (12.0, 35.0), {"scale": (2.0, 3.0), "shift": (10.0, 20.0)}),
)

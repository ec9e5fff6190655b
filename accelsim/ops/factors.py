"""A factor for each element: a gate, a window or a mask per position and channel, known when the network is made.

Disputable assumption: a factor takes no pass of its own, as the multiplier reads it beside the element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer
from accelsim.ops.shapes import Bound
from accelsim.quantities import unit

KIND = "factors"


class FactorsLayer(VectorLayer):
    """Each element times a trained factor of its position and its channel.

    Attributes
    ----------
    matrices
        Matrices of factors, group g with matrix g modulo their number: 1 for all heads of an attention, or one for each.
    """

    pass_name = "multiply"
    default_passes = 1
    pass_note = "of a product of two activations, element by element, and of factors and terms per channel"
    neutral_constants: ClassVar[Mapping[str, float]] = {"factors": 1.0}

    op: Literal["factors"] = "factors"
    matrices: Annotated[Bound, Field(exclude_if=lambda count: count == 1), unit("matrices")] = 1
    parameter_bits: ConstantBits = 8

    @model_validator(mode="after")
    def _groups_share_the_matrices(self) -> FactorsLayer:
        if self.output.groups % self.matrices:
            raise self._refuse(f"matrices={self.matrices}; allowed: divisors of its {self.output.groups} groups")
        return self

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Factors of all matrices."""
        return {"factors": self.matrices * self.output.rows * self.output.width}

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """Element by element, matrix by matrix."""
        factors = constants["factors"].reshape(self.matrices, *self.output.dims[1:])
        return operands[0] * np.tile(factors, (self.output.groups // self.matrices, 1, 1))


SPEC = FactorsLayer
EXAMPLES = (
    Example({}, ((1.0, 2.0, 3.0, 4.0),), (10.0, -2.0, 0.0, 2.0), {"factors": (10.0, -1.0, 0.0, 0.5)}, rows=2, output_rows=2),
    Example({}, ((3.0, 4.0),), (6.0, -4.0), {"factors": (2.0, -1.0)}),
)

"""Root mean square normalization of each row, or of each head in it (Zhang and Sennrich, arXiv 1910.07467): no mean is subtracted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer
from accelsim.ops.shapes import Bound
from accelsim.quantities import unit

KIND = "rmsnorm"


class RmsNormLayer(VectorLayer):
    """RMS normalization of each row, with gamma of `parameter_bits` bits per channel.

    Attributes
    ----------
    heads
        Equal parts of a row that are each normalized, with the same gamma: heads of queries or keys.
    """

    walk = "rows"
    scale_free = True
    pass_name = "rmsnorm"
    default_passes = 2
    pass_note = "sum of squares, scaling"
    constant_defaults: ClassVar[Mapping[str, float]] = {"gamma": 1.0}
    neutral_constants = constant_defaults
    importer_names: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "RMSNormalization": {},
        "SimplifiedLayerNormalization": {},
        "com.microsoft.SimplifiedLayerNormalization": {},
        "aten.rms_norm.default": {},
    }

    op: Literal["rmsnorm"] = "rmsnorm"
    parameter_bits: ConstantBits = 32
    heads: Annotated[Bound, Field(exclude_if=lambda count: count == 1), unit("heads")] = 1

    @model_validator(mode="after")
    def _heads_fill_a_row(self) -> RmsNormLayer:
        if self.output.width % self.heads:
            raise self._refuse(f"heads={self.heads}; allowed: divisors of the {self.output.width} elements of a row")
        return self

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Gamma."""
        return {"gamma": self.output.width // self.heads}

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """X over the root of the mean of its squares, times gamma; a row of zeros stays one.

        There is no epsilon, which the record does not store.
        """
        x = operands[0].reshape(*self.output.dims[:2], self.heads, -1)
        size = np.sqrt((x**2).mean(axis=3, keepdims=True))
        return np.asarray(x / np.where(size > 0, size, 1.0) * constants["gamma"], np.float64).reshape(self.output.dims)


SPEC = RmsNormLayer
EXAMPLES = (
    # mean of 1 and 49 is 25: 1 / 5, 7 / 5
    Example({}, ((1.0, 7.0),), (0.4, 4.2), {"gamma": (2.0, 3.0)}),
    Example({"heads": 2}, ((1.0, 7.0, 7.0, 1.0),), (0.4, 4.2, 2.8, 0.6), {"gamma": (2.0, 3.0)}),
)

"""Root mean square normalization of each row (Zhang and Sennrich, arXiv 1910.07467): a layer normalization without a mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer

KIND = "rmsnorm"


class RmsNormLayer(VectorLayer):
    """RMS normalization of each row, with gamma of `parameter_bits` bits per channel."""

    walk = "rows"
    pass_name = "rmsnorm"
    default_passes = 2
    pass_note = "sum of squares, scaling"
    constant_defaults: ClassVar[Mapping[str, float]] = {"gamma": 1.0}
    importer_names: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "RMSNormalization": {},
        "SimplifiedLayerNormalization": {},
        "com.microsoft.SimplifiedLayerNormalization": {},
        "aten.rms_norm.default": {},
    }

    op: Literal["rmsnorm"] = "rmsnorm"
    parameter_bits: ConstantBits = 32

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Gamma."""
        return {"gamma": self.output.width}

    @property
    def parameter_bytes(self) -> int:
        """Gamma as read from memory."""
        return self.parameters * self.parameter_bits // 8

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """X over the root of the mean of its squares, times gamma; without an epsilon, which the record does not store."""
        x = operands[0]
        return np.asarray(x / np.sqrt((x**2).mean(axis=2, keepdims=True)) * constants["gamma"], np.float64)


SPEC = RmsNormLayer
EXAMPLES = (
    # mean of 1 and 49 is 25: 1 / 5, 7 / 5
    Example({}, ((1.0, 7.0),), (0.4, 4.2), {"gamma": (2.0, 3.0)}),
)

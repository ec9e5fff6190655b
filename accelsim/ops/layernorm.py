"""Layer normalization of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import ConstantBits, Floats, VectorLayer

KIND = "layernorm"


class LayerNormLayer(VectorLayer):
    """Layer normalization of each row, with gamma and beta of `parameter_bits` bits per channel."""

    walk = "rows"
    scale_free = True
    pass_name = "layernorm"
    default_passes = 2
    pass_note = "moments, normalization"
    constant_defaults: ClassVar[Mapping[str, float]] = {"gamma": 1.0, "beta": 0.0}
    neutral_constants = constant_defaults
    importer_names: ClassVar[Mapping[str, Mapping[str, Any]]] = {"LayerNormalization": {}, "aten.layer_norm.default": {}}

    op: Literal["layernorm"] = "layernorm"
    parameter_bits: ConstantBits = 32

    @property
    def constant_sizes(self) -> dict[str, int]:
        """Gamma and beta."""
        return {"gamma": self.output.width, "beta": self.output.width}

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """(x - mean) over the standard deviation, times gamma, plus beta; a row of equal elements is beta.

        There is no epsilon, which the record does not store.
        """
        x = operands[0]
        centred = x - x.mean(axis=2, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=2, keepdims=True))
        return np.asarray(centred / np.where(deviation > 0, deviation, 1.0) * constants["gamma"] + constants["beta"], np.float64)


SPEC = LayerNormLayer
EXAMPLES = (
    # mean 3, variance 4: (1 - 3) / 2 = -1, (5 - 3) / 2 = 1
    Example({}, ((1.0, 5.0),), (-2.0 + 10.0, 3.0 + 20.0), {"gamma": (2.0, 3.0), "beta": (10.0, 20.0)}),
)

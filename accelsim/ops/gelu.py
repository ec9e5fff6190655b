"""GELU of each element."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer

KIND = "gelu"


class GeluLayer(VectorLayer):
    """GELU of each element: a table holds either form, exact or the tanh approximation."""

    pass_name = "gelu"
    default_passes = 1
    pass_note = "a look-up in a table"
    fusable = True
    importer_names: ClassVar[Mapping[str, Mapping[str, Any]]] = {"aten.gelu.default": {}}

    op: Literal["gelu"] = "gelu"

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """x times the normal distribution function of x."""
        erf = np.array([math.erf(x / math.sqrt(2)) for x in operands[0].flat], np.float64).reshape(operands[0].shape)
        return 0.5 * operands[0] * (1 + erf)


SPEC = GeluLayer
EXAMPLES = (
    # Phi(1) = 0.8413447461 (tables of the normal distribution), Phi(-1) = 1 - Phi(1)
    Example({}, ((0.0, 1.0, -1.0),), (0.0, 0.8413447461, -0.1586552539)),
)

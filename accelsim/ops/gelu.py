"""GELU of each element."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer

KIND = "gelu"


class GeluLayer(VectorLayer):
    """GELU of each element: a table holds either form, exact or the tanh approximation.

    Attributes
    ----------
    approximate
        "tanh": the table holds 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). It costs the same.
    """

    pass_name = "gelu"
    default_passes = 1
    pass_note = "a look-up in a table"
    fusable = True
    tabulated = True

    op: Literal["gelu"] = "gelu"
    approximate: Literal["tanh"] | None = Field(default=None, exclude_if=lambda form: form is None)

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """x times the normal distribution function of x, or its approximation."""
        x = operands[0]
        if self.approximate == "tanh":
            return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))), np.float64)
        erf = np.array([math.erf(x / math.sqrt(2)) for x in operands[0].flat], np.float64).reshape(operands[0].shape)
        return 0.5 * operands[0] * (1 + erf)


SPEC = GeluLayer
EXAMPLES = (
    # Phi(1) = 0.8413447461 (tables of the normal distribution), Phi(-1) = 1 - Phi(1)
    Example({}, ((0.0, 1.0, -1.0),), (0.0, 0.8413447461, -0.1586552539)),
    # sqrt(2 / pi) 1.044715 = 0.83355773, whose tanh is 0.68238398
    Example({"approximate": "tanh"}, ((0.0, 1.0, -1.0),), (0.0, 0.8411919906, -0.1588080094)),
)

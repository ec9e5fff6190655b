"""Smooth functions of each element, read from a table: sigmoid, SiLU, hard swish, tanh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer

KIND = "table"


class TableLayer(VectorLayer):
    """A smooth function of each element, which a vector unit reads from a table of its 256 values: sigmoid, SiLU, hard swish, tanh."""

    pass_name = "table"
    default_passes = 1
    pass_note = "of sigmoid, silu, hardswish, tanh"
    fusable = True
    importer_names: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "aten.silu.default": {"op": "silu"},
        "aten.hardswish.default": {"op": "hardswish"},
    }

    op: Literal["sigmoid", "silu", "hardswish", "tanh"]

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The function itself."""
        x = operands[0]
        sigmoid = 1 / (1 + np.exp(-x))
        functions = {"sigmoid": sigmoid, "silu": x * sigmoid, "hardswish": x * np.clip(x / 6 + 0.5, 0, 1), "tanh": np.tanh(x)}
        return np.asarray(functions[self.op], np.float64)


SPEC = TableLayer
EXAMPLES = (
    # e^-ln3 = 1/3: 1 / (1 + 1/3) = 3/4; tanh(ln3) = (3 - 1/3) / (3 + 1/3) = 0.8
    Example({"op": "sigmoid"}, ((0.0, np.log(3.0)),), (0.5, 0.75)),
    Example({"op": "silu"}, ((0.0, np.log(3.0)),), (0.0, 0.75 * np.log(3.0))),
    Example({"op": "hardswish"}, ((-3.0, 0.0, 1.0, 3.0),), (0.0, 0.0, 2.0 / 3.0, 3.0)),
    Example({"op": "tanh"}, ((0.0, np.log(3.0)),), (0.0, 0.8)),
)

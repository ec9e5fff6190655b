"""Functions of each element that a vector unit reads from a table of its 256 values: sigmoid, SiLU, exponential, ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from accelsim.ops.example import Example
from accelsim.ops.operation import Floats, VectorLayer
from accelsim.quantities import unit

KIND = "table"


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)), np.float64)


def _softplus(x: Floats) -> Floats:
    return np.asarray(np.logaddexp(0, x), np.float64)


# Self-normalizing networks (Klambauer et al. 2017, arXiv 1706.02515, section 2), with the digits of ONNX's and PyTorch's defaults.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


FUNCTIONS: Mapping[str, Callable[[Floats], Floats]] = {
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "tanh": np.tanh,
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "quick_gelu": lambda x: x * _sigmoid(1.702 * x),
    "softplus": _softplus,
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "square": np.square,
    "squared_relu": lambda x: np.square(np.maximum(x, 0)),
    "abs": np.abs,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "selu": lambda x: _SELU_SCALE * np.where(x < 0, _SELU_ALPHA * np.expm1(np.minimum(x, 0)), x),
    "sin": np.sin,
    "cos": np.cos,
    "erf": lambda x: np.array([math.erf(item) for item in x.flat], np.float64).reshape(x.shape),
    "sign": np.sign,
    "positive": lambda x: np.asarray(x > 0, np.float64),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
}
WITH_SLOPE: Mapping[str, Callable[[Floats, float], Floats]] = {
    "leaky_relu": lambda x, slope: np.where(x < 0, slope * x, x),
    "elu": lambda x, slope: np.where(x < 0, slope * np.expm1(np.minimum(x, 0)), x),
    "softshrink": lambda x, slope: np.sign(x) * np.maximum(np.abs(x) - slope, 0),
    "hardshrink": lambda x, slope: np.where(np.abs(x) > slope, x, 0),
}
NONNEGATIVE = frozenset(
    {"sigmoid", "hardsigmoid", "softplus", "exp", "sqrt", "rsqrt", "square", "squared_relu", "abs", "positive", "acos", "cosh", "acosh"}
)


class TableLayer(VectorLayer):
    """A function of each element, which a vector unit reads from a table of its 256 values.

    Attributes
    ----------
    slope
        Of leaky_relu below 0, and of elu at 0; of softshrink and hardshrink the least magnitude that is not 0; None for other functions.
    """

    pass_name = "table"
    default_passes = 1
    pass_note = "of sigmoid, silu, tanh and any other function of one element, but for gelu and clips"
    fusable = True
    tabulated = True
    importer_names: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "aten.silu.default": {"op": "silu"},
        "aten.hardswish.default": {"op": "hardswish"},
        "aten.mish.default": {"op": "mish"},
        "aten.selu.default": {"op": "selu"},
        "Softplus": {"op": "softplus"},
        "Mish": {"op": "mish"},
        "Softsign": {"op": "softsign"},
    }

    op: Literal[
        "sigmoid", "silu", "hardswish", "tanh", "hardsigmoid", "quick_gelu", "softplus", "mish", "exp", "log", "sqrt", "rsqrt",
        "reciprocal", "square", "squared_relu", "abs", "softsign", "selu", "sin", "cos", "erf", "sign", "positive", "floor", "ceil",
        "round", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "softshrink", "hardshrink", "leaky_relu", "elu",
    ]  # fmt: skip
    slope: Annotated[float, unit("ratio")] | None = None

    @model_validator(mode="after")
    def _slope_belongs_to_the_op(self) -> TableLayer:
        if (self.slope is None) == (self.op in WITH_SLOPE):
            raise self._refuse(f"{self.op} has slope={self.slope}; allowed: a number with {', '.join(WITH_SLOPE)}, none with others")
        return self

    def nonnegative(self, operands: Sequence[bool]) -> bool:
        """Of a function whose values are 0 and above."""
        return self.op in NONNEGATIVE

    def evaluate(self, operands: Sequence[Floats], constants: Mapping[str, Floats]) -> Floats:
        """The function itself."""
        if self.slope is not None:
            return WITH_SLOPE[self.op](operands[0], self.slope)
        return np.asarray(FUNCTIONS[self.op](operands[0]), np.float64)


SPEC = TableLayer
_LN3 = math.log(3.0)
EXAMPLES = (
    # e^-ln3 = 1/3: 1 / (1 + 1/3) = 3/4; tanh(ln3) = (3 - 1/3) / (3 + 1/3) = 0.8
    Example({"op": "sigmoid"}, ((0.0, _LN3),), (0.5, 0.75)),
    Example({"op": "silu"}, ((0.0, _LN3),), (0.0, 0.75 * _LN3)),
    # -log 2: 1.0507009873554805 * 1.6732632423543772 * (1/2 - 1)
    Example({"op": "selu"}, ((-math.log(2.0), 2.0),), (-0.8790496704236883, 2.101401974710961)),
    Example({"op": "hardswish"}, ((-3.0, 0.0, 1.0, 3.0),), (0.0, 0.0, 2.0 / 3.0, 3.0)),
    Example({"op": "tanh"}, ((0.0, _LN3),), (0.0, 0.8)),
    Example({"op": "hardsigmoid"}, ((-4.0, 0.0, 1.5, 3.0),), (0.0, 0.5, 0.75, 1.0)),
    Example({"op": "quick_gelu"}, ((0.0, _LN3 / 1.702),), (0.0, 0.75 * _LN3 / 1.702)),
    # ln(1 + e^0) = ln 2, ln(1 + e^ln3) = ln 4; tanh(ln 4) = (4 - 1/4) / (4 + 1/4)
    Example({"op": "softplus"}, ((0.0, _LN3),), (math.log(2.0), math.log(4.0))),
    Example({"op": "mish"}, ((0.0, _LN3),), (0.0, _LN3 * (4 - 1 / 4) / (4 + 1 / 4))),
    Example({"op": "exp"}, ((0.0, _LN3),), (1.0, 3.0)),
    Example({"op": "log"}, ((1.0, 3.0),), (0.0, _LN3)),
    Example({"op": "sqrt"}, ((4.0, 9.0),), (2.0, 3.0)),
    Example({"op": "rsqrt"}, ((4.0, 0.25),), (0.5, 2.0)),
    Example({"op": "reciprocal"}, ((4.0, -0.5),), (0.25, -2.0)),
    Example({"op": "square"}, ((3.0, -2.0),), (9.0, 4.0)),
    Example({"op": "squared_relu"}, ((3.0, -2.0),), (9.0, 0.0)),
    Example({"op": "abs"}, ((3.0, -2.0),), (3.0, 2.0)),
    Example({"op": "softsign"}, ((3.0, -1.0),), (0.75, -0.5)),
    # sin and cos of 30 and 60 degrees; erf(1) = 0.8427007929 (Abramowitz and Stegun, table 7.1)
    Example({"op": "sin"}, ((math.pi / 6, 0.0),), (0.5, 0.0)),
    Example({"op": "cos"}, ((math.pi / 3, 0.0),), (0.5, 1.0)),
    Example({"op": "erf"}, ((1.0, -1.0),), (0.8427007929, -0.8427007929)),
    Example({"op": "sign"}, ((-2.5, 0.0, 3.0),), (-1.0, 0.0, 1.0)),
    Example({"op": "positive"}, ((-2.5, 0.0, 3.0),), (0.0, 0.0, 1.0)),
    Example({"op": "floor"}, ((-2.5, 1.75),), (-3.0, 1.0)),
    Example({"op": "ceil"}, ((-2.5, 1.75),), (-2.0, 2.0)),
    Example({"op": "round"}, ((-2.5, 1.75, 0.5),), (-2.0, 2.0, 0.0)),  # halves to the even neighbour
    # tan of 45 degrees, and the angles of 30, 60 and 45; ln3 = asinh(4/3) = acosh(5/3) = atanh(4/5)
    Example({"op": "tan"}, ((math.pi / 4, 0.0),), (1.0, 0.0)),
    Example({"op": "asin"}, ((0.5, -1.0),), (math.pi / 6, -math.pi / 2)),
    Example({"op": "acos"}, ((0.5, -1.0),), (math.pi / 3, math.pi)),
    Example({"op": "atan"}, ((1.0, 0.0),), (math.pi / 4, 0.0)),
    Example({"op": "sinh"}, ((_LN3, 0.0),), (4.0 / 3.0, 0.0)),
    Example({"op": "cosh"}, ((_LN3, 0.0),), (5.0 / 3.0, 1.0)),
    Example({"op": "asinh"}, ((4.0 / 3.0, 0.0),), (_LN3, 0.0)),
    Example({"op": "acosh"}, ((5.0 / 3.0, 1.0),), (_LN3, 0.0)),
    Example({"op": "atanh"}, ((0.8, 0.0),), (_LN3, 0.0)),
    Example({"op": "softshrink", "slope": 0.5}, ((-2.0, 0.25, 3.0),), (-1.5, 0.0, 2.5)),
    Example({"op": "hardshrink", "slope": 0.5}, ((-2.0, 0.25, 3.0),), (-2.0, 0.0, 3.0)),
    Example({"op": "leaky_relu", "slope": 0.1}, ((-2.0, 3.0),), (-0.2, 3.0)),
    Example({"op": "elu", "slope": 2.0}, ((-_LN3, 3.0),), (2.0 * (1 / 3 - 1), 3.0)),
)

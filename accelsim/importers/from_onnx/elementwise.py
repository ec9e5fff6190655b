"""ONNX's elementwise and row-wise operations that have attributes, or bounds among their inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.shapes import axes_of
from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.elementwise import named_operation, operand_of, slopes, softmax_of, unary
from accelsim.importers.graph.expressions import gelu, gelu_by_tanh
from accelsim.importers.graph.masks import hides, masked
from accelsim.importers.graph.values import Constant, Plain, Vector
from accelsim.ops.add import AddLayer
from accelsim.ops.operation import VectorLayer


def clip(call: OnnxCall) -> Value:
    """Clip, with its bounds as attributes (old) or inputs."""
    bounds = []
    for position, name, default in ((1, "min", -math.inf), (2, "max", math.inf)):
        given = call.optional(position) is not None
        bounds.append(call.scalar(position) if given else call.node.number(name, default))
    return call.expression(0).apply(lambda x: np.clip(x, bounds[0], bounds[1]), call.node)


def gelu_op(call: OnnxCall) -> Value:
    """Gelu: a vector unit evaluates either form from one table."""
    return unary(gelu_by_tanh if call.node.text("approximate", "none") == "tanh" else gelu)(call)


def hard_sigmoid(call: OnnxCall) -> Value:
    """HardSigmoid."""
    alpha, beta = call.node.number("alpha", 0.2), call.node.number("beta", 0.5)
    return call.expression(0).apply(lambda x: alpha * x + beta, call.node).apply(lambda x: np.clip(x, 0, 1), call.node)


def selu(call: OnnxCall) -> Value:
    """Selu."""
    alpha, gamma = call.node.number("alpha", 1.6732632423543772), call.node.number("gamma", 1.0507009873554805)
    return unary(lambda x: gamma * np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x))(call)


def with_slope(default: float, function: Callable[[Vector, float], Vector]) -> Callable[[OnnxCall], Value]:
    """LeakyRelu and Elu: functions with one attribute."""

    def compute(call: OnnxCall) -> Value:
        alpha = call.node.number("alpha", default)
        return unary(lambda x: function(x, alpha))(call)

    return compute


def prelu(call: OnnxCall) -> Value:
    """PRelu."""
    return slopes(call, call.constant(1))


def total(call: OnnxCall) -> Value:
    """Sum of any number of activations."""
    views = [call.view(position) for position in range(len(call.values))]
    name = call.node.path("add")
    return Plain(reduce(lambda first, second: call.builder.pair(AddLayer, name, first, second), views))


def where(call: OnnxCall) -> Value:
    """Where: a mask of scores, or on functions of one activation the guard of a softmax against rows that are masked out."""
    operands = [call.value(position) for position in range(3)]
    shown, other = operands[0], operands[2]
    if isinstance(shown, Constant) and isinstance(other, Constant) and hides(other.array) and not isinstance(operands[1], Constant):
        return masked(call, operands[1], shown.array.astype(bool))
    start = next((call.expression(position) for position in (1, 2, 0) if not isinstance(operands[position], Constant)), None)
    if start is None:
        call.refuse("chooses between constants; allowed: at least one activation")
    values = [operand_of(call, position, start) for position in range(3)]
    return start.apply(lambda _, *args: np.where(args[0] != 0, *args[1:]), call.node, *values)


def reduction(function: Callable[[Call, Sequence[int], bool], Value]) -> Callable[[OnnxCall], Value]:
    """A sum, a mean, a maximum or a norm over some axes, or over all."""

    def compute(call: OnnxCall) -> Value:
        axes = axes_of(call.node, call.arrays())
        return function(call, range(len(call.shape(0))) if axes is None else list(axes), bool(call.node.integer("keepdims", 1)))

    return compute


def softmax(call: OnnxCall) -> Value:
    """Softmax over a dimension; before opset 13 over all from it on, as one."""
    shape, recent = call.shape(0), call.node.opset >= 13
    axis = call.axis("axis", -1 if recent else 1, len(shape))
    if recent or math.prod(shape[axis + 1 :]) == 1:
        return softmax_of(call, axis)
    name = call.node.path("softmax")
    rows = call.builder.reshaped(name, call.view(0), (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return Plain(call.builder.softmax(name, rows, -1).reshape(shape))


def named(kind: type[VectorLayer], fields: Mapping[str, Any]) -> Callable[[OnnxCall], Value]:
    """An operation that the registry knows by its ONNX name: trained constants follow its activation."""

    def compute(call: OnnxCall) -> Value:
        rank = len(call.shape(0))
        if kind.walk == "rows" and (axis := call.axis("axis", -1, rank)) != rank - 1:
            call.refuse(f"axis {axis} of {call.shape(0)}; allowed: the last dimension")
        return named_operation(call, kind, fields, [call.optional_constant(1 + place) for place in range(len(kind.constant_defaults))])

    return compute

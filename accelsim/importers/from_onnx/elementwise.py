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
from accelsim.importers.graph.choices import choose
from accelsim.importers.graph.elementwise import named_operation, slopes, softmax_of, unary
from accelsim.importers.graph.expressions import Expression, gelu, gelu_by_tanh
from accelsim.importers.graph.masks import hides, masked
from accelsim.importers.graph.reductions import place_over, sums_along
from accelsim.importers.graph.values import Constant, Plain, Vector
from accelsim.ops.add import AddLayer
from accelsim.ops.multiply import MultiplyLayer
from accelsim.ops.operation import VectorLayer
from accelsim.ops.table import TableLayer


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


leaky_relu = with_slope(0.01, lambda x, slope: np.where(x < 0, slope * x, x))


def prelu(call: OnnxCall) -> Value:
    """PRelu."""
    return slopes(call, call.constant(1))


def total(call: OnnxCall) -> Value:
    """Sum of any number of activations."""
    views = [call.view(position) for position in range(len(call.values))]
    name = call.node.path("add")
    return Plain(reduce(lambda first, second: call.builder.pair(AddLayer, name, first, second), views))


def mean(call: OnnxCall) -> Value:
    """Mean of any number of activations, element by element."""
    return Expression.of(call.made(total(call)), call.node).apply(lambda x: x / len(call.values), call.node)


def where(call: OnnxCall) -> Value:
    """Where: a mask of scores, or a choice by an activation, such as the guard of a softmax against rows that are masked out."""
    operands = [call.value(position) for position in range(3)]
    shown, other = operands[0], operands[2]
    if isinstance(shown, Constant) and isinstance(other, Constant) and hides(other.array) and not isinstance(operands[1], Constant):
        return masked(call, operands[1], shown.array.astype(bool))
    if all(isinstance(operand, Constant) for operand in operands):
        call.refuse("chooses between constants; allowed: at least one activation")
    return choose(call)


def trilu(call: OnnxCall) -> Value:
    """Trilu: a matrix with zeros below or above a diagonal."""
    keep = np.triu if call.node.integer("upper", 1) else np.tril
    diagonal = 0 if call.optional(1) is None else int(call.scalar(1))
    call.values = [Constant(keep(np.ones(call.shape(0)[-2:], bool), diagonal)), call.value(0), Constant(np.array(0.0))]
    return choose(call)


def shrink(call: OnnxCall) -> Value:
    """Shrink: zero for small elements, the others moved towards it by `bias`."""
    least, bias = call.node.number("lambd", 0.5), call.node.number("bias", 0.0)
    if bias not in (0.0, least):
        call.refuse(f"a bias of {bias} with lambd {least}; allowed: 0, or the same")
    op = "softshrink" if bias else "hardshrink"
    return Plain(call.builder.element_operation(TableLayer, call.node.path(op), call.view(0), op=op, slope=least))


def thresholded(call: OnnxCall) -> Value:
    """ThresholdedRelu: x where it is above alpha, else 0."""
    value, alpha = call.expression(0), call.node.number("alpha", 1.0)
    step = value.apply(lambda x: x - alpha, call.node).apply(lambda x: np.asarray(x > 0, np.float64), call.node)
    return value.with_other(MultiplyLayer, np.multiply, step, call.node)


def sums(call: OnnxCall) -> Value:
    """CumSum."""
    return sums_along(call, int(call.scalar(1)), bool(call.node.integer("exclusive", 0)), bool(call.node.integer("reverse", 0)))


def place_of_largest(call: OnnxCall) -> Value:
    """ArgMax, and ArgMin of the negative; of several equal elements the first."""
    if call.node.integer("select_last_index", 0):
        call.refuse("the last of several equal elements (select_last_index) is not supported; allowed: the first")
    if call.node.op == "ArgMin":
        call.values[0] = call.expression(0).apply(np.negative, call.node)
    return place_over(call, [call.axis("axis", 0, len(call.shape(0)))], bool(call.node.integer("keepdims", 1)))


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


def log_softmax(call: OnnxCall) -> Value:
    """LogSoftmax before opset 13, from which on ONNX defines it by other operations."""
    return Expression.of(call.made(softmax(call)), call.node).apply(np.log, call.node)


def named(kind: type[VectorLayer], fields: Mapping[str, Any]) -> Callable[[OnnxCall], Value]:
    """An operation that the registry knows by its ONNX name: trained constants follow its activation."""

    def compute(call: OnnxCall) -> Value:
        rank = len(call.shape(0))
        normalized = rank - call.axis("axis", -1, rank) if kind.walk == "rows" else 1
        constants = [call.optional_constant(1 + place) for place in range(len(kind.constant_defaults))]
        return named_operation(call, kind, fields, constants, normalized)

    return compute

"""Elementwise operations: folded into the layer before, a residual sum, or a step of a function that is recognized later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.expressions import Expression, erf
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.masks import biased, hides, masked, scaled, shown_by_sum, softmax
from accelsim.importers.graph.node import Node
from accelsim.importers.graph.rotations import Turned
from accelsim.importers.graph.values import Constant, Deferred, Fused, Masked, Plain, Vector
from accelsim.ops.add import AddLayer
from accelsim.ops.divide import DivideLayer
from accelsim.ops.groupnorm import GroupNormLayer
from accelsim.ops.maximum import MaximumLayer
from accelsim.ops.minimum import MinimumLayer
from accelsim.ops.multiply import MultiplyLayer
from accelsim.ops.operation import VectorLayer
from accelsim.ops.pair import PairLayer
from accelsim.ops.prelu import PReluLayer
from accelsim.ops.subtract import SubtractLayer

_MOST_POWER = 65  # whole powers below it are products by squares


def add(call: Call) -> Value:
    """Add: a bias, positions, nothing (a mask of zeros), or a residual connection."""
    first, second = call.value(0), call.value(1)
    if isinstance(second, Constant):
        return _plus_constant(call, 0, second)
    if isinstance(first, Constant):
        return _plus_constant(call, 1, first)
    return _pair(call, AddLayer, np.add)


def subtract(call: Call) -> Value:
    """Sub: Add of the negative."""
    first, second = call.value(0), call.value(1)
    if isinstance(first, Constant) and first.array.size == 1 and isinstance(second, Expression):
        number = first.array.astype(np.float64).reshape(())
        return second.apply(lambda x: number - x, call.node)
    if isinstance(first, Constant) and first.array.size > 1:
        call.values[1] = call.expression(1).apply(np.negative, call.node)
        return _plus_constant(call, 1, first)
    if isinstance(second, Constant):
        return _plus_constant(call, 0, replace(second, array=-second.array))
    return _pair(call, SubtractLayer, np.subtract)


def multiply(call: Call) -> Value:
    """Mul: a factor of the layer before, or a step of a function."""
    first, second = call.value(0), call.value(1)
    if isinstance(second, Constant):
        return _times(call, 0, second)
    if isinstance(first, Constant):
        return _times(call, 1, first)
    return _pair(call, MultiplyLayer, np.multiply)


def divide(call: Call) -> Value:
    """Div: Mul by the reciprocal."""
    second = call.value(1)
    if isinstance(second, Constant):
        if not second.array.all():
            call.refuse("divides by 0")
        return _times(call, 0, replace(second, array=1 / second.array.astype(np.float64)))
    return _pair(call, DivideLayer, np.divide)


def joint(function: Callable[..., Vector]) -> Callable[[Call], Value]:
    """An operation on two functions of one activation, or on one and a number."""
    return lambda call: _joint(call, function)


def maximum(call: Call) -> Value:
    """The largest of some activations; a number below all others changes nothing, nor does a mask's on masked scores."""
    for place in (0, 1) if len(call.values) == 2 else ():
        value, bound = call.value(place), call.value(1 - place)
        if isinstance(bound, Constant) and hides(bound.array):
            lowest = float(bound.array.reshape(())) <= float(np.finfo(np.float32).min)
            if lowest or isinstance(value, Masked):
                return value
    return _extreme(call, MaximumLayer, np.maximum)


def minimum(call: Call) -> Value:
    """The smallest of some activations."""
    return _extreme(call, MinimumLayer, np.minimum)


def _extreme(call: Call, kind: type[PairLayer], function: Callable[..., Vector]) -> Value:
    """Two operands at a time; a bound that is one number is a step of a function."""
    first, *others = [call.value(position) for position in range(len(call.values))]
    for other in others:
        call.values = [first, other]
        constants = [value for value in call.values if isinstance(value, Constant) and value.array.size > 1]
        first = _beside(call, constants[0], function) if constants else _pair(call, kind, function)
    return first


def _beside(call: Call, constant: Constant, function: Callable[..., Vector]) -> Value:
    """The larger, or the smaller, of an activation and a constant of several numbers: what is above it, or below it, and the constant."""
    activation = call.value(1 if call.value(0) is constant else 0)
    call.values = [activation, replace(constant, array=-constant.array)]
    apart = add(call)
    start = apart if isinstance(apart, Expression) else Expression.of(call.made(apart), call.node)
    call.values = [start.apply(lambda x: function(x, 0.0), call.node), constant]
    return add(call)


def unary(*functions: Callable[[Vector], Vector]) -> Callable[[Call], Value]:
    """A function of each element, or one after the other: each step may be a layer."""

    def compute(call: Call) -> Value:
        value = call.expression(0)
        for function in functions:
            value = value.apply(function, call.node)
        return value

    return compute


def power(call: Call) -> Value:
    """A power by a constant: a whole one of 3 and above may be products of smaller ones."""
    exponent = call.value(1)
    whole = isinstance(exponent, Constant) and exponent.array.size == 1 and float(exponent.array.reshape(())) in range(3, _MOST_POWER)
    if not isinstance(exponent, Constant) or not whole or isinstance(call.value(0), Constant):
        return joint(np.power)(call)
    number, start = int(exponent.array.reshape(())), call.expression(0)
    return _raised(start, number, call.node)


def _raised(start: Expression, exponent: int, node: Node) -> Expression:
    if exponent == 1:
        return start
    half = _raised(start, exponent // 2, node)
    even = half.apply(np.square, node)
    return even.with_other(MultiplyLayer, np.multiply, start, node) if exponent % 2 else even


def softmax_of(call: Call, axis: int) -> Plain:
    """Softmax over the last dimension, of whole rows, under a causal mask or with a bias."""
    return Plain(softmax(call, call.value(0), axis))


def named_operation(
    call: Call, kind: type[VectorLayer], fields: Mapping[str, Any], constants: Sequence[Constant | None], normalized: int = 1
) -> Plain:
    """An operation that the registry knows by the framework's name for it; a trained constant that is left out has its default.

    One over rows takes the last `normalized` dimensions as one.
    """
    view, shape = call.view(0), call.shape(0)
    name = fields.get("op", kind.model_fields["op"].default)
    if kind.walk != "rows":
        return Plain(call.builder.element_operation(kind, call.node.path(name), view, **fields))
    width = math.prod(shape[len(shape) - normalized :]) if shape else 0
    if normalized > 1:
        view = call.builder.reshaped(call.node.path(), view, (*shape[: len(shape) - normalized], width))
    labels = tuple(constant.label for constant in constants if constant is not None)
    result = call.builder.row_operation(kind, call.layer_name(labels, name), view, (width,), **fields)
    for (parameter, default), constant in zip(kind.constant_defaults.items(), constants, strict=True):
        if constant is not None and constant.array.size != width:
            call.refuse(f"{parameter} of shape {constant.array.shape} for rows of {width}; allowed: one for each element")
        values = np.full(width, default) if constant is None else constant.array.reshape(width)
        call.recorder.keep_constant(result, parameter, values, () if constant is None else constant.sources)
    return Plain(result.reshape(shape))


def group_norm(call: Call, channel_groups: int, gamma: Constant | None, beta: Constant | None) -> Value:
    """A normalization of groups of channels (dimension 1) over all positions."""
    view, shape = call.view(0), call.shape(0)
    if len(shape) < 3 or shape[1] % channel_groups:
        call.refuse(f"{channel_groups} groups of the channels of {shape}; allowed: divisors of them")
    if shape[0] != 1:
        call.refuse(f"a normalization of the channels of {shape[0]} images, {shape}; allowed: one image at a time")
    trained = {"gamma": gamma, "beta": beta}
    labels = tuple(constant.label for constant in trained.values() if constant is not None)
    name = call.layer_name(labels, "groupnorm")
    result = call.builder.channel_operation(GroupNormLayer, name, view, 1, channel_groups=channel_groups)
    for parameter, constant in trained.items():
        default = np.full(shape[1], GroupNormLayer.constant_defaults[parameter])
        values = default if constant is None else constant.array
        call.recorder.keep_constant(result, parameter, values, () if constant is None else constant.sources)
    return Plain(result)


def slopes(call: Call, constant: Constant) -> Value:
    """A ReLU with one trained slope, or one per channel."""
    values = constant.array.reshape(-1).astype(np.float64)
    if values.size == 1:
        return unary(lambda x: np.where(x < 0, values[0] * x, x))(call)
    view, shape = call.view(0), call.shape(0)
    if len(shape) < 2 or values.size != shape[1]:
        call.refuse(f"slopes of shape {constant.array.shape} of {shape}; allowed: one, or one per channel")
    result = call.builder.channel_operation(PReluLayer, call.layer_name((constant.label,), "prelu"), view, 1)
    call.recorder.keep_constant(result, "slope", values, constant.sources)
    return Plain(result)


def _widened(call: Call, position: int, constant: Constant) -> None:
    """Give an activation the leading dimensions of one element that a constant beside it has."""
    shape = call.shape(position)
    if constant.array.ndim > len(shape) > 0 and np.broadcast_shapes(shape, constant.array.shape)[-len(shape) :] == shape:
        whole = np.broadcast_shapes(shape, constant.array.shape)
        if np.prod(whole) == np.prod(shape):
            call.values[position] = Plain(call.view(position).reshape(whole))


def _plus_constant(call: Call, position: int, constant: Constant) -> Value:
    _widened(call, position, constant)
    value = call.value(position)
    if isinstance(value, Expression):
        value = call.normalized(value) or value
    if isinstance(value, Deferred) and value.per_channel:
        vector = value.vector(constant)
        if vector is not None:
            return value.shifted(vector, constant)
    shape = call.shape(position)
    padded = (1,) * (len(shape) - constant.array.ndim) + constant.array.shape
    positions = padded == shape and len(shape) > 1 and constant.array.dtype.kind == "f"
    trained = positions and call.recorder.is_trained(constant.sources) and not isinstance(value, Deferred)
    if not trained and not constant.array.any() and np.broadcast_shapes(shape, constant.array.shape) == shape:
        return value  # a mask that hides nothing
    shown = shown_by_sum(constant.array)
    if shown is not None and not shown.all():
        return masked(call, value, shown)
    if isinstance(value, Masked) or (isinstance(value, Deferred) and not value.per_channel and constant.array.size > 1):
        return biased(call, value, constant)
    if constant.array.size == 1 and constant.array.ndim <= len(shape) and not isinstance(value, Fused):
        return call.expression(position).apply(np.add, call.node, constant.array.astype(np.float64).reshape(()))
    axis = None if positions else _channel_axis(shape, constant)
    if axis is not None:
        return call.channels(call.view(position), axis).shifted(constant.array.reshape(-1).astype(np.float64), constant)
    whole = tuple(np.broadcast_shapes(shape, constant.array.shape))
    if len(whole) < 2:
        call.refuse(f"the sum of an activation {shape} with {constant!r} is not supported; allowed: one that is a matrix")
    if whole != shape:  # dimensions of one element that the constant has more of
        call.values[position] = Plain(call.view(position).expand(whole))
        return _plus_constant(call, position, constant)
    result = call.builder.add_positions(call.node.path("positions"), call.view(position), call.sole(position))
    call.recorder.keep_constant(result, "positions", np.broadcast_to(constant.array, shape), constant.sources)
    return Plain(result)


def _times(call: Call, position: int, constant: Constant) -> Value:
    _widened(call, position, constant)
    value = call.value(position)
    if not constant.array.any() and constant.array.size > 1 and not constant.sources:  # the state before a recurrent layer's first step
        return Constant(np.zeros(np.broadcast_shapes(call.shape(position), constant.array.shape), np.float32))
    if isinstance(value, Masked) and constant.array.size == 1 and float(constant.array.reshape(())) > 0:
        return scaled(call, value, float(constant.array.reshape(())))
    vector = None
    if isinstance(value, Expression) and constant.array.size > 1:
        value = call.normalized(value) or value
    if isinstance(value, Deferred):
        vector = value.vector(constant)
        if vector is not None:
            return value.scaled(vector, constant)
    shape = call.shape(position)
    if constant.array.size == 1 and constant.array.ndim <= max(1, len(shape)):
        factor = float(constant.array.reshape(()))
        if isinstance(value, Plain) and call.sole(position) and call.builder.takes_factor(value.view):
            return Plain(call.builder.scale(value.view, factor))
        return call.expression(position).apply(np.multiply, call.node, constant.array.astype(np.float64).reshape(()))
    axis = None if isinstance(value, Turned) else _channel_axis(shape, constant)
    if axis is None:
        return _times_each(call, position, lambda: _with_factors(call, position, constant), constant) or _with_factors(
            call, position, constant
        )

    def per_channel() -> Deferred:
        return call.channels(call.view(position), axis).scaled(constant.array.reshape(-1).astype(np.float64), constant)

    one_row = len(shape) == 4 and axis == 3 and 1 in shape[1:3] and not call.recorder.is_trained(constant.sources)
    return (_times_each(call, position, per_channel, constant) if one_row else None) or per_channel()


def _times_each(call: Call, position: int, otherwise: Callable[[], Value], constant: Constant) -> Turned | None:
    """A factor for each position and column: a step of a rotation; None if it can be none."""
    shape, array = call.shape(position), constant.array
    padded = (1,) * (len(shape) - array.ndim) + array.shape
    if len(shape) != 4 or len(padded) != 4 or np.broadcast_shapes(shape, padded) != shape or padded[-1] != shape[-1]:
        return None
    start = call.turned(call.value(position), lambda: call.view(position))
    if start is None:
        return None
    return start.times(array.reshape(padded).astype(np.float64), lambda: call.made(otherwise()))


def _with_factors(call: Call, position: int, constant: Constant) -> Plain:
    """A factor for each element; dimensions of one element that the factors have more of are repeated."""
    shape = call.shape(position)
    whole = tuple(np.broadcast_shapes(shape, constant.array.shape))
    if len(whole) < 2:
        call.refuse(f"an activation {shape} times {constant!r} is not supported; allowed: factors that broadcast to a matrix")
    view = call.view(position)
    view = view if whole == shape else view.expand(whole)
    result, factors = call.builder.factors(call.layer_name((constant.label,), "factors"), view, constant.array)
    call.recorder.keep_constant(result, "factors", factors, constant.sources)
    return Plain(result)


def _channel_axis(shape: tuple[int, ...], constant: Constant) -> int | None:
    """The one dimension along which a constant varies; None if it varies along several, or has dimensions of its own."""
    padded = (1,) * (len(shape) - constant.array.ndim) + constant.array.shape
    varied = [axis for axis, size in enumerate(padded) if size > 1]
    return varied[0] if len(padded) == len(shape) and len(varied) == 1 and padded[varied[0]] == shape[varied[0]] else None


def _pair(call: Call, kind: type[PairLayer], function: Callable[..., Vector]) -> Value:
    """Two activations; of two functions of one, it may be a step of a third."""
    first, second = call.value(0), call.value(1)
    if isinstance(first, Turned) and isinstance(second, Turned) and kind.second_sign:
        name = call.node.path(kind.model_fields["op"].default)
        both = first.plus(second, kind.second_sign, lambda: call.builder.pair(kind, name, call.view(0), call.view(1)))
        if both is not None:
            return both
    if isinstance(first, Constant) or isinstance(second, Constant):
        return _joint(call, function)
    left, right = (leaf_of(value) for value in (first, second))
    if left == right and left is not None:
        return call.expression(0).with_other(kind, function, call.expression(1), call.node)
    name = call.node.path(kind.model_fields["op"].default)
    return Plain(call.builder.pair(kind, name, call.view(0), call.view(1)))


def leaf_of(value: Value) -> View | None:
    """The activation of which a value is a function; None where it is none of one."""
    return value.view if isinstance(value, Plain) else value.leaf if isinstance(value, Expression) else None


def _joint(call: Call, function: Callable[..., Vector]) -> Value:
    position = 1 if isinstance(call.value(0), Constant) else 0
    start = call.expression(position)
    first, second = operand_of(call, 0, start), operand_of(call, 1, start)
    if not isinstance(second, Expression):
        return start.apply(lambda x: function(x, second), call.node)
    if not isinstance(first, Expression):
        return start.apply(lambda x: function(first, x), call.node)
    return start.apply(lambda _, *args: function(*args), call.node, first, second)


def operand_of(call: Call, position: int, start: Expression) -> Expression | Vector:
    """An operand of an operation on functions of one activation."""
    value = call.value(position)
    if isinstance(value, Constant):
        if value.array.size != 1:
            call.refuse(f"input {position} is {value!r}; allowed: one number, or a function of the other operand's activation")
        return np.asarray(value.array.reshape(()), dtype=np.float64)
    found = call.expression(position)
    if found.leaf != start.leaf:
        call.refuse("combines two activations; allowed: sums, differences, products and quotients of two, functions of one")
    return found


UNARY: dict[str, Callable[[Vector], Vector]] = {
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: np.asarray(1 / (1 + np.exp(-x)), dtype=np.float64),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Tanh": np.tanh,
    "Erf": erf,
    "Exp": np.exp,
    "Sqrt": np.sqrt,
    "Reciprocal": np.reciprocal,
    "Neg": np.negative,
    "Abs": np.abs,
    "Log": np.log,
    "Sin": np.sin,
    "Cos": np.cos,
    "Sign": np.sign,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.round,
    "Tan": np.tan,
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
    "IsNaN": lambda x: np.isnan(x).astype(np.float64),
}

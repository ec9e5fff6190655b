"""Elementwise operations: folded into the layer before, a residual sum, or a step of a function that is recognized later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.expressions import Expression, erf
from accelsim.importers.graph.masks import kind_of_mask, shown_by_sum
from accelsim.importers.graph.values import Array, Constant, Deferred, Fused, Masked, Plain, Vector
from accelsim.ops.operation import VectorLayer


def add(call: Call) -> Value:
    """Add: a bias, positions, nothing (a mask of zeros), or a residual connection."""
    first, second = call.value(0), call.value(1)
    if isinstance(second, Constant):
        return _plus_constant(call, 0, second)
    if isinstance(first, Constant):
        return _plus_constant(call, 1, first)
    return _sum(call)


def subtract(call: Call) -> Value:
    """Sub: Add of the negative."""
    second = call.value(1)
    if isinstance(second, Constant):
        return _plus_constant(call, 0, replace(second, array=-second.array))
    return _joint(call, np.subtract)


def multiply(call: Call) -> Value:
    """Mul: a factor of the layer before, or a step of a function."""
    first, second = call.value(0), call.value(1)
    if isinstance(second, Constant):
        return _times(call, 0, second)
    if isinstance(first, Constant):
        return _times(call, 1, first)
    return _joint(call, np.multiply)


def divide(call: Call) -> Value:
    """Div: Mul by the reciprocal."""
    second = call.value(1)
    if isinstance(second, Constant):
        if not second.array.all():
            call.refuse("divides by 0")
        return _times(call, 0, replace(second, array=1 / second.array.astype(np.float64)))
    return _joint(call, np.divide)


def joint(function: Callable[..., Vector]) -> Callable[[Call], Value]:
    """An operation on two functions of one activation, or on one and a number."""
    return lambda call: _joint(call, function)


def unary(function: Callable[[Vector], Vector]) -> Callable[[Call], Value]:
    """A function of each element."""
    return lambda call: call.expression(0).apply(function, call.node)


def masked(call: Call, position: int, shown: Array) -> Value:
    """Scores of which a mask shows some."""
    kind = kind_of_mask(call, shown, call.shape(position))
    return Masked(call.view(position)) if kind == "causal" else call.value(position)


def softmax_of(call: Call, axis: int) -> Plain:
    """Softmax over the last dimension, of whole rows or under a causal mask."""
    value = call.value(0)
    view, causal = (value.view, True) if isinstance(value, Masked) else (call.view(0), False)
    return Plain(call.builder.softmax(call.node.path("softmax"), view, axis, causal))


def mean_of_rows(call: Call) -> Value:
    """The mean of each row as a column: a step of a normalization."""
    return call.expression(0).apply(lambda x: np.mean(x, axis=1, keepdims=True), call.node)


def named_operation(call: Call, kind: type[VectorLayer], fields: Mapping[str, Any], constants: Sequence[Constant | None]) -> Plain:
    """An operation that the registry knows by the framework's name for it; a trained constant that is left out has its default."""
    view = call.view(0)
    name = fields.get("op", kind.model_fields["op"].default)
    if kind.walk != "rows":
        return Plain(call.builder.element_operation(kind, call.node.path(name), view, **fields))
    width = view.shape[-1] if view.shape else 0
    labels = tuple(constant.label for constant in constants if constant is not None)
    result = call.builder.row_operation(kind, call.layer_name(labels, name), view, (width,), **fields)
    for (parameter, default), constant in zip(kind.constant_defaults.items(), constants, strict=True):
        if constant is not None and constant.array.shape != (width,):
            call.refuse(f"{parameter} of shape {constant.array.shape} for rows of {width}; allowed: one for each element")
        values = np.full(width, default) if constant is None else constant.array
        call.recorder.keep_constant(result, parameter, values, () if constant is None else constant.sources)
    return Plain(result)


def _plus_constant(call: Call, position: int, constant: Constant) -> Value:
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
        return masked(call, position, shown)
    if constant.array.size == 1 and constant.array.ndim <= len(shape) and not isinstance(value, Fused):
        return call.expression(position).apply(np.add, call.node, constant.array.astype(np.float64).reshape(()))
    if not positions:
        call.refuse(
            f"the sum of an activation {shape} with {constant!r} is not supported; allowed: a bias after its layer, positions, zeros"
        )
    result = call.builder.add_positions(call.node.path("positions"), call.view(position), call.sole(position))
    call.recorder.keep_constant(result, "positions", constant.array, constant.sources)
    return Plain(result)


def _times(call: Call, position: int, constant: Constant) -> Value:
    value = call.value(position)
    vector = None
    if isinstance(value, Expression) and constant.array.size > 1:
        value = call.normalized(value) or value
    if isinstance(value, Deferred):
        vector = value.vector(constant)
        if vector is not None:
            return value.scaled(vector, constant)
    shape = call.shape(position)
    if constant.array.size != 1 or constant.array.ndim > max(1, len(shape)):
        call.refuse(f"an activation {shape} times {constant!r} is not supported; allowed: one number, or one per channel after its layer")
    return call.expression(position).apply(np.multiply, call.node, constant.array.astype(np.float64).reshape(()))


def _sum(call: Call) -> Value:
    """The sum of two activations; of two functions of one, it may be a step of a third."""
    first, second = call.value(0), call.value(1)
    if isinstance(first, Expression | Plain) and isinstance(second, Expression | Plain):
        left, right = (_leaf(value) for value in (first, second))
        if left == right and left is not None:
            return call.expression(0).plus(call.expression(1), call.node)
    return Plain(call.builder.add(call.node.path("add"), call.view(0), call.view(1)))


def _leaf(value: Expression | Plain) -> object:
    return value.view if isinstance(value, Plain) else value.leaf


def _joint(call: Call, function: Callable[..., Vector]) -> Value:
    position = 1 if isinstance(call.value(0), Constant) else 0
    start = call.expression(position)
    return start.apply(lambda _, *args: function(*args), call.node, operand_of(call, 0, start), operand_of(call, 1, start))


def operand_of(call: Call, position: int, start: Expression) -> Expression | Vector:
    """An operand of an operation on functions of one activation."""
    value = call.value(position)
    if isinstance(value, Constant):
        if value.array.size != 1:
            call.refuse(f"input {position} is {value!r}; allowed: one number, or a function of the other operand's activation")
        return np.asarray(value.array.reshape(()), dtype=np.float64)
    found = call.expression(position)
    if found.leaf != start.leaf:
        call.refuse("combines two activations; allowed: sums of two, products of matrices, functions of one")
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
    "IsNaN": lambda x: np.isnan(x).astype(np.float64),
}

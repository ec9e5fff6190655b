"""Means, sums, products, extremes, variances and norms over any dimensions: steps of a function of each row, or pools.

A pool has one window per result; what is no pool is made of them and of operations on each element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.reduce_dims import reduce_dims
from accelsim.importers.graph.values import Plain
from accelsim.importers.graph.windows import PoolOp
from accelsim.ops.cumsum import CumulativeSumLayer
from accelsim.ops.multiply import MultiplyLayer
from accelsim.ops.subtract import SubtractLayer
from accelsim.ops.table import TableLayer


def mean_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The mean over some dimensions; over the last, which stays, it may be a step of a function of each row."""
    if keep and _is_last(call, dims):
        return call.expression(0).apply(lambda x: np.mean(x, axis=1, keepdims=True), call.node)
    return _reduced(call, dims, keep, "avg_pool2d", "mean")


def sum_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The sum over some dimensions: the mean times the number of elements."""
    count = math.prod(call.shape(0)[dim] for dim in dims)
    found = mean_over(call, dims, keep)
    return _steps(call, found).apply(lambda x: count * x, call.node)


def max_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The largest element over some dimensions."""
    if keep and _is_last(call, dims):
        return call.expression(0).apply(lambda x: np.max(x, axis=1, keepdims=True), call.node)
    return _reduced(call, dims, keep, "max_pool2d", "max")


def min_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The smallest element over some dimensions: the negative of the largest of the negatives."""
    call.values[0] = call.expression(0).apply(np.negative, call.node)
    return _steps(call, max_over(call, dims, keep)).apply(np.negative, call.node)


def product_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The product over some dimensions: halves times halves."""
    view, name = call.view(0), call.node.path("prod")
    for dim in sorted(_places(call, dims)):
        rest = []
        while (size := view.shape[dim]) > 1:
            half = size // 2
            if size % 2:
                rest.append(call.builder.narrowed(name, view, dim, range(size - 1, size)))
            halves = [call.builder.narrowed(name, view, dim, part) for part in (range(half), range(half, 2 * half))]
            view = call.builder.pair(MultiplyLayer, name, *halves)
        for last in rest:
            view = call.builder.pair(MultiplyLayer, name, view, last)
    return Plain(_without(call, view, dims, keep))


def variance_over(call: Call, dims: Sequence[int], keep: bool, correction: float) -> Value:
    """The mean square of what differs from the mean over some dimensions; its divisor is the number of elements less `correction`."""
    shape = call.shape(0)
    count = math.prod(shape[dim] for dim in _places(call, dims))
    if count <= correction:
        call.refuse(f"a variance of {count} elements with correction {correction} is not defined")
    factor = count / (count - correction)
    if keep and _is_last(call, dims):
        value = call.expression(0)
        means = value.apply(lambda x: np.mean(x, axis=1, keepdims=True), call.node)
        squares = value.with_other(SubtractLayer, np.subtract, means, call.node).apply(np.square, call.node)
        return squares.apply(lambda x: np.mean(x, axis=1, keepdims=True), call.node).apply(lambda x: factor * x, call.node)
    view, name = call.view(0), call.node.path("var")
    means_of = reduce_dims(call.builder, name, view, dims, "avg_pool2d")
    apart = call.builder.pair(SubtractLayer, name, view, means_of)
    squared = call.builder.element_operation(TableLayer, name, apart, op="square")
    found = _without(call, reduce_dims(call.builder, name, squared, dims, "avg_pool2d"), dims, keep)
    return Expression.of(found, call.node).apply(lambda x: factor * x, call.node)


def log_sum_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The logarithm of the sum of exponentials over some dimensions."""
    call.values[0] = call.expression(0).apply(np.exp, call.node)
    return _steps(call, sum_over(call, dims, keep)).apply(np.log, call.node)


def absolute_sum_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The sum of magnitudes over some dimensions."""
    call.values[0] = call.expression(0).apply(np.abs, call.node)
    return sum_over(call, dims, keep)


def absolute_max_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The largest magnitude over some dimensions."""
    call.values[0] = call.expression(0).apply(np.abs, call.node)
    return max_over(call, dims, keep)


def place_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The place of the largest element along one dimension; over all, of the flattened activation."""
    shape, places = call.shape(0), sorted(_places(call, dims))
    if len(places) == 1:
        return Plain(_without(call, call.builder.places(call.node.path("argmax"), call.view(0), places[0]), dims, keep))
    if len(places) != len(shape):
        call.refuse(f"the place of the largest element over dimensions {places} of {shape}; allowed: one dimension, or all")
    flat = call.builder.reshaped(call.node.path("argmax"), call.view(0), (1, math.prod(shape)))
    return Plain(call.builder.places(call.node.path("argmax"), flat, 1).reshape((1,) * len(shape) if keep else ()))


def sums_along(call: Call, dim: int, exclusive: bool = False, reverse: bool = False) -> Plain:
    """The sums of the elements of a dimension up to each of them; `exclusive`: before it; `reverse`: from the other end."""
    view, name = call.view(0), call.node.path("cumsum")
    place, size = dim % len(view.shape), view.shape[dim]
    backwards = range(size - 1, -1, -1)
    turned = (call.builder.narrowed(name, view, place, backwards) if reverse else view).transpose(place, -1)
    sums = call.builder.row_operation(CumulativeSumLayer, name, turned, (size,)).transpose(place, -1)
    found = call.builder.narrowed(name, sums, place, backwards) if reverse else sums
    return Plain(call.builder.pair(SubtractLayer, name, found, view) if exclusive else found)


def norm_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The root of the sum of squares over some dimensions."""
    count = math.prod(call.shape(0)[dim] for dim in dims)
    if keep and _is_last(call, dims):
        of_rows = call.expression(0).apply(np.square, call.node).apply(lambda x: np.mean(x, axis=1, keepdims=True), call.node)
        return of_rows.apply(lambda x: count * x, call.node).apply(np.sqrt, call.node)
    squares = call.builder.element_operation(TableLayer, call.node.path("square"), call.view(0), op="square")
    means = _without(call, reduce_dims(call.builder, call.node.path("mean"), squares, dims, "avg_pool2d"), dims, keep)
    return Expression.of(means, call.node).apply(lambda x: count * x, call.node).apply(np.sqrt, call.node)


def _steps(call: Call, value: Value) -> Expression:
    """An activation as the start of a function of it, if it is none."""
    return value if isinstance(value, Expression) else Expression.of(call.made(value), call.node)


def _reduced(call: Call, dims: Sequence[int], keep: bool, op: PoolOp, name: str) -> Plain:
    return Plain(_without(call, reduce_dims(call.builder, call.node.path(name), call.view(0), dims, op), dims, keep))


def _without(call: Call, view: View, dims: Sequence[int], keep: bool) -> View:
    return view if keep else view.reshape([size for dim, size in enumerate(view.shape) if dim not in _places(call, dims)])


def _places(call: Call, dims: Sequence[int]) -> set[int]:
    return {dim % len(call.shape(0)) for dim in dims}


def _is_last(call: Call, dims: Sequence[int]) -> bool:
    return _places(call, dims) == {len(call.shape(0)) - 1}

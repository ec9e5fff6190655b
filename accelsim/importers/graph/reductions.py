"""Means, sums, maxima and Euclidean norms over any dimensions: steps of a function of each row, or pools with one window per result."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.reduce_dims import PoolOp, reduce_dims
from accelsim.importers.graph.values import Plain
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
    start = found if isinstance(found, Expression) else Expression.of(call.made(found), call.node)
    return start.apply(lambda x: count * x, call.node)


def max_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The largest element over some dimensions."""
    if keep and _is_last(call, dims):
        return call.expression(0).apply(lambda x: np.max(x, axis=1, keepdims=True), call.node)
    return _reduced(call, dims, keep, "max_pool2d", "max")


def norm_over(call: Call, dims: Sequence[int], keep: bool) -> Value:
    """The root of the sum of squares over some dimensions."""
    count = math.prod(call.shape(0)[dim] for dim in dims)
    if keep and _is_last(call, dims):
        of_rows = call.expression(0).apply(np.square, call.node).apply(lambda x: np.mean(x, axis=1, keepdims=True), call.node)
        return of_rows.apply(lambda x: count * x, call.node).apply(np.sqrt, call.node)
    squares = call.builder.element_operation(TableLayer, call.node.path("square"), call.view(0), op="square")
    means = _without(call, reduce_dims(call.builder, call.node.path("mean"), squares, dims, "avg_pool2d"), dims, keep)
    return Expression.of(means, call.node).apply(lambda x: count * x, call.node).apply(np.sqrt, call.node)


def _reduced(call: Call, dims: Sequence[int], keep: bool, op: PoolOp, name: str) -> Plain:
    return Plain(_without(call, reduce_dims(call.builder, call.node.path(name), call.view(0), dims, op), dims, keep))


def _without(call: Call, view: View, dims: Sequence[int], keep: bool) -> View:
    return view if keep else view.reshape([size for dim, size in enumerate(view.shape) if dim not in _places(call, dims)])


def _places(call: Call, dims: Sequence[int]) -> set[int]:
    return {dim % len(call.shape(0)) for dim in dims}


def _is_last(call: Call, dims: Sequence[int]) -> bool:
    return _places(call, dims) == {len(call.shape(0)) - 1}

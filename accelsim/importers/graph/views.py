"""Operations that move no data: another shape, another order, a part. A view that would need a copy is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from accelsim.importers.graph.call import Call, Value
from accelsim.importers.graph.expressions import Expression
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.values import Constant, Deferred, Fused, Plain


def moved(call: Call, move: Callable[[View], View]) -> Value:
    """The operand under another view; a factor stays beside it, and a layer of several parts stays unmade."""
    value = _parted(call)
    if isinstance(value, Fused):
        return replace(value, place=move(value.place))
    view, factor = call.with_factor(0)
    result = move(view)
    return Plain(result) if factor == 1.0 else Expression.of(result, call.node).apply(lambda x: x * factor, call.node)


def index_of(call: Call, axis: int, index: int) -> View:
    """One index of a dimension, which is gone: a row, or a part of a layer that makes several in one."""
    value = _parted(call)
    if isinstance(value, Fused) and value.counts_channels(axis):
        part = value.part(axis, index, index + 1)
        return part.reshape(tuple(size for place, size in enumerate(part.shape) if place != axis))
    return call.view(0).select(axis, index)


def neighbours(call: Call, axis: int, first: int, stop: int) -> View:
    """Indices `first` to `stop` of a dimension: one row, or a part of a layer that makes several in one."""
    value = _parted(call)
    if isinstance(value, Fused) and value.counts_channels(axis):
        return value.part(axis, first, stop)
    shape = call.shape(0)
    if stop - first != 1:
        call.refuse(f"indices {first} to {stop} along dimension {axis} of {shape}; allowed: one row, or channels of a layer made for them")
    return call.view(0).select(axis, first).reshape((*shape[:axis], 1, *shape[axis + 1 :]))


def parts(call: Call, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    """A dimension split into parts of these sizes."""
    if len(sizes) == 1:
        return (call.value(0),)
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return tuple(Plain(neighbours(call, axis, start, start + size)) for start, size in zip(starts, sizes, strict=True))


def prepend(call: Call, values: Sequence[Value], axis: int) -> Value:
    """Trained rows before an activation: a class token."""
    *first, last = values
    if isinstance(last, Constant):
        call.refuse("a concatenation of anything but trained rows before an activation is not supported")
    shape = last.shape
    trained = [value for value in first if isinstance(value, Constant)]
    fits = len(shape) == 3 and axis % 3 == 1 and len(trained) == len(first)
    if not fits or any(value.array.ndim != 3 or value.array.shape[::2] != shape[::2] for value in trained):
        call.refuse("a concatenation of anything but trained rows before an activation is not supported")
    sources = tuple(name for value in trained for name in value.sources)
    result = call.builder.prepend_rows(call.node.path(), call.made(last, len(first)), sum(value.array.shape[1] for value in trained))
    call.recorder.keep_constant(result, "prepended", np.concatenate([value.array.reshape(-1) for value in trained]), sources)
    return Plain(result)


def _parted(call: Call) -> Value:
    """The operand, ready to be cut along its channels if its layer is not made."""
    value = call.value(0)
    return Fused.of(value) if isinstance(value, Deferred) and value.columns is not None else value

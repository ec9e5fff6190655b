"""ONNX operations that move no data: another shape, another order, a part. What would need a copy is refused by the view or its reader."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from accelsim.importers.layout import View
from accelsim.importers.onnx_call import Call, Value
from accelsim.importers.onnx_expressions import Expression
from accelsim.importers.onnx_fold import axes_of, cast_type, resolved_shape, slice_bounds, split_sizes, squeezed, unsqueezed, whole_numbers
from accelsim.importers.onnx_values import Constant, Deferred, Fused, Plain


def same(call: Call) -> Value:
    """Identity, and Dropout as inference has it."""
    mode = call.optional_constant(2)
    if call.node.op == "Dropout" and mode is not None and mode.array.any():
        call.refuse("is in training mode; export the model for inference")
    return call.value(0)


def cast(call: Call) -> Value:
    """Cast between numbers: nothing, as the machine has its own. A cast to truth values is refused."""
    if cast_type(call.node).kind == "b":
        call.refuse("a cast of an activation to truth values is not supported")
    return call.value(0)


def reshape(call: Call) -> Value:
    """Reshape, Flatten, Squeeze and Unsqueeze: the same elements in the same order."""
    shape, node = call.shape(0), call.node
    if node.op == "Flatten":
        axis = node.integer("axis", 1) % (len(shape) + 1)
        wanted: tuple[int, ...] = (math.prod(shape[:axis]), math.prod(shape[axis:]))
    elif node.op == "Reshape":
        wanted = resolved_shape(node, shape, whole_numbers(node, call.constant(1).array))
    elif node.op == "Squeeze":
        wanted = squeezed(node, shape, axes_of(node, call.arrays()))
    else:
        wanted = unsqueezed(node, shape, axes_of(node, call.arrays()) or [])
    return _moved(call, lambda view: view.reshape(wanted))


def transpose(call: Call) -> Value:
    """Transpose."""
    rank = len(call.shape(0))
    order = call.node.ints("perm")
    order = list(range(rank))[::-1] if order is None else order
    if sorted(order) != list(range(rank)):
        call.refuse(f"perm {order} is not an order of {rank} dimensions")
    return _moved(call, lambda view: view.permute(order))


def expand(call: Call) -> Value:
    """Expand to the same shape."""
    shape = call.shape(0)
    if np.broadcast_shapes(shape, tuple(whole_numbers(call.node, call.constant(1).array))) != shape:
        call.refuse(f"an activation of shape {shape} is repeated; allowed: the same shape")
    return call.value(0)


def gather(call: Call) -> Value:
    """Gather of one index of a dimension: a row, or a part of a layer that makes several in one."""
    shape, indices = call.shape(0), call.constant(1).array
    axis = call.axis("axis", 0, len(shape))
    if indices.size != 1 or indices.dtype.kind not in "iu" or not -shape[axis] <= int(indices.reshape(())) < shape[axis]:
        call.refuse(f"indices of shape {indices.shape} along dimension {axis} of {shape}; allowed: one that exists")
    index = int(indices.reshape(())) % shape[axis]
    taken = _one(call, axis, index)
    return Plain(taken.reshape((*shape[:axis], *indices.shape, *shape[axis + 1 :])))


def slice_(call: Call) -> Value:
    """Slice: everything, one row, or a part of a layer that makes several in one."""
    shape = call.shape(0)
    cut = {axis: taken for axis, taken in slice_bounds(call.node, call.arrays(), shape).items() if taken != range(shape[axis])}
    if not cut:
        return call.value(0)
    if len(cut) > 1 or next(iter(cut.values())).step != 1 or not len(next(iter(cut.values()))):
        call.refuse(f"a part {list(cut.values())} of {shape}; allowed: neighbours along one dimension")
    ((axis, taken),) = cut.items()
    return Plain(_neighbours(call, axis, taken.start, taken.stop))


def split(call: Call) -> tuple[Value, ...]:
    """Split: parts of a layer that makes several in one, or single rows."""
    shape = call.shape(0)
    axis = call.axis("axis", 0, len(shape))
    sizes = split_sizes(call.node, call.arrays(), shape[axis])
    if len(sizes) == 1:
        return (call.value(0),)
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return tuple(Plain(_neighbours(call, axis, start, start + size)) for start, size in zip(starts, sizes, strict=True))


def concat(call: Call) -> Value:
    """Concat of trained rows before an activation: a class token."""
    *first, last = call.values
    shape = call.shape(len(call.values) - 1)
    trained = [value for value in first if isinstance(value, Constant)]
    rows = len(shape) == 3 and call.axis("axis", 0, 3) == 1
    if not rows or isinstance(last, Constant) or len(trained) != len(first) or any(v.array.shape[::2] != shape[::2] for v in trained):
        call.refuse("a concatenation of anything but trained rows before an activation is not supported")
    sources = tuple(name for value in trained for name in value.sources)
    result = call.builder.prepend_rows(call.node.path(), call.view(len(first)), sum(value.array.shape[1] for value in trained))
    call.recorder.keep_constant(result, "prepended", np.concatenate([value.array.reshape(-1) for value in trained]), sources)
    return Plain(result)


def shape_of(call: Call) -> Value:
    """Shape: known here."""
    shape = call.shape(0)
    part = shape[slice(call.node.integer("start", 0), call.node.optional_integer("end"))]
    return Constant(np.array(part if call.node.op == "Shape" else math.prod(shape), dtype=np.int64))


def _moved(call: Call, move: Callable[[View], View]) -> Value:
    """The operand under another view; a factor stays beside it, and a layer of several parts stays unmade."""
    value = call.value(0)
    if isinstance(value, Deferred) and value.columns is not None:
        value = Fused.of(value)
    if isinstance(value, Fused):
        return replace(value, place=move(value.place))
    view, factor = call.with_factor(0)
    moved = move(view)
    return Plain(moved) if factor == 1.0 else Expression.of(moved, call.node).apply(lambda x: x * factor, call.node)


def _one(call: Call, axis: int, index: int) -> View:
    value = call.value(0)
    if isinstance(value, Fused) and value.counts_channels(axis):
        part = value.part(axis, index, index + 1)
        return part.reshape(tuple(size for place, size in enumerate(part.shape) if place != axis))
    return call.view(0).select(axis, index)


def _neighbours(call: Call, axis: int, first: int, stop: int) -> View:
    value = call.value(0)
    if isinstance(value, Deferred) and value.columns is not None:
        value = Fused.of(value)
    if isinstance(value, Fused) and value.counts_channels(axis):
        return value.part(axis, first, stop)
    shape = call.shape(0)
    if stop - first != 1:
        call.refuse(f"indices {first} to {stop} along dimension {axis} of {shape}; allowed: one row, or channels of a layer made for them")
    return call.view(0).select(axis, first).reshape((*shape[:axis], 1, *shape[axis + 1 :]))

"""ONNX operations that move no data, with their many spellings of shapes, axes and parts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from accelsim.importers.from_onnx.call import OnnxCall
from accelsim.importers.from_onnx.shapes import (
    axes_of,
    cast_type,
    resolved_shape,
    slice_bounds,
    split_sizes,
    squeezed,
    unsqueezed,
    whole_numbers,
)
from accelsim.importers.graph.call import Value
from accelsim.importers.graph.choices import cast_to_truth, truncated
from accelsim.importers.graph.contractions import contracted
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.lookups import look_up
from accelsim.importers.graph.runs import at_indices, taken
from accelsim.importers.graph.values import Constant, Indices, Plain
from accelsim.importers.graph.views import concatenate, gathered, index_of, moved, neighbours, parts, reshaped


def same(call: OnnxCall) -> Value:
    """Identity, and Dropout as inference has it."""
    mode = call.optional_constant(2)
    if call.node.op == "Dropout" and mode is not None and mode.array.any():
        call.refuse("is in training mode; export the model for inference")
    return call.value(0)


def cast(call: OnnxCall) -> Value:
    """Cast: between floats nothing, as the machine has numbers of its own; to integers and truth values a function of each element."""
    value = call.value(0)
    if isinstance(value, Indices):
        return value if cast_type(call.node).kind in "iu" else call.refuse(f"casts {value!r} to a type other than integers")
    kind = cast_type(call.node).kind
    return cast_to_truth(call) if kind == "b" else truncated(call) if kind in "iu" else value


def reshape(call: OnnxCall) -> Value:
    """Reshape, Flatten, Squeeze and Unsqueeze: the same elements in the same order."""
    shape, node, value = call.shape(0), call.node, call.value(0)
    if node.op == "Flatten":
        axis = node.integer("axis", 1) % (len(shape) + 1)
        wanted: tuple[int, ...] = (math.prod(shape[:axis]), math.prod(shape[axis:]))
    elif node.op == "Reshape":
        wanted = resolved_shape(node, shape, whole_numbers(node, call.constant(1).array))
    elif node.op == "Squeeze":
        wanted = squeezed(node, shape, axes_of(node, call.arrays()))
    else:
        wanted = unsqueezed(node, shape, axes_of(node, call.arrays()) or [])
    return replace(value, shape=wanted) if isinstance(value, Indices) else reshaped(call, wanted)


def transpose(call: OnnxCall) -> Value:
    """Transpose."""
    rank = len(call.shape(0))
    order = call.node.ints("perm")
    order = list(range(rank))[::-1] if order is None else order
    if sorted(order) != list(range(rank)):
        call.refuse(f"perm {order} is not an order of {rank} dimensions")
    return moved(call, lambda view: view.permute(order))


def expand(call: OnnxCall) -> Value:
    """Dimensions of one element repeated."""
    shape = call.shape(0)
    wanted = tuple(np.broadcast_shapes(shape, tuple(whole_numbers(call.node, call.constant(1).array))))
    return call.value(0) if wanted == shape else moved(call, lambda view: view.expand(wanted))


def gather(call: OnnxCall) -> Value:
    """Gather of rows of a table by indices of the input, or of one index of a dimension of an activation."""
    named = call.value(1)
    if isinstance(named, Indices):
        if call.axis("axis", 0, len(call.shape(0))):
            call.refuse("looks up columns; allowed: rows of a table (axis 0)")
        return look_up(call, call.constant(0), named)
    shape, indices = call.shape(0), call.constant(1).array
    axis = call.axis("axis", 0, len(shape))
    result = (*shape[:axis], *indices.shape, *shape[axis + 1 :])
    if not indices.size or indices.dtype.kind not in "iu" or not ((-shape[axis] <= indices) & (indices < shape[axis])).all():
        call.refuse(f"indices of shape {indices.shape} along dimension {axis} of {shape}; allowed: those that exist")
    places = (indices.reshape(-1) % shape[axis]).tolist()
    if len(places) == 1:
        return Plain(index_of(call, axis, places[0]).reshape(result))
    name = call.node.path("gather")
    return Plain(call.builder.reshaped(name, taken(call, name, call.view(0), axis, places), result))


def gather_nd(call: OnnxCall) -> Value:
    """GatherND by known indices, of the leading dimensions together."""
    if call.node.integer("batch_dims", 0):
        call.refuse("batch_dims are not supported; allowed: 0")
    indices = call.constant(1).array
    return Plain(at_indices(call, call.node.path("gather"), call.view(0), tuple(np.moveaxis(indices, -1, 0))))


def tile(call: OnnxCall) -> Value:
    """Tile: dimensions repeated as a whole."""
    times = whole_numbers(call.node, call.constant(1).array)
    if len(times) != len(call.shape(0)) or min(times, default=1) < 1:
        call.refuse(f"repeats {times} of {call.shape(0)}; allowed: one of 1 or more for each dimension")

    def tiled(view: View) -> View:
        for place, count in enumerate(times):
            view = view.repeat(place, count) if count > 1 else view
        return view

    return moved(call, tiled)


def einsum(call: OnnxCall) -> Value:
    """Einsum."""
    return contracted(call, call.node.text("equation", ""))


def gather_elements(call: OnnxCall) -> Value:
    """GatherElements by known indices."""
    shape, indices = call.shape(0), call.constant(1).array
    axis = call.axis("axis", 0, len(shape))
    if indices.ndim != len(shape) or not ((-shape[axis] <= indices) & (indices < shape[axis])).all():
        call.refuse(f"indices of shape {indices.shape} along dimension {axis} of {shape}; allowed: of each its own, that exist")
    return gathered(call, indices % shape[axis], axis)


def slice_(call: OnnxCall) -> Value:
    """Slice: everything, one row, or a part of a layer that makes several in one."""
    shape = call.shape(0)
    cut = {axis: kept for axis, kept in slice_bounds(call.node, call.arrays(), shape).items() if kept != range(shape[axis])}
    if not cut:
        return call.value(0)
    if not all(cut.values()):
        call.refuse(f"a part {list(cut.values())} of {shape}; allowed: some elements")
    for axis, kept in cut.items():
        call.values[0] = Plain(neighbours(call, axis, kept))
    return call.value(0)


def split(call: OnnxCall) -> tuple[Value, ...]:
    """Split: parts of a layer that makes several in one, or single rows."""
    shape = call.shape(0)
    axis = call.axis("axis", 0, len(shape))
    sizes = split_sizes(call.node, call.arrays(), shape[axis])
    return parts(call, axis, sizes)


def concat(call: OnnxCall) -> Value:
    """Concat."""
    values = [call.value(position) for position in range(len(call.values))]
    return concatenate(call, values, call.axis("axis", 0, len(call.shape(len(values) - 1))))


def shape_of(call: OnnxCall) -> Value:
    """Shape: known here."""
    shape = call.shape(0)
    part = shape[slice(call.node.integer("start", 0), call.node.optional_integer("end"))]
    return Constant(np.array(part if call.node.op == "Shape" else math.prod(shape), dtype=np.int64))

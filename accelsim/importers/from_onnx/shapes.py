"""Shapes, axes, parts and element types as ONNX's operations state them, shared by folds and views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.from_onnx.tensors import type_name
from accelsim.importers.graph.repeated import held
from accelsim.importers.graph.values import Array

_CASTS = {
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32,
    TensorProto.INT64, TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip
MAX_ELEMENTS = 1 << 22  # that folding may make where its operands are smaller
MAX_REPEATED = 1 << 31  # of one value, which take no memory


def fits(node: OnnxNode, shape: Sequence[int], operands: Sequence[Array] = (), repeated: bool = False) -> tuple[int, ...]:
    """The shape, or ImportModelError if it has too many elements; `repeated`: it holds one."""
    allowed = MAX_REPEATED if repeated else max([MAX_ELEMENTS, *(held(operand) for operand in operands)])
    if len(shape) > 32 or any(size < 0 for size in shape) or math.prod(shape) > allowed:
        raise ImportModelError(f"{node.where}: a constant of shape {tuple(shape)} is not computed; allowed: {allowed} elements")
    return tuple(int(size) for size in shape)


def axes_of(node: OnnxNode, args: Sequence[Array | None], position: int = 1) -> list[int] | None:
    """Axes: an attribute in old files, an input in new ones."""
    given = node.ints("axes")
    if given is not None:
        return given
    value = args[position] if len(args) > position else None
    return None if value is None else whole_numbers(node, value)


def whole_numbers(node: OnnxNode, array: Array) -> list[int]:
    """A list of integers; ImportModelError if it is anything else."""
    if array.ndim > 1 or array.dtype.kind not in "iu" or array.size > 1024:
        raise ImportModelError(f"{node.where}: needs a short list of integers, not a tensor of shape {array.shape} of {array.dtype}")
    return [int(value) for value in array.reshape(-1)]


def resolved_shape(node: OnnxNode, before: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """Reshape's target: 0 copies a size, one -1 is worked out."""
    copies = not node.integer("allowzero", 0)
    sizes = [before[axis] if size == 0 and copies and axis < len(before) else size for axis, size in enumerate(wanted)]
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known > 0:
        sizes[sizes.index(-1)] = math.prod(before) // known
    if any(size < 0 for size in sizes) or math.prod(sizes) != math.prod(before):
        raise ImportModelError(f"{node.where}: shape {tuple(before)} cannot become {tuple(wanted)}")
    return tuple(sizes)


def slice_bounds(node: OnnxNode, args: Sequence[Array | None], shape: Sequence[int]) -> dict[int, range]:
    """Slice: the indices that are taken, by axis."""
    if node.ints("starts") is not None:
        starts, stops = node.ints("starts") or [], node.ints("ends") or []
        axes, steps = node.ints("axes"), None
    else:
        lists = [None if array is None else whole_numbers(node, array) for array in (*args[1:], *[None] * 4)]
        starts, stops, axes, steps = lists[0] or [], lists[1] or [], lists[2], lists[3]
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(stops) == len(axes) == len(steps) or 0 in steps or any(not -len(shape) <= a < len(shape) for a in axes):
        raise ImportModelError(
            f"{node.where}: starts {starts}, ends {stops}, axes {axes} and steps {steps} do not fit shape {tuple(shape)}"
        )
    taken = {}
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        size = shape[axis]
        past_the_first = step < 0 and stop < -size  # how ONNX says "down to index 0"
        taken[axis % len(shape)] = range(*slice(start, None if past_the_first else stop, step).indices(size))
    return taken


def split_sizes(node: OnnxNode, args: Sequence[Array | None], size: int) -> list[int]:
    """Split: sizes of the parts of a dimension."""
    given = node.ints("split")
    if given is None and len(args) > 1 and args[1] is not None:
        given = whole_numbers(node, args[1])
    count = len(node.outputs)
    part = -(-size // count)
    sizes = given if given is not None else [min(part, size - part * index) for index in range(count)]
    if len(sizes) != count or sum(sizes) != size or min(sizes) < 1:
        raise ImportModelError(f"{node.where}: {size} cannot be split into {sizes}")
    return sizes


def unsqueezed(node: OnnxNode, shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """A shape with dimensions of size 1 put in."""
    rank = len(shape) + len(axes)
    places = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(places) != len(axes):
        raise ImportModelError(f"{node.where}: axes {list(axes)} do not fit shape {tuple(shape)}")
    rest = iter(shape)
    return tuple(1 if place in places else next(rest) for place in range(rank))


def squeezed(node: OnnxNode, shape: Sequence[int], axes: Sequence[int] | None) -> tuple[int, ...]:
    """A shape without its dimensions of size 1, or without those given."""
    wrong = [axis for axis in axes or () if not -len(shape) <= axis < len(shape) or shape[axis] != 1]
    if wrong:
        raise ImportModelError(f"{node.where}: axes {wrong} of shape {tuple(shape)} do not have size 1")
    gone = {axis % len(shape) for axis in axes} if axes is not None else {axis for axis, size in enumerate(shape) if size == 1}
    return tuple(size for axis, size in enumerate(shape) if axis not in gone)


def along_axis(node: OnnxNode, scale: Array, shape: Sequence[int]) -> Array:
    """One scale, or one per slice of `axis`, so that it multiplies a tensor of this shape."""
    axis = node.integer("axis", 1)
    if scale.size == 1:
        return scale.reshape(())
    if scale.ndim != 1 or not -len(shape) <= axis < len(shape) or shape[axis] != scale.size or node.integer("block_size", 0):
        raise ImportModelError(
            f"{node.where}: scales of shape {scale.shape} for axis {axis} of {tuple(shape)}; allowed: one, or one per slice"
        )
    return scale.reshape([scale.size if place == axis % len(shape) else 1 for place in range(len(shape))])


def cast_type(node: OnnxNode) -> np.dtype[Any]:
    """NumPy's type of Cast's target (bfloat16: float32)."""
    to = node.integer("to", 0)
    if to == TensorProto.BFLOAT16:
        return np.dtype(np.float32)
    if to not in _CASTS:
        raise ImportModelError(f"{node.where}: a cast to {type_name(to)} is not supported")
    return np.dtype(helper.tensor_dtype_to_np_dtype(to))

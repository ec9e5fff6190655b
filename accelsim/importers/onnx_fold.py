"""Operations on constants, computed while a graph is imported: shapes, masks, position indices, dequantized weights.

Each is a row of the table at the end. What could grow beyond its operands has its result's size checked before it is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from accelsim.errors import ImportModelError
from accelsim.importers.onnx_node import OnnxNode
from accelsim.importers.onnx_tensors import type_name
from accelsim.importers.values import Array

_CASTS = {
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32,
    TensorProto.INT64, TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip
MAX_ELEMENTS = 1 << 22  # that folding may make where its operands are smaller


def fits(node: OnnxNode, shape: Sequence[int], operands: Sequence[Array] = ()) -> tuple[int, ...]:
    """The shape, if so many elements may be made; ImportModelError if not."""
    allowed = max([MAX_ELEMENTS, *(operand.size for operand in operands)])
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


def _constant(node: OnnxNode, args: Sequence[Array]) -> Array:
    for name, kind in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64), ("value_ints", np.int64)):
        if node.has(name):
            return np.asarray(node.attribute(name), dtype=kind)
    if not node.has("value"):
        raise ImportModelError(f"{node.where}: has none of the attributes value, value_int, value_ints, value_float, value_floats")
    return node.tensor("value")


def _constant_of_shape(node: OnnxNode, args: Sequence[Array]) -> Array:
    value = node.tensor("value") if node.has("value") else np.zeros(1, dtype=np.float32)
    if value.size != 1:
        raise ImportModelError(f"{node.where}: value has {value.size} elements; allowed: 1")
    return np.full(fits(node, whole_numbers(node, args[0])), value.reshape(()))


def cast_type(node: OnnxNode) -> np.dtype[Any]:
    """NumPy's type of Cast's target (bfloat16: float32)."""
    to = node.integer("to", 0)
    if to == TensorProto.BFLOAT16:
        return np.dtype(np.float32)
    if to not in _CASTS:
        raise ImportModelError(f"{node.where}: a cast to {type_name(to)} is not supported")
    return np.dtype(helper.tensor_dtype_to_np_dtype(to))


def _broadcast(function: Callable[..., Any]) -> Callable[[OnnxNode, Sequence[Array]], Array]:
    def compute(node: OnnxNode, args: Sequence[Array]) -> Array:
        fits(node, np.broadcast_shapes(*(arg.shape for arg in args)), args)
        return np.asarray(function(*args))

    return compute


def _divide(x: Array, y: Array) -> Array:
    """Division; of integers it cuts towards zero, as ONNX has it."""
    if x.dtype.kind not in "iu":
        return np.asarray(np.divide(x, y).astype(x.dtype))
    if not y.all():
        raise ZeroDivisionError("division by zero")
    quotient = np.abs(x) // np.abs(y)
    return np.asarray(np.where((x < 0) != (y < 0), -quotient, quotient).astype(x.dtype))


def _gather(node: OnnxNode, args: Sequence[Array]) -> Array:
    data, indices = args
    axis = node.integer("axis", 0)
    fits(node, (indices.size, data.size // max(1, data.shape[axis])), args)
    return np.take(data, indices, axis=axis)


def _slice(node: OnnxNode, args: Sequence[Array]) -> Array:
    data = args[0]
    for axis, taken in slice_bounds(node, args, data.shape).items():
        data = np.take(data, np.arange(taken.start, taken.stop, taken.step), axis=axis)
    return data


def _concat(node: OnnxNode, args: Sequence[Array]) -> Array:
    return np.concatenate(args, axis=node.integer("axis", 0))


def _reshape(node: OnnxNode, args: Sequence[Array]) -> Array:
    return args[0].reshape(resolved_shape(node, args[0].shape, whole_numbers(node, args[1])))


def _transpose(node: OnnxNode, args: Sequence[Array]) -> Array:
    return np.transpose(args[0], node.ints("perm"))


def _expand(node: OnnxNode, args: Sequence[Array]) -> Array:
    shape = np.broadcast_shapes(args[0].shape, tuple(whole_numbers(node, args[1])))
    return np.broadcast_to(args[0], fits(node, shape, args))


def _tile(node: OnnxNode, args: Sequence[Array]) -> Array:
    repeats = whole_numbers(node, args[1])
    fits(node, [size * repeat for size, repeat in zip(args[0].shape, repeats, strict=True)], args)
    return np.tile(args[0], repeats)


def _range(node: OnnxNode, args: Sequence[Array]) -> Array:
    start, stop, step = (arg.reshape(()).item() for arg in args)
    fits(node, (max(0, math.ceil((stop - start) / step)),))
    return np.arange(start, stop, step, dtype=args[0].dtype)


def _unsqueeze(node: OnnxNode, args: Sequence[Array]) -> Array:
    return args[0].reshape(unsqueezed(node, args[0].shape, axes_of(node, args) or []))


def _squeeze(node: OnnxNode, args: Sequence[Array]) -> Array:
    return args[0].reshape(squeezed(node, args[0].shape, axes_of(node, args)))


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


def _reduce(function: Callable[..., Any]) -> Callable[[OnnxNode, Sequence[Array]], Array]:
    def compute(node: OnnxNode, args: Sequence[Array]) -> Array:
        axes = axes_of(node, args)
        return np.asarray(function(args[0], axis=None if axes is None else tuple(axes), keepdims=bool(node.integer("keepdims", 1))))

    return compute


def _dequantize(node: OnnxNode, args: Sequence[Array]) -> Array:
    data, scale = args[0], args[1].astype(np.float64)
    if len(args) > 2 and np.any(args[2]):
        raise ImportModelError(f"{node.where}: a zero point other than 0 is not supported: the machine is symmetric")
    return (data.astype(np.float64) * along_axis(node, scale, data.shape)).astype(np.float32)


def along_axis(node: OnnxNode, scale: Array, shape: Sequence[int]) -> Array:
    """A scale for all, or one a slice of `axis`, so that it multiplies a tensor of this shape."""
    axis = node.integer("axis", 1)
    if scale.size == 1:
        return scale.reshape(())
    if scale.ndim != 1 or not -len(shape) <= axis < len(shape) or shape[axis] != scale.size or node.integer("block_size", 0):
        raise ImportModelError(
            f"{node.where}: scales of shape {scale.shape} for axis {axis} of {tuple(shape)}; allowed: one, or one a slice"
        )
    return scale.reshape([scale.size if place == axis % len(shape) else 1 for place in range(len(shape))])


FOLDERS: dict[str, Callable[[OnnxNode, Sequence[Array]], Array]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Shape": lambda node, args: np.array(args[0].shape[slice(node.integer("start", 0), node.optional_integer("end"))], dtype=np.int64),
    "Size": lambda node, args: np.array(args[0].size, dtype=np.int64),
    "Identity": lambda node, args: args[0],
    "Dropout": lambda node, args: args[0],
    "Cast": lambda node, args: args[0].astype(cast_type(node)),
    "CastLike": lambda node, args: args[0].astype(args[1].dtype),
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Reshape": _reshape,
    "Flatten": lambda node, args: args[0].reshape(math.prod(args[0].shape[: node.integer("axis", 1)]), -1),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Where": _broadcast(np.where),
    "Add": _broadcast(np.add),
    "Sub": _broadcast(np.subtract),
    "Mul": _broadcast(np.multiply),
    "Div": _broadcast(_divide),
    "Mod": _broadcast(np.mod),
    "Pow": _broadcast(np.power),
    "Min": _broadcast(lambda *args: np.minimum.reduce(np.broadcast_arrays(*args))),
    "Max": _broadcast(lambda *args: np.maximum.reduce(np.broadcast_arrays(*args))),
    "Equal": _broadcast(np.equal),
    "Less": _broadcast(np.less),
    "LessOrEqual": _broadcast(np.less_equal),
    "Greater": _broadcast(np.greater),
    "GreaterOrEqual": _broadcast(np.greater_equal),
    "And": _broadcast(np.logical_and),
    "Or": _broadcast(np.logical_or),
    "Not": lambda node, args: np.logical_not(args[0]),
    "Neg": lambda node, args: -args[0],
    "Abs": lambda node, args: np.abs(args[0]),
    "Sqrt": lambda node, args: np.sqrt(args[0]),
    "Reciprocal": lambda node, args: np.reciprocal(args[0]),
    "Floor": lambda node, args: np.floor(args[0]),
    "Ceil": lambda node, args: np.ceil(args[0]),
    "ReduceSum": _reduce(np.sum),
    "ReduceProd": _reduce(np.prod),
    "ReduceMean": _reduce(np.mean),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "DequantizeLinear": _dequantize,
}


def fold(node: OnnxNode, args: Sequence[Array | None]) -> Array:
    """The value of a node whose operands are all known.

    Raises
    ------
    ImportModelError
        An operation without a row in the table, operands that do not fit it, or a result that is too large.
    """
    if node.op not in FOLDERS:
        raise ImportModelError(f"{node.where}: {node.op} of constants alone is not computed; known: {sorted(FOLDERS)}")
    try:
        with np.errstate(all="ignore"):
            return np.asarray(FOLDERS[node.op](node, args))  # type: ignore[arg-type]  # who needs one that is left out says so below
    except (ValueError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ImportModelError(f"{node.where}: its constants do not fit: {reason}") from None

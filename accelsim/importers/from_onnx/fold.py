"""Operations on constants, computed while a graph is imported: shapes, masks, position indices, dequantized weights.

Each is a row of the table at the end. An operation whose result can outgrow its operands has the size checked first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.by_definition import NO_LARGER, by_definition
from accelsim.importers.from_onnx.node import OnnxNode
from accelsim.importers.from_onnx.shapes import (
    MAX_ELEMENTS,
    along_axis,
    axes_of,
    cast_type,
    fits,
    resolved_shape,
    slice_bounds,
    split_sizes,
    squeezed,
    unsqueezed,
    whole_numbers,
)
from accelsim.importers.graph.repeated import distinct, elementwise, held, repeated
from accelsim.importers.graph.values import Array, Constant, Indices
from accelsim.registry import suggest


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
    return repeated(value.reshape(()), fits(node, whole_numbers(node, args[0]), repeated=True))


def _broadcast(function: Callable[..., Any]) -> Callable[[OnnxNode, Sequence[Array]], Array]:
    def compute(node: OnnxNode, args: Sequence[Array]) -> Array:
        fits(node, np.broadcast_shapes(*(arg.shape for arg in args)), repeated=True)
        fits(node, np.broadcast_shapes(*(distinct(arg).shape for arg in args)), args)
        return elementwise(function, *args)

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
    kept = distinct(data, keep=axis % data.ndim)
    fits(node, (indices.size, kept.size // max(1, data.shape[axis])), args)
    first = axis % data.ndim
    return repeated(np.take(kept, indices, axis=axis), (*data.shape[:first], *indices.shape, *data.shape[first + 1 :]))


def _slice(node: OnnxNode, args: Sequence[Array]) -> Array:
    data = args[0]
    parts = [slice(None)] * data.ndim
    for axis, taken in slice_bounds(node, args, data.shape).items():
        parts[axis] = slice(taken.start, taken.stop if taken.stop >= 0 else None, taken.step) if taken else slice(0)
    return data[tuple(parts)]


def _concat(node: OnnxNode, args: Sequence[Array]) -> Array:
    axis = node.integer("axis", 0)
    kept = [distinct(arg, keep=axis % arg.ndim) for arg in args]
    if len({part.shape[: axis % part.ndim] + part.shape[axis % part.ndim + 1 :] for part in kept}) > 1:
        return np.concatenate(args, axis=axis)
    if sum(part.size for part in kept) > MAX_ELEMENTS + sum(held(arg) for arg in args):
        fits(node, [sum(part.size for part in kept)])
    shape = list(args[0].shape)
    shape[axis] = sum(arg.shape[axis] for arg in args)
    return repeated(np.concatenate(kept, axis=axis), shape)


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


def _cumulative_sum(node: OnnxNode, args: Sequence[Array]) -> Array:
    if node.integer("exclusive", 0) or node.integer("reverse", 0):
        raise ImportModelError(f"{node.where}: exclusive and reverse sums are not supported; allowed: 0")
    return np.cumsum(args[0], axis=int(args[1].reshape(())), dtype=args[0].dtype)


def _gather_nd(node: OnnxNode, args: Sequence[Array]) -> Array:
    data, indices = args
    if node.integer("batch_dims", 0) or not indices.ndim:
        raise ImportModelError(f"{node.where}: batch_dims or indices of shape {indices.shape} are not supported")
    taken = data.shape[indices.shape[-1] :]
    fits(node, (*indices.shape[:-1], *taken), args)
    return np.asarray(data[tuple(np.moveaxis(indices, -1, 0))])


def _triangle(node: OnnxNode, args: Sequence[Array]) -> Array:
    offset = int(args[1].reshape(())) if len(args) > 1 else 0
    return (np.triu if node.integer("upper", 1) else np.tril)(args[0], offset)


def _product(node: OnnxNode, args: Sequence[Array]) -> Array:
    """Of a constant state, or of trained queries, and the weights of their layer."""
    first, second = args
    rows, columns = first.shape[-2:-1] if first.ndim > 1 else (), second.shape[-1:] if second.ndim > 1 else ()
    fits(node, (*np.broadcast_shapes(first.shape[:-2], second.shape[:-2]), *rows, *columns), args)
    return np.asarray(first @ second)


def _linear(node: OnnxNode, args: Sequence[Array]) -> Array:
    rows, columns = args[0].shape[node.integer("transA", 0)], args[1].shape[1 - node.integer("transB", 0)]
    fits(node, (rows, columns), args)
    return by_definition(node, args)


def _reduce(function: Callable[..., Any]) -> Callable[[OnnxNode, Sequence[Array]], Array]:
    def compute(node: OnnxNode, args: Sequence[Array]) -> Array:
        axes = axes_of(node, args)
        return np.asarray(function(args[0], axis=None if axes is None else tuple(axes), keepdims=bool(node.integer("keepdims", 1))))

    return compute


def _dequantize(node: OnnxNode, args: Sequence[Array]) -> Array:
    data, scale = elementwise(lambda x: x.astype(np.float64), args[0]), args[1].astype(np.float64)
    if len(args) > 2 and args[2] is not None and np.any(args[2]):
        data = elementwise(np.subtract, data, along_axis(node, args[2].astype(np.float64), data.shape))
    return elementwise(lambda x, factor: (x * factor).astype(np.float32), data, along_axis(node, scale, data.shape))


_SIZES_FROM = {  # the first operand whose values decide the shape of the result
    "ConstantOfShape": 0, "Range": 0, "Expand": 1, "Reshape": 1, "Slice": 1, "Split": 1, "Squeeze": 1, "Tile": 1, "Unsqueeze": 1,
    "ReduceSum": 1, "ReduceProd": 1, "ReduceMean": 1, "ReduceMax": 1, "ReduceMin": 1,
}  # fmt: skip
_SAME_ELEMENTS = {"Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_HOLD_ALL = {
    "GatherElements", "GatherND", "CumSum", "Trilu", "ReduceSum", "ReduceProd", "ReduceMean", "ReduceMax", "ReduceMin", "Gemm", "MatMul",
    *NO_LARGER,
}  # fmt: skip


def _split(node: OnnxNode, args: Sequence[Array]) -> tuple[Array, ...]:
    axis = node.integer("axis", 0)
    sizes = split_sizes(node, args, args[0].shape[axis])
    return tuple(np.split(args[0], np.cumsum(sizes)[:-1], axis=axis))


FOLDERS: dict[str, Callable[[OnnxNode, Sequence[Array]], Array | tuple[Array, ...]]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Shape": lambda node, args: np.array(args[0].shape[slice(node.integer("start", 0), node.optional_integer("end"))], dtype=np.int64),
    "Size": lambda node, args: np.array(args[0].size, dtype=np.int64),
    "Identity": lambda node, args: args[0],
    "Dropout": lambda node, args: args[0],
    "Cast": lambda node, args: elementwise(lambda x: x.astype(cast_type(node)), args[0]),
    "CastLike": lambda node, args: elementwise(lambda x: x.astype(args[1].dtype), args[0]),
    "Gather": _gather,
    "GatherElements": lambda node, args: np.take_along_axis(args[0], args[1], node.integer("axis", 0)),
    "GatherND": _gather_nd,
    "Slice": _slice,
    "Split": _split,
    "CumSum": _cumulative_sum,
    "Trilu": _triangle,
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
    "MatMul": _product,
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
    "Not": _broadcast(np.logical_not),
    "Xor": _broadcast(np.logical_xor),
    "IsNaN": _broadcast(np.isnan),
    "Neg": _broadcast(np.negative),
    "Exp": _broadcast(np.exp),
    "Sin": _broadcast(np.sin),
    "Cos": _broadcast(np.cos),
    "Abs": _broadcast(np.abs),
    "Sqrt": _broadcast(np.sqrt),
    "Reciprocal": _broadcast(np.reciprocal),
    "Floor": _broadcast(np.floor),
    "Ceil": _broadcast(np.ceil),
    "ReduceSum": _reduce(np.sum),
    "ReduceProd": _reduce(np.prod),
    "ReduceMean": _reduce(np.mean),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "DequantizeLinear": _dequantize,
    "Gemm": _linear,
    **dict.fromkeys(NO_LARGER, by_definition),
}


def integers_of(node: OnnxNode, operands: Sequence[object]) -> tuple[Indices, ...] | None:
    """Integers computed from integer inputs and known values; None where a node reads or makes other values, or is refused for others.

    Ones stand for the inputs: only the shapes of the results are of interest, and these must not follow from the inputs' values.
    """
    moving = [operand for operand in operands if isinstance(operand, Indices)]
    if not moving or node.op not in FOLDERS or node.op in ("Shape", "Size"):
        return None
    if any(isinstance(operand, Indices) for operand in operands[_SIZES_FROM.get(node.op, len(operands)) :]):
        return None
    ones = [repeated(np.ones((), np.int64), operand.shape) if isinstance(operand, Indices) else operand for operand in operands]
    arrays = [one.array if isinstance(one, Constant) else one for one in ones]
    whole = [array if isinstance(array, np.ndarray) and array.dtype.kind in "iub" else None for array in arrays]
    if any(array is not None and kept is None for array, kept in zip(arrays, whole, strict=True)):
        return None
    results = fold(node, whole)
    if not all(result.dtype.kind in "iu" for result in results):
        return None
    same = node.op in _SAME_ELEMENTS and not moving[0].computed
    return tuple(replace(moving[0], shape=result.shape, computed=not same) for result in results)


def fold(node: OnnxNode, args: Sequence[Array | None]) -> tuple[Array, ...]:
    """The results of a node whose operands are all known.

    Raises
    ------
    ImportModelError
        An operation without a row in the table, operands that do not fit it, or a result that is too large.
    """
    if node.op not in FOLDERS:
        raise ImportModelError(f"{node.where}: {node.op} of constants alone is not computed{suggest(node.op, FOLDERS)}")
    for array in args if node.op in _HOLD_ALL else ():
        if array is not None:
            fits(node, array.shape, [array])
    try:
        with np.errstate(all="ignore"):
            results = FOLDERS[node.op](node, args)  # type: ignore[arg-type]  # who needs one that is left out says so below
    except (ValueError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ImportModelError(f"{node.where}: its constants do not fit: {reason}") from None
    return results if isinstance(results, tuple) else (np.asarray(results),)

"""The inputs of an ONNX model: their sizes, bound where they are symbolic, and the constants that fill inputs other than activations.

Whole numbers of more than 8 bits are indices (token ids) or masks: a network's activations are never of these types.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.tensors import FLOATS, type_name
from accelsim.importers.graph.values import Array
from accelsim.registry import suggest

_ACTIVATIONS = FLOATS | {TensorProto.INT8, TensorProto.UINT8}
_INDICES = {TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
_LARGEST_FILLED = 1 << 24  # elements


@dataclass(frozen=True)
class OnnxInput:
    """One input.

    Attributes
    ----------
    shape
        All sizes known.
    indices
        True for whole numbers that can only be looked up.
    filled
        The value, if one was given for every element.
    """

    shape: tuple[int, ...]
    indices: bool = False
    filled: Array | None = None


def read_inputs(
    path: Path, graph: Any, initializers: Mapping[str, Any], bindings: Mapping[str, int], fill: Mapping[str, int]
) -> dict[str, OnnxInput]:
    """The inputs of an onnx.GraphProto that are not initializers (old files list these too), by name.

    Raises
    ------
    ImportModelError
        A dimension without a size, a binding of no dimension, a filling of no input, or a type that no input has.
    """
    inputs: dict[str, OnnxInput] = {}
    free: set[str] = set()
    for source in graph.input:
        if source.name in initializers:
            continue
        if source.name in inputs or not source.name:
            raise ImportModelError(f"{path}: input {source.name!r} has no name, or one that is given twice")
        kind = source.type.tensor_type
        if not source.type.HasField("tensor_type") or not kind.HasField("shape"):
            raise ImportModelError(f"{path}: input {source.name!r} is not a tensor with a shape")
        if kind.elem_type not in _ACTIVATIONS | _INDICES:
            allowed = "floating-point or 8-bit activations, 32- or 64-bit indices, truth values"
            raise ImportModelError(f"{path}: input {source.name!r} has element type {type_name(kind.elem_type)}; allowed: {allowed}")
        shape = _shape(path, source.name, kind.shape.dim, bindings, free)
        filled = _filled(path, source.name, kind.elem_type, shape, fill[source.name]) if source.name in fill else None
        inputs[source.name] = OnnxInput(shape, kind.elem_type in _INDICES, filled)
    for name in bindings:
        if name not in free:
            raise ImportModelError(
                f"{path}: --bind {name}={bindings[name]}: no input has this dimension; free: {sorted(free)}{suggest(name, free)}"
            )
    for name in fill:
        if name not in inputs:
            raise ImportModelError(f"{path}: --fill {name}={fill[name]}: no input has this name; known: {sorted(inputs)}")
    if not inputs:
        raise ImportModelError(f"{path}: has no input but initializers")
    return inputs


def _shape(path: Path, name: str, dims: Any, bindings: Mapping[str, int], free: set[str]) -> tuple[int, ...]:
    """Sizes of the dimensions of an input; the names of those that have none of their own are added to `free`."""
    sizes = []
    for axis, dim in enumerate(dims):
        symbol = dim.dim_param or f"{name}.{axis}"
        known = dim.HasField("dim_value") and dim.dim_value != -1
        if not known:
            free.add(symbol)
            if symbol not in bindings:
                raise ImportModelError(
                    f"{path}: dimension {axis} of input {name!r} is {symbol!r}, which has no size; give --bind {symbol}=1"
                )
        sizes.append(dim.dim_value if known else bindings[symbol])
    if any(size < 1 for size in sizes):
        raise ImportModelError(f"{path}: input {name!r} has shape {tuple(sizes)}; allowed: sizes of 1 or more")
    return tuple(sizes)


def _filled(path: Path, name: str, element_type: int, shape: tuple[int, ...], value: int) -> Array:
    if math.prod(shape) > _LARGEST_FILLED:
        raise ImportModelError(f"{path}: --fill {name}={value}: the input has shape {shape}; allowed: {_LARGEST_FILLED} elements")
    kind = np.float32 if element_type == TensorProto.BFLOAT16 else helper.tensor_dtype_to_np_dtype(element_type)
    return np.full(shape, value).astype(kind)

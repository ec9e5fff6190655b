"""Initializers of which a model that is drawn from a seed wants the shape alone.

These are the weights of products, whose bytes are never read, and trained tensors whose bytes are not there: external data that was not
shipped, or no values at all. Values that decide shapes or functions (whole numbers, single numbers) have to be there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from accelsim.errors import ImportModelError
from accelsim.importers.from_onnx.tensors import FIELDS, FLOATS, MAX_BYTES, type_name
from accelsim.importers.graph.repeated import repeated
from accelsim.importers.graph.values import Array

_WEIGHTS = {  # positions of trained tensors
    "Conv": {1, 2}, "ConvTranspose": {1, 2}, "Gemm": {1, 2}, "MatMul": {1}, "ConvInteger": {1}, "MatMulInteger": {1},
    "QLinearConv": {3, 8}, "QLinearMatMul": {3}, "QGemm": {3, 6}, "DynamicQuantizeMatMul": {1},
}  # fmt: skip
_PASSED = {  # positions of operands of which the result is weights, if any is
    **dict.fromkeys(("Transpose", "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "DequantizeLinear"), (0,)),
    **dict.fromkeys(("Mul", "Div"), (0, 1)),
}
_INTEGERS = {TensorProto.INT4, TensorProto.UINT4, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32}
_MAX_DIMENSIONS = 32


def find_stand_ins(graph: Any, initializers: Mapping[str, Any], folder: Path) -> dict[str, bool]:
    """Initializers that stand for their shape, each with whether its bytes are absent."""
    weights = _weights(graph)
    found = {}
    for name, tensor in initializers.items():
        absent = _is_absent(tensor, folder)
        trained = bool(tensor.dims) and (tensor.data_type in FLOATS or (tensor.data_type in _INTEGERS and name in weights))
        if trained and (absent or name in weights):
            found[name] = absent
    return found


def stand_in(tensor: Any, what: str) -> Array:
    """An array of a tensor's shape and type that holds one element.

    Raises
    ------
    ImportModelError
        A shape that no tensor has, or that is larger than any of a layer.
    """
    shape = tuple(tensor.dims)
    kind = np.dtype(np.float32 if tensor.data_type in FLOATS else helper.tensor_dtype_to_np_dtype(tensor.data_type))
    size = math.prod(shape) * kind.itemsize
    if len(shape) > _MAX_DIMENSIONS or any(length < 0 for length in shape) or size > MAX_BYTES:
        raise ImportModelError(f"{what}: shape {shape} of {type_name(tensor.data_type)} has {size} bytes; allowed: at most {MAX_BYTES}")
    return repeated(np.ones((), kind), shape)


def _weights(graph: Any) -> set[str]:
    """Names of tensors that are read as the weights of products, directly or through views, and as nothing else."""
    weights: dict[str, bool] = {output.name: False for output in graph.output}
    for node in reversed(graph.node):
        passes = weights.get(node.output[0] if node.output else "", False)
        for position, name in enumerate(node.input):
            read_so = position in _WEIGHTS.get(node.op_type, ()) or (passes and position in _PASSED.get(node.op_type, ()))
            weights[name] = weights.get(name, True) and read_so
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                weights.update((name, False) for reader in inner.node for name in reader.input)
    return {name for name, read_so in weights.items() if read_so}


def _is_absent(tensor: Any, folder: Path) -> bool:
    if tensor.data_location == TensorProto.EXTERNAL:
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        return bool(location) and "\0" not in location and not (folder / location).exists() and not (folder / location).is_symlink()
    stored = tensor.raw_data or getattr(tensor, FIELDS.get(tensor.data_type, "int32_data"))
    return not stored and 0 not in tensor.dims

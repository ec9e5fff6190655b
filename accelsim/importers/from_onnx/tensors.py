"""Tensors of an ONNX file as NumPy arrays, never larger than the bytes that are really there.

A tensor states its shape and its bytes apart, so both are compared before anything is allocated. External data is read from regular
files inside the model's folder only, after every symbolic link is followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from accelsim.errors import ImportModelError
from accelsim.importers.file_bytes import read_bytes
from accelsim.importers.graph.values import Array

_BITS = {
    TensorProto.FLOAT: 32, TensorProto.DOUBLE: 64, TensorProto.FLOAT16: 16, TensorProto.BFLOAT16: 16, TensorProto.BOOL: 8,
    TensorProto.INT4: 4, TensorProto.INT8: 8, TensorProto.INT16: 16, TensorProto.INT32: 32, TensorProto.INT64: 64,
    TensorProto.UINT4: 4, TensorProto.UINT8: 8, TensorProto.UINT16: 16, TensorProto.UINT32: 32, TensorProto.UINT64: 64,
}  # fmt: skip
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
FIELDS = {  # where a tensor's values lie when they are not raw bytes; 4-bit values come two a word
    TensorProto.FLOAT: "float_data", TensorProto.DOUBLE: "double_data", TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data", TensorProto.UINT64: "uint64_data",
}  # fmt: skip
_MAX_DIMENSIONS = 32  # NumPy's own limit was 32 for twenty years; no model has more
MAX_BYTES = 1 << 32  # of one tensor: 2^30 float32 numbers, more than any one layer of a machine of this kind


def type_name(data_type: int) -> str:
    """ONNX's name of an element type: 'FLOAT16'."""
    return str(TensorProto.DataType.Name(data_type)) if data_type in TensorProto.DataType.values() else f"number {data_type}"


def read_tensor(tensor: Any, folder: Path, what: str) -> Array:
    """The values of a TensorProto: bfloat16 as float32, 4-bit integers as int8 or uint8, everything else in its own type.

    Parameters
    ----------
    tensor
        onnx.TensorProto.
    folder
        Where external data may lie.
    what
        The tensor's place, for a message.

    Raises
    ------
    ImportModelError
        A type that is not understood, a shape that does not fit the bytes, or external data that is not inside the folder.
    """
    if tensor.data_type not in _BITS:
        known = ", ".join(type_name(known) for known in _BITS)
        raise ImportModelError(f"{what}: element type {type_name(tensor.data_type)} is not supported; allowed: {known}")
    shape = tuple(tensor.dims)
    if len(shape) > _MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise ImportModelError(f"{what}: shape {shape} is not allowed; sizes are 0 or more, at most {_MAX_DIMENSIONS} of them")
    count = math.prod(shape)
    needed = -(-count * _BITS[tensor.data_type] // 8)
    if tensor.data_location == TensorProto.EXTERNAL:
        raw = _external_bytes(tensor.external_data, folder, needed, what)
        tensor = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=raw)
    elif tensor.HasField("raw_data"):
        _require_length(what, shape, needed, len(tensor.raw_data), "bytes")
    else:
        stored = len(getattr(tensor, FIELDS.get(tensor.data_type, "int32_data")))
        _require_length(what, shape, -(-count // 2) if _BITS[tensor.data_type] == 4 else count, stored, "values")
    array: Array = numpy_helper.to_array(tensor)
    if tensor.data_type == TensorProto.BFLOAT16:
        return array.astype(np.float32)
    if _BITS[tensor.data_type] == 4:
        return array.astype(np.int8 if tensor.data_type == TensorProto.INT4 else np.uint8)
    return array


def external_files(tensors: Iterable[Any], folder: Path) -> list[Path]:
    """The files beside the model that hold values of `tensors`, each once, in order of their names."""
    entries = (entry for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL for entry in tensor.external_data)
    return [folder / name for name in sorted({entry.value for entry in entries if entry.key == "location"})]


def _require_length(what: str, shape: tuple[int, ...], needed: int, found: int, unit: str) -> None:
    if found != needed:
        raise ImportModelError(f"{what}: shape {shape} needs {needed} {unit}, but {found} are there")


def _external_bytes(entries: Any, folder: Path, needed: int, what: str) -> bytes:
    fields = {entry.key: entry.value for entry in entries}
    location = fields.get("location", "")
    try:
        path = (folder / location).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # a loop of symbolic links, a zero byte in the name
        inside = False
    if not location or Path(location).is_absolute() or not inside:
        raise ImportModelError(f"{what}: external data {location!r}; allowed: a file that is there, inside the model's folder")
    size = path.stat().st_size
    offset, length = (_whole_number(fields, name, default, what) for name, default in (("offset", 0), ("length", needed)))
    if length != needed:
        raise ImportModelError(f"{what}: external data {location!r} has length {length}, but the shape needs {needed} bytes")
    if length > MAX_BYTES:
        raise ImportModelError(f"{what}: external data {location!r} has length {length}; allowed: at most {MAX_BYTES}")
    if offset + length > size:
        raise ImportModelError(f"{what}: external data {location!r} has {size} bytes, but bytes {offset} to {offset + length} are wanted")
    return read_bytes(path, offset, length, what)


def _whole_number(fields: dict[str, str], name: str, default: int, what: str) -> int:
    text = fields.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise ImportModelError(f"{what}: external data has {name} {text!r}; allowed: a whole number")
    return int(text)

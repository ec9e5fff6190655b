"""Weights that a user has encoded: the arrays of a format for layers of a float trace, in place of an encoder's.

Integers are taken bit for bit. Of codebooks that are floats, as a training leaves them, the elements become the format's integers with one
scale, the only thing that is rounded; a note of the trace tells by how much.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from lzma import LZMAError
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from accelsim.archives import open_archive
from accelsim.compression.encoder import SMALLEST
from accelsim.errors import FormatError, TraceError
from accelsim.formats.weight_format import CODEBOOK, WeightFormat
from accelsim.registry import suggest
from accelsim.tensor_header import check_header
from accelsim.wording import shown

Arrays = Mapping[str, npt.NDArray[Any]]
GivenArrays = Mapping[str, Arrays]  # layer -> stream of its format -> values
_SCALES = "scales"
_SHOWN = 5
_DAMAGED = (  # of NumPy, zipfile and safetensors on files that are none, not whole or (RuntimeError) encrypted: each becomes a TraceError
    OSError, ValueError, TypeError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error,
    SafetensorError, TokenError, LZMAError, RuntimeError,
)  # fmt: skip


@dataclass(frozen=True)
class Completed:
    """A layer's arrays as its format packs them; `error` is of a rounded codebook, over the root of its mean square."""

    arrays: dict[str, npt.NDArray[Any]]
    error: float | None = None


def read_arrays(path: Path) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The arrays of a '.npz' or '.safetensors' file, each named LAYER/STREAM ('blocks.0.fc1/indices').

    Raises
    ------
    TraceError
        No such file, a file of another kind, arrays that hold objects or exceed memory, or a name without a slash.
    """
    arrays = _by_name(path)
    found: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, array in arrays.items():
        layer, slash, stream = name.rpartition("/")
        if not slash or not layer or not stream:
            raise TraceError(f"{path}: an array is named {name!r:.80}; allowed: LAYER/STREAM, such as 'blocks.0.fc1/indices'")
        found.setdefault(layer, {})[stream] = array
    if not found:
        raise TraceError(f"{path}: holds no array; allowed: arrays named LAYER/STREAM")
    return found


def _by_name(path: Path) -> dict[str, npt.NDArray[Any]]:
    if path.suffix not in (".npz", ".safetensors"):
        raise TraceError(f"{path}: arrays of layers are read from a .npz or .safetensors file")
    try:
        if path.suffix == ".safetensors":
            check_header(path, TraceError)
            with safe_open(path, framework="numpy") as file:
                return {name: file.get_tensor(name) for name in sorted(file.keys())}
        with open_archive(path, TraceError) as archive:
            for entry in archive.infolist():
                _check_size(path, archive, entry)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in sorted(stored.files)}
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file") from None
    except MemoryError:
        raise TraceError(f"{path}: its arrays do not fit in memory") from None
    except _DAMAGED as error:
        reason = (str(error) or "damaged").splitlines()[0]
        raise TraceError(f"{path}: is not a complete {path.suffix} file of numbers: {reason}") from None


def _check_size(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """TraceError for an array whose header tells another size than its bytes have; NumPy would ask for its memory first."""
    with archive.open(entry) as file:
        major, _ = npy.read_magic(file)
        shape, _, dtype = npy.read_array_header_1_0(file) if major == 1 else npy.read_array_header_2_0(file)
        held = entry.file_size - file.tell()
    if dtype.hasobject:  # refused here, as NumPy asks for the number of elements first, and stops if that exceeds 64 bits
        raise TraceError(f"{path}: {entry.filename} holds Python objects ({dtype}); allowed: numbers")
    told = prod(shape) * dtype.itemsize
    if told != held:
        raise TraceError(f"{path}: {entry.filename} has {held:,} bytes, but its header tells {told:,} (shape {shown(shape)}, {dtype})")


def check_layers(given: GivenArrays, layers: Sequence[str]) -> None:
    """TraceError for arrays of a layer that the trace does not have."""
    for name in given:
        if name not in layers:
            raise TraceError(f"arrays are given for {name!r}, which is no layer with weights{suggest(name, layers)}")


def completed(spec: WeightFormat, arrays: Arrays, k: int, n: int) -> Completed:
    """The arrays of a K x N matrix, with a codebook of integers.

    Raises
    ------
    FormatError
        A codebook of floats that is not finite, or of a format without scales; scales that are no numbers.
    """
    own = {name: np.asarray(array) for name, array in arrays.items()}
    codebook = own.get(CODEBOOK)
    table = spec.streams(k, n)
    if codebook is None or codebook.dtype.kind != "f" or CODEBOOK not in table:
        return Completed(own)
    if _SCALES not in table:
        raise FormatError(f"{spec.kind} stream {CODEBOOK!r}: dtype {codebook.dtype} is not an integer type")
    if codebook.size == 0 or not np.isfinite(codebook).all():
        raise FormatError(f"{spec.kind} stream {CODEBOOK!r}: holds NaN, an infinity or nothing; allowed: finite numbers")
    values = codebook.astype(np.float64)
    top = (1 << table[CODEBOOK].bits - 1) - 1
    step = np.float32(max(float(np.abs(values).max()) / top, SMALLEST))
    levels = np.clip(np.rint(values / step), -top, top)
    scales = own.get(_SCALES, np.ones(table[_SCALES].shape, np.float32))
    if scales.dtype.kind not in "fiu":
        raise FormatError(f"{spec.kind} stream {_SCALES!r}: dtype {scales.dtype} is no type of numbers")
    scales = scales.astype(np.float32) * step
    power = float(np.square(values).mean())
    error = float(np.square(levels * float(step) - values).mean())
    return Completed({**own, CODEBOOK: levels.astype(np.int8), _SCALES: scales}, (error / power) ** 0.5 if power else 0.0)


def given_notes(given: GivenArrays, errors: Sequence[float], measured: bool) -> tuple[str, ...]:
    """Lines for the trace: the layers whose arrays were given, and what was rounded."""
    if not given:
        return ()
    listed = ", ".join(list(given)[:_SHOWN]) + (", ..." if len(given) > _SHOWN else "")
    beside = "" if measured else "; their errors are not measured, since the float weights are drawn from a seed"
    rounded = f"; float codebooks of {len(errors)} are rounded by up to {max(errors):.2%} of their root mean square" if errors else ""
    return (f"arrays of {len(given)} layers were given: {listed}{rounded}{beside}",)

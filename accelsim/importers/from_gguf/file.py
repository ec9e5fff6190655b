"""A GGUF file whose header is known to be sound: typed keys, and tensors as matrices and vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader
from gguf.constants import GGMLQuantizationType
from gguf.gguf_reader import ReaderField, ReaderTensor
from gguf.quants import dequantize, quantize

from accelsim.errors import ImportModelError
from accelsim.formats.catalog import parse_format
from accelsim.formats.float32 import Float32Format
from accelsim.formats.gguf_blocks import LAYOUTS
from accelsim.importers.from_gguf.header import check_header
from accelsim.importers.language_models.stored_tensors import Floats, StoredMatrix

_FLOATS = (GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.BF16)
RECIPE = GGMLQuantizationType.Q8_0  # of float matrices beside quantized ones


@dataclass(frozen=True)
class GgufFile:
    """Keys and tensors.

    Attributes
    ----------
    fields, tensors
        The package's records, by name.
    all_floats
        True if no matrix is quantized.
    """

    path: Path
    fields: Mapping[str, ReaderField]
    tensors: Mapping[str, ReaderTensor]
    all_floats: bool

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, a default if it is absent."""
        field = self.fields.get(key)
        try:
            return default if field is None else field.contents()
        except UnicodeDecodeError:
            raise ImportModelError(f"{self.path}: key {key!r} is not UTF-8 text") from None

    def shape(self, name: str) -> tuple[int, ...]:
        """Dimensions of a tensor, outermost first."""
        return tuple(int(size) for size in reversed(self.tensors[name].shape))

    def is_float(self, name: str) -> bool:
        """True for a tensor of floats."""
        return self.tensors[name].tensor_type in _FLOATS

    def vector(self, name: str) -> Floats:
        """A tensor of floats, one-dimensional."""
        if not self.is_float(name):
            raise self._refuse_type(name, [kind.name for kind in _FLOATS])
        values = self._values(name).reshape(-1)
        if not np.isfinite(values).all():
            place = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ImportModelError(f"{self.path}: tensor {name!r}: value {place} is {values[place]}; allowed: finite numbers")
        return values

    def matrix(self, name: str, first: int, stop: int) -> StoredMatrix:
        """Outputs `first` to `stop` of a tensor, in its own blocks; floats as they are, or by the recipe where others are quantized.

        Outputs of stacked matrices (of experts) are counted over all of them.

        Raises
        ------
        ImportModelError
            A type that has no format, or a scale that is not a finite number.
        """
        k, kind, where = self.shape(name)[-1], self.tensors[name].tensor_type, f"{self.path}: tensor {name!r}"
        if self.is_float(name):
            if self.all_floats:
                return StoredMatrix(
                    Float32Format(), k, stop - first, lambda: {"weights": np.ascontiguousarray(self._rows(name)[first:stop].T)}, where
                )
            kind, weights = RECIPE, LAYOUTS[RECIPE.name].weights
            if k % weights:
                raise ImportModelError(f"{where} has rows of {k} floats; allowed: multiples of {weights}, for {kind.name}")
        if kind.name not in LAYOUTS:
            raise self._refuse_type(name, [*(kind.name for kind in _FLOATS), *LAYOUTS])
        spec = parse_format(f"gguf:type={kind.name}")
        return StoredMatrix(spec, k, stop - first, lambda: {"blocks": self._blocks(name, first, stop)}, where)

    def _blocks(self, name: str, first: int, stop: int) -> npt.NDArray[np.uint8]:
        """(outputs, blocks, bytes) as stored; of floats, by the gguf package in blocks of the recipe."""
        tensor, kind = self.tensors[name], self.tensors[name].tensor_type
        if self.is_float(name):
            kind, rows = RECIPE, np.asarray(quantize(np.ascontiguousarray(self._rows(name)[first:stop]), RECIPE), np.uint8)
        else:
            rows = np.asarray(tensor.data).reshape(prod(self.shape(name)[:-1]), -1)[first:stop]
        return np.ascontiguousarray(rows).reshape(stop - first, -1, LAYOUTS[kind.name].bytes)

    def _rows(self, name: str) -> Floats:
        """(outputs, inputs) of finite floats."""
        values = self._values(name).reshape(-1, self.shape(name)[-1])
        if not np.isfinite(values).all():
            raise ImportModelError(f"{self.path}: tensor {name!r} holds NaN or an infinity; allowed: finite numbers")
        return values

    def _values(self, name: str) -> Floats:
        tensor = self.tensors[name]
        return np.asarray(dequantize(np.asarray(tensor.data), tensor.tensor_type), np.float32)

    def _refuse_type(self, name: str, allowed: list[str]) -> ImportModelError:
        found = self.tensors[name].tensor_type.name
        return ImportModelError(f"{self.path}: tensor {name!r} is of type {found}; allowed: {', '.join(allowed)}")


def open_gguf(path: Path) -> GgufFile:
    """Open a file.

    Raises
    ------
    ImportModelError
        No such file, or not a sound GGUF file.
    """
    if not path.is_file():
        raise ImportModelError(f"{path}: no such file")
    check_header(path)
    reader = GGUFReader(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    all_floats = all(tensor.tensor_type in _FLOATS for tensor in reader.tensors)
    return GgufFile(path, reader.fields, tensors, all_floats)

"""Checks of a GGUF header, before the gguf package reads it: that package believes every length and offset that a file states.

Layout: ggml/docs/gguf.md of llama.cpp. Each length is compared with the bytes present before anything is read or skipped, so a truncated
or lying file takes neither memory nor time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType

from accelsim.errors import ImportModelError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SIZES = {  # bytes of a value
    GGUFValueType.UINT8: 1, GGUFValueType.INT8: 1, GGUFValueType.BOOL: 1, GGUFValueType.UINT16: 2, GGUFValueType.INT16: 2,
    GGUFValueType.UINT32: 4, GGUFValueType.INT32: 4, GGUFValueType.FLOAT32: 4, GGUFValueType.UINT64: 8, GGUFValueType.INT64: 8,
    GGUFValueType.FLOAT64: 8,
}  # fmt: skip
_MOST_ENTRIES = 1 << 16  # keys, and tensors
_MOST_VALUES = 1 << 21  # of all arrays: the package makes objects of each
_LONGEST_NAME = 1 << 16
_MOST_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32
_ALIGNMENT = "general.alignment"


@dataclass(frozen=True)
class TensorPlace:
    """A tensor's type, dimensions (innermost first) and place in the data."""

    name: str
    kind: GGMLQuantizationType
    dims: tuple[int, ...]
    offset: int

    @property
    def bytes(self) -> int:
        """Bytes of its blocks."""
        weights, size = GGML_QUANT_SIZES[self.kind]
        return prod(self.dims) // weights * size


def check_header(path: Path) -> None:
    """Check every length, type and offset of a file.

    Raises
    ------
    ImportModelError
        Not a GGUF file of a known version, truncated, or a header whose values cannot be true.
    """
    try:
        with path.open("rb") as file:
            _Header(path, file, path.stat().st_size).check()
    except OSError as error:
        raise ImportModelError(f"{path}: cannot be read: {error.strerror}") from None


class _Header:
    """A cursor over a file, which never passes its end."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path, self._file, self._size = path, file, size
        self._place = self._values = 0

    def check(self) -> None:
        """Keys, then tensors, then the places of these."""
        if self._take(4, "the magic number") != _MAGIC:
            raise self._refuse("is not a GGUF file: it does not start with 'GGUF'")
        version = self._number(4, "the version")
        if version & 0xFFFF == 0:
            raise self._refuse("has big-endian numbers; allowed: little-endian files")
        if version not in _VERSIONS:
            raise self._refuse(f"has GGUF version {version}; allowed: {', '.join(map(str, _VERSIONS))}")
        tensors, keys = (self._number(8, f"the number of {what}") for what in ("tensors", "keys"))
        for count, what in ((tensors, "tensors"), (keys, "keys")):
            if count > _MOST_ENTRIES:
                raise self._refuse(f"states {count} {what}; allowed: at most {_MOST_ENTRIES}")
        alignment = self._keys(keys)
        places = list(self._tensors(tensors))
        self._check_places(places, -(-self._place // alignment) * alignment, alignment)

    def _keys(self, count: int) -> int:
        """Pass over the keys; the alignment that one of them may state."""
        seen: set[str] = set()
        alignment = _DEFAULT_ALIGNMENT
        for _ in range(count):
            name = self._name("a key", seen)
            kind = self._kind(name)
            if name == _ALIGNMENT:
                if kind is not GGUFValueType.UINT32:
                    raise self._refuse(f"key {name!r} is of type {kind.name}; allowed: UINT32")
                alignment = self._number(4, name)
                if alignment == 0 or alignment & alignment - 1:
                    raise self._refuse(f"key {name!r} has value {alignment}; allowed: a power of two")
            elif kind is GGUFValueType.ARRAY:
                self._array(name)
            else:
                self._skip(kind, 1, name)
        return alignment

    def _array(self, name: str) -> None:
        kind, count = self._kind(name), self._number(8, name)
        self._values += count
        if self._values > _MOST_VALUES:
            raise self._refuse(f"key {name!r} is an array of {count} values; allowed: {_MOST_VALUES} values in all arrays")
        if kind is GGUFValueType.ARRAY:
            raise self._refuse(f"key {name!r} is an array of arrays; allowed: arrays of numbers or of texts")
        self._skip(kind, count, name)

    def _skip(self, kind: GGUFValueType, count: int, what: str) -> None:
        if kind is not GGUFValueType.STRING:
            self._pass(_SIZES[kind] * count, what)
            return
        for _ in range(count):
            self._pass(self._number(8, what), what)

    def _tensors(self, count: int) -> Iterator[TensorPlace]:
        seen: set[str] = set()
        for _ in range(count):
            name = self._name("a tensor's name", seen)
            what = f"tensor {name!r}"
            rank = self._number(4, what)
            if not 1 <= rank <= _MOST_DIMENSIONS:
                raise self._refuse(f"{what} has {rank} dimensions; allowed: 1 to {_MOST_DIMENSIONS}")
            dims = tuple(self._number(8, what) for _ in range(rank))
            number = self._number(4, what)
            try:
                kind = GGMLQuantizationType(number)
            except ValueError:
                raise self._refuse(
                    f"{what} has the unknown type {number}; known: {', '.join(kind.name for kind in GGML_QUANT_SIZES)}"
                ) from None
            weights = GGML_QUANT_SIZES[kind][0]
            if prod(dims) == 0 or dims[0] % weights:
                raise self._refuse(f"{what} has the dimensions {dims}; allowed for {kind.name}: rows of a multiple of {weights} values")
            yield TensorPlace(name, kind, dims, self._number(8, what))

    def _check_places(self, places: list[TensorPlace], start: int, alignment: int) -> None:
        """Tensors lie within the file, aligned, and none overlap."""
        end, before = 0, ""
        for place in sorted(places, key=lambda place: place.offset):
            what = f"tensor {place.name!r}"
            if place.offset % alignment:
                raise self._refuse(f"{what} has the offset {place.offset}; allowed: multiples of {alignment}")
            if start + place.offset + place.bytes > self._size:
                raise self._refuse(
                    f"{what} has {place.bytes} bytes from {start + place.offset} on, but the file ends after {self._size} bytes"
                )
            if place.offset < end:
                raise self._refuse(f"{what} starts at offset {place.offset}, within {before!r}")
            end, before = place.offset + place.bytes, place.name

    def _name(self, what: str, seen: set[str]) -> str:
        """A text that names something, once."""
        length = self._number(8, what)
        if length > _LONGEST_NAME:
            raise self._refuse(f"{what} has {length} bytes; allowed: at most {_LONGEST_NAME}")
        try:
            name = self._take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise self._refuse(f"{what} at byte {self._place - length} is not UTF-8 text") from None
        if name in seen:
            raise self._refuse(f"{what}, {name!r}, is given twice")
        seen.add(name)
        return name

    def _kind(self, name: str) -> GGUFValueType:
        number = self._number(4, name)
        try:
            return GGUFValueType(number)
        except ValueError:
            raise self._refuse(f"key {name!r} is of the unknown type {number}; known: 0 to {max(GGUFValueType)}") from None

    def _number(self, size: int, what: str) -> int:
        return int.from_bytes(self._take(size, what), "little")

    def _take(self, size: int, what: str) -> bytes:
        self._advance(size, what)
        return self._file.read(size)

    def _pass(self, size: int, what: str) -> None:
        self._advance(size, what)
        self._file.seek(self._place)

    def _advance(self, size: int, what: str) -> None:
        if self._place + size > self._size:
            raise self._refuse(f"ends after {self._size} bytes, within {what}, which needs {size} bytes from {self._place} on")
        self._place += size

    def _refuse(self, message: str) -> ImportModelError:
        return ImportModelError(f"{self._path}: {message}")

"""The bits of a trace's weights: a memory-mapped safetensors file, or tensors held in memory.

Only one-dimensional uint8 tensors are read: a payload holds packed streams, nothing else, and never a pickle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from accelsim.errors import TraceError
from accelsim.tensor_header import check_header

Bytes = npt.NDArray[np.uint8]
_UNREADABLE = (SafetensorError, OSError, MemoryError)  # the last where a limit on memory leaves no room for the map or the copy


class Payload(Protocol):
    """Streams by tensor key."""

    def read(self, tensor: str) -> Bytes:
        """The stream of a key, uint8, 1-D; TraceError if it is absent."""

    def read_part(self, tensor: str, start: int, stop: int) -> Bytes:
        """Bytes `start` to `stop` of the stream of a key, fewer at its end; see `read` for errors."""

    def sizes(self) -> dict[str, int]:
        """Bytes of each tensor."""


@dataclass(frozen=True)
class MemoryPayload:
    """Streams held in memory: made by an encoder or regenerated from a seed."""

    tensors: Mapping[str, Bytes]

    def read(self, tensor: str) -> Bytes:
        """The stream of a key."""
        if tensor not in self.tensors:
            raise TraceError(f"the payload has no tensor {tensor!r}")
        return self.tensors[tensor]

    def read_part(self, tensor: str, start: int, stop: int) -> Bytes:
        """Bytes `start` to `stop` of a stream."""
        return self.read(tensor)[start:stop]

    def sizes(self) -> dict[str, int]:
        """Bytes of each tensor."""
        return {name: data.size for name, data in self.tensors.items()}


@dataclass(frozen=True)
class FilePayload:
    """Streams of a safetensors file, mapped when read: opening it costs its header only, and worker processes share its pages."""

    path: Path

    def read(self, tensor: str) -> Bytes:
        """The stream of a key, copied out of the map."""
        try:
            with safe_open(self.path, framework="numpy") as file:
                return cast(Bytes, file.get_tensor(tensor))
        except _UNREADABLE as error:
            raise TraceError(f"{self.path}: tensor {tensor!r} cannot be read: {error}") from None

    def read_part(self, tensor: str, start: int, stop: int) -> Bytes:
        """Bytes `start` to `stop` of a stream; the others are not read."""
        try:
            with safe_open(self.path, framework="numpy") as file:
                stream = file.get_slice(tensor)
                return cast(Bytes, stream[start : min(stop, stream.get_shape()[0])])
        except _UNREADABLE as error:
            raise TraceError(f"{self.path}: tensor {tensor!r} cannot be read: {error}") from None

    def sizes(self) -> dict[str, int]:
        """Bytes of each tensor, from the header."""
        found: dict[str, int] = {}
        try:
            check_header(self.path, TraceError)
            with safe_open(self.path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118  (safe_open is no mapping)
                    part = file.get_slice(name)
                    if part.get_dtype() != "U8" or len(part.get_shape()) != 1:
                        raise TraceError(
                            f"{self.path}: tensor {name!r} is {part.get_dtype()} of shape {part.get_shape()}; allowed: one-dimensional U8"
                        )
                    found[name] = part.get_shape()[0]
        except MemoryError as error:
            raise TraceError(f"{self.path}: cannot be mapped: {error}") from None
        except (SafetensorError, OSError) as error:
            raise TraceError(f"{self.path}: is not a whole safetensors file: {error}") from None
        return found


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, a block at a time; TraceError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror}") from None

"""Records of packed streams, and the checks that locate a corrupted bit.

A CRC-32 detects corruption; the bit locator, the XOR over (position + 1) of every set bit (a Hamming syndrome), tells where
a single flipped bit lies. Neither protects against malice: the payload's SHA-256 does.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, SerializeAsAny, StringConstraints, model_validator

from accelsim.errors import FormatError, TraceError
from accelsim.formats.catalog import format_from_mapping
from accelsim.formats.weight_format import WeightFormat
from accelsim.ops.shapes import MAX_ELEMENTS, Bound, ManifestRecord
from accelsim.quantities import unit

_CHUNK = 1 << 20  # bytes at a time that the bit locator works on
_PIECE = 16 * _CHUNK  # bytes at a time that are read
Bytes = npt.NDArray[np.uint8]
Read = Callable[[int, int], Bytes]


def _locator_tables() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each byte: the XOR of (bit + 1) over its bits 0..6, a mask of ones if these are odd in number, and a mask for bit 7."""
    low, odd, top = (np.zeros(256, dtype=np.int64) for _ in range(3))
    for value in range(256):
        for bit in range(7):
            if value >> bit & 1:
                low[value] ^= bit + 1
                odd[value] ^= -1
        top[value] = -(value >> 7)
    return low, odd, top


_LOW, _ODD, _TOP = _locator_tables()


def bit_locator(data: Bytes, first: int = 0) -> int:
    """XOR over (position + 1) of every set bit of `data`, the bytes from `first` on; bit j is bit j % 8 of byte j // 8.

    Position + 1 of bit b of byte i is 8i + b + 1: for b = 7 that is 8(i + 1), else the two parts do not overlap.
    """
    result = 0
    for start in range(0, data.size, _CHUNK):
        chunk = data[start : start + _CHUNK]
        base = 8 * np.arange(first + start, first + start + chunk.size, dtype=np.int64)
        terms = _LOW[chunk] ^ (base & _ODD[chunk]) ^ ((base + 8) & _TOP[chunk])
        result ^= int(np.bitwise_xor.reduce(terms))
    return result


class StreamRecord(ManifestRecord):
    """One packed stream of the payload.

    Attributes
    ----------
    tensor
        Key in the payload; layers that share a codebook name the same key.
    bits
        Useful bits; the stream is padded to a whole byte.
    crc32
        zlib's CRC-32 of the bytes.
    bit_locator
        XOR over (position + 1) of all set bits.
    """

    tensor: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    bits: Annotated[int, Field(ge=1, le=64 * MAX_ELEMENTS)]
    crc32: Annotated[int, Field(ge=0, lt=1 << 32), unit("checksum")]
    bit_locator: Annotated[int, Field(ge=0, lt=1 << 62), unit("checksum")]

    @property
    def bytes(self) -> int:
        """Bytes of the stream, padding included."""
        return -(-self.bits // 8)

    @classmethod
    def of(cls, tensor: str, bits: int, data: Bytes) -> StreamRecord:
        """The record of `data`, a stream of `bits` useful bits."""
        return cls(tensor=tensor, bits=bits, crc32=zlib.crc32(data.tobytes()), bit_locator=bit_locator(data))


def locate_corruption(record: StreamRecord, read: Read) -> int | Literal["several"] | None:
    """Locate corruption in a stream: None if intact, the position of a single flipped bit, or "several".

    Parameters
    ----------
    read
        Returns bytes `start` to `stop` of the stream, fewer at its end; called for 16 MiB at a time.
    """
    crc, size = 0, 0
    for _, piece in _pieces(record, read):
        crc, size = zlib.crc32(piece.tobytes(), crc), size + piece.size
    if size == record.bytes and crc == record.crc32:
        return None
    if size != record.bytes:
        return "several"
    found = record.bit_locator
    for start, piece in _pieces(record, read):
        found ^= bit_locator(piece, start)
    position, crc = found - 1, 0
    for start, piece in _pieces(record, read):
        place = position // 8 - start
        if 0 <= place < piece.size:
            piece = piece.copy()
            piece[place] ^= np.uint8(1 << position % 8)
        crc = zlib.crc32(piece.tobytes(), crc)
    return position if crc == record.crc32 else "several"


def _pieces(record: StreamRecord, read: Read) -> Iterator[tuple[int, Bytes]]:
    """The stream's chunks with their offsets; one byte past the end is requested and must be absent."""
    for start in range(0, record.bytes, _PIECE):
        stop = min(start + _PIECE, record.bytes)
        yield start, read(start, stop + (stop == record.bytes))


def _format_of(value: object) -> object:
    """A manifest's mapping as a format; anything else is left for pydantic to refuse."""
    return _one_of_equals(format_from_mapping(value)) if isinstance(value, dict) else value


@lru_cache(256)
def _one_of_equals(spec: WeightFormat) -> WeightFormat:
    """One object for all equal formats: layers are compared by their formats often, and an object equals itself at once."""
    return spec


class WeightRecord(ManifestRecord):
    """The weights of a layer: Wt[K,N] in GEMM orientation, in a format, as named streams.

    Groups of a grouped convolution lie side by side: N counts the outputs of all groups.

    Attributes
    ----------
    format
        Kind and parameters.
    k, n
        Reduction and outputs.
    streams
        By the names that the format gives; empty when the weights are only described by their seed.
    """

    format: Annotated[SerializeAsAny[WeightFormat], BeforeValidator(_format_of)]
    k: Annotated[Bound, unit("rows")]
    n: Annotated[Bound, unit("columns")]
    streams: dict[str, StreamRecord] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _streams_match_format(self) -> WeightRecord:
        if self.count > MAX_ELEMENTS:
            raise TraceError(f"a weight matrix of {self.k} x {self.n} is too large; allowed: at most {MAX_ELEMENTS} elements")
        table = self.format.streams(self.k, self.n)
        if not self.streams:
            return self
        if set(table) != set(self.streams):
            raise FormatError(f"format {self.format.kind!r} needs the streams {sorted(table)}; given: {sorted(self.streams)}")
        for name, stream in table.items():
            if self.streams[name].bits != stream.total_bits:
                raise FormatError(
                    f"stream {name!r} has {self.streams[name].bits} bits, but {self.format.kind!r} of {self.k} x {self.n} needs "
                    f"{stream.count} values of {stream.bits} bits = {stream.total_bits}"
                )
        return self

    @property
    def count(self) -> int:
        """Weights."""
        return self.k * self.n

    @property
    def axis(self) -> Literal[0, 1]:
        """0: codewords lie along N; 1: along K."""
        return self.format.decode_path().axis

    @property
    def bytes(self) -> int:
        """Bytes of the layer's own streams as the trace stores them, padding included."""
        return self.format.bit_count(self.k, self.n).stored // 8

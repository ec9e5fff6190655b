"""What every weight format has in common: named streams, packed to the bit, that unpack to the integers the array multiplies.

A matrix is Wt[K,N] in GEMM orientation: K is the reduction, N the outputs. A format states its streams as a table; packing,
unpacking, sizes and bit accounting follow from that table, so a new format writes the table, its checks and `dequantize`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field

from accelsim.errors import FormatError
from accelsim.formats.bits import Bytes, pack_bits, packed_bytes, unpack_bits
from accelsim.formats.decode_path import DecodePath
from accelsim.records import FrozenModel

Arrays = Mapping[str, npt.NDArray[Any]]
Streams = Mapping[str, npt.NDArray[np.uint8]]
ScaleGranularity = Annotated[Literal["tensor", "channel"], Field(description="one scale per matrix, or one per output channel")]


@dataclass(frozen=True)
class Stream:
    """One stream of a matrix: `shape` values of `bits` bits each.

    Attributes
    ----------
    shape
        Shape of the unpacked array, row-major in the stream.
    bits
        Bits of one value: 1..16 for integers, 32 for float32.
    number
        "unsigned", "signed" (two's complement) or "float" (IEEE 754 binary32, little-endian).
    in_paper_count
        Counted by papers as "bits a weight" (indices, signs, masks, raw weights); codebooks and scales are not.
    shared
        One copy serves every layer and network, and lies in the chip: no layer loads it, and no layer's bits contain it.
    """

    shape: tuple[int, ...]
    bits: int
    number: Literal["unsigned", "signed", "float"]
    in_paper_count: bool
    shared: bool = False

    @property
    def count(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def total_bits(self) -> int:
        """Useful bits."""
        return self.count * self.bits

    @property
    def bytes(self) -> int:
        """Bytes as stored: padded to a whole byte."""
        return packed_bytes(self.count, self.bits)


@dataclass(frozen=True)
class BitCount:
    """Bits of a matrix, counted twice; a shared codebook is in neither count.

    Attributes
    ----------
    paper
        Indices, signs, masks or raw weights: what papers count.
    stored
        Every stream of the layer's own, padded to whole bytes.
    padding
        Of `stored`, what only fills the last bytes.
    """

    paper: int
    stored: int
    padding: int


@dataclass(frozen=True)
class BitsPerWeight:
    """Bits a weight, counted twice: as papers do (indices, signs, masks), and with the layer's codebook, scales and byte padding."""

    paper: float
    total: float


class WeightFormat(FrozenModel, ABC):
    """Base of every format's SPEC: the parameters, and what they imply for a matrix of K x N weights."""

    model_config = ConfigDict(strict=True)

    kind: str
    codebook_scope: ClassVar[Literal["none", "layer", "shared"]] = "none"

    @abstractmethod
    def decode_path(self) -> DecodePath:
        """What the core does with a record of this format."""

    @abstractmethod
    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """The streams of a K x N matrix, in the order in which a reader would decode them.

        Raises
        ------
        FormatError
            The format cannot take a matrix of this shape.
        """

    @abstractmethod
    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """The weights as the array multiplies them, [K,N]: int8 (int16 above 8 bits); the scale stays apart."""

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Check what shape and width do not: ranges of indices, signs of codewords. FormatError when violated."""

    def codebook_bytes(self, k: int, n: int) -> int:
        """Bytes of the codebook that this layer loads; 0 without one, and for a shared one."""
        codebook = self.streams(k, n).get("codebook")
        return codebook.bytes if codebook and not codebook.shared else 0

    def bit_count(self, k: int, n: int) -> BitCount:
        """Bits of a K x N matrix, both ways."""
        own = [stream for stream in self.streams(k, n).values() if not stream.shared]
        stored = 8 * sum(stream.bytes for stream in own)
        paper = sum(stream.total_bits for stream in own if stream.in_paper_count)
        return BitCount(paper, stored, stored - sum(stream.total_bits for stream in own))

    def bits_per_weight(self, k: int, n: int) -> BitsPerWeight:
        """Bits a weight of a K x N matrix, both ways."""
        count = self.bit_count(k, n)
        return BitsPerWeight(count.paper / (k * n), count.stored / (k * n))

    def pack(self, arrays: Arrays, k: int, n: int) -> dict[str, npt.NDArray[np.uint8]]:
        """Pack each array into its stream.

        Raises
        ------
        FormatError
            An array is missing or superfluous, has another shape, or a value does not fit its bits.
        """
        table = self.streams(k, n)
        _same_names(self.kind, table, arrays)
        for name, stream in table.items():
            _check_array(f"{self.kind} stream {name!r}", stream, arrays[name])
        self._check_scales(arrays)
        self.validate_arrays(arrays, k, n)
        return {name: _pack_stream(stream, arrays[name]) for name, stream in table.items()}

    def unpack(self, streams: Streams, k: int, n: int) -> dict[str, npt.NDArray[Any]]:
        """Unpack and validate each stream (uint8, 1-D) into its array.

        Raises
        ------
        FormatError
            A stream is missing, superfluous, of the wrong length, or holds a value that the parameters do not allow.
        """
        table = self.streams(k, n)
        _same_names(self.kind, table, streams)
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, stream in table.items():
            try:
                arrays[name] = _unpack_stream(stream, streams[name])
            except FormatError as error:
                raise FormatError(f"{self.kind} stream {name!r}: {error}") from None
        self._check_scales(arrays)
        self.validate_arrays(arrays, k, n)
        return arrays

    def _check_scales(self, arrays: Arrays) -> None:
        scales = arrays.get("scales")
        if scales is not None and not bool(np.all(np.isfinite(scales.astype(np.float32)) & (scales.astype(np.float32) > 0))):
            raise FormatError(f"{self.kind} stream 'scales': holds a scale that is not a positive finite number")


def scale_stream(granularity: ScaleGranularity, n: int) -> Stream:
    """The `scales` stream: one float32 a tensor, or one an output channel."""
    return Stream(shape=(1,) if granularity == "tensor" else (n,), bits=32, number="float", in_paper_count=False)


def _same_names(kind: str, table: Mapping[str, Stream], given: Mapping[str, object]) -> None:
    if set(table) != set(given):
        raise FormatError(f"{kind} needs the streams {sorted(table)}, but these were given: {sorted(given)}")


def _check_array(what: str, stream: Stream, array: npt.NDArray[Any]) -> None:
    if array.shape != stream.shape:
        raise FormatError(f"{what}: shape {array.shape} does not match {stream.shape}")
    if stream.number == "float":
        return
    if array.dtype.kind not in "iu":
        raise FormatError(f"{what}: dtype {array.dtype} is not an integer type")
    low, high = (-(1 << stream.bits - 1), (1 << stream.bits - 1) - 1) if stream.number == "signed" else (0, (1 << stream.bits) - 1)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise FormatError(f"{what}: values must lie in {low}..{high} to fit {stream.bits} bits")


def _pack_stream(stream: Stream, array: npt.NDArray[Any]) -> Bytes:
    if stream.number == "float":
        return np.frombuffer(array.astype("<f4").tobytes(), dtype=np.uint8)
    return pack_bits(array, stream.bits)


def _unpack_stream(stream: Stream, data: Bytes) -> npt.NDArray[Any]:
    if data.dtype != np.uint8 or data.ndim != 1:
        raise FormatError(f"is {data.dtype} with {data.ndim} dimensions; allowed: one-dimensional uint8")
    if stream.number == "float":
        if data.size != stream.bytes:
            raise FormatError(f"holds {data.size} bytes, but {stream.count} float32 values take {stream.bytes}")
        return np.frombuffer(data.tobytes(), dtype="<f4").reshape(stream.shape)
    return unpack_bits(data, stream.count, stream.bits, signed=stream.number == "signed").reshape(stream.shape)

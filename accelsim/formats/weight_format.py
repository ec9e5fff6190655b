"""The base of every weight format: named streams, packed to the bit, that unpack to the integers the array multiplies.

A matrix is Wt[K,N] in GEMM orientation: K is the reduction, N the outputs. A format states its streams as a table; packing,
unpacking, sizes, bit accounting and the traffic of a simulated layer follow from that table, so a new format writes the table, its
checks and `dequantize`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
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
Place = Literal["record", "header", "requantization", "chip", "container", "decoder"]
_FLOAT_TYPES: Mapping[int, str] = {16: "<f2", 32: "<f4"}  # bits -> IEEE 754 binary16 or binary32, little-endian
_INTEGER_BITS = range(1, 17)
CODEBOOK = "codebook"  # the one stream of a header that the core computes with


@dataclass(frozen=True)
class Stream:
    """One stream of a matrix: `shape` values of `bits` bits each.

    Attributes
    ----------
    shape
        Shape of the unpacked array, row-major in the stream.
    bits
        Bits of one value: 1..16 for integers, 16 or 32 for floats.
    number
        "unsigned", "signed" (two's complement) or "float" (IEEE 754, little-endian).
    place
        Where the stream goes on the chip. "record": packed into the records of the tiles, as the decode path says (indices, signs,
        masks, raw weights). "header": loaded ahead of the records: once per layer (its codebook), or with the tiles of its groups
        (scales finer than an output channel, zero points). "requantization": folded into the requantization multipliers,
        which the chip loads at a width of its own (one scale per tensor, output channel or equal share of the channels). "chip": one copy
        serves every layer and network and is built into the chip; no layer loads it, and no layer's bits contain it. "container": a
        mixture of fields, which `WeightFormat.chip_streams` takes apart. "decoder": loaded ahead of the records of a layer, into tables of
        its decoder other than the codebook.
    in_paper_count
        Counted by papers as "bits per weight" (indices, signs, masks, raw weights); codebooks and scales are not.
    """

    shape: tuple[int, ...]
    bits: int
    number: Literal["unsigned", "signed", "float"]
    place: Place
    in_paper_count: bool

    def __post_init__(self) -> None:
        allowed = _FLOAT_TYPES if self.number == "float" else _INTEGER_BITS
        if self.bits not in allowed:
            raise FormatError(f"a {self.number} stream has {self.bits} bits per value; allowed: {', '.join(map(str, allowed))}")

    @property
    def count(self) -> int:
        """Number of values."""
        return prod(self.shape)

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
        Bits of `stored` that only fill the last bytes.
    """

    paper: int
    stored: int
    padding: int


@dataclass(frozen=True)
class BitsPerWeight:
    """Bits per weight, counted twice: as papers do (indices, signs, masks), and with the layer's codebook, scales and byte padding."""

    paper: float
    total: float


class WeightFormat(FrozenModel, ABC):
    """Base of every format's SPEC: the parameters, and their consequences for a matrix of K x N weights.

    Attributes
    ----------
    packed
        False: the floats of a model before compression, from which encoders start.
    suits_all_layers
        Compression without a pattern takes all layers; otherwise those of the blocks alone, the others at 8 bit.
    unwritten
        Fields that no text of a format writes.
    """

    packed: ClassVar[bool] = True
    suits_all_layers: ClassVar[bool] = False
    unwritten: ClassVar[frozenset[str]] = frozenset({"kind"})

    model_config = ConfigDict(strict=True)

    kind: str

    @abstractmethod
    def decode_path(self) -> DecodePath:
        """The core's path for a record of this format."""

    @property
    def quantizer(self) -> WeightFormat:
        """The format of fixed width whose values these are: itself, unless it codes another's."""
        return self

    def fitted(self, arrays: Arrays, k: int, n: int) -> WeightFormat:
        """The format of these values: itself, unless the lengths of its streams follow from values."""
        return self

    def scaled_to(self, k: int, n: int) -> WeightFormat:
        """The format of a K x N part of the matrix: itself, unless the lengths of its streams follow from values."""
        return self

    def code_bits(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.int64]:
        """Bits of the code of each symbol, in the shape of the stream that is coded; FormatError without an entropy code."""
        raise FormatError(f"{self.kind}: no stream has an entropy code")

    @property
    def codebook_scope(self) -> Literal["none", "layer", "shared"]:
        """The owner of the codebook: a layer, or the chip for all layers and networks; "none" without lookups."""
        lookup = self.decode_path().lookup
        return "none" if lookup is None else lookup.scope

    @property
    def built_in_codebook(self) -> str:
        """Name of the codebook that the format itself defines, the same for every network; "" where codewords come with the weights."""
        return ""

    @property
    def element_values(self) -> tuple[int, ...] | None:
        """The integers that elements of the format's own codebook take, ascending; None: any of `Lookup.element_bits`, or no codebook."""
        return None

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
        """The weights as the array multiplies them, [K,N]: int8 (int16 above 8 bits); without scales and minima, and less zero points.

        The part that a path leaves to the sums of groups (`Raw.less`) is in them.
        """

    def reconstruct(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.float64]:
        """The weights that the arrays stand for, [K,N]: by default integers times `scales` of the tensor or of each channel."""
        return self.dequantize(arrays, k, n).astype(np.float64) * self.column_scales(arrays, n)

    def column_scales(self, arrays: Arrays, n: int) -> npt.NDArray[np.float64]:
        """Factors on the integers of each column, (n,), or of all, (1,): `scales`, where a format has them, else 1."""
        return arrays["scales"].astype(np.float64).reshape(-1) if "scales" in arrays else np.ones(1)

    def chip_streams(self, k: int, n: int) -> dict[str, Stream]:
        """The streams as the chip loads them: those that are stored, unless these mix fields that go to different places."""
        return self.streams(k, n)

    def chip_arrays(self, arrays: Arrays, k: int, n: int) -> dict[str, npt.NDArray[Any]]:
        """The values of `chip_streams`."""
        return dict(arrays)

    def first_weight(self, name: str, position: int, k: int, n: int) -> tuple[int, int] | None:
        """(row, column) of the first weight that bit `position` of a stream takes part in; None: every weight may depend on it."""
        stream, path = self.streams(k, n)[name], self.decode_path()
        value = position // stream.bits
        if name == CODEBOOK:
            tables = path.lookup.tables if path.lookup else 1
            return None if tables == 1 else (0, value * tables // stream.count * (n // tables))
        if len(stream.shape) == 1:
            return None if stream.count == 1 else (0, value * n // stream.count)
        row, column = divmod(value // prod(stream.shape[2:]), stream.shape[1])
        over = next((part.over for part in path.group_parts if part.stream == name), None)
        return row * (over if isinstance(over, int) else k // stream.shape[0]), column * n // stream.shape[1]

    @property
    def scaled_bits(self) -> int | None:
        """Bits of a weight times its integer scales, in two's complement; None without integer scales of groups."""
        return None

    @property
    def k_step(self) -> int:
        """Weights along the reduction that are stored together, of which K is a multiple."""
        path = self.decode_path()
        return path.d if path.axis == 1 else 1

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Check the values beyond shape and width: ranges of indices, signs of codewords. FormatError when violated."""

    def placed(self, place: Place, k: int, n: int) -> dict[str, Stream]:
        """The streams of a K x N matrix that go to `place`.

        Raises
        ------
        FormatError
            The format cannot take this shape; its records are not those of its decode path; or the outputs cannot share the values of
            a stream for the requantization equally.
        """
        found = {name: stream for name, stream in self.chip_streams(k, n).items() if stream.place == place}
        if place == "record":
            bits, read = {name: stream.total_bits for name, stream in found.items()}, self.decode_path().stream_bits(k * n)
            if bits != read:
                raise FormatError(f"{self.kind}: its records of a {k} x {n} matrix have the bits {bits}, but its decode path reads {read}")
        for name, stream in found.items():
            if place == "requantization" and n % stream.count:
                raise FormatError(
                    f"{self.kind} stream {name!r}: {stream.count} values do not fold into the requantization of {n} outputs; "
                    f"allowed: a divisor of {n} values, or the place 'header'"
                )
        return found

    def side_data(self, k: int, n: int) -> dict[str, Stream]:
        """The streams of the header beside the codebook, such as group scales: loaded, but not multiplied by the array."""
        return {name: stream for name, stream in self.placed("header", k, n).items() if name != CODEBOOK}

    def bit_count(self, k: int, n: int) -> BitCount:
        """Bits of a K x N matrix, both ways."""
        own = [stream for stream in self.streams(k, n).values() if stream.place != "chip"]
        stored = 8 * sum(stream.bytes for stream in own)
        paper = sum(stream.total_bits for stream in own if stream.in_paper_count)
        return BitCount(paper, stored, stored - sum(stream.total_bits for stream in own))

    def bits_per_weight(self, k: int, n: int) -> BitsPerWeight:
        """Bits per weight of a K x N matrix, both ways."""
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
        same_names(self.kind, table, arrays)
        stored = {name: _as_stored(f"{self.kind} stream {name!r}", stream, arrays[name]) for name, stream in table.items()}
        self.check_arrays(stored, k, n)
        return {name: write_stream(stream, stored[name]) for name, stream in table.items()}

    def unpack(self, streams: Streams, k: int, n: int) -> dict[str, npt.NDArray[Any]]:
        """Unpack and validate each stream (uint8, 1-D) into its array.

        Raises
        ------
        FormatError
            A stream is missing, superfluous, of the wrong length, or holds a value that the parameters do not allow.
        """
        table = self.streams(k, n)
        same_names(self.kind, table, streams)
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, stream in table.items():
            try:
                arrays[name] = read_stream(stream, streams[name])
            except FormatError as error:
                raise FormatError(f"{self.kind} stream {name!r}: {error}") from None
        self.check_arrays(arrays, k, n)
        return arrays

    def check_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """Check the scales, and `validate_arrays`; FormatError when violated."""
        self._check_scales(arrays)
        self.validate_arrays(arrays, k, n)

    def _check_scales(self, arrays: Arrays) -> None:
        if "scales" not in arrays:
            return
        scales = arrays["scales"].astype(np.float32)
        wrong = np.argwhere(~(np.isfinite(scales) & (scales > 0)))
        if wrong.size:
            place = tuple(int(index) for index in wrong[0])
            raise FormatError(
                f"{self.kind} stream 'scales': holds a scale that is not a positive finite number: {scales[place]:g} at {list(place)}"
            )


def built_in_entries(formats: Iterable[WeightFormat]) -> dict[str, int]:
    """Codebooks that formats define, each once -> codewords."""
    return {item.built_in_codebook: item.decode_path().entries for item in formats if item.built_in_codebook}


def scale_stream(granularity: ScaleGranularity, n: int) -> Stream:
    """The `scales` stream: one float32 per tensor, or one per output channel."""
    shape = (1,) if granularity == "tensor" else (n,)
    return Stream(shape=shape, bits=32, number="float", place="requantization", in_paper_count=False)


def same_names(kind: str, table: Mapping[str, Stream], given: Mapping[str, object]) -> None:
    """FormatError unless a table's streams are those that are given."""
    if set(table) != set(given):
        raise FormatError(f"{kind} needs the streams {sorted(table)}, but these were given: {sorted(given)}")


def _as_stored(what: str, stream: Stream, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values as the stream holds them: floats rounded to its width. FormatError if the shape or a value does not fit."""
    if array.shape != stream.shape:
        raise FormatError(f"{what}: shape {array.shape} does not match {stream.shape}")
    if stream.number == "float":
        return _rounded(what, stream, array)
    if array.dtype.kind not in "iu":
        raise FormatError(f"{what}: dtype {array.dtype} is not an integer type")
    low, high = (-(1 << stream.bits - 1), (1 << stream.bits - 1) - 1) if stream.number == "signed" else (0, (1 << stream.bits) - 1)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        raise FormatError(f"{what}: values must lie in {low}..{high} to fit {stream.bits} bits")
    return array


def _rounded(what: str, stream: Stream, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Floats of the stream's width; FormatError for another type, or a finite value beyond its range."""
    if array.dtype.kind not in "fiu":
        raise FormatError(f"{what}: dtype {array.dtype} is no type of numbers")
    with np.errstate(over="ignore"):  # a value out of range becomes infinite, and is refused below
        stored = array.astype(_FLOAT_TYPES[stream.bits], copy=False)
    if not np.array_equal(np.isfinite(array), np.isfinite(stored)):
        largest = np.finfo(stored.dtype).max
        raise FormatError(f"{what}: a value does not fit a float of {stream.bits} bits; allowed: magnitudes of at most {largest:g}")
    return stored


def write_stream(stream: Stream, array: npt.NDArray[Any]) -> Bytes:
    """Values that fit a stream, packed."""
    if stream.number == "float":
        return np.frombuffer(array.tobytes(), dtype=np.uint8)
    return pack_bits(array, stream.bits)


def read_stream(stream: Stream, data: Bytes) -> npt.NDArray[Any]:
    """The values of a packed stream; FormatError for another length, type or padding."""
    if data.dtype != np.uint8 or data.ndim != 1:
        raise FormatError(f"is {data.dtype} with {data.ndim} dimensions; allowed: one-dimensional uint8")
    if stream.number == "float":
        if data.size != stream.bytes:
            raise FormatError(f"holds {data.size} bytes, but {stream.count} float{stream.bits} values take {stream.bytes}")
        return np.frombuffer(data.tobytes(), dtype=_FLOAT_TYPES[stream.bits]).reshape(stream.shape)
    return unpack_bits(data, stream.count, stream.bits, signed=stream.number == "signed").reshape(stream.shape)

"""Base of entropy-coded formats: another format whose indices, or raw weights, are symbols of a code of variable length.

A chip's image holds the same codes tile by tile, each K-tile from an offset of 32 bits in a table that is loaded with the layer. Disputable
assumptions: each decode cycle takes an equal share of the layer's code bits, since the decoder's input buffer evens out longer and shorter
codes; and a decoder of several symbols per cycle reads as many interleaved streams. Until values fix the lengths of the codes (`fitted`),
symbols have their fixed width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from accelsim.errors import FormatError
from accelsim.formats.catalog import format_from_mapping
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.entropy_code import EntropyCode
from accelsim.formats.weight_format import Arrays, Stream, Streams, WeightFormat, read_stream, same_names, write_stream
from accelsim.quantities import unit

Symbols = npt.NDArray[np.uint16]
MOST_BITS = 12  # of a symbol
_MOST = (1 << 63) - 1


def _format_of(value: object) -> object:
    return format_from_mapping(value) if isinstance(value, Mapping) else value


class EntropyCodedFormat(WeightFormat):
    """Streams: those of the format inside, its indices or raw weights as one stream of codes, and the table of the code."""

    code: ClassVar[Literal["huffman", "rice"]]
    unwritten: ClassVar[frozenset[str]] = frozenset({"kind", "inside", "symbols", "coded_bits"})

    inside: Annotated[SerializeAsAny[WeightFormat], BeforeValidator(_format_of), Field(description="format inside")]
    symbols: Annotated[int | None, Field(ge=1, le=_MOST, description="coded symbols of the matrix"), unit("symbols")] = None
    coded_bits: Annotated[int | None, Field(ge=1, le=_MOST, description="bits of their codes; null: not coded yet"), unit("bits")] = None

    @model_validator(mode="after")
    def _can_be_coded(self) -> EntropyCodedFormat:
        inside, path = self.inside, self.inside.decode_path()
        if inside.quantizer is not inside:
            raise ValueError(f"{inside.kind!r} is entropy-coded itself; allowed: a format of fixed width")
        if not inside.packed or (path.raw is not None and path.raw.bits != self._symbol_bits) or self._symbol_bits > MOST_BITS:
            width = path.index_bits if path.raw is None else path.raw.bits
            raise ValueError(f"{inside.kind!r} has symbols of {width} bits; allowed: whole bits, at most {MOST_BITS}")
        if (self.symbols is None) != (self.coded_bits is None):
            raise ValueError("symbols and coded_bits come together; allowed: both or neither")
        return self

    @property
    def quantizer(self) -> WeightFormat:
        """The format inside."""
        return self.inside

    @property
    def built_in_codebook(self) -> str:
        """That of the format inside."""
        return self.inside.built_in_codebook

    @property
    def element_values(self) -> tuple[int, ...] | None:
        """Those of the format inside."""
        return self.inside.element_values

    @property
    def _symbol_bits(self) -> int:
        path = self.inside.decode_path()
        return path.index_bits if path.raw is None else int(path.raw.bits)

    @property
    def _alphabet(self) -> int:
        path = self.inside.decode_path()
        return path.codewords if path.raw is None else 1 << self._symbol_bits

    @property
    def _stream(self) -> str:
        """The stream that is coded."""
        return "indices" if self.inside.decode_path().raw is None else "weights"

    def decode_path(self) -> DecodePath:
        """An entropy decoder ahead of the format's own path."""
        path = self.inside.decode_path()
        mean = None if self.coded_bits is None or self.symbols is None else Fraction(self.coded_bits, self.symbols)
        part = EntropyCode(self.code, self._stream, self._symbol_bits, self._alphabet, mean)
        return DecodePath((part, *path.parts), path.axis)

    def streams(self, k: int, n: int) -> dict[str, Stream]:
        """The format's own, of which one holds codes; FormatError where another matrix was coded, or the format keeps no such stream."""
        table = self.inside.streams(k, n)
        plain = table.get(self._stream)
        if plain is None:
            raise FormatError(f"{self.kind}: {self.inside.kind!r} keeps no stream {self._stream!r} of its own; allowed: formats that do")
        if self.coded_bits is None:
            return table
        if plain.count != self.symbols:
            raise FormatError(f"{self.kind}: symbols = {self.symbols}, but a {k} x {n} matrix of {self.inside.kind!r} has {plain.count}")
        codes = Stream(shape=(self.coded_bits,), bits=1, number="unsigned", place=plain.place, in_paper_count=plain.in_paper_count)
        return {**table, self._stream: codes, **self.code_streams()}

    @abstractmethod
    def code_streams(self) -> dict[str, Stream]:
        """The tables of the code that a decoder needs."""

    @abstractmethod
    def choose(self, symbols: Symbols) -> tuple[dict[str, npt.NDArray[Any]], int]:
        """(values of `code_streams` of the shortest code, bits of all codes)."""

    @abstractmethod
    def encode(self, symbols: Symbols, code: Arrays, bits: int) -> npt.NDArray[np.uint8]:
        """The codes of symbols as a stream of `bits` bits."""

    @abstractmethod
    def decode(self, data: npt.NDArray[np.uint8], code: Arrays, bits: int, count: int) -> Symbols:
        """The symbols of a stream of `bits` bits; FormatError where codes end elsewhere or there is no such code."""

    @abstractmethod
    def lengths(self, symbols: Symbols, code: Arrays) -> npt.NDArray[np.int64]:
        """Bits of the code of each symbol."""

    def code_bits(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.int64]:
        """See `WeightFormat.code_bits`."""
        symbols = self._symbols(arrays, k, n)
        return self.lengths(symbols, self.choose(symbols)[0]).reshape(self.inside.streams(k, n)[self._stream].shape)

    def fitted(self, arrays: Arrays, k: int, n: int) -> EntropyCodedFormat:
        """The format with the lengths that the codes of these values have."""
        symbols = self._symbols(arrays, k, n)
        return self._with_lengths(symbols.size, self.choose(symbols)[1])

    def scaled_to(self, k: int, n: int) -> EntropyCodedFormat:
        """The format of a K x N matrix whose symbols take as many bits on average, rounded up: the lengths are an estimate."""
        if self.coded_bits is None or self.symbols is None:
            return self
        count = self.inside.streams(k, n)[self._stream].count
        return self._with_lengths(count, -(-self.coded_bits * count // self.symbols))

    def _with_lengths(self, symbols: int, coded_bits: int) -> EntropyCodedFormat:
        return self.model_copy(update={"symbols": symbols, "coded_bits": coded_bits})

    def evenly_used(self, k: int, n: int) -> EntropyCodedFormat:
        """The format of a K x N matrix in which all symbols occur equally often."""
        count = self.inside.streams(k, n)[self._stream].count
        symbols = (np.arange(max(count, 1)) % self._alphabet).astype(np.uint16)
        return self._with_lengths(count, self.choose(symbols)[1])

    def pack(self, arrays: Arrays, k: int, n: int) -> dict[str, npt.NDArray[np.uint8]]:
        """See `WeightFormat.pack`; FormatError also for values whose codes have another length than the format was fitted to."""
        packed = self.inside.pack(arrays, k, n)
        if self.coded_bits is None:
            return packed
        table, symbols = self.streams(k, n), self._symbols(arrays, k, n)
        code, bits = self.choose(symbols)
        if bits != self.coded_bits:
            raise FormatError(f"{self.kind} stream {self._stream!r}: these values take {bits} bits; coded_bits is {self.coded_bits}")
        tables = {name: write_stream(table[name], values) for name, values in code.items()}
        return {**packed, self._stream: self.encode(symbols, code, bits), **tables}

    def unpack(self, streams: Streams, k: int, n: int) -> dict[str, npt.NDArray[Any]]:
        """See `WeightFormat.unpack`: arrays of the format inside."""
        if self.coded_bits is None:
            return self.inside.unpack(streams, k, n)
        table, plain = self.streams(k, n), self.inside.streams(k, n)
        same_names(self.kind, table, streams)
        found: dict[str, npt.NDArray[Any]] = {}
        name = ""
        try:
            for name in (name for name in table if name != self._stream):
                found[name] = read_stream(table[name], streams[name])
            name, data = self._stream, streams[self._stream]
            if data.size != table[name].bytes:
                raise FormatError(f"holds {data.size} bytes, but codes of {self.coded_bits} bits take {table[name].bytes}")
            symbols = self.decode(data, found, self.coded_bits, plain[name].count)
        except FormatError as error:
            raise FormatError(f"{self.kind} stream {name!r}: {error}") from None
        found[name] = self._values(symbols, plain[name]).reshape(plain[name].shape)
        arrays = {key: found[key] for key in plain}
        self.inside.check_arrays(arrays, k, n)
        return arrays

    def _symbols(self, arrays: Arrays, k: int, n: int) -> Symbols:
        """The values of the coded stream, in its order, as the code numbers them."""
        stream = self.inside.streams(k, n)[self._stream]
        values = arrays[self._stream].reshape(-1)
        return self.numbered(values, stream) if stream.number == "signed" else values.astype(np.uint16)

    def _values(self, symbols: Symbols, stream: Stream) -> npt.NDArray[Any]:
        narrow = 8 if stream.bits <= 8 else 16
        return self.valued(symbols, stream).astype(f"i{narrow // 8}") if stream.number == "signed" else symbols.astype(f"u{narrow // 8}")

    def numbered(self, values: npt.NDArray[Any], stream: Stream) -> Symbols:
        """Symbols of signed values: by default the low bits in two's complement."""
        return values.astype(np.uint16) & np.uint16((1 << stream.bits) - 1)

    def valued(self, symbols: Symbols, stream: Stream) -> npt.NDArray[np.int16]:
        """The inverse of `numbered`."""
        shift = 16 - stream.bits
        return (symbols << shift).view(np.int16) >> shift

    def validate_arrays(self, arrays: Arrays, k: int, n: int) -> None:
        """As the format inside."""
        self.inside.validate_arrays(arrays, k, n)

    def dequantize(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[Any]:
        """As the format inside."""
        return self.inside.dequantize(arrays, k, n)

    def reconstruct(self, arrays: Arrays, k: int, n: int) -> npt.NDArray[np.float64]:
        """As the format inside."""
        return self.inside.reconstruct(arrays, k, n)

    def column_scales(self, arrays: Arrays, n: int) -> npt.NDArray[np.float64]:
        """As the format inside."""
        return self.inside.column_scales(arrays, n)

    @property
    def scaled_bits(self) -> int | None:
        """As the format inside."""
        return self.inside.scaled_bits

    @property
    def k_step(self) -> int:
        """As the format inside."""
        return self.inside.k_step

    def first_weight(self, name: str, position: int, k: int, n: int) -> tuple[int, int] | None:
        """As the format inside; a flipped bit of a code may shift all codes behind it, and one of the code's table changes all."""
        own = self.coded_bits is None or (name != self._stream and name in self.inside.streams(k, n))
        return self.inside.first_weight(name, position, k, n) if own else None


def check_end(data: npt.NDArray[np.uint8], bits: int) -> None:
    """FormatError unless the bits behind the last code are zero."""
    if bits % 8 and int(data[-1]) >> bits % 8:
        raise FormatError(f"the last {-bits % 8} padding bits are not zero")

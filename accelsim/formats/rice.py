"""Golomb-Rice-coded indices or raw weights of another format, as `rice-uniform:bits=8`: the code of Arm's weight streams (Ethos-U).

The quotient by 2^r in ones, a zero, r bits of the remainder; r is chosen for each matrix. Signed weights are numbered 0, -1, 1, -2, ...
Disputable assumption: indices keep the numbers of their codewords, which no encoder here sorts by use.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.entropy_coded import EntropyCodedFormat, Symbols, check_end
from accelsim.formats.weight_format import Arrays, Stream
from accelsim.kernels.decode import stream_words
from accelsim.kernels.entropy_codes import read_rice_codes, write_rice_codes

KIND = "rice"
EXAMPLES = ("rice-uniform:bits=8", "rice-int_group:bits=4,group=32", "rice-vq:k=16,d=8")
_PARAMETER = "rice_parameter"
_NEAR = 12  # bits of a table that a cache holds


class RiceFormat(EntropyCodedFormat):
    """Streams: those of the format inside, coded; rice_parameter [1] of 4 bits."""

    code: ClassVar[Literal["huffman", "rice"]] = "rice"

    kind: Literal["rice"] = "rice"

    def code_streams(self) -> dict[str, Stream]:
        """Bits of the remainder."""
        return {_PARAMETER: Stream(shape=(1,), bits=4, number="unsigned", place="decoder", in_paper_count=False)}

    def choose(self, symbols: Symbols) -> tuple[dict[str, npt.NDArray[Any]], int]:
        """The parameter with the fewest bits; of equal ones the smallest."""
        counts = np.bincount(symbols, minlength=1)
        values = np.arange(counts.size)
        sizes = [int(counts @ ((values >> low) + 1 + low)) for low in range(self._symbol_bits + 1)]
        low = int(np.argmin(sizes))
        return {_PARAMETER: np.array([low], np.uint8)}, sizes[low]

    def lengths(self, symbols: Symbols, code: Arrays) -> npt.NDArray[np.int64]:
        """The quotient in ones, a zero, and the remainder."""
        low = int(code[_PARAMETER][0])
        return (symbols.astype(np.int64) >> low) + 1 + low

    def encode(self, symbols: Symbols, code: Arrays, bits: int) -> npt.NDArray[np.uint8]:
        """Code after code."""
        words = np.zeros(bits // 64 + 2, np.uint64)
        write_rice_codes(symbols, int(code[_PARAMETER][0]), words)
        return words.view(np.uint8)[: -(-bits // 8)]

    def decode(self, data: npt.NDArray[np.uint8], code: Arrays, bits: int, count: int) -> Symbols:
        """Code after code."""
        symbols, low = np.empty(count, np.uint16), int(code[_PARAMETER][0])
        check_end(data, bits)
        read = read_rice_codes(stream_words(data), bits, low, _short_codes(low), symbols)
        if read != bits or (symbols.size and int(symbols.max()) >> self._symbol_bits):
            raise FormatError(f"its codes do not end at bit {bits}, or exceed {self._symbol_bits} bits")
        return symbols

    def numbered(self, values: npt.NDArray[Any], stream: Stream) -> Symbols:
        """0, -1, 1, -2, ... are 0, 1, 2, 3, ..."""
        wide = values.astype(np.int32)
        return np.where(wide < 0, -2 * wide - 1, 2 * wide).astype(np.uint16)

    def valued(self, symbols: Symbols, stream: Stream) -> npt.NDArray[np.int16]:
        """The inverse of `numbered`."""
        return (symbols >> 1).view(np.int16) ^ -(symbols & 1).view(np.int16)


def _short_codes(low: int) -> npt.NDArray[np.uint32]:
    """By the next bits: 65536 times the value and the length of its code; 0 where the code is longer."""
    ahead = np.arange(1 << _NEAR, dtype=np.int64)
    quotients = np.zeros(ahead.size, np.int64)
    for ones in range(1, _NEAR + 1):
        quotients[ahead & ((1 << ones) - 1) == (1 << ones) - 1] = ones
    lengths = quotients + 1 + low
    values = quotients << low | ahead >> quotients + 1 & ((1 << low) - 1)
    return np.where(lengths <= _NEAR, values << 16 | lengths, 0).astype(np.uint32)


SPEC = RiceFormat

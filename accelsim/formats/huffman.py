"""Huffman-coded indices or raw weights of another format, as `huffman-ssvq:k=16,d=8` (Deep Compression, arXiv 1510.00149, section 4).

One canonical code per matrix, stored as the length of each symbol's code (4 bits, 0: not used), codes of at most 15 bits.
Disputable assumption: one code serves all inputs and outputs of a matrix, and all codebooks of an additive format.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError
from accelsim.formats.entropy_coded import EntropyCodedFormat, Symbols, check_end
from accelsim.formats.weight_format import Arrays, Stream
from accelsim.kernels.decode import stream_words
from accelsim.kernels.entropy_codes import read_prefix_codes, write_prefix_codes

KIND = "huffman"
EXAMPLES = (
    "huffman-ssvq:k=16,d=8",
    "huffman-uniform:bits=4",
    "huffman-palette:bits=4,tables=8",
    "huffman-int_group:bits=4,group=32,zero=1",
)
LONGEST = 15
_NEAR = 11  # bits of a table that a cache holds
_LENGTHS = "code_lengths"


class HuffmanFormat(EntropyCodedFormat):
    """Streams: those of the format inside, coded; code_lengths [alphabet] of 4 bits."""

    code: ClassVar[Literal["huffman", "rice"]] = "huffman"

    kind: Literal["huffman"] = "huffman"

    def code_streams(self) -> dict[str, Stream]:
        """The length of each symbol's code."""
        return {_LENGTHS: Stream(shape=(self._alphabet,), bits=4, number="unsigned", place="decoder", in_paper_count=False)}

    def choose(self, symbols: Symbols) -> tuple[dict[str, npt.NDArray[Any]], int]:
        """Lengths by Huffman's algorithm."""
        counts = np.bincount(symbols, minlength=self._alphabet)
        lengths = code_lengths(counts)
        return {_LENGTHS: lengths}, int(counts @ lengths)

    def lengths(self, symbols: Symbols, code: Arrays) -> npt.NDArray[np.int64]:
        """Those of the table."""
        return code[_LENGTHS].astype(np.int64).take(symbols)

    def encode(self, symbols: Symbols, code: Arrays, bits: int) -> npt.NDArray[np.uint8]:
        """Code after code, the first bit of each lowest."""
        lengths = code[_LENGTHS].astype(np.uint64)
        words = np.zeros(bits // 64 + 2, np.uint64)
        write_prefix_codes(symbols, _mirrored(lengths), lengths, words)
        return words.view(np.uint8)[: -(-bits // 8)]

    def decode(self, data: npt.NDArray[np.uint8], code: Arrays, bits: int, count: int) -> Symbols:
        """By a table over the next bits."""
        lengths = code[_LENGTHS].astype(np.int64)
        used = lengths[lengths > 0]
        kraft = int((1 << LONGEST - used).sum())
        if kraft != 1 << LONGEST and not (used.size == 1 and used[0] == 1):
            raise FormatError("its code lengths are no complete prefix code")
        longest = int(used.max())
        table = np.zeros(1 << longest, np.uint32)
        codes = _mirrored(lengths.astype(np.uint64)).astype(np.int64)
        for symbol in np.flatnonzero(lengths).tolist():
            table[codes[symbol] :: 1 << lengths[symbol]] = symbol << 4 | lengths[symbol]
        if used.size == 1:
            table[1] = table[0]
        near = table[: 1 << min(longest, _NEAR)].copy()
        near[near & 15 > _NEAR] = 0
        symbols = np.empty(count, np.uint16)
        check_end(data, bits)
        read = read_prefix_codes(stream_words(data), bits, near, table, symbols)
        if read != bits:
            raise FormatError(f"its codes do not end at bit {bits}")
        return symbols


def code_lengths(counts: npt.NDArray[np.int64], longest: int = LONGEST) -> npt.NDArray[np.uint8]:
    """Bits of the code of each symbol in the shortest code of at most `longest` bits; 0 for symbols that do not occur, 1 for one alone."""
    lengths = _huffman(counts)
    return (lengths if int(lengths.max(initial=0)) <= longest else _limited(counts, longest)).astype(np.uint8)


def _limited(counts: npt.NDArray[np.int64], longest: int) -> npt.NDArray[np.int64]:
    """Package-merge (Larmore and Hirschberg, JACM 37(3), 1990): a symbol's length is how often it is among the cheapest packages."""
    coins = sorted((int(counts[symbol]), [symbol]) for symbol in np.flatnonzero(counts).tolist())
    packages = coins
    for _ in range(longest - 1):
        pairs = [(first[0] + second[0], first[1] + second[1]) for first, second in zip(packages[::2], packages[1::2], strict=False)]
        packages = sorted(coins + pairs, key=lambda item: item[0])
    chosen = [symbol for package in packages[: 2 * len(coins) - 2] for symbol in package[1]]
    return np.bincount(chosen, minlength=counts.size)


def _huffman(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    lengths = np.zeros(counts.size, np.int64)
    order = count()
    heap = [(int(counts[symbol]), next(order), [symbol]) for symbol in np.flatnonzero(counts).tolist()]
    if len(heap) == 1:
        lengths[heap[0][2]] = 1
        return lengths
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        both = first[2] + second[2]
        lengths[both] += 1
        heapq.heappush(heap, (first[0] + second[0], next(order), both))
    return lengths


def _mirrored(lengths: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The canonical code of each symbol, its first bit lowest: shorter codes first, then by symbol."""
    out, code, before = np.zeros(lengths.size, np.uint64), 0, 0
    for symbol in sorted(np.flatnonzero(lengths).tolist(), key=lambda item: (int(lengths[item]), item)):
        length = int(lengths[symbol])
        code <<= length - before
        before = length
        out[symbol] = int(f"{code:0{length}b}"[::-1], 2)
        code += 1
    return out


SPEC = HuffmanFormat

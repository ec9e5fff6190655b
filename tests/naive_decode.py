"""A slow twin of the weight image and of its decoding, written from the core's specification one bit at a time.

A stream is a list of bits. No code of accelsim, no NumPy: it is meant to be read beside the specification.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Matrix = Sequence[Sequence[int]]


@dataclass(frozen=True)
class NaiveRecords:
    """The parameters of the core, in the specification's own letters; DECODE = 0 has raw values of b bits."""

    R: int
    C: int
    D: int
    KCB: int
    P: int
    W: int
    DECODE: int
    SIGN: int
    AXIS: int
    b: int = 8
    PAD: int = 0  # 1: an index takes the next of 1, 2, 4, 8, 16 bits, the upper ones zero (an option of the machine)

    @property
    def IDXW(self) -> int:
        bits = 1
        while 2**bits < self.KCB:
            bits += 1
        return bits

    @property
    def FIELD(self) -> int:
        return next(bits for bits in (1, 2, 4, 8, 16) if bits >= self.IDXW) if self.PAD else self.IDXW

    @property
    def REC(self) -> int:
        return self.FIELD + (self.D if self.SIGN else 0) if self.DECODE else self.b * self.D


def low_bits(value: int, count: int) -> list[int]:
    """The lowest bits of a value, least significant first; Python's >> gives two's complement."""
    return [value >> place & 1 for place in range(count)]


def lane_place(core: NaiveRecords, t: int, e: int) -> tuple[int, int]:
    """(row, column) in the tile of lane e of record t."""
    if core.AXIS == 0:
        across = core.C // core.D
        return t // across, t % across * core.D + e
    return t // core.C * core.D + e, t % core.C


def tiles(core: NaiveRecords, k: int, n: int) -> list[tuple[int, int, int]]:
    """(nt, kt, records) of every tile in stream order."""
    out = []
    for nt in range(-(-n // core.C)):
        for kt in range(-(-k // core.R)):
            rows = min(core.R, k - kt * core.R)
            out.append((nt, kt, rows * (core.C // core.D) if core.AXIS == 0 else -(-rows // core.D) * core.C))
    return out


def image_bits(
    core: NaiveRecords,
    k: int,
    n: int,
    index: Callable[[int, int], int],
    value: Callable[[int, int], int],
    stripe_words: bool = False,
) -> tuple[list[int], list[int]]:
    """(bits of all words, index of every record) of Wt[k,n].

    `index(row, column)` is the index of the codeword that covers a weight; `value` its sign bit (DECODE) or its raw value.
    With `stripe_words` each N-stripe begins on a word of its own.
    """
    bits: list[int] = []
    indices: list[int] = []
    for nt, kt, count in tiles(core, k, n):
        if stripe_words and kt == 0:
            bits += [0] * (-len(bits) % core.W)
        for t in range(-(-count // core.P) * core.P):
            places = [lane_place(core, t, e) for e in range(core.D)]
            cells = [(kt * core.R + row, nt * core.C + column) for row, column in places]
            there = [t < count and row < k and column < n for row, column in cells]
            lanes = [value(*cell) if inside else 0 for cell, inside in zip(cells, there, strict=True)]
            record: list[int] = []
            if core.DECODE:
                indices.append(index(*cells[0]) if there[0] else 0)
                record += low_bits(indices[-1], core.FIELD)
                if core.SIGN:
                    record += lanes
            else:
                for lane in lanes:
                    record += low_bits(lane, core.b)
            assert len(record) == core.REC
            bits += record
    bits += [0] * (-len(bits) % core.W)
    return bits, indices


def decode(core: NaiveRecords, k: int, n: int, bits: Sequence[int], codebook: Matrix) -> list[list[int]]:
    """Wt[k,n] out of the words of an image in one stream."""
    weights = [[0] * n for _ in range(k)]
    position = 0
    for nt, kt, count in tiles(core, k, n):
        for t in range(-(-count // core.P) * core.P):
            record = bits[position : position + core.REC]
            position += core.REC
            for e in range(core.D):
                row, column = lane_place(core, t, e)
                row, column = kt * core.R + row, nt * core.C + column
                if t >= count or row >= k or column >= n:
                    continue
                if core.DECODE:
                    codeword = codebook[sum(bit << place for place, bit in enumerate(record[: core.IDXW]))]
                    weights[row][column] = -codeword[e] if core.SIGN and record[core.FIELD + e] else codeword[e]
                else:
                    raw = sum(bit << place for place, bit in enumerate(record[core.b * e : core.b * (e + 1)]))
                    weights[row][column] = raw - 2**core.b if raw >= 2 ** (core.b - 1) else raw
    return weights

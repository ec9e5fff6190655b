"""Slow twins of the formats, written from their definitions with Python integers: no NumPy bit tricks, no code of accelsim."""

from __future__ import annotations

from collections.abc import Sequence


def stream_bytes(values: Sequence[int], width: int) -> bytes:
    """One big integer with value i at bit i*width, written little-endian."""
    whole = 0
    for position, value in enumerate(values):
        whole |= (value & ((1 << width) - 1)) << (position * width)
    return whole.to_bytes(-(-len(values) * width // 8), "little")


def stream_values(data: bytes, count: int, width: int, signed: bool) -> list[int]:
    """The inverse, one value at a time."""
    whole = int.from_bytes(data, "little")
    values = [(whole >> (position * width)) & ((1 << width) - 1) for position in range(count)]
    return [value - (1 << width) if signed and value >> (width - 1) else value for value in values]


Matrix = Sequence[Sequence[int]]


def ssvq_weight(indices: Matrix, signs: Matrix, codebook: Matrix, axis: int, row: int, column: int) -> int:
    """The weight at (row, column): lane e of its codeword, negated when its sign bit is 1."""
    d = len(codebook[0])
    if axis == 0:
        magnitude = codebook[indices[row][column // d]][column % d]
    else:
        magnitude = codebook[indices[row // d][column]][row % d]
    return -magnitude if signs[row][column] else magnitude


def codeword_weight(indices: Matrix, codebook: Matrix, axis: int, row: int, column: int) -> int:
    """The weight at (row, column): lane e of its codeword, whose elements carry their signs."""
    d = len(codebook[0])
    return codebook[indices[row][column // d]][column % d] if axis == 0 else codebook[indices[row // d][column]][row % d]


def bit_locator(data: bytes) -> int:
    """XOR over (position + 1) of every set bit."""
    result = 0
    for position in range(8 * len(data)):
        if data[position // 8] >> (position % 8) & 1:
            result ^= position + 1
    return result

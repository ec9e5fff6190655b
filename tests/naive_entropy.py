"""Slow decoders of entropy codes, from their definitions, bit by bit: canonical Huffman (RFC 1951, 3.2.2, MSB first) and Golomb-Rice."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def bits_of(data: bytes, count: int) -> list[int]:
    """The first bits of a stream, the lowest of each byte first."""
    return [data[place // 8] >> place % 8 & 1 for place in range(count)]


def canonical_codes(lengths: Sequence[int]) -> dict[str, int]:
    """Code as a text of 0 and 1 -> symbol, by the algorithm of RFC 1951."""
    code, first = 0, {}
    for size in range(1, max(lengths) + 1):
        code = (code + sum(length == size - 1 for length in lengths if size > 1)) << 1
        first[size] = code
    found = {}
    for symbol, size in enumerate(lengths):
        if size:
            found[format(first[size], f"0{size}b")] = symbol
            first[size] += 1
    return found


def huffman_symbols(data: bytes, bits: int, lengths: Sequence[int]) -> list[int]:
    """All symbols of a stream of so many bits; KeyError never, since an unfinished code is an assertion."""
    codes, out, text = canonical_codes(lengths), [], ""
    for bit in bits_of(data, bits):
        text += str(bit)
        if text in codes:
            out.append(codes[text])
            text = ""
    assert text == "", "the stream ends within a code"
    return out


def rice_symbols(data: bytes, bits: int, parameter: int) -> list[int]:
    """All symbols: ones up to a zero are the quotient, then the remainder, its lowest bit first."""
    stream, out = iter(bits_of(data, bits)), []
    for bit in stream:
        quotient = 0
        while bit:
            quotient += 1
            bit = next(stream)
        out.append((quotient << parameter) + sum(next(stream) << place for place in range(parameter)))
    return out


def least_huffman_bits(counts: Sequence[int]) -> int:
    """Bits of an optimal prefix code: the sum of all merged weights, by repeated search for the two smallest."""
    weights, total = sorted(count for count in counts if count), 0
    if len(weights) == 1:
        return weights[0]
    while len(weights) > 1:
        merged = weights[0] + weights[1]
        weights, total = sorted([merged, *weights[2:]]), total + merged
    return total


def kraft(lengths: Sequence[int]) -> Fraction:
    """1 for a complete prefix code."""
    return sum((Fraction(1, 1 << length) for length in lengths if length), Fraction(0))

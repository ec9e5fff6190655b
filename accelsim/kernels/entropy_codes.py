"""Streams of codes of variable length: prefix codes by table, and Golomb-Rice codes. Bits are written and read from the lowest on."""

from __future__ import annotations

import numpy as np

from accelsim.kernels.decode import fetch_bits
from accelsim.kernels.kernel import kernel

_1 = np.uint64(1)
_6 = np.uint64(6)
_63 = np.uint64(63)
_64 = np.uint64(64)
_MOST = np.uint64(0xFFFF)
_FOUR, _FIFTEEN = np.uint32(4), np.uint32(15)
_SIXTEEN, _LOW16 = np.uint32(16), np.uint32(0xFFFF)
_TOGETHER = 4  # codes of at most 15 bits that one fetch of 64 bits holds


@kernel
def put_bits(words, position, value, count):
    """Add `count` bits (at most 63) of `value` at bit `position` of words that are zero there; all uint64."""
    word, shift = position >> _6, position & _63
    words[word] |= value << shift
    if shift + count > _64:
        words[word + _1] |= value >> (_64 - shift)


@kernel
def write_prefix_codes(symbols, codes, lengths, words):
    """Write the code of each symbol.

    Parameters
    ----------
    symbols : uint16 (n,)
    codes : uint64 (alphabet,), first bit lowest
    lengths : uint64 (alphabet,)
    words : uint64, zeros, with a spare word
    """
    position = np.uint64(0)
    for index in range(symbols.size):
        symbol = symbols[index]
        put_bits(words, position, codes[symbol], lengths[symbol])
        position += lengths[symbol]


@kernel
def read_prefix_codes(words, bits, short, full, symbols):
    """Read symbols until all are there or the stream ends.

    Parameters
    ----------
    words : uint64 (`stream_words`), of `bits` bits
    short, full : uint32 (powers of two,), by the next bits: 16 times the symbol, and the length of its code, at most 15; 0 in `short` for
        codes that are longer than its bits
    symbols : uint16 (n,), written

    Returns
    -------
    Bits read; -1 where codes go past the end.
    """
    near, far = np.uint64(short.size - 1), np.uint64(full.size - 1)
    position, last, index = np.uint64(0), np.uint64(64 * (words.size - 1)), 0
    while index < symbols.size:
        if position >= last:
            return -1
        ahead = fetch_bits(words, position)
        for _ in range(min(_TOGETHER, symbols.size - index)):
            entry = short[ahead & near]
            if entry == 0:
                entry = full[ahead & far]
            symbols[index] = entry >> _FOUR
            length = np.uint64(entry & _FIFTEEN)
            ahead >>= length
            position += length
            index += 1
    return np.int64(position) if position <= np.uint64(bits) else -1


@kernel
def write_rice_codes(values, parameter, words):
    """Write each value as its quotient by 2^parameter in ones, a zero, and the remainder; uint16 (n,) into words as above."""
    position, low = np.uint64(0), np.uint64(parameter)
    for index in range(values.size):
        value = np.uint64(values[index])
        quotient = value >> low
        while quotient > np.uint64(0):
            ones = min(quotient, np.uint64(32))
            put_bits(words, position, (_1 << ones) - _1, ones)
            position += ones
            quotient -= ones
        put_bits(words, position, (value & ((_1 << low) - _1)) << _1, low + _1)
        position += low + _1


@kernel
def read_rice_codes(words, bits, parameter, short, values):
    """Read values until all are there; returns bits read, -1 where codes go past the end or exceed 16 bits.

    `short` is as for prefix codes, with 16 bits for the length: 65536 times the value, and the length; 0 for longer codes.
    """
    near, low, end = np.uint64(short.size - 1), np.uint64(parameter), np.uint64(bits)
    mask, last = (_1 << low) - _1, np.uint64(64 * (words.size - 1))
    position, index = np.uint64(0), 0
    while index < values.size:
        if position >= last:
            return -1
        ahead = fetch_bits(words, position)
        entry = short[ahead & near]
        taken = 0
        while entry != 0 and taken < _TOGETHER and index < values.size:
            values[index] = entry >> _SIXTEEN
            length = np.uint64(entry & _LOW16)
            ahead >>= length
            position += length
            index += 1
            taken += 1
            entry = short[ahead & near]
        if taken == 0:
            quotient = np.uint64(0)
            while ahead & _1:
                position += _1
                quotient += _1
                if position >= end or quotient > _MOST:
                    return -1
                ahead = fetch_bits(words, position)
            position += _1
            value = quotient << low | (fetch_bits(words, min(position, last - _1)) & mask)
            if value > _MOST:
                return -1
            values[index] = value
            position += low
            index += 1
    return np.int64(position) if position <= end else -1

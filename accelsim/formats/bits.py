"""Integers of any width, packed without gaps, least significant bit first.

Value i occupies bits [i*width, (i+1)*width) of the stream; bit j of the stream is bit j % 8 of byte j // 8. The last byte is
padded with zeros, and a stream whose padding is not zero is refused: two byte strings never mean the same tensor.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[Any]  # an integer type that the width decides at run time
_CHUNK = 1 << 20  # values at a time: a multiple of 8, so that every chunk but the last fills whole bytes
_WORDS = 1 << 13  # of eight values at a time: what a cache holds


def packed_bytes(count: int, width: int) -> int:
    """Bytes that `count` values of `width` bits take."""
    return -(-count * width // 8)


def pack_bits(values: Integers, width: int) -> Bytes:
    """Pack the lowest `width` bits (1..16) of each value.

    Parameters
    ----------
    values
        Integers of any shape, read in row-major order; negative ones as two's complement.

    Returns
    -------
    uint8 array of ceil(size * width / 8) bytes.
    """
    flat = values.reshape(-1)
    if width in (8, 16):
        return np.frombuffer(flat.astype(f"<u{width // 8}").tobytes(), dtype=np.uint8)
    packed = np.empty(packed_bytes(flat.size, width), dtype=np.uint8)
    lanes = np.arange(width, dtype=np.uint16)
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK].astype(np.uint16)
        bits = chunk if width == 1 else (chunk[:, None] >> lanes).reshape(-1)
        part = np.packbits((bits & 1).astype(np.uint8), bitorder="little")
        first = start * width // 8
        packed[first : first + part.size] = part
    return packed


def unpack_bits(data: Bytes, count: int, width: int, signed: bool = False) -> Integers:
    """Unpack `count` values of `width` bits (1..16).

    Returns
    -------
    1-D array of the narrowest of uint8/uint16 (or int8/int16 when `signed`) that holds the values.

    Raises
    ------
    FormatError
        The stream is shorter or longer than the values need, or its padding bits are not zero.
    """
    expected = packed_bytes(count, width)
    if data.size != expected:
        raise FormatError(f"holds {data.size} bytes, but {count} values of {width} bits take {expected}")
    padding = 8 * expected - count * width
    if padding and int(data[-1]) >> (8 - padding):
        raise FormatError(f"the last {padding} padding bits are not zero")
    narrow = 1 if width <= 8 else 2
    if width in (8, 16):
        values: Integers = np.frombuffer(data.tobytes(), dtype=f"<u{narrow}").astype(f"u{narrow}")
    elif width == 1:
        values = np.unpackbits(data, count=count, bitorder="little")
    elif width in (2, 4):
        values = _values_of_bytes(width).take(data).view(np.uint8)[:count]
    elif narrow == 1:
        values = _lanes(data, count, width)
    else:
        values = _wide_lanes(data, count, width)
    if not signed:
        return values
    shift = 8 * narrow - width  # move the sign bit to the top, then shift back arithmetically
    return (values << shift).view(f"i{narrow}") >> shift


@cache
def _values_of_bytes(width: int) -> Integers:
    """The values of 2 or 4 bits that each byte holds, a byte of the result each."""
    held = np.arange(256, dtype=np.uint8)[:, None] >> np.arange(0, 8, width, dtype=np.uint8) & (1 << width) - 1
    return held.astype(np.uint8).view(f"u{8 // width}").reshape(-1)


def _lanes(data: Bytes, count: int, width: int) -> Bytes:
    """Values of 3 to 7 bits, eight from a word: its halves move apart three times, until each value has a byte."""
    padded = np.zeros(-(-count // 8) * width + 8, np.uint8)  # the last word ends behind its bytes
    padded[: data.size] = data
    words: npt.NDArray[np.uint64] = np.ndarray(-(-count // 8), "<u8", padded, strides=width).copy()
    high = np.empty(min(words.size, _WORDS), dtype="<u8")
    for start in range(0, words.size, _WORDS):
        part = words[start : start + _WORDS]
        moved = high[: part.size]
        for lanes, repeats in ((4, 0x1), (2, 0x0000000100000001), (1, 0x0001000100010001)):
            kept = np.uint64(((1 << lanes * width) - 1) * repeats)
            np.right_shift(part, np.uint64(lanes * width), out=moved)
            np.bitwise_and(moved, kept, out=moved)
            np.left_shift(moved, np.uint64(8 * lanes), out=moved)
            np.bitwise_and(part, kept, out=part)
            np.bitwise_or(part, moved, out=part)
    return words.view(np.uint8)[:count]


def _wide_lanes(data: Bytes, count: int, width: int) -> npt.NDArray[np.uint16]:
    """Values of 9 to 15 bits: eight of them fill `width` bytes, and each lies in two or three neighbouring ones."""
    eights = -(-count // 8)
    octets = np.zeros((eights, width), np.uint8)
    octets.reshape(-1)[: data.size] = data
    values = np.empty((eights, 8), np.uint16)
    for start in range(0, eights, _WORDS):
        own = octets[start : start + _WORDS].T.astype(np.uint32)
        for lane in range(8):
            byte, shift = divmod(lane * width, 8)
            word = own[byte] | own[byte + 1] << np.uint32(8)
            if shift + width > 16:
                word |= own[byte + 2] << np.uint32(16)
            word >>= np.uint32(shift)
            word &= np.uint32((1 << width) - 1)
            values[start : start + _WORDS, lane] = word
    return values.reshape(-1)[:count]

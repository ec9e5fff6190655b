"""Streams of entropy codes, read from the definitions of canonical Huffman codes and of Golomb-Rice codes, for the functional twin.

It shares nothing with the codes' own decoder: codes are intervals of 15-bit numbers, first bit highest, and every place of the stream is
read as if a code began there before the codes are followed from the first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.errors import TraceError
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace

Int64 = npt.NDArray[np.int64]
CODE_TABLES = ("code_lengths", "rice_parameter")
_CODED = ("indices", "weights")
_LONGEST = 15


def coded_symbols(trace: Trace, layer: WeightedLayer, stream: str, count: int, *, signed: bool) -> Int64 | None:
    """`count` integers of a stream of codes; None for one of fixed fields.

    Raises
    ------
    TraceError
        The codes do not end where the stream does.
    """
    record = layer.weight.streams
    if stream not in _CODED or not set(CODE_TABLES) & set(record):
        return None
    bits = np.unpackbits(trace.stream(layer.name, stream), bitorder="little")[: record[stream].bits].astype(np.int64)
    if "rice_parameter" in record:
        symbols, end = _rice(bits, int(trace.stream(layer.name, "rice_parameter")[0] & 15), count)
        values = np.where(symbols % 2 == 1, -(symbols + 1) // 2, symbols // 2) if signed else symbols
    else:
        halves = trace.stream(layer.name, "code_lengths")
        lengths = np.stack([halves & 15, halves >> 4], axis=1).reshape(-1)[: record["code_lengths"].bits // 4].astype(np.int64)
        symbols, end = _huffman(bits, lengths, count)
        half = lengths.size // 2
        values = np.where(symbols >= half, symbols - lengths.size, symbols) if signed else symbols
    if end != bits.size:
        raise TraceError(f"layer {layer.name!r}, stream {stream!r}: {count} codes end at bit {end}, not at {bits.size}")
    return values


def _huffman(bits: Int64, lengths: Int64, count: int) -> tuple[Int64, int]:
    """(symbols, bit behind the last code): shorter codes are lower numbers, and of equal ones those of lower symbols."""
    order = np.lexsort((np.arange(lengths.size), lengths))
    order = order[lengths[order] > 0]
    ends = np.cumsum(1 << _LONGEST - lengths[order])
    padded = np.concatenate([bits, np.zeros(_LONGEST, np.int64)])
    ahead = sum(padded[place : place + bits.size] << (_LONGEST - 1 - place) for place in range(_LONGEST))
    found = order[np.minimum(np.searchsorted(ends, ahead, side="right"), order.size - 1)]
    return _follow(found, lengths[found], count)


def _rice(bits: Int64, low: int, count: int) -> tuple[Int64, int]:
    """(symbols, bit behind the last code): ones up to a zero, then `low` bits of the remainder, lowest first."""
    zero = np.where(bits == 0, np.arange(bits.size), bits.size)
    zero = np.minimum.accumulate(zero[::-1])[::-1]  # the next zero at or behind each place
    padded = np.concatenate([bits, np.zeros(low + 1, np.int64)])
    quotient = zero - np.arange(bits.size)
    rest = sum((padded[np.minimum(zero + 1 + place, bits.size)] << place for place in range(low)), np.zeros(bits.size, np.int64))
    return _follow((quotient << low) + rest, quotient + 1 + low, count)


def _follow(symbols: Int64, lengths: Int64, count: int) -> tuple[Int64, int]:
    """The symbols of the codes that begin at bit 0 and behind each other."""
    steps, places, at = lengths.tolist(), [0] * count, 0
    for index in range(count):
        if at >= len(steps):
            return symbols[:0], -1
        places[index] = at
        at += steps[at]
    return symbols[np.array(places, np.int64)], at

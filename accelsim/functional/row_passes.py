"""Rows as the array takes them in: 8 bits of each element in a pass, the highest with the sign, and the sums of passes shifted and added.

A row of elements of 8 bits is one pass. Disputable assumption: a PE multiplies by the lower bytes, which have no sign, as by signed ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from accelsim.kernels.stripe import INT32_K, Float32, multiply

Integers = npt.NDArray[np.signedinteger]
_BYTE = 8
UNSIGNED_EXACT_K = 1 << 9  # products of 255 and -128 are at most 2^15, so float32 holds each partial sum of so many


def byte_passes(rows: Integers) -> list[Float32]:
    """Bytes of integers of 8, 16 or 32 bits, lowest first, as float32 of the shape of `rows`: 0 to 255, but the last -128 to 127."""
    last = rows.itemsize - 1
    parts = [(rows >> _BYTE * place & 0xFF if place < last else rows >> _BYTE * place) for place in range(last + 1)]
    return [part.astype(np.float32) for part in parts]


def summed_passes(passes: list[Float32], panel: Float32) -> npt.NDArray[np.int32] | npt.NDArray[np.int64]:
    """Exact sums (M, C) of rows (M, K), given as `byte_passes`, with weights (K, C): int32 where one pass and so few rows fit."""
    shape = (passes[0].shape[0], panel.shape[1])
    scratch = np.empty(shape, np.float32)
    if len(passes) == 1:
        only = np.empty(shape, np.int32 if panel.shape[0] <= INT32_K else np.int64)
        multiply(passes[0], panel, only, scratch)
        return only
    total, sums = np.zeros(shape, np.int64), np.empty(shape, np.int64)
    for place, part in enumerate(passes):
        _multiply_byte(part, panel, sums, scratch, signed=place == len(passes) - 1)
        total += sums << _BYTE * place
    return total


def _multiply_byte(part: Float32, panel: Float32, sums: npt.NDArray[np.int64], scratch: Float32, signed: bool) -> None:
    """One pass; bytes without a sign are twice as large, so half as many products are summed in float32."""
    if signed:
        multiply(part, panel, sums, scratch)
        return
    sums[:] = 0
    for own in _blocks(panel.shape[0]):
        block = np.empty(sums.shape, np.int64)
        multiply(np.ascontiguousarray(part[:, own]), panel[own], block, scratch)
        sums += block


def _blocks(k: int) -> Iterator[slice]:
    yield from (slice(first, first + UNSIGNED_EXACT_K) for first in range(0, k, UNSIGNED_EXACT_K))

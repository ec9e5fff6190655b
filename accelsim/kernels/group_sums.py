"""Weights and scales of groups out of packed words, and sums of groups times their scales in float32."""

from __future__ import annotations

import numpy as np

from accelsim.kernels.decode import fetch_bits
from accelsim.kernels.kernel import kernel


@kernel
def read_fields(words, first_bit, step, out):
    """Read unsigned fields that are `step` bits apart.

    Parameters
    ----------
    words : uint64 (n,), the stream with its spare word (`stream_words`)
    first_bit, step : of the first field, and from one to the next
    out : array (fields, 2): [:, 0] is the width of a field, in; [:, 1] its value, out; int64

    Raises
    ------
    ValueError
        The stream ends before the fields.
    """
    for index in range(out.shape[0]):
        position = first_bit + index * step
        if position < 0 or position + out[index, 0] > 64 * (words.size - 1):
            raise ValueError("the stream ends before the fields")
        bits = fetch_bits(words, np.uint64(position))
        out[index, 1] = np.int64(bits & ((np.uint64(1) << np.uint64(out[index, 0])) - np.uint64(1)))


@kernel
def add_scaled(parts, scales, sums):
    """Add exact sums of groups times their scales: the product is rounded to float32, then the sum, each to nearest even.

    Parameters
    ----------
    parts : int64 (M, C); scales : float32 (C,), binary16 values; sums : float32 (M, C), updated
    """
    for row in range(parts.shape[0]):
        for column in range(parts.shape[1]):
            product = np.float32(np.float64(parts[row, column]) * np.float64(scales[column]))
            sums[row, column] = np.float32(sums[row, column] + product)

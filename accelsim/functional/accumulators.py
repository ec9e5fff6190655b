"""Sums as accumulators of a stated width hold them: two's complement that wraps, so a sum is wrong if its last value does not fit.

A running sum that leaves the range and comes back is right: wrapping sums are associative. An accumulator that saturates would differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.hw.decode_mac_core import CoreGeometry

Integers = npt.NDArray[Any]  # int32 or int64


def at_width(sums: Integers, bits: int) -> Integers:
    """The sums as accumulators of `bits` bits hold them; `sums` itself if its type is no wider."""
    if bits >= 8 * sums.itemsize:
        return sums
    above = sums.dtype.type(8 * sums.itemsize - bits)
    held: Integers = (sums << above) >> above
    return held


def describe_overflow(geometry: CoreGeometry, activations: Integers, weights: Integers, bits: int) -> str | None:
    """Where a sum leaves the range for the first time: its K index and tile; None if it ends in the range.

    Parameters
    ----------
    activations, weights : (K,), a row and a column in the order of the reduction
    """
    running = np.cumsum(activations.astype(np.int64) * weights.astype(np.int64))
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    if low <= int(running[-1]) <= high:
        return None
    k = int(np.flatnonzero((running < low) | (running > high))[0])
    return (
        f"is {running[-1]} and overflows {bits} bits ({low} to {high}); its running sum leaves them at K index {k}, "
        f"in tile kt={geometry.tile_of_row(k)}; allowed: array.psum_bits = {int(running[-1]).bit_length() + 1} or more for this sum"
    )

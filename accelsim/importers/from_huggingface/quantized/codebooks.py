"""Codebooks of floats as an integer array takes them: one scale for all that a matrix sums."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from accelsim.importers.weights_file import Floats

LANE_BITS = 8  # of a sum of codewords, so that it fits the array's multipliers


def element_bits(lookups: int) -> int:
    """Bits of an element, so that a sum of one of each book has `LANE_BITS`."""
    return LANE_BITS - (max(lookups, 1) - 1).bit_length()


def requantized(codebooks: Floats, bits: int) -> tuple[npt.NDArray[np.int8], np.float32]:
    """Integers of `bits` bits, symmetric, and the step between them."""
    top = (1 << bits - 1) - 1
    step = np.float32(max(float(np.abs(codebooks).max()), float(np.finfo(np.float16).smallest_normal)) / top)
    return np.clip(np.rint(codebooks / step), -top, top).astype(np.int8), step


def largest_error(books: Iterable[tuple[Floats, int]]) -> float:
    """The largest error of requantized codebooks of so many bits, relative to their root mean square."""
    worst = 0.0
    for codebooks, bits in books:
        levels, step = requantized(codebooks, bits)
        power = float(np.square(codebooks, dtype=np.float64).mean())
        error = float(np.square(levels * step - codebooks, dtype=np.float64).mean())
        worst = max(worst, (error / power) ** 0.5 if power else 0.0)
    return worst

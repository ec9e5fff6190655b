"""Activations as a chip holds them: integers of a stated width, one scale per activation, zero point 0.

Disputable assumptions: a result is rounded once, half up, and saturates; a requantization is an integer bias, an integer multiplier per
channel and one right shift for all channels of a layer (Jacob et al., arXiv 1712.05877, with the shift in a register).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
WORD_BITS = 32  # of a sum with its bias
MOST_SHIFT = 62  # so that a rounded product of two words fits 64 bits


@dataclass(frozen=True)
class Grid:
    """The values of an activation: `scale` times two's-complement integers of `bits` bits."""

    scale: float
    bits: int

    @classmethod
    def covering(cls, largest: float, bits: int) -> Self:
        """The finest grid whose positive end is at least `largest`; scale 1 if that is 0."""
        return cls(largest / ((1 << bits - 1) - 1) if largest > 0 else 1.0, bits)

    @property
    def range(self) -> tuple[int, int]:
        """(lowest, highest) integer."""
        return -(1 << self.bits - 1), (1 << self.bits - 1) - 1

    def quantize(self, real: npt.NDArray[Any]) -> Whole:
        """The nearest integers, int64; halves go up, what lies outside saturates, and NaN is 0."""
        steps = np.floor(np.asarray(real, np.float64) / self.scale + 0.5)
        return np.asarray(np.nan_to_num(np.clip(steps, *self.range), nan=0.0), np.int64)

    def real(self, integers: npt.NDArray[Any]) -> Reals:
        """The values that integers stand for, float64."""
        return integers.astype(np.float64) * self.scale


@dataclass(frozen=True)
class Requantizer:
    """A layer's requantization: (sum + bias) x multiplier / 2^shift.

    Attributes
    ----------
    biases, multipliers : int64 (N,), or (1,) for all channels
    shift : of all channels
    """

    biases: Whole
    multipliers: Whole
    shift: int

    @classmethod
    def of(cls, ratios: Reals, biases: Reals, multiplier_bits: int, bias_bits: int) -> Self:
        """The nearest one of a chip.

        Parameters
        ----------
        ratios : step of a sum over the step of the result, per channel
        biases : in steps of the sum
        multiplier_bits, bias_bits : widths of the chip's words, at most 32 of which are used
        """
        exponent = math.frexp(float(np.abs(ratios).max()))[1]  # every ratio is below 2^exponent
        width = min(multiplier_bits, WORD_BITS) - 1
        shift = min(max(width - exponent, 0), MOST_SHIFT)
        words = Grid(1.0, min(multiplier_bits, WORD_BITS)).quantize(np.ldexp(ratios, shift))
        return cls(Grid(1.0, min(bias_bits, WORD_BITS)).quantize(biases), words, shift)

    def apply(self, sums: npt.NDArray[Any], result: Grid) -> Whole:
        """Integers of the result, int64, of sums (..., N); a sum with its bias saturates at 32 bits."""
        words = np.clip(sums.astype(np.int64) + self.biases, *Grid(1.0, WORD_BITS).range)
        half = (1 << self.shift) >> 1
        return np.asarray(np.clip((words * self.multipliers + half) >> self.shift, *result.range), np.int64)

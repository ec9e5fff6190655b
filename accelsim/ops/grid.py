"""Activations as a chip holds them: integers of a stated width, with one scale and one zero point per activation.

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
    """The values of an activation: `scale` times two's-complement integers of `bits` bits, less the integer `zero`."""

    scale: float
    bits: int
    zero: int = 0

    @classmethod
    def covering(cls, largest: float, bits: int, zero: int = 0) -> Self:
        """The finest grid that covers values of at most these `sizes_of`; scale 1 if that is 0."""
        return cls(largest / ((1 << bits - 1) - 1) if largest > 0 else 1.0, bits, zero)

    @classmethod
    def sizes_of(cls, values: Reals, bits: int, zero: int = 0) -> Reals:
        """Sizes of values, on one measure for both ends of a grid, whose positive end has size 1 per step and step of its end.

        Without a zero point, magnitudes. With one, each end of the grid covers as much as the positive end of one without; an end that
        has no steps covers nothing, and what lies there has no size.
        """
        if zero == 0:
            return np.abs(values)
        lowest, highest = cls(1.0, bits).range
        ends = [highest / steps if steps else 0.0 for steps in (highest - zero, zero - lowest)]
        return np.asarray(np.abs(values) * np.where(values >= 0, *ends), np.float64)

    @property
    def range(self) -> tuple[int, int]:
        """(lowest, highest) integer."""
        return -(1 << self.bits - 1), (1 << self.bits - 1) - 1

    def quantize(self, real: npt.NDArray[Any]) -> Whole:
        """The nearest integers, int64; halves go up, what lies outside saturates, and NaN is the zero point."""
        steps = np.floor(np.asarray(real, np.float64) / self.scale + 0.5) + self.zero
        return np.asarray(np.nan_to_num(np.clip(steps, *self.range), nan=self.zero), np.int64)

    def real(self, integers: npt.NDArray[Any]) -> Reals:
        """The values that integers stand for, float64."""
        return (integers.astype(np.float64) - self.zero) * self.scale


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
        """Integers of the result, int64, of sums (..., N); a sum with its bias saturates at 32 bits, and the zero point is added last."""
        words = np.clip(sums.astype(np.int64) + self.biases, *Grid(1.0, WORD_BITS).range)
        half = (1 << self.shift) >> 1
        return np.asarray(np.clip(((words * self.multipliers + half) >> self.shift) + result.zero, *result.range), np.int64)

"""Cosines and sines of rotary embeddings (Su et al., arXiv 2104.09864), position by position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Rotary:
    """Pair i turns by position * base^(-2 i / turned) / (factor * factors[i]).

    Attributes
    ----------
    turned
        Elements of a head that are turned.
    factor
        Positions are divided by it (linear scaling).
    factors
        One more divisor per pair (Llama 3, LongRoPE); empty for none.
    amplitude
        Factor of cosines and sines (LongRoPE).
    """

    turned: int
    base: float
    factor: float = 1.0
    factors: tuple[float, ...] = ()
    amplitude: float = 1.0

    def angles(self, rows: int) -> dict[str, Floats]:
        """`cos` and `sin` of the first `rows` positions, one per position and pair, flat."""
        frequencies = self.base ** -(np.arange(0, self.turned, 2) / self.turned) / self.factor
        turns = np.arange(rows)[:, None] * (frequencies / (np.array(self.factors) if self.factors else 1.0))
        return {
            name: np.asarray(self.amplitude * function(turns), np.float32).reshape(-1)
            for name, function in (("cos", np.cos), ("sin", np.sin))
        }

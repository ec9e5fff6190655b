"""Encoder of VecQ: steering picks the direction of a layer's weight vector among half-integer vectors, driving its length.

Steering assumes weights drawn from a normal distribution of mean 0: its step, lambda times the deviation, was found for that. Other
distributions still get the best length, but not the best direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compress.encoder import Arrays, Floats
from accelsim.formats.vecq import SPEC

KIND = "vecq"
# arXiv 2005.08501: the step in deviations that loses least orientation on N(0,1), for each number of bits.
LAMBDA = {2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 7: 0.0569, 8: 0.0308}
_LEAST = float(np.finfo(np.float32).smallest_subnormal)  # a scale is never 0


@dataclass(frozen=True)
class VectorLoss:
    """How far one weight vector lies from another.

    Attributes
    ----------
    orientation
        1 - cos of the angle between them.
    modulus
        Squared difference of their lengths.
    """

    orientation: float
    modulus: float

    @property
    def total(self) -> float:
        return self.orientation + self.modulus


def vector_loss(weights: npt.NDArray[Any], approximate: npt.NDArray[Any]) -> VectorLoss:
    """VecQ's loss of two arrays of one shape, in float64; a vector of length 0 is at right angles to every other."""
    exact, found = weights.astype(np.float64).reshape(-1), approximate.astype(np.float64).reshape(-1)
    length, found_length = float(np.linalg.norm(exact)), float(np.linalg.norm(found))
    both = length * found_length
    return VectorLoss(1 - float(exact @ found) / both if both else 1.0, (length - found_length) ** 2)


def encode(spec: SPEC, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `weights` (u = v - 1/2) and `scales` (alpha / 2, one a layer); `rng` is not used."""
    exact = weights.astype(np.float64)
    deviation = float(exact.std()) or 1.0
    half = 1 << spec.bits - 1
    stored = np.rint(np.clip(exact / (deviation * LAMBDA[spec.bits]) - 0.5, -half, half - 1))
    steered = stored + 0.5
    alpha = float((exact * steered).sum() / (steered**2).sum())
    return {
        "weights": stored.astype(np.int8),
        "scales": np.array([max(alpha / 2, _LEAST)], dtype=np.float32),
    }

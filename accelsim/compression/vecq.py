"""Encoder of VecQ: steering picks the direction of a layer's weight vector among half-integer vectors, driving its length.

Steering assumes weights drawn from a normal distribution of mean 0: its step, lambda times the deviation, was found for that. Other
distributions still get the best length, but not the best direction.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Arrays, Floats
from accelsim.formats.vecq import VecqFormat

KIND = "vecq"
# arXiv 2005.08501: the step in deviations that loses least orientation on N(0,1), for each number of bits.
LAMBDA = {2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 7: 0.0569, 8: 0.0308}
_LEAST = float(np.finfo(np.float32).smallest_subnormal)  # a scale is never 0


def encode(spec: VecqFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `weights` (u = v - 1/2) and `scales` (alpha / 2, one per layer); `rng` is not used."""
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

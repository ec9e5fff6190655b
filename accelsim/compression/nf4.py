"""Encoder of NF4: a group's largest magnitude, and for each weight the nearest level of the format's own, in 127ths."""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import SMALLEST, Arrays, Floats
from accelsim.formats.nf4 import LEVELS, Nf4Format

KIND = "nf4"


def encode(spec: Nf4Format, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `weights` [K,N] and `scales`; `rng` is not used."""
    k, n = weights.shape
    groups = -(-k // spec.group)
    blocks = np.pad(weights, ((0, groups * spec.group - k), (0, 0))).reshape(groups, spec.group, n)
    largest = np.maximum(np.abs(blocks).max(axis=1), np.float32(SMALLEST))
    middles = (np.array(LEVELS[:-1]) + np.array(LEVELS[1:])) / 254
    numbers = np.searchsorted(middles, (blocks / largest[:, None]).reshape(-1, n)[:k], side="left")
    return {"weights": numbers.astype(np.uint8), "scales": largest}

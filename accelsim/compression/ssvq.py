"""Encoder of SSVQ: k-means on |W|, a non-negative int8 codebook with one scale, and the sign of every weight.

Post-training: signs are those of the weights. The paper learns them by fine-tuning; this encoder states sizes and traffic
exactly, and only an upper bound of the error.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Arrays, Floats, channel_range
from accelsim.compression.int8_codebook import int8_codebook
from accelsim.compression.subvectors import subvectors
from accelsim.formats.ssvq import SsvqFormat

KIND = "ssvq"


def encode(spec: SsvqFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `signs` (1 = negative), `codebook` and `scales`."""
    unit = channel_range(weights, spec.scale)
    found = int8_codebook(subvectors(np.abs(weights / unit), spec.d, spec.axis), spec.k, unit, rng)
    return {
        "indices": found.indices.reshape(spec.streams(*weights.shape)["indices"].shape),
        "signs": (weights < 0).astype(np.uint8),
        "codebook": found.levels,
        "scales": found.scales,
    }

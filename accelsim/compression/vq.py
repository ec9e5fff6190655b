"""Encoder of conventional vector quantization: k-means on W, a signed int8 codebook with one scale, and the nearest codewords.

Post-training: the codebook is not fine-tuned afterwards, so sizes and traffic are exact and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Arrays, Floats, channel_range
from accelsim.compression.int8_codebook import int8_codebook
from accelsim.compression.subvectors import subvectors
from accelsim.formats.vq import VqFormat

KIND = "vq"


def encode(spec: VqFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `codebook` (-127..127) and `scales`."""
    unit = channel_range(weights, spec.scale)
    found = int8_codebook(subvectors(weights / unit, spec.d, spec.axis), spec.k, unit, rng)
    shape = spec.streams(*weights.shape)["indices"].shape
    return {"indices": found.indices.reshape(shape), "codebook": found.levels, "scales": found.scales}

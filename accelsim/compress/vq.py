"""Encoder of conventional vector quantization: k-means on W, a signed int8 codebook with one scale, and the nearest codewords.

Post-training: the codebook is not fine-tuned afterwards, so sizes and traffic are exact and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np

from accelsim.compress.encoder import Arrays, Floats, channel_range
from accelsim.compress.kmeans import kmeans, nearest_codewords
from accelsim.compress.subvectors import subvectors
from accelsim.formats.vq import SPEC

KIND = "vq"
_TOP = 127
_TINY = float(np.finfo(np.float32).tiny)  # a scale is never 0


def encode(spec: SPEC, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `codebook` (-127..127) and `scales`."""
    k, n = weights.shape
    unit = channel_range(weights, spec.scale)
    points = subvectors((weights / unit).astype(np.float32, copy=False), spec.d, spec.axis)
    codebook = kmeans(points, spec.k, rng).codebook
    step = max(float(np.abs(codebook).max()), _TINY) / _TOP
    levels = np.clip(np.rint(codebook / step), -_TOP, _TOP)
    nearest, _ = nearest_codewords(points, (levels * step).astype(np.float32))
    return {
        "indices": nearest.reshape(spec.streams(k, n)["indices"].shape).astype(np.uint16),
        "codebook": levels.astype(np.int8),
        "scales": np.maximum(unit * np.float32(step), np.float32(_TINY)),
    }

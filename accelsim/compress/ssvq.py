"""Encoder of SSVQ: k-means on |W|, a non-negative int8 codebook with one scale, and the sign of every weight.

Post-training: signs are those of the weights. The paper learns them by fine-tuning; this encoder states sizes and traffic
exactly, and only an upper bound of the error.
"""

from __future__ import annotations

import numpy as np

from accelsim.compress.encoder import Arrays, Floats, channel_range
from accelsim.compress.kmeans import kmeans, nearest_codewords
from accelsim.compress.subvectors import subvectors
from accelsim.formats.ssvq import SPEC

KIND = "ssvq"
_TOP = 127
_TINY = float(np.finfo(np.float32).tiny)  # a scale is never 0


def encode(spec: SPEC, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `signs` (1 = negative), `codebook` and `scales`."""
    k, n = weights.shape
    unit = channel_range(weights, spec.scale)
    points = subvectors((np.abs(weights) / unit).astype(np.float32, copy=False), spec.d, spec.axis)
    codebook = kmeans(points, spec.k, rng).codebook
    step = max(float(codebook.max()), _TINY) / _TOP
    levels = np.clip(np.rint(codebook / step), 0, _TOP)
    nearest, _ = nearest_codewords(points, (levels * step).astype(np.float32))
    return {
        "indices": nearest.reshape(spec.streams(k, n)["indices"].shape).astype(np.uint16),
        "signs": (weights < 0).astype(np.uint8),
        "codebook": levels.astype(np.int8),
        "scales": np.maximum(unit * np.float32(step), np.float32(_TINY)),
    }

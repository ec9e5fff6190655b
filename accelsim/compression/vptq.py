"""Encoder of a main and a residual codebook: k-means, k-means of what is left over, then one scale for both.

Greedy, where VPTQ weighs errors by the Hessian: sizes and traffic are exact, and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import SMALLEST, Arrays, Floats, channel_range
from accelsim.compression.kmeans import kmeans, nearest_codewords
from accelsim.compression.subvectors import subvectors
from accelsim.formats.vptq import VptqFormat

KIND = "vptq"


def encode(spec: VptqFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `residuals`, `codebook` (integers of `element_bits` bits, symmetric) and `scales`, one per output."""
    unit = channel_range(weights, "channel")
    points = subvectors(weights / unit, spec.d, 1)
    main = kmeans(points, 1 << spec.bits, rng)
    residual = kmeans(points - main.codebook[main.nearest], 1 << spec.residual_bits, rng)
    books = np.concatenate([main.codebook, residual.codebook])
    top = (1 << spec.element_bits - 1) - 1
    step = max(float(np.abs(books).max()), SMALLEST) / top
    levels = np.clip(np.rint(books / step), -top, top)
    first, second = np.split((levels * step).astype(np.float32), [1 << spec.bits])
    indices, _ = nearest_codewords(points, first)
    residuals, _ = nearest_codewords(points - first[indices], second)
    shape = spec.streams(*weights.shape)["indices"].shape
    return {
        "indices": indices.astype(np.uint16).reshape(shape),
        "residuals": residuals.astype(np.uint16).reshape(shape),
        "codebook": levels.astype(np.int8),
        "scales": unit * np.float32(step),
    }

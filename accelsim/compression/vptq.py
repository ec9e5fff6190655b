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
    """Arrays `indices`, `residuals` if there are any, `codebook` (integers of `element_bits` bits, symmetric), `scales` of outputs."""
    unit = channel_range(weights, "channel")
    points = subvectors(weights / unit, spec.d, spec.axis)
    main = kmeans(points, 1 << spec.bits, rng)
    found = [main.codebook]
    if spec.residual_bits:
        found.append(kmeans(points - main.codebook[main.nearest], 1 << spec.residual_bits, rng).codebook)
    books = np.concatenate(found)
    top = (1 << spec.element_bits - 1) - 1
    step = max(float(np.abs(books).max()), SMALLEST) / top
    levels = np.clip(np.rint(books / step), -top, top)
    first, second = np.split((levels * step).astype(np.float32), [1 << spec.bits])
    shape = spec.streams(*weights.shape)["indices"].shape
    indices, _ = nearest_codewords(points, first)
    arrays: Arrays = {"indices": indices.astype(np.uint16).reshape(shape)}
    if spec.residual_bits:
        residuals, _ = nearest_codewords(points - first[indices], second)
        arrays["residuals"] = residuals.astype(np.uint16).reshape(shape)
    return {**arrays, "codebook": levels.astype(np.int8), "scales": unit * np.float32(step)}

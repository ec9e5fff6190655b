"""Encoder of additive codebooks: k-means on what the codebooks before leave over, then one scale for all of them.

Greedy, where AQLM searches with beams and fine-tunes: sizes and traffic are exact, and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import SMALLEST, Arrays, Floats, channel_range
from accelsim.compression.kmeans import kmeans, nearest_codewords
from accelsim.compression.subvectors import subvectors
from accelsim.formats.aqlm import AqlmFormat

KIND = "aqlm"


def encode(spec: AqlmFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `codebook` (integers of `element_bits` bits, symmetric) and `scales`, one per output."""
    unit = channel_range(weights, "channel")
    points = subvectors(weights / unit, spec.d, 1)
    rest, found = points, []
    for _ in range(spec.books):
        clusters = kmeans(rest, 1 << spec.bits, rng)
        found.append(clusters.codebook)
        rest = rest - clusters.codebook[clusters.nearest]
    books = np.stack(found)
    top = (1 << spec.element_bits - 1) - 1
    step = max(float(np.abs(books).max()), SMALLEST) / top
    levels = np.clip(np.rint(books / step), -top, top)
    indices = np.empty((points.shape[0], spec.books), np.uint16)
    rest = points
    for book, codewords in enumerate((levels * step).astype(np.float32)):
        nearest, _ = nearest_codewords(rest, codewords)
        indices[:, book] = nearest
        rest = rest - codewords[nearest]
    return {
        "indices": indices.reshape(spec.streams(*weights.shape)["indices"].shape),
        "codebook": levels.astype(np.int8).reshape(-1, spec.d),
        "scales": unit * np.float32(step),
    }

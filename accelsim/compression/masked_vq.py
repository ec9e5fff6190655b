"""Encoder of masked vector quantization: the largest N of each M weights are kept, and k-means clusters the kept weights.

Post-training, as the other encoders: MVQ prunes and fine-tunes before it clusters, and its codebook after, so sizes and traffic are
exact and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Arrays, Floats, channel_range
from accelsim.compression.int8_codebook import int8_codebook
from accelsim.compression.kmeans import Kept
from accelsim.compression.subvectors import subvectors
from accelsim.formats.masked_vq import MaskedVqFormat
from accelsim.formats.masks import pattern_numbers

KIND = "masked_vq"


def encode(spec: MaskedVqFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `masks` (pattern numbers), `codebook` (-127..127) and `scales`."""
    k, n = weights.shape
    unit = channel_range(weights, "tensor")
    points = subvectors(weights / unit, spec.d, spec.axis)
    masks = largest(points, spec.keep, spec.of)
    found = int8_codebook(points, spec.k, unit, rng, masks)
    table = spec.streams(k, n)
    numbers = pattern_numbers(masks.reshape(points.shape[0], -1, spec.of), spec.keep)  # [subvectors, d / of]
    if spec.axis == 1:  # [K/d, N, d/of] -> [K/d, d/of, N]: groups follow each other along K
        numbers = numbers.reshape(k // spec.d, n, -1).transpose(0, 2, 1)
    return {
        "indices": found.indices.reshape(table["indices"].shape),
        "masks": numbers.reshape(table["masks"].shape),
        "codebook": found.levels,
        "scales": found.scales,
    }


def largest(points: Floats, keep: int, of: int) -> Kept:
    """Where the `keep` largest magnitudes of each `of` neighbours lie, the first of equal ones: bool [points, d]."""
    groups = np.abs(points).reshape(-1, of)
    order = np.argsort(-groups, axis=1, kind="stable")[:, :keep]
    masks = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(masks, order, True, axis=1)
    return masks.reshape(points.shape)

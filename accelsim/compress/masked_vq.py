"""Encoder of masked vector quantization: the largest N of each M weights stay, and k-means clusters what stays.

Post-training, as the other encoders: MVQ prunes and fine-tunes before it clusters, and its codebook after, so sizes and traffic are
exact and the error is an upper bound.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelsim.compress.encoder import Arrays, Floats, channel_range
from accelsim.compress.kmeans import ITERATIONS, TOLERANCE, Clusters, kmeans
from accelsim.compress.subvectors import subvectors
from accelsim.formats.masked_vq import SPEC
from accelsim.formats.masks import pattern_numbers
from accelsim.kernels.masked_kmeans import accumulate_masked, assign_masked

KIND = "masked_vq"
_TOP = 127
_TINY = float(np.finfo(np.float32).tiny)  # a scale is never 0
Masks = npt.NDArray[np.bool_]


def encode(spec: SPEC, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays `indices`, `masks` (pattern numbers), `codebook` (-127..127) and `scales`."""
    k, n = weights.shape
    unit = channel_range(weights, "tensor")
    points = np.ascontiguousarray(subvectors((weights / unit).astype(np.float32, copy=False), spec.d, spec.axis))
    masks = largest(points, spec.keep, spec.of)
    codebook = masked_kmeans(points, masks, spec.k, rng).codebook
    step = max(float(np.abs(codebook).max()), _TINY) / _TOP
    levels = np.clip(np.rint(codebook / step), -_TOP, _TOP)
    nearest, _ = _nearest(points, masks, (levels * step).astype(np.float32))
    table = spec.streams(k, n)
    numbers = pattern_numbers(masks.reshape(points.shape[0], -1, spec.of), spec.keep)  # [subvectors, d / of]
    if spec.axis == 1:  # [K/d, N, d/of] -> [K/d, d/of, N]: groups follow each other along K
        numbers = numbers.reshape(k // spec.d, n, -1).transpose(0, 2, 1)
    return {
        "indices": nearest.reshape(table["indices"].shape).astype(np.uint16),
        "masks": numbers.reshape(table["masks"].shape),
        "codebook": levels.astype(np.int8),
        "scales": np.maximum(unit * np.float32(step), np.float32(_TINY)),
    }


def largest(points: Floats, keep: int, of: int) -> Masks:
    """Where the `keep` largest magnitudes of each `of` neighbours lie, the first of equal ones: bool [points, d]."""
    groups = np.abs(points).reshape(-1, of)
    order = np.argsort(-groups, axis=1, kind="stable")[:, :keep]
    masks = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(masks, order, True, axis=1)
    return masks.reshape(points.shape)


def masked_kmeans(points: Floats, masks: Masks, k: int, rng: np.random.Generator, iterations: int = ITERATIONS) -> Clusters:
    """Cluster points [points, d] over the lanes that their masks keep.

    It starts from k-means++ on the pruned points; a codeword that nobody chose moves to the point that lies farthest from its own,
    and a lane that no point of a cluster keeps stays as it was.

    Raises
    ------
    FormatError
        k is larger than the number of points, or a point is not finite.
    """
    pruned = np.where(masks, points, np.float32(0))
    codebook = kmeans(pruned, k, rng, iterations=0).codebook
    nearest, distance = _nearest(points, masks, codebook)
    error = float(np.cumsum(distance, dtype=np.float64)[-1])
    for _ in range(iterations):
        previous = error
        codebook = _means(pruned, masks, nearest, distance, codebook)
        nearest, distance = _nearest(points, masks, codebook)
        error = float(np.cumsum(distance, dtype=np.float64)[-1])
        if previous - error <= TOLERANCE * previous:
            break
    return Clusters(codebook, nearest, error)


def _nearest(points: Floats, masks: Masks, codebook: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    nearest = np.empty(points.shape[0], np.int64)
    distance = np.empty(points.shape[0], np.float32)
    assign_masked(points, masks, np.ascontiguousarray(codebook.T), nearest, distance)
    return nearest, distance


def _means(pruned: Floats, masks: Masks, nearest: npt.NDArray[np.int64], distance: Floats, codebook: Floats) -> Floats:
    sums = np.empty(codebook.shape, np.float64)
    counts = np.empty(codebook.shape, np.int64)
    accumulate_masked(pruned, masks, nearest, sums, counts)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), codebook).astype(np.float32)
    empty = np.flatnonzero(counts.sum(axis=1) == 0)
    if empty.size:
        means[empty] = pruned[np.argsort(-distance, kind="stable")[: empty.size]]
    return means

"""k-means: k-means++ start (Arthur and Vassilvitskii, SODA 2007), Lloyd iterations, empty clusters moved to the worst point.

The same points, k and seed give the same codebook on every platform: all sums are sequential. A point may keep some of its lanes only
(MVQ's masks, arXiv 2412.10261): the others count as 0 in the start, and afterwards neither cost nor pull.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.compression.subvectors import check_codewords
from accelsim.errors import FormatError
from accelsim.kernels.kmeans import accumulate, assign, shrink_to_seed

ITERATIONS = 20
TOLERANCE = 1e-4  # stop when an iteration lowers the error by less than this share

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Kept = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Clusters:
    """A codebook and who belongs to it.

    Attributes
    ----------
    codebook
        [k, d], float32.
    nearest
        [points], the codeword of each point, int64.
    error
        Sum of squared distances of the points to their codewords.
    """

    codebook: Floats
    nearest: Indices
    error: float


def nearest_codewords(points: Floats, codebook: Floats, kept: Kept | None = None) -> tuple[Indices, Floats]:
    """Nearest codeword of each point over the lanes that it keeps (None: all), and the squared distance to it: arrays [points]."""
    nearest = np.empty(points.shape[0], dtype=np.int64)
    distance = np.empty(points.shape[0], dtype=np.float32)
    kept = np.ones(points.shape, dtype=np.bool_) if kept is None else kept
    assign(np.ascontiguousarray(points, dtype=np.float32), kept, np.ascontiguousarray(codebook.T, dtype=np.float32), nearest, distance)
    return nearest, distance


def kmeans(points: Floats, k: int, rng: np.random.Generator, kept: Kept | None = None) -> Clusters:
    """Cluster `points` [points, d] into k codewords, over the lanes that each point keeps.

    Parameters
    ----------
    kept
        [points, d]; None: all lanes. A lane that no point of a cluster keeps is left unchanged.

    Raises
    ------
    FormatError
        k is larger than the number of points, or a point is not finite.
    """
    check_codewords(k, points.shape[0])
    if not bool(np.all(np.isfinite(points))):
        raise FormatError("the weights hold NaN or an infinity")
    kept = np.ones(points.shape, dtype=np.bool_) if kept is None else kept
    points = np.where(kept, points, np.float32(0)).astype(np.float32, copy=False)
    codebook = _plus_plus(points, k, rng)
    nearest, distance = nearest_codewords(points, codebook, kept)
    error = _total(distance)
    for _ in range(ITERATIONS):
        previous = error
        codebook = _means(points, kept, nearest, distance, codebook)
        nearest, distance = nearest_codewords(points, codebook, kept)
        error = _total(distance)
        if previous - error <= TOLERANCE * previous:
            break
    return Clusters(codebook, nearest, error)


def _plus_plus(points: Floats, k: int, rng: np.random.Generator) -> Floats:
    """k seeds: each drawn with a probability in proportion to its squared distance from the nearest seed so far."""
    chosen = np.empty((k, points.shape[1]), dtype=np.float32)
    distance = np.full(points.shape[0], np.inf)
    first = int(rng.random() * points.shape[0])
    for seed in range(k):
        if seed == 0:
            place = first
        else:
            cumulative = np.cumsum(distance)
            # all distances are 0 when fewer than k points differ: any point is as good
            place = min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")), points.shape[0] - 1)
        chosen[seed] = points[place]
        shrink_to_seed(points, chosen[seed], distance)
    return chosen


def _means(points: Floats, kept: Kept, nearest: Indices, distance: Floats, codebook: Floats) -> Floats:
    """The mean of each cluster; an empty one takes the point that lies farthest from its codeword, each point once."""
    sums = np.empty(codebook.shape, dtype=np.float64)
    counts = np.empty(codebook.shape, dtype=np.int64)
    accumulate(points, kept, nearest, sums, counts)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), codebook).astype(np.float32)
    empty = np.flatnonzero(counts.sum(axis=1) == 0)
    if empty.size:
        means[empty] = points[np.argsort(-distance, kind="stable")[: empty.size]]
    return means


def _total(distance: Floats) -> float:
    """Sum in the order of the points (a running sum, not NumPy's pairwise one, whose blocks depend on the build)."""
    return float(np.cumsum(distance, dtype=np.float64)[-1])

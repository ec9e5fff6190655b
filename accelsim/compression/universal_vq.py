"""Encoder of universal vector quantization: a codebook drawn from the density of several networks' subvectors, and nearest codewords.

Each matrix is measured in its own deviations (root mean square), so that wide and narrow layers share one codebook. The bandwidth is
Scott's rule per lane, which the paper's text that we could read does not settle; neither fine-tuning of the assignments nor
progressive construction takes place, so sizes and traffic are exact and the error is an upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from accelsim.compression.encoder import Arrays, Codebook, Floats, Matrix
from accelsim.compression.kmeans import nearest_codewords
from accelsim.compression.subvectors import check_codewords, subvectors
from accelsim.errors import FormatError
from accelsim.formats.universal_vq import UniversalVqFormat

KIND = "universal_vq"
LEVELS = 32  # of a codeword's int8 a deviation: -127..127 reach to 3.97 deviations, and rounding costs 1/12288 of the variance
SUBVECTORS = 1 << 16  # of a network at most, that take part in the density
_TOP = 127
_LEAST = float(np.finfo(np.float32).smallest_subnormal)  # a scale is never 0


def make_codebook(spec: UniversalVqFormat, networks: Sequence[Sequence[Matrix]], rng: np.random.Generator) -> Codebook:
    """Draw a codebook for networks: a subvector of theirs, each network as likely as the others, plus the kernel's noise.

    Parameters
    ----------
    networks
        The matrices of each network.

    Returns
    -------
    int8 [k, d], `LEVELS` a deviation.

    Raises
    ------
    FormatError
        There is no network, one is without matrices, d does not divide a dimension, k is larger than the number of all their
        subvectors, or a weight is not finite.
    """
    if not networks or not all(networks):
        raise FormatError("a universal codebook is drawn from networks with at least one matrix each")
    check_codewords(spec.k, sum(_count(spec, matrix) for network in networks for matrix in network))
    pools = [_pool(spec, network, rng) for network in networks]
    share = min(pool.shape[0] for pool in pools)
    points = np.concatenate([pool[rng.permutation(pool.shape[0])[:share]] for pool in pools])
    count, d = points.shape
    bandwidth = count ** (-1 / (d + 4)) * points.astype(np.float64).std(axis=0)  # Scott (1992), with a diagonal covariance
    centres = points[rng.integers(0, count, spec.k)]
    codewords = centres + bandwidth * rng.standard_normal((spec.k, d))
    levels: Codebook = np.clip(np.rint(LEVELS * codewords), -_TOP, _TOP).astype(np.int8)
    return levels


def encode(spec: UniversalVqFormat, weights: Floats, rng: np.random.Generator) -> Arrays:
    """Arrays of a matrix that is a whole network by itself: `indices`, `codebook` and `scales`."""
    return encode_with(spec, weights, make_codebook(spec, [[Matrix(weights.shape[0], weights.shape[1], lambda: weights)]], rng))


def encode_with(spec: UniversalVqFormat, weights: Floats, codebook: Codebook) -> Arrays:
    """Arrays `indices` (nearest codewords of the matrix in its deviations), `codebook` (as given) and `scales`."""
    k, n = weights.shape
    unit = _deviation(weights)
    points = subvectors(weights / (unit or 1.0), spec.d, spec.axis)
    nearest, _ = nearest_codewords(points, codebook.astype(np.float32) / np.float32(LEVELS))
    return {
        "indices": nearest.reshape(spec.streams(k, n)["indices"].shape).astype(np.uint16),
        "codebook": codebook,
        "scales": np.array([max(unit / LEVELS, _LEAST)], dtype=np.float32),
    }


def _deviation(weights: Floats) -> float:
    """Root mean square of a matrix."""
    return float(np.sqrt((weights.astype(np.float64) ** 2).mean()))


def _count(spec: UniversalVqFormat, matrix: Matrix) -> int:
    """Subvectors of a matrix."""
    return prod(spec.streams(matrix.k, matrix.n)["indices"].shape)


def _pool(spec: UniversalVqFormat, network: Sequence[Matrix], rng: np.random.Generator) -> Floats:
    """At most about `SUBVECTORS` subvectors of a network, of each matrix in proportion to its size, in deviations: float32 [count, d]."""
    counts = [_count(spec, matrix) for matrix in network]
    share = min(1.0, SUBVECTORS / sum(counts))
    parts = []
    for matrix, count in zip(network, counts, strict=True):
        weights = matrix.load()
        if not bool(np.all(np.isfinite(weights))):
            raise FormatError("the weights hold NaN or an infinity")
        chosen = np.sort(rng.permutation(count)[: max(1, int(share * count))])
        parts.append(subvectors(weights, spec.d, spec.axis)[chosen] / (_deviation(weights) or 1.0))
    return np.concatenate(parts)

"""A matrix as the points that vector quantization clusters."""

from __future__ import annotations

import numpy as np

from accelsim.compress.encoder import Floats


def subvectors(matrix: Floats, d: int, axis: int) -> Floats:
    """The subvectors of a matrix [K,N] in the order of their indices: [K*N/d, d], lanes along N (axis 0) or K (axis 1)."""
    k, n = matrix.shape
    if axis == 0:
        return matrix.reshape(k * n // d, d)
    return np.ascontiguousarray(matrix.reshape(k // d, d, n).transpose(0, 2, 1)).reshape(k * n // d, d)

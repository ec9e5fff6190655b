"""A matrix as the points that vector quantization clusters."""

from __future__ import annotations

import numpy as np

from accelsim.compression.encoder import Floats
from accelsim.errors import FormatError


def subvectors(matrix: Floats, d: int, axis: int) -> Floats:
    """The subvectors of a matrix [K,N] in the order of their indices: [K*N/d, d], lanes along N (axis 0) or K (axis 1)."""
    k, n = matrix.shape
    if axis == 0:
        return matrix.reshape(k * n // d, d)
    return np.ascontiguousarray(matrix.reshape(k // d, d, n).transpose(0, 2, 1)).reshape(k * n // d, d)


def check_codewords(k: int, subvectors: int) -> None:
    """FormatError if a codebook has more codewords than there are subvectors to describe."""
    if k > subvectors:
        raise FormatError(f"k={k} codewords for {subvectors} subvectors; allowed: at most one codeword per subvector")

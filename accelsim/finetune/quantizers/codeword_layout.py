"""Where a codeword's elements lie in a matrix."""

from __future__ import annotations

import torch


def as_matrix(codewords: torch.Tensor, axis: int) -> torch.Tensor:
    """The matrix [K,N] of codewords [K,N/d,d] along the outputs (axis 0) or [K/d,N,d] along the inputs (axis 1)."""
    rows, columns, d = codewords.shape
    return codewords.reshape(rows, columns * d) if axis == 0 else codewords.transpose(1, 2).reshape(rows * d, columns)

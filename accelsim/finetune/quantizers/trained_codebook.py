"""A codebook that learns under fixed indices: float codewords, rounded to int8 levels under one step on every use.

A channel's codewords are the codebook's times the channel's unit, which does not learn. The step follows the largest codeword, and no
gradient passes through it.
"""

from __future__ import annotations

import numpy as np
import torch

from accelsim.compression.encoder import Arrays
from accelsim.finetune.quantizers.codeword_layout import as_matrix
from accelsim.finetune.quantizers.straight_through import straight_through

TOP = 127  # of an int8 codeword
_LEAST = float(np.finfo(np.float32).tiny)  # a scale is never 0


class TrainedCodebook(torch.nn.Module):
    """Indices [K,N/d] (axis 0) or [K/d,N] (axis 1) and units [1] or [N], as buffers; the codewords are passed in."""

    indices: torch.Tensor
    unit: torch.Tensor

    def __init__(self, index_shape: tuple[int, ...], scale_shape: tuple[int, ...], axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("indices", torch.zeros(index_shape, dtype=torch.int64))
        self.register_buffer("unit", torch.ones(scale_shape))

    def start(self, arrays: Arrays) -> torch.Tensor:
        """Codewords [k,d], float32, of an encoding, whose indices and relative scales are taken over."""
        mean = np.float32(arrays["scales"].mean())
        self.indices.copy_(torch.from_numpy(arrays["indices"].astype(np.int64)))
        self.unit.copy_(torch.from_numpy(arrays["scales"] / mean))
        return torch.from_numpy(arrays["codebook"].astype(np.float32) * mean)

    def quantized(self, codewords: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Levels [k,d], whole numbers in float32, and scales [1] or [N]."""
        fixed = codewords.detach()
        step = (fixed.abs().max() / TOP).clamp(min=_LEAST)
        return (fixed / step).round().clamp(-TOP, TOP), (self.unit * step).clamp(min=_LEAST)

    def decode(self, codewords: torch.Tensor) -> torch.Tensor:
        """The matrix [K,N] that the indices select: levels times scales, differentiable in the codewords."""
        levels, scales = self.quantized(codewords)
        return straight_through(self._look_up(codewords) * self.unit, self._look_up(levels) * scales)

    def encode(self, codewords: torch.Tensor) -> Arrays:
        """Arrays `indices`, `codebook` and `scales`."""
        levels, scales = self.quantized(codewords)
        return {
            "indices": self.indices.cpu().numpy().astype(np.uint16),
            "codebook": levels.cpu().numpy().astype(np.int8),
            "scales": scales.cpu().numpy(),
        }

    def _look_up(self, codewords: torch.Tensor) -> torch.Tensor:
        return as_matrix(codewords[self.indices], self.axis)

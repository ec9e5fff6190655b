"""Uniform quantization-aware training: float weights rounded to the nearest level forwards, straight through backwards.

The scale follows the largest magnitude of the tensor or channel, as in post-training quantization; it is not learned.
"""

from __future__ import annotations

import numpy as np
import torch

from accelsim.compression.encoder import SMALLEST, Arrays, Floats
from accelsim.finetune.quantizers.straight_through import straight_through
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer

KIND = "uniform"


class UniformQuantizer(WeightQuantizer):
    """The float weights learn."""

    roles = ("weight",)

    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """The float weights Wt[K,N]."""
        return (torch.from_numpy(weights.copy()),)

    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """Nearest levels times scales."""
        (weights,) = parts
        levels, scales = self._quantized(weights.detach())
        return straight_through(weights, levels * scales + 0.0)  # -0.0 becomes 0.0, as integers have it

    def encode(self, *parts: torch.Tensor) -> Arrays:
        """Arrays `weights` and `scales`."""
        levels, scales = self._quantized(parts[0].detach())
        return {"weights": levels.cpu().numpy().astype(np.int16 if self.spec.bits > 8 else np.int8), "scales": scales.cpu().numpy()}

    def _quantized(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        top = (1 << self.spec.bits - 1) - 1
        largest = weights.abs().amax(0) if self.spec.scale == "channel" else weights.abs().max().reshape(1)
        scales = torch.where(largest >= SMALLEST, largest, torch.ones_like(largest)) / top
        return (weights / scales).round().clamp(-top, top), scales


QUANTIZER = UniformQuantizer

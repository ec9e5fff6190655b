"""Float weights that learn under a format's own encoder: forwards the encoded weights, backwards the gradient as it is.

The encoder is that of `accelsim compress`, run again on every use, so its scales follow the weights. It is NumPy's: on a GPU each use
copies the matrix to the CPU and back.
"""

from __future__ import annotations

import numpy as np
import torch

from accelsim.compression.encoder import Arrays, Floats, encode, layer_generator
from accelsim.finetune.quantizers.straight_through import straight_through
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer


class EncodedWeightQuantizer(WeightQuantizer):
    """The float weights learn."""

    roles = ("weight",)

    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """The float weights Wt[K,N]."""
        return (torch.from_numpy(weights.copy()),)

    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """The encoded weights, straight through."""
        (weights,) = parts
        represented = self.spec.reconstruct(self.encode(weights), self.k, self.n).astype(np.float32)
        return straight_through(weights, torch.from_numpy(represented).to(weights.device))

    def encode(self, *parts: torch.Tensor) -> Arrays:
        """The encoder's arrays."""
        weights: Floats = parts[0].detach().cpu().numpy()
        return encode(self.spec, weights, layer_generator(self.recipe.seed, self.layer))

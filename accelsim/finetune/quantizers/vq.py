"""Vector quantization whose codewords learn: indices stay as k-means assigned them, and a codeword's gradient sums over its uses."""

from __future__ import annotations

import torch

from accelsim.compression.encoder import Arrays, Codebook, Floats
from accelsim.compression.recipe import Recipe
from accelsim.finetune.quantizers.trained_codebook import TrainedCodebook
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer
from accelsim.finetune.weight_layout import WeightLayout

KIND = "vq"


class VqQuantizer(WeightQuantizer):
    """The codewords learn."""

    roles = ("codebook",)

    def __init__(self, recipe: Recipe, layer: str, layout: WeightLayout, shared: Codebook | None = None) -> None:
        super().__init__(recipe, layer, layout, shared)
        table = self.spec.streams(self.k, self.n)
        self.codebook = TrainedCodebook(table["indices"].shape, table["scales"].shape, self.spec.axis)

    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """Codewords [k,d]."""
        return (self.codebook.start(arrays),)

    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """C[A]."""
        return self.codebook.decode(parts[0]) + 0.0  # -0.0 becomes 0.0, as integers have it

    def encode(self, *parts: torch.Tensor) -> Arrays:
        """Arrays `indices`, `codebook` and `scales`."""
        return self.codebook.encode(parts[0])


QUANTIZER = VqQuantizer

"""MVQ whose codewords learn (arXiv 2412.10261): W = C[A] o mask, with the indices and masks of masked k-means.

A codeword's gradient sums over the uses where its element is kept. Masks do not change in training, so a pruned weight stays zero.
"""

from __future__ import annotations

import numpy as np
import torch

from accelsim.compression.encoder import Arrays, Codebook, Floats
from accelsim.compression.recipe import Recipe
from accelsim.finetune.quantizers.trained_codebook import TrainedCodebook
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer
from accelsim.finetune.weight_layout import WeightLayout
from accelsim.formats.codewords import look_up
from accelsim.formats.masks import mask_patterns

KIND = "masked_vq"


class MaskedVqQuantizer(WeightQuantizer):
    """The codewords learn.

    Attributes
    ----------
    masks
        Numbers of the N:M patterns, int64, in the shape of the format's stream.
    kept
        [K,N] float32: 1 where a weight is kept, else 0.
    """

    roles = ("codebook",)
    masks: torch.Tensor
    kept: torch.Tensor

    def __init__(self, recipe: Recipe, layer: str, layout: WeightLayout, shared: Codebook | None = None) -> None:
        super().__init__(recipe, layer, layout, shared)
        table = self.spec.streams(self.k, self.n)
        self.codebook = TrainedCodebook(table["indices"].shape, table["scales"].shape, self.spec.axis)
        self.register_buffer("masks", torch.zeros(table["masks"].shape, dtype=torch.int64))
        self.register_buffer("kept", torch.zeros((self.k, self.n)))

    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """Codewords [k,d]."""
        kept = look_up(mask_patterns(self.spec.keep, self.spec.of), arrays["masks"], self.spec.axis)
        self.masks.copy_(torch.from_numpy(arrays["masks"].astype(np.int64)))
        self.kept.copy_(torch.from_numpy(kept))
        return (self.codebook.start(arrays),)

    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """C[A] o mask."""
        return self.codebook.decode(parts[0]) * self.kept + 0.0  # -0.0 becomes 0.0, as integers have it

    def encode(self, *parts: torch.Tensor) -> Arrays:
        """Arrays `indices`, `masks`, `codebook` and `scales`."""
        return {**self.codebook.encode(parts[0]), "masks": self.masks.cpu().numpy().astype(np.uint16)}


QUANTIZER = MaskedVqQuantizer

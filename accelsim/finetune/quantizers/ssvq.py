"""SSVQ whose codewords and signs learn (arXiv 2503.08668): W = C[A] o sign(L), with a latent L for every sign.

The gradient of a latent is that of its weight times the codeword's element, straight through the sign; L starts at the weights (the
paper's alpha is 1 here). A sign that oscillates is frozen, to its majority vote or to its average. Disputable: votes and
flips count from the first step, and a codeword's element that falls below 0 is 0 and learns no more.
"""

from __future__ import annotations

import numpy as np
import torch

from accelsim.compression.encoder import Arrays, Codebook, Floats
from accelsim.compression.recipe import Recipe
from accelsim.finetune.quantizers.straight_through import straight_through
from accelsim.finetune.quantizers.trained_codebook import TrainedCodebook
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer
from accelsim.finetune.settings import Settings
from accelsim.finetune.weight_layout import WeightLayout

KIND = "ssvq"


class SsvqQuantizer(WeightQuantizer):
    """The codewords and the latents of the signs learn.

    Attributes
    ----------
    flips
        [K,N] float32: moving average of the flips per step.
    votes
        [K,N] int32: steps after which the sign was positive, less those after which it was negative.
    average
        [K,N] float32: moving average of the sign.
    negative
        [K,N] bool: the sign after the last step, or the frozen one.
    frozen
        [K,N] bool: signs that learn no more.
    """

    roles = ("codebook", "latent")
    flips: torch.Tensor
    votes: torch.Tensor
    average: torch.Tensor
    negative: torch.Tensor
    frozen: torch.Tensor

    def __init__(self, recipe: Recipe, layer: str, layout: WeightLayout, shared: Codebook | None = None) -> None:
        super().__init__(recipe, layer, layout, shared)
        table = self.spec.streams(self.k, self.n)
        self.codebook = TrainedCodebook(table["indices"].shape, table["scales"].shape, self.spec.axis)
        kinds = {"flips": torch.float32, "votes": torch.int32, "average": torch.float32, "negative": torch.bool, "frozen": torch.bool}
        for name, kind in kinds.items():
            self.register_buffer(name, torch.zeros((self.k, self.n), dtype=kind))

    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """Codewords [k,d] and latents [K,N]; no sign is frozen."""
        latent = torch.from_numpy(weights.copy())
        self.negative.copy_(latent < 0)
        for buffer in (self.flips, self.votes, self.average, self.frozen):
            buffer.zero_()
        return self.codebook.start(arrays), latent

    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """C[A] o sign(L)."""
        codewords, latent = parts
        magnitudes = self.codebook.decode(codewords.clamp(min=0))
        learning = torch.where(self.frozen, torch.zeros_like(latent), latent)
        signs = straight_through(learning, torch.where(self._is_negative(latent), -1.0, 1.0))
        return magnitudes * signs + 0.0  # -0.0 becomes 0.0, as integers have it

    def encode(self, *parts: torch.Tensor) -> Arrays:
        """Arrays `indices`, `signs` (1 = negative), `codebook` and `scales`."""
        codewords, latent = parts
        signs = self._is_negative(latent).cpu().numpy().astype(np.uint8)
        return {**self.codebook.encode(codewords.clamp(min=0)), "signs": signs}

    def after_step(self, parts: tuple[torch.Tensor, ...], step: int, steps: int, settings: Settings) -> int:
        """Record the signs; every `freezing.every` steps, freeze those that flip more often than the threshold."""
        now, freezing = self._is_negative(parts[1]), settings.freezing
        flipped = now != self.negative
        count = int(flipped.sum())
        if freezing is not None:
            self.flips.mul_(freezing.momentum).add_(flipped.float(), alpha=1 - freezing.momentum)
            self.votes.add_(1 - 2 * now.int())
            self.average.mul_(freezing.momentum).add_(1 - 2 * now.float(), alpha=1 - freezing.momentum)
            if step % freezing.every == 0:
                chosen = (self.flips > freezing.threshold(step, steps)) & ~self.frozen
                balance = self.votes if freezing.sign == "vote" else self.average
                now = torch.where(chosen & (balance != 0), balance < 0, now)  # a tie keeps the sign
                self.frozen.logical_or_(chosen)
        self.negative.copy_(now)
        return count

    def _is_negative(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.where(self.frozen, self.negative, latent.detach() < 0)


QUANTIZER = SsvqQuantizer

"""VQ4ALL (arXiv 2412.06875): every subvector learns which of its n nearest codewords of a frozen, shared codebook it takes.

In training a subvector is the sum of its candidates under softmax ratios, all equal at first; in inference it is the candidate of the
largest ratio. Progressive construction fixes a subvector once its largest ratio exceeds alpha. Disputable: the scale of a layer does not
learn, and n is 4, where the paper's text that we could read is silent.
"""

from __future__ import annotations

import numpy as np
import torch

from accelsim.compression.encoder import Arrays, Codebook, Floats
from accelsim.compression.recipe import Recipe
from accelsim.compression.subvectors import subvectors
from accelsim.finetune.quantizers.codeword_layout import as_matrix
from accelsim.finetune.quantizers.weight_quantizer import WeightQuantizer
from accelsim.finetune.settings import Settings
from accelsim.finetune.weight_layout import WeightLayout

KIND = "universal_vq"
CANDIDATES = 4
_CHUNK = 1024  # subvectors whose distances to all codewords are in memory at once


class UniversalVqQuantizer(WeightQuantizer):
    """The logits of the candidates' ratios learn.

    Attributes
    ----------
    codebook
        [k,d] int8: the shared codebook.
    scale
        [1] float32: of the layer.
    candidates
        [..., n] int64: the nearest codewords of each subvector, the nearest first; its other dimensions are those of the indices.
    chosen
        [...] int64: the candidate of a subvector that is constructed.
    frozen
        [...] bool: subvectors that are constructed.
    """

    roles = ("latent",)
    codebook: torch.Tensor
    scale: torch.Tensor
    candidates: torch.Tensor
    chosen: torch.Tensor
    frozen: torch.Tensor

    def __init__(self, recipe: Recipe, layer: str, layout: WeightLayout, shared: Codebook | None = None) -> None:
        super().__init__(recipe, layer, layout, shared)
        places = self.spec.streams(self.k, self.n)["indices"].shape
        self.register_buffer("codebook", torch.zeros((self.spec.k, self.spec.d), dtype=torch.int8))
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("candidates", torch.zeros((*places, min(CANDIDATES, self.spec.k)), dtype=torch.int64))
        self.register_buffer("chosen", torch.zeros(places, dtype=torch.int64))
        self.register_buffer("frozen", torch.zeros(places, dtype=torch.bool))

    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """Logits [..., n], all zero; no subvector is constructed."""
        self.codebook.copy_(torch.from_numpy(arrays["codebook"]))
        self.scale.copy_(torch.from_numpy(arrays["scales"]))
        self.chosen.zero_()
        self.frozen.zero_()
        scaled = (weights / arrays["scales"]).astype(np.float32)
        points = torch.from_numpy(subvectors(scaled, self.spec.d, self.spec.axis)).double()
        nearest = torch.from_numpy(arrays["indices"].astype(np.int64)).reshape(-1, 1)
        levels = torch.from_numpy(arrays["codebook"].astype(np.float64))
        found = []
        for some, first in zip(points.split(_CHUNK), nearest.split(_CHUNK), strict=True):
            distances = torch.cdist(some, levels).scatter_(1, first, -1.0)  # the encoder's choice is the first, also of equal ones
            found.append(distances.topk(self.candidates.shape[-1], largest=False).indices)
        self.candidates.copy_(torch.cat(found).reshape(self.candidates.shape))
        return (torch.zeros(self.candidates.shape),)

    def ratios(self, logits: torch.Tensor) -> torch.Tensor:
        """Shares of the candidates [..., n]: a softmax, and 1 for the choice of a subvector that is constructed."""
        fixed = torch.nn.functional.one_hot(self.chosen, logits.shape[-1]).to(logits.dtype)
        return torch.where(self.frozen[..., None], fixed, logits.softmax(-1))

    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """The sum of the candidates under their ratios; in inference, the chosen codewords."""
        shares = self.ratios(parts[0])
        if not self.training:
            shares = torch.nn.functional.one_hot(shares.argmax(-1), shares.shape[-1]).to(shares.dtype)
        mixed = (shares[..., None] * self.codebook[self.candidates].float()).sum(-2)
        return as_matrix(mixed, self.spec.axis) * self.scale

    def encode(self, *parts: torch.Tensor) -> Arrays:
        """Arrays `indices`, `codebook` and `scales` of the model in inference."""
        largest = self.ratios(parts[0].detach()).argmax(-1, keepdim=True)
        return {
            "indices": self.candidates.gather(-1, largest)[..., 0].cpu().numpy().astype(np.uint16),
            "codebook": self.codebook.cpu().numpy(),
            "scales": self.scale.cpu().numpy(),
        }

    def penalty(self, *parts: torch.Tensor) -> torch.Tensor:
        """n times the mean of r (1 - r): 0 where every ratio is 0 or 1."""
        shares = self.ratios(parts[0])
        return shares.shape[-1] * (shares * (1 - shares)).mean()

    def after_step(self, parts: tuple[torch.Tensor, ...], step: int, steps: int, settings: Settings) -> int:
        """Construct the subvectors whose largest ratio exceeds `settings.alpha`."""
        if settings.alpha is not None:
            largest, place = self.ratios(parts[0].detach()).max(-1)
            ready = (largest > settings.alpha) & ~self.frozen
            self.chosen.copy_(torch.where(ready, place, self.chosen))
            self.frozen.logical_or_(ready)
        return 0


QUANTIZER = UniversalVqQuantizer

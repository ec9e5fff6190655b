"""The interface of a trainable weight: tensors that learn in, the weight that the format can represent out.

A quantizer is a parametrization of PyTorch (`torch.nn.utils.parametrize`): the tensors that learn are the module's originals, and the
module's `weight` is computed from them on every use. So any module that reads its `weight` trains in the format, unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch

from accelsim.compression.encoder import Arrays, Codebook, Floats, encode, encode_with, layer_generator
from accelsim.compression.recipe import Recipe
from accelsim.finetune.settings import Settings
from accelsim.finetune.weight_layout import WeightLayout

Role = Literal["weight", "codebook", "latent"]


class WeightQuantizer(torch.nn.Module, ABC):
    """Base of every format's trainable weight.

    Attributes
    ----------
    roles
        Role of each tensor that learns, in the order of `matrix`'s arguments; a latent has a learning rate of its own.
    recipe, layer
        The recipe that gave the format, and the module's path in the model.
    layout
        Where the matrix lies in the module's weight.
    shared
        int8 [k,d]: the codebook of a format that shares one between layers and networks.
    """

    roles: ClassVar[tuple[Role, ...]]

    def __init__(self, recipe: Recipe, layer: str, layout: WeightLayout, shared: Codebook | None = None) -> None:
        super().__init__()
        self.recipe, self.layer, self.layout, self.shared = recipe, layer, layout, shared
        self.spec: Any = recipe.format_of(layer)

    @property
    def k(self) -> int:
        """Weights per output: the reduction of the matrix product."""
        return self.layout.k

    @property
    def n(self) -> int:
        """Outputs."""
        return self.layout.n

    @abstractmethod
    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """First values of the tensors that learn, from the float weights Wt[K,N] and their encoding; fills the buffers."""

    @abstractmethod
    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """Weights Wt[K,N] as the format represents them: float32, integers times scales."""

    @abstractmethod
    def encode(self, *parts: torch.Tensor) -> Arrays:
        """The arrays of the format (indices, signs, codebook, scales) that stand for `matrix(*parts)` in inference mode, exactly."""

    def penalty(self, *parts: torch.Tensor) -> torch.Tensor | None:
        """A term of the loss, before its weight `Settings.ratio_weight`; by default there is none."""
        return None

    def after_step(self, parts: tuple[torch.Tensor, ...], step: int, steps: int, settings: Settings) -> int:
        """Follow a step of the optimizer, `step` of `steps`; the number of signs that it flipped, by default none."""
        return 0

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        """The module's weight, in its layout."""
        return self.layout.weight(self.matrix(*parts))

    def right_inverse(self, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The tensors that learn for a given weight: its post-training encoding, bit for bit as `accelsim compress` encodes it."""
        weights = self.layout.matrix(weight)
        if self.shared is None:
            arrays = encode(self.spec, weights, layer_generator(self.recipe.seed, self.layer))
        else:
            arrays = encode_with(self.spec, weights, self.shared)
        return tuple(part.to(weight.device) for part in self.start(weights, arrays))

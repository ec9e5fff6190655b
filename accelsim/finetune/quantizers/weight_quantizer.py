"""The interface of a trainable weight: tensors that learn in, the weight that the format can represent out.

A quantizer is a parametrization of PyTorch (`torch.nn.utils.parametrize`): the tensors that learn are the module's originals, and the
module's `weight` is computed from them on every use. So any module that reads its `weight` trains in the format, unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from accelsim.compression.encoder import Arrays, Floats, encode, layer_generator
from accelsim.compression.recipe import Recipe
from accelsim.finetune.freezing import Freezing

Role = Literal["weight", "codebook", "latent"]


class WeightQuantizer(torch.nn.Module, ABC):
    """Base of every format's trainable weight.

    Attributes
    ----------
    roles
        Role of each tensor that learns, in the order of `matrix`'s arguments; a latent has a learning rate of its own.
    recipe, layer
        The recipe that gave the format, and the module's path in the model.
    """

    roles: ClassVar[tuple[Role, ...]]

    def __init__(self, recipe: Recipe, layer: str, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.recipe, self.layer, self.shape = recipe, layer, shape
        self.spec: Any = recipe.format_of(layer)

    @property
    def k(self) -> int:
        """Weights per output: the reduction of the matrix product."""
        return int(np.prod(self.shape[1:]))

    @property
    def n(self) -> int:
        """Outputs."""
        return self.shape[0]

    @abstractmethod
    def start(self, weights: Floats, arrays: Arrays) -> tuple[torch.Tensor, ...]:
        """First values of the tensors that learn, from the float weights Wt[K,N] and their encoding; fills the buffers."""

    @abstractmethod
    def matrix(self, *parts: torch.Tensor) -> torch.Tensor:
        """Weights Wt[K,N] as the format represents them: float32, integers times scales."""

    @abstractmethod
    def encode(self, *parts: torch.Tensor) -> Arrays:
        """The arrays of the format (indices, signs, codebook, scales) that stand for `matrix(*parts)`, exactly."""

    def after_step(self, parts: tuple[torch.Tensor, ...], step: int, steps: int, freezing: Freezing | None) -> None:
        """Follow a step of the optimizer, `step` of `steps`; by default nothing is to be done."""

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        """The module's weight, [N, ...]."""
        return self.matrix(*parts).T.reshape(self.shape)

    def right_inverse(self, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The tensors that learn for a given weight: its post-training encoding, bit for bit as `accelsim compress` encodes it."""
        flat = weight.detach().reshape(self.n, self.k).T.to("cpu", torch.float32)
        weights: Floats = np.ascontiguousarray(flat.numpy())
        arrays = encode(self.spec, weights, layer_generator(self.recipe.seed, self.layer))
        return tuple(part.to(weight.device) for part in self.start(weights, arrays))

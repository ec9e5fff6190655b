"""Where the matrix Wt[K,N] of a layer lies in its module's weight, and which modules have one."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch

from accelsim.compression.encoder import Floats
from accelsim.compression.recipe import MatrixShape

ALLOWED = "nn.Linear, nn.Conv1d, nn.Conv2d, and Conv1D of transformers"


@dataclass(frozen=True)
class WeightLayout:
    """The matrix of a weight of `shape`.

    Attributes
    ----------
    shape
        [N, ...], whose other dimensions are the K inputs; or [K, N] if `inputs_first`.
    groups
        Of a convolution.
    """

    shape: tuple[int, ...]
    inputs_first: bool = False
    groups: int = 1

    @property
    def k(self) -> int:
        """Weights per output: the reduction of the matrix product."""
        return self.shape[0] if self.inputs_first else int(np.prod(self.shape[1:]))

    @property
    def n(self) -> int:
        """Outputs."""
        return self.shape[1] if self.inputs_first else self.shape[0]

    def matrix_shape(self, name: str) -> MatrixShape:
        """The matrix under a layer's name, which decides which formats fit."""
        return MatrixShape(name, self.k, self.n, self.groups)

    def matrix(self, weight: torch.Tensor) -> Floats:
        """The weights Wt[K,N] of a module's weight, float32."""
        fixed = weight.detach().to("cpu", torch.float32)
        weights: Floats = np.ascontiguousarray((fixed if self.inputs_first else fixed.flatten(1).T).numpy())
        return weights

    def weight(self, matrix: torch.Tensor) -> torch.Tensor:
        """The module's weight of a matrix Wt[K,N]."""
        return matrix if self.inputs_first else matrix.T.reshape(self.shape)


def layout_of(module: torch.nn.Module) -> WeightLayout | None:
    """The layout of a module's weight; None for a module of another kind."""
    if isinstance(module, torch.nn.Linear):
        return WeightLayout(tuple(module.weight.shape))
    if isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d):
        return WeightLayout(tuple(module.weight.shape), groups=module.groups)
    of_transformers = sys.modules.get("transformers.pytorch_utils")  # who has such a module has imported it
    if of_transformers is not None and isinstance(module, of_transformers.Conv1D):
        return WeightLayout(tuple(module.weight.shape), inputs_first=True)
    return None

"""The straight-through estimator (Bengio et al., arXiv 1308.3432): one value forwards, the gradient of another backwards."""

from __future__ import annotations

from typing import Any

import torch


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, represented: torch.Tensor) -> torch.Tensor:
        return represented.clone()

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradients[0], None


def straight_through(values: torch.Tensor, represented: torch.Tensor) -> torch.Tensor:
    """`represented`, to the bit, with the gradient passed to `values` as it is; the shapes are equal."""
    result: torch.Tensor = _StraightThrough.apply(values, represented)
    return result

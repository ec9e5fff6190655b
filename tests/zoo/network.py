"""A network of the zoo: how it is made, small and as published, and the inputs that it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

EPSILON = 1e-5  # of every normalization: a trace does not store it
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A network of the zoo.

    Attributes
    ----------
    small, published
        Make it, small enough to compare values in a second, and in its published size.
    small_input, published_input
        Shape of its input: an image, a signal, or (1, tokens).
    reads_tokens
        True: the input is token ids below `vocabulary`.
    """

    small: Callable[[], Any]
    small_input: Shape
    published: Callable[[], Any]
    published_input: Shape
    reads_tokens: bool = False
    vocabulary: int = 30

    def input_of(self, shape: Shape) -> Any:
        """A random input (of the default device)."""
        return torch.randint(3, self.vocabulary, shape) if self.reads_tokens else torch.randn(shape)


class Answer(torch.nn.Module):
    """The first tensor of a network's answer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        answer = self.network(x)
        while not isinstance(answer, torch.Tensor):
            answer = answer["logits"] if hasattr(answer, "keys") and "logits" in answer else answer[0]
        return answer


def randomized(network: Any) -> Any:
    """Every parameter and running statistic random, and one epsilon: nothing is left at 0 or 1, which would hide an error."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(2, parameter[0].numel()) ** 0.5)
        for module in network.modules():
            if getattr(module, "running_var", None) is not None:
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
            else:
                for name in ("eps", "variance_epsilon", "epsilon"):
                    if hasattr(module, name):
                        setattr(module, name, EPSILON)
    return network.eval()

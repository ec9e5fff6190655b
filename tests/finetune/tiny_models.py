"""Models and data of a few hundred weights, whose training takes a second."""

from __future__ import annotations

from typing import Any

import torch


class TinyNetwork(torch.nn.Module):
    """A convolution and a numbered block on images [1, 4, 4]; three classes."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(1, 8, 2, stride=2)
        self.blocks = torch.nn.ModuleList([torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8))])
        self.dropout = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        return self.head(self.dropout(self.blocks[0](tokens)).mean(dim=1))


def tiny_network(seed: int = 0, **options: Any) -> TinyNetwork:
    torch.manual_seed(seed)
    return TinyNetwork(**options)


def tiny_data(count: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose brightest third of the pixels is their class."""
    generator = torch.Generator().manual_seed(7)
    images = torch.randn((count, 1, 4, 4), generator=generator)
    classes = torch.randint(0, 3, (count,), generator=generator)
    for image, place in zip(images, classes, strict=True):
        image.view(-1)[5 * int(place) : 5 * int(place) + 5] += 2
    return images, classes

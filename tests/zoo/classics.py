"""Convolutional networks from their papers, in PyTorch: VGG, AlexNet, GoogLeNet, Inception v3, YOLO v3 tiny.

Channels are arguments, so that a test can run a small one; their defaults are the published networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class VGG(nn.Sequential):
    """VGG-16 (Simonyan and Zisserman 2015, arXiv 1409.1556, table 1, column D); 0 is a pool."""

    CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)

    def __init__(self, channels: Sequence[int] = CHANNELS, resolution: int = 224, hidden: int = 4096, classes: int = 1000) -> None:
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in channels:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()] if outputs else [nn.MaxPool2d(2)]
            inputs = outputs or inputs
        side = resolution >> channels.count(0)
        layers += [nn.Flatten(), nn.Linear(inputs * side * side, hidden), nn.ReLU(), nn.Dropout()]
        super().__init__(*layers, nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes))


class AlexNet(nn.Sequential):
    """AlexNet (Krizhevsky et al. 2012, section 3.5): its two towers as convolutions of two groups, response normalization between them."""

    def __init__(
        self, channels: Sequence[int] = (96, 256, 384, 384, 256), resolution: int = 227, hidden: int = 4096, classes: int = 1000
    ) -> None:
        first, second, third, fourth, fifth = channels
        side = ((((resolution - 11) // 4 + 1 - 3) // 2 + 1) - 3) // 2 + 1
        side = (side - 3) // 2 + 1
        super().__init__(
            nn.Conv2d(3, first, 11, 4), nn.ReLU(), nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0), nn.MaxPool2d(3, 2),
            nn.Conv2d(first, second, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0), nn.MaxPool2d(3, 2),
            nn.Conv2d(second, third, 3, padding=1), nn.ReLU(),
            nn.Conv2d(third, fourth, 3, padding=1, groups=2), nn.ReLU(),
            nn.Conv2d(fourth, fifth, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Flatten(), nn.Linear(fifth * side * side, hidden), nn.ReLU(), nn.Dropout(),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, classes),
        )  # fmt: skip


class Branches(nn.Module):
    """Modules side by side, their outputs concatenated along the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self.branches], 1)


def _relu(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.ReLU())


class GoogLeNet(nn.Sequential):
    """GoogLeNet without its auxiliary classifiers (Szegedy et al. 2014, arXiv 1409.4842, table 1).

    A row: 1 x 1, reduction and 3 x 3, reduction and 5 x 5, 1 x 1 behind the pool; None is a pool. Pools round up, as the table's sizes ask.
    """

    ROWS = (
        (64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), None,
        (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128), None, (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128),
    )  # fmt: skip

    def __init__(self, stem: Sequence[int] = (64, 64, 192), rows: Sequence[tuple[int, ...] | None] = ROWS, classes: int = 1000) -> None:
        layers: list[nn.Module] = [
            _relu(3, stem[0], 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
            _relu(stem[0], stem[1], 1), _relu(stem[1], stem[2], 3), nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
            nn.MaxPool2d(3, 2, ceil_mode=True),
        ]  # fmt: skip
        inputs = stem[2]
        for row in rows:
            if row is None:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
                continue
            one, before_three, three, before_five, five, pooled = row
            layers.append(
                Branches(
                    _relu(inputs, one, 1),
                    nn.Sequential(_relu(inputs, before_three, 1), _relu(before_three, three, 3)),
                    nn.Sequential(_relu(inputs, before_five, 1), _relu(before_five, five, 5)),
                    nn.Sequential(nn.MaxPool2d(3, 1, 1), _relu(inputs, pooled, 1)),
                )
            )
            inputs = one + three + five + pooled
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(inputs, classes))


def _unit(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, pad: int | tuple[int, int] = 0) -> nn.Sequential:
    """Convolution, norm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False), nn.BatchNorm2d(outputs, eps=0.001), nn.ReLU())


def _chain(inputs: int, *steps: tuple[int, int | tuple[int, int], int, int | tuple[int, int]]) -> nn.Sequential:
    """Units of (outputs, kernel, stride, padding) one behind the other."""
    layers = []
    for outputs, kernel, stride, pad in steps:
        layers.append(_unit(inputs, outputs, kernel, stride, pad))
        inputs = outputs
    return nn.Sequential(*layers)


class InceptionV3(nn.Sequential):
    """Inception v3 without its auxiliary classifier (Szegedy et al. 2016, arXiv 1512.00567, table 1 and figures 5 to 7).

    `unit` scales all channels: 1 is 32 of the stem's first convolution, 1/8 is 4.
    """

    def __init__(self, unit: float = 1.0, blocks: tuple[int, int, int] = (3, 4, 2), classes: int = 1000) -> None:
        def c(channels: int) -> int:
            return int(channels * unit)

        layers: list[nn.Module] = [
            _chain(3, (c(32), 3, 2, 0), (c(32), 3, 1, 0), (c(64), 3, 1, 1)), nn.MaxPool2d(3, 2),
            _chain(c(64), (c(80), 1, 1, 0), (c(192), 3, 1, 0)), nn.MaxPool2d(3, 2),
        ]  # fmt: skip
        inputs = c(192)
        for number in range(blocks[0]):
            pooled = c(32 if number == 0 else 64)
            layers.append(
                Branches(
                    _unit(inputs, c(64), 1),
                    _chain(inputs, (c(48), 1, 1, 0), (c(64), 5, 1, 2)),
                    _chain(inputs, (c(64), 1, 1, 0), (c(96), 3, 1, 1), (c(96), 3, 1, 1)),
                    nn.Sequential(nn.AvgPool2d(3, 1, 1), _unit(inputs, pooled, 1)),
                )
            )
            inputs = c(64) + c(64) + c(96) + pooled
        layers.append(
            Branches(
                _unit(inputs, c(384), 3, 2),
                _chain(inputs, (c(64), 1, 1, 0), (c(96), 3, 1, 1), (c(96), 3, 2, 0)),
                nn.MaxPool2d(3, 2),
            )
        )
        inputs += c(384) + c(96)
        for number in range(blocks[1]):
            mid = c((128, 160, 160, 192)[number])
            layers.append(
                Branches(
                    _unit(inputs, c(192), 1),
                    _chain(inputs, (mid, 1, 1, 0), (mid, (1, 7), 1, (0, 3)), (c(192), (7, 1), 1, (3, 0))),
                    _chain(
                        inputs, (mid, 1, 1, 0), (mid, (7, 1), 1, (3, 0)), (mid, (1, 7), 1, (0, 3)), (mid, (7, 1), 1, (3, 0)),
                        (c(192), (1, 7), 1, (0, 3)),
                    ),
                    nn.Sequential(nn.AvgPool2d(3, 1, 1), _unit(inputs, c(192), 1)),
                )
            )  # fmt: skip
            inputs = 4 * c(192)
        layers.append(
            Branches(
                _chain(inputs, (c(192), 1, 1, 0), (c(320), 3, 2, 0)),
                _chain(inputs, (c(192), 1, 1, 0), (c(192), (1, 7), 1, (0, 3)), (c(192), (7, 1), 1, (3, 0)), (c(192), 3, 2, 0)),
                nn.MaxPool2d(3, 2),
            )
        )
        inputs += c(320) + c(192)
        for _ in range(blocks[2]):
            layers.append(
                Branches(
                    _unit(inputs, c(320), 1),
                    nn.Sequential(_unit(inputs, c(384), 1), self._crossed(c(384))),
                    nn.Sequential(_unit(inputs, c(448), 1), _unit(c(448), c(384), 3, 1, 1), self._crossed(c(384))),
                    nn.Sequential(nn.AvgPool2d(3, 1, 1), _unit(inputs, c(192), 1)),
                )
            )
            inputs = c(320) + 4 * c(384) + c(192)
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(inputs, classes))

    @staticmethod
    def _crossed(channels: int) -> Branches:
        return Branches(_unit(channels, channels, (1, 3), 1, (0, 1)), _unit(channels, channels, (3, 1), 1, (1, 0)))


class YoloV3Tiny(nn.Module):
    """YOLO v3 tiny (Redmon and Farhadi 2018, arXiv 1804.02767; layers as in the authors' yolov3-tiny.cfg), its raw predictions as one row.

    Two scales, the finer one from an up-sampled map beside an earlier one. The last pool, of stride 1, is padded at right and bottom.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 128, 256, 512, 1024), narrow: int = 256, outputs: int = 255) -> None:
        super().__init__()
        self.body = nn.ModuleList(self._unit(a, b, 3) for a, b in zip((3, *channels[:-1]), channels, strict=True))
        self.narrow = self._unit(channels[-1], narrow, 1)
        self.coarse = nn.Sequential(self._unit(narrow, channels[-2], 3), nn.Conv2d(channels[-2], outputs, 1))
        self.lift = self._unit(narrow, narrow // 2, 1)
        self.fine = nn.Sequential(self._unit(narrow // 2 + channels[-3], channels[-3], 3), nn.Conv2d(channels[-3], outputs, 1))

    @staticmethod
    def _unit(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.1)
        )

    def forward(self, x: Any) -> Any:
        last = len(self.body) - 1
        early = x
        for number, step in enumerate(self.body):
            if number == last:
                x = nn.functional.max_pool2d(nn.functional.pad(x, (0, 1, 0, 1)), 2, 1)
            elif number:
                x = nn.functional.max_pool2d(x, 2)
            x = step(x)
            early = x if number == last - 2 else early
        x = self.narrow(x)
        raised = nn.functional.interpolate(self.lift(x), scale_factor=2.0, mode="nearest")
        scales = (self.coarse(x), self.fine(torch.cat([raised, early], 1)))
        return torch.cat([scale.flatten(1) for scale in scales], 1)

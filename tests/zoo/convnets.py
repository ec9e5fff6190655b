"""Convolutional networks from their papers, in PyTorch: SqueezeNet, DenseNet, ShuffleNet v2, MobileNet v3, U-Net.

Channels and depths are arguments, so that a test can run a small one; their defaults are the published networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class Fire(nn.Module):
    """Squeeze by 1 x 1, expand by 1 x 1 and by 3 x 3 side by side (Iandola et al. 2016, arXiv 1602.07360, figure 2)."""

    def __init__(self, channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.small, self.large = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.small(x)), torch.relu(self.large(x))], 1)


class SqueezeNet(nn.Sequential):
    """SqueezeNet 1.0 (the same, table 1): (squeeze, expand) of each fire module, pools after the stem, the third and the seventh."""

    FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))

    def __init__(self, stem: int = 96, fires: Sequence[tuple[int, int]] = FIRES, classes: int = 1000) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, stem, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
        channels = stem
        for number, (squeeze, expand) in enumerate(fires):
            layers.append(Fire(channels, squeeze, expand))
            channels = 2 * expand
            if number in (2, 6):
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        layers += [nn.Dropout(0.5), nn.Conv2d(channels, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers)


class DenseBlock(nn.Module):
    """Layers that read all before them: norm, ReLU, 1 x 1, norm, ReLU, 3 x 3 (Huang et al. 2017, arXiv 1608.06993, section 3)."""

    def __init__(self, channels: int, growth: int, count: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(channels + i * growth), nn.ReLU(), nn.Conv2d(channels + i * growth, 4 * growth, 1, bias=False),
                nn.BatchNorm2d(4 * growth), nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
            )
            for i in range(count)
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        found = [x]
        for step in self.steps:
            found.append(step(torch.cat(found, 1)))
        return torch.cat(found, 1)


class DenseNet(nn.Sequential):
    """DenseNet-121 (the same, table 1)."""

    def __init__(self, growth: int = 32, blocks: Sequence[int] = (6, 12, 24, 16), classes: int = 1000) -> None:
        channels = 2 * growth
        layers: list[nn.Module] = [
            nn.Conv2d(3, channels, 7, 2, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        ]  # fmt: skip
        for number, count in enumerate(blocks):
            layers.append(DenseBlock(channels, growth, count))
            channels += count * growth
            layers += [nn.BatchNorm2d(channels), nn.ReLU()]
            if number < len(blocks) - 1:
                layers += [nn.Conv2d(channels, channels // 2, 1, bias=False), nn.AvgPool2d(2)]
                channels //= 2
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def _unit(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU) -> nn.Sequential:
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([act()] if act else []))


class ShuffleUnit(nn.Module):
    """Half of the channels pass, or all are halved in size, and both halves are shuffled (Ma et al. 2018, arXiv 1807.11164, figure 3)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.stride = stride
        if stride == 2:
            self.beside = nn.Sequential(_unit(inputs, inputs, 3, 2, inputs, None), _unit(inputs, half, 1))
        start = inputs if stride == 2 else half
        self.main = nn.Sequential(_unit(start, half, 1), _unit(half, half, 3, stride, half, None), _unit(half, half, 1))

    def forward(self, x: Any) -> Any:
        first, second = (self.beside(x), x) if self.stride == 2 else x.chunk(2, 1)
        joined = torch.cat([first, self.main(second)], 1)
        _, channels, height, width = joined.shape
        return joined.view(1, 2, channels // 2, height, width).transpose(1, 2).reshape(1, channels, height, width)


class ShuffleNet(nn.Sequential):
    """ShuffleNet v2, 1x (the same, table 5)."""

    def __init__(self, stages: Sequence[tuple[int, int]] = ((116, 4), (232, 8), (464, 4)), last: int = 1024, classes: int = 1000) -> None:
        layers: list[nn.Module] = [_unit(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)]
        channels = 24
        for outputs, count in stages:
            layers += [ShuffleUnit(channels if i == 0 else outputs, outputs, 2 if i == 0 else 1) for i in range(count)]
            channels = outputs
        super().__init__(*layers, _unit(channels, last, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, classes))


class Excite(nn.Module):
    """Squeeze and excitation with a hard sigmoid (Howard et al. 2019, arXiv 1905.02244, section 5.3)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Any) -> Any:
        gate = self.up(torch.relu(self.down(nn.functional.adaptive_avg_pool2d(x, 1))))
        return x * nn.functional.hardsigmoid(gate)


class Bottleneck(nn.Module):
    """Expand, depthwise, excite, project (the same, figure 4)."""

    def __init__(self, inputs: int, row: tuple[int, int, int, bool, bool, int]) -> None:
        super().__init__()
        kernel, expanded, outputs, excite, hard, stride = row
        act: type[nn.Module] = nn.Hardswish if hard else nn.ReLU
        layers: list[nn.Module] = [_unit(inputs, expanded, 1, act=act)] if expanded != inputs else []
        layers.append(_unit(expanded, expanded, kernel, stride, expanded, act))
        if excite:
            layers.append(Excite(expanded, _of_eight(expanded / 4)))
        self.layers = nn.Sequential(*layers, _unit(expanded, outputs, 1, act=None))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return x + self.layers(x) if self.adds else self.layers(x)


def _of_eight(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


class MobileNetV3(nn.Sequential):
    """MobileNet v3 small (the same, table 2): kernel, expansion, outputs, excitation, hard swish, stride."""

    ROWS = (
        (3, 16, 16, True, False, 2), (3, 72, 24, False, False, 2), (3, 88, 24, False, False, 1), (5, 96, 40, True, True, 2),
        (5, 240, 40, True, True, 1), (5, 240, 40, True, True, 1), (5, 120, 48, True, True, 1), (5, 144, 48, True, True, 1),
        (5, 288, 96, True, True, 2), (5, 576, 96, True, True, 1), (5, 576, 96, True, True, 1),
    )  # fmt: skip

    def __init__(self, rows: Sequence[tuple[int, int, int, bool, bool, int]] = ROWS, last: int = 576, wide: int = 1024) -> None:
        layers: list[nn.Module] = [_unit(3, 16, 3, 2, act=nn.Hardswish)]
        channels = 16
        for row in rows:
            layers.append(Bottleneck(channels, row))
            channels = row[2]
        layers += [_unit(channels, last, 1, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers, nn.Linear(last, wide), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(wide, 1000))


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015, arXiv 1505.04597, figure 1), with the padding that later versions have: no crops."""

    def __init__(self, channels: Sequence[int] = (64, 128, 256, 512, 1024), classes: int = 2) -> None:
        super().__init__()
        inputs = (1, *channels[:-1])
        self.down = nn.ModuleList(self._two(before, after) for before, after in zip(inputs, channels, strict=True))
        pairs = list(zip(channels[1:], channels, strict=False))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, shallow, 2, 2) for deep, shallow in pairs)
        self.join = nn.ModuleList(self._two(deep, shallow) for deep, shallow in pairs)
        self.last = nn.Conv2d(channels[0], classes, 1)

    @staticmethod
    def _two(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU())

    def forward(self, x: Any) -> Any:
        found = []
        for number, step in enumerate(self.down):
            x = step(x if number == 0 else nn.functional.max_pool2d(x, 2))
            found.append(x)
        for up, join, beside in zip(self.up, self.join, found[-2::-1], strict=True):
            x = join(torch.cat([beside, up(x)], 1))
        return self.last(x)

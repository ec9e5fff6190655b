"""Networks of PyTorch's own layers: recurrent taggers, transformer layers, MLPerf Tiny's four, a diffusion U-Net's block."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from tests.zoo import classics, convnets
from tests.zoo.network import Network


class Tagger(nn.Module):
    """A label per token: an embedding, a recurrent layer in both directions or one, a linear layer."""

    def __init__(self, kind: type[nn.RNNBase], words: int, width: int, hidden: int, depth: int, both: bool, labels: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(words, width)
        self.recurrent = kind(width, hidden, depth, batch_first=True, bidirectional=both)
        self.label = nn.Linear(hidden * (2 if both else 1), labels)

    def forward(self, tokens: Any) -> Any:
        return self.label(self.recurrent(self.rows(tokens))[0])


class Decoder(nn.Module):
    """A transformer's decoder layer that attends to its own input as memory."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(width, heads, inner, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.layer(x, x)


class SelfAttention(nn.Module):
    """Multi-head attention of its input to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.attention(x, x, x)[0]


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A depthwise and a pointwise convolution, each with a batch norm and a ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
    )  # fmt: skip


def keyword_spotting(channels: int = 64) -> nn.Module:
    """DS-CNN of MLPerf Tiny (Banbury et al. 2021, arXiv 2106.07597, table 1): 49 x 10 coefficients, 12 words."""
    stem = [nn.Conv2d(1, channels, (10, 4), 2, (5, 1), bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 12)]
    return nn.Sequential(*stem, *(separable(channels, channels) for _ in range(4)), *head)


def person_detection(width: int = 8) -> nn.Module:
    """MobileNet v1 at a quarter of its width, two classes (the same)."""
    rows = ((1, 2, 1), (2, 4, 2), (4, 4, 1), (4, 8, 2), (8, 8, 1), (8, 16, 2), *((16, 16, 1),) * 5, (16, 32, 2), (32, 32, 1))
    stem = [nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32 * width, 2)]
    return nn.Sequential(*stem, *(separable(a * width, b * width, stride) for a, b, stride in rows), *head)


class Residual(nn.Module):
    """Two convolutions beside an identity or a 1 x 1 convolution (He et al. 2016, arXiv 1512.03385, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs))
        self.beside = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.beside(x) + self.second(self.first(x)))


def image_classification(width: int = 16) -> nn.Module:
    """ResNet-8 of MLPerf Tiny (the same), ten classes of 32 x 32 images."""
    stem = [nn.Conv2d(3, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU()]
    blocks = [Residual(width, width, 1), Residual(width, 2 * width, 2), Residual(2 * width, 4 * width, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, 10))


def anomaly_detection(width: int = 640, hidden: int = 128) -> nn.Module:
    """The fully connected autoencoder of MLPerf Tiny (the same)."""
    sizes = (width, *(hidden,) * 4, 8, *(hidden,) * 4)
    pairs = pairwise(sizes)
    return nn.Sequential(*(nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU()) for a, b in pairs), nn.Linear(hidden, width))


class DiffusionBlock(nn.Module):
    """A residual block with a time embedding and attention to text, of a latent diffusion U-Net (Rombach et al. 2022,
    arXiv 2112.10752)."""

    def __init__(self, channels: int, heads: int, groups: int, times: int, text: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, 1, 1))
        self.second = nn.Sequential(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, 1, 1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(times, channels))
        self.norm = nn.GroupNorm(groups, channels)
        self.inside, self.outside = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))
        self.attend = nn.MultiheadAttention(channels, heads, bias=False, batch_first=True)
        self.across = nn.MultiheadAttention(channels, heads, kdim=text, vdim=text, bias=False, batch_first=True)
        self.gate, self.project = nn.Linear(channels, 8 * channels), nn.Linear(4 * channels, channels)
        self.register_buffer("embedding", torch.linspace(-1, 1, times)[None])
        self.register_buffer("prompt", torch.linspace(-1, 1, 7 * text).reshape(1, 7, text))

    def forward(self, x: Any) -> Any:
        x = x + self.second(self.first(x) + self.time(self.embedding)[:, :, None, None])
        batch, channels, height, width = x.shape
        rows = self.inside(self.norm(x)).flatten(2).transpose(1, 2)
        here = self.norms[0](rows)
        rows = rows + self.attend(here, here, here, need_weights=False)[0]
        rows = rows + self.across(self.norms[1](rows), self.prompt, self.prompt, need_weights=False)[0]
        value, gate = self.gate(self.norms[2](rows)).chunk(2, -1)
        rows = rows + self.project(value * nn.functional.gelu(gate))
        return x + self.outside(rows.transpose(1, 2).reshape(batch, channels, height, width))


def _paper(small: Any, small_input: tuple[int, ...], published: Any, published_input: tuple[int, ...]) -> Network:
    return Network(small, small_input, published, published_input)


NETWORKS: dict[str, Network] = {
    "LSTM tagger": Network(lambda: Tagger(nn.LSTM, 30, 8, 6, 2, True, 5), (1, 5), lambda: Tagger(nn.LSTM, 10000, 128, 256, 1, True,
        17), (1, 64), True),
    "GRU tagger": Network(lambda: Tagger(nn.GRU, 30, 8, 6, 2, False, 5), (1, 5), lambda: Tagger(nn.GRU, 10000, 128, 256, 1, False, 17),
        (1, 64), True),
    "nn.TransformerEncoderLayer": Network(
        lambda: nn.TransformerEncoderLayer(16, 2, 24, batch_first=True), (1, 6, 16),
        lambda: nn.TransformerEncoderLayer(512, 8, batch_first=True), (1, 128, 512),
    ),
    "nn.TransformerEncoder": Network(
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 24, batch_first=True), 2), (1, 6, 16),
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(512, 8, batch_first=True), 6), (1, 128, 512),
    ),
    "nn.TransformerDecoderLayer": Network(lambda: Decoder(16, 2, 24), (1, 6, 16), lambda: Decoder(512, 8, 2048), (1, 128, 512)),
    "nn.MultiheadAttention": Network(lambda: SelfAttention(16, 2), (1, 6, 16), lambda: SelfAttention(512, 8), (1, 128, 512)),
    "MLPerf Tiny: keyword spotting": Network(lambda: keyword_spotting(8), (1, 1, 49, 10), keyword_spotting, (1, 1, 49, 10)),
    "MLPerf Tiny: person detection": Network(lambda: person_detection(2), (1, 3, 32, 32), person_detection, (1, 3, 96, 96)),
    "MLPerf Tiny: image classification": Network(lambda: image_classification(4), (1, 3, 32, 32), image_classification, (1, 3, 32, 32)),
    "MLPerf Tiny: anomaly detection": Network(lambda: anomaly_detection(24, 12), (1, 24), anomaly_detection, (1, 640)),
    "diffusion U-Net block": Network(
        lambda: DiffusionBlock(16, 2, 4, 12, 10), (1, 16, 4, 6), lambda: DiffusionBlock(320, 8, 32, 1280, 768), (1, 320, 32, 32)
    ),
    "SqueezeNet": _paper(lambda: convnets.SqueezeNet(8, ((4, 6), (4, 6), (4, 8)), 5), (1, 3, 35, 41), convnets.SqueezeNet, (1, 3, 224,
        224)),
    "DenseNet-121": _paper(lambda: convnets.DenseNet(4, (2, 3), 5), (1, 3, 32, 32), convnets.DenseNet, (1, 3, 224, 224)),
    "ShuffleNet v2": _paper(lambda: convnets.ShuffleNet(((16, 2), (32, 2)), 16, 5), (1, 3, 32, 32), convnets.ShuffleNet, (1, 3, 224,
        224)),
    "MobileNet v3 small": _paper(
        lambda: convnets.MobileNetV3(convnets.MobileNetV3.ROWS[:4], 24, 16), (1, 3, 32, 32), convnets.MobileNetV3, (1, 3, 224, 224)
    ),
    "U-Net": _paper(lambda: convnets.UNet((4, 8, 16)), (1, 1, 8, 12), convnets.UNet, (1, 1, 256, 256)),
    "VGG-16": _paper(lambda: classics.VGG((8, 0, 16, 16, 0), 16, 24, 5), (1, 3, 16, 16), classics.VGG, (1, 3, 224, 224)),
    "AlexNet": _paper(lambda: classics.AlexNet((8, 16, 24, 24, 16), 67, 24, 5), (1, 3, 67, 67), classics.AlexNet, (1, 3, 227, 227)),
    "GoogLeNet": _paper(
        lambda: classics.GoogLeNet((8, 8, 16), ((8, 8, 16, 4, 8, 8), None, (8, 8, 8, 4, 8, 8)), 5), (1, 3, 37, 37), classics.GoogLeNet,
        (1, 3, 224, 224),
    ),
    "Inception v3": _paper(lambda: classics.InceptionV3(1 / 8, (1, 1, 1), 5), (1, 3, 79, 79), classics.InceptionV3, (1, 3, 299, 299)),
    "YOLO v3 tiny": _paper(lambda: classics.YoloV3Tiny((4, 8, 8, 16, 16, 24, 32), 16, 24), (1, 3, 64, 96), classics.YoloV3Tiny, (1, 3, 416,
        416)),
}  # fmt: skip

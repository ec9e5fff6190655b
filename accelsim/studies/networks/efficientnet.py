"""MnasNet (Tan et al., arXiv 1807.11626), EfficientNet (arXiv 1905.11946), its Lite and EdgeTPU, and EfficientNetV2 (arXiv 2104.00298).

Inverted residuals, most of which weigh their channels by squeeze-and-excitation; Lite's and EdgeTPU's do not. Widths and depths of
EfficientNetV2 b0 to b3 are those of Keras, the tables of Lite and EdgeTPU those of their authors' code (tensorflow/tpu).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU, RELU6, Activation, ConvNet
from accelsim.studies.networks.mobilenet import eights
from accelsim.trace.trace import Trace


class _Stage(NamedTuple):
    """Blocks alike: taps, expansion, output channels, blocks, stride of the first; a fused block expands by its k x k convolution."""

    taps: int
    expansion: int
    outputs: int
    blocks: int
    stride: int
    squeezed: bool
    fused: bool
    inner: int = 0  # channels before scaling that the expansion counts from, where they are not the input's


# Table 1 of EfficientNet; table 4 of EfficientNetV2, and the smaller one that its b0 to b3 scale.
_V1 = tuple(
    _Stage(*row, squeezed=True, fused=False)
    for row in (
        *((3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2)),
        *((5, 6, 112, 3, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1)),
    )
)
_V2_B = (
    *(_Stage(*row, squeezed=False, fused=True) for row in ((3, 1, 16, 1, 1), (3, 4, 32, 2, 2), (3, 4, 48, 2, 2))),
    *(_Stage(*row, squeezed=True, fused=False) for row in ((3, 4, 96, 3, 2), (3, 6, 112, 5, 1), (3, 6, 192, 8, 2))),
)
_V2_S = (
    *(_Stage(*row, squeezed=False, fused=True) for row in ((3, 1, 24, 2, 1), (3, 4, 48, 4, 2), (3, 4, 64, 4, 2))),
    *(_Stage(*row, squeezed=True, fused=False) for row in ((3, 4, 128, 6, 2), (3, 6, 160, 9, 1), (3, 6, 256, 15, 2))),
)
_LITE = tuple(stage._replace(squeezed=False) for stage in _V1)
_EDGE = (
    _Stage(3, 4, 24, 1, 1, squeezed=False, fused=True, inner=24),
    *(_Stage(*row, squeezed=False, fused=True) for row in ((3, 8, 32, 2, 2), (3, 8, 48, 4, 2))),
    *(_Stage(*row, squeezed=False, fused=False) for row in ((5, 8, 96, 5, 2), (5, 8, 144, 4, 1), (5, 8, 192, 2, 2))),
)
# MnasNet without squeeze-and-excitation (b1), and with it in some stages (a1: figure 7).
_MNAS = tuple(
    _Stage(*row, squeezed=False, fused=False)
    for row in (
        *((3, 1, 16, 1, 1), (3, 3, 24, 3, 2), (5, 3, 40, 3, 2), (5, 6, 80, 3, 2)),
        *((3, 6, 96, 2, 1), (5, 6, 192, 4, 2), (3, 6, 320, 1, 1)),
    )
)
_MNAS_SQUEEZED = (
    *(_Stage(*row, fused=False) for row in ((3, 1, 16, 1, 1, False), (3, 6, 24, 2, 2, False), (5, 3, 40, 3, 2, True))),
    *(_Stage(*row, fused=False) for row in ((3, 6, 80, 4, 2, False), (3, 6, 112, 2, 1, True), (5, 6, 160, 3, 2, True))),
    _Stage(3, 6, 320, 1, 1, squeezed=False, fused=False),
)
_STEM, _LAST = 32, 1280
# Width and depth over those of b0: EfficientNet's and Keras' tables.
_SCALES_V1 = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8))
_SCALES_V2 = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4))
_SCALES_EDGE = {"s": (1.0, 1.0), "m": (1.0, 1.1), "l": (1.2, 1.4)}
_RESOLUTIONS_EDGE = {"s": 224, "m": 240, "l": 300}
_RESOLUTIONS_LITE = (224, 240, 260, 280, 300)
_RESOLUTIONS_V1 = (224, 240, 260, 300, 380)
_RESOLUTIONS_V2 = (224, 240, 260, 300)


def efficientnet(name: str, scale: int, resolution: int = 0, classes: int = 1000) -> Trace:
    """EfficientNet b0 to b4; a resolution of 0 is that of its table."""
    width, depth = _SCALES_V1[scale]
    return _scaled(name, _V1, lambda channels: eights(channels * width), depth, resolution or _RESOLUTIONS_V1[scale], classes)


def efficientnet_v2(name: str, scale: int, resolution: int = 0, classes: int = 1000) -> Trace:
    """EfficientNetV2 b0 to b3; a resolution of 0 is that of its table."""
    width, depth = _SCALES_V2[scale]

    def channels(count: int) -> int:  # the nearest multiple, also where it is a tenth below
        return max(8, int(count * width + 4) // 8 * 8)

    return _scaled(name, _V2_B, channels, depth, resolution or _RESOLUTIONS_V2[scale], classes)


def efficientnet_v2_s(name: str, resolution: int = 384, classes: int = 1000) -> Trace:
    """EfficientNetV2 S, whose stem has 24 channels."""
    return _scaled(name, _V2_S, lambda channels: 24 if channels == _STEM else channels, 1.0, resolution, classes)


def efficientnet_lite(name: str, scale: int, resolution: int = 0, classes: int = 1000) -> Trace:
    """EfficientNet-Lite 0 to 4, whose stem, first and last stage are those of 0; a resolution of 0 is that of its table."""
    width, depth = _SCALES_V1[scale]
    last = len(_LITE) - 1
    stages = tuple(
        stage._replace(outputs=eights(stage.outputs * width), blocks=stage.blocks if at in (0, last) else math.ceil(stage.blocks * depth))
        for at, stage in enumerate(_LITE)
    )
    return _scaled(name, stages, lambda channels: channels, 1.0, resolution or _RESOLUTIONS_LITE[scale], classes, RELU6)


def efficientnet_edge(name: str, size: str, resolution: int = 0, classes: int = 1000) -> Trace:
    """EfficientNet-EdgeTPU s, m or l; a resolution of 0 is that of its table."""
    width, depth = _SCALES_EDGE[size]
    return _scaled(
        name, _EDGE, lambda channels: eights(channels * width), depth, resolution or _RESOLUTIONS_EDGE[size], classes, RELU
    )  # fmt: skip


def mnasnet(name: str, squeezed: bool, resolution: int = 224, classes: int = 1000) -> Trace:
    """MnasNet at depth 1, with squeeze-and-excitation or without."""
    return _scaled(name, _MNAS_SQUEEZED if squeezed else _MNAS, lambda channels: channels, 1.0, resolution, classes, RELU)


def _scaled(
    name: str, stages: tuple[_Stage, ...], channels: Callable[[int], int], depth: float, resolution: int, classes: int,
    activation: Activation = "silu",
) -> Trace:  # fmt: skip
    net = ConvNet(resolution)
    view = net.conv("conv", net.image, channels(_STEM), 3, 2, clip=activation)
    number = 0
    for stage in stages:
        for block in range(math.ceil(stage.blocks * depth)):
            stride = stage.stride if block == 0 else 1
            inner = stage.expansion * (channels(stage.inner) if stage.inner else view.shape[1])
            view = _block(net, f"block{number}", view, stage, inner, channels(stage.outputs), stride, activation)
            number += 1
    view = net.conv("last_conv", view, channels(_LAST), clip=activation)
    return net.trace(name, net.linear("classifier", net.averaged("pool", view), classes))


def _block(
    net: ConvNet, name: str, view: View, stage: _Stage, inner: int, outputs: int, stride: int, activation: Activation
) -> View:  # fmt: skip
    wide = view
    if stage.fused and stage.expansion == 1:
        return net.residual(name, view, net.conv(f"{name}.project", view, outputs, stage.taps, stride, clip=activation), stride)
    if stage.fused:
        wide = net.conv(f"{name}.expand", view, inner, stage.taps, stride, clip=activation)
    else:
        if stage.expansion > 1:
            wide = net.conv(f"{name}.expand", view, inner, clip=activation)
        wide = net.depthwise(f"{name}.depthwise", wide, stage.taps, stride, activation)
    if stage.squeezed:
        wide = net.squeezed(name, wide, max(1, view.shape[1] // 4), activation, "sigmoid")
    return net.residual(name, view, net.conv(f"{name}.project", wide, outputs, clip=None), stride)

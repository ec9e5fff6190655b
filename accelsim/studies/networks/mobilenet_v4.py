"""MobileNet v4 (Qin et al., arXiv 2404.10518): the small convolutional one."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU, ConvNet
from accelsim.trace.trace import Trace


class _Block(NamedTuple):
    """A universal inverted bottleneck: depthwise taps before the expansion and behind it (0: none), expansion, outputs, stride."""

    before: int
    within: int
    expansion: int
    outputs: int
    stride: int = 1


# Table 11 of the paper: (outputs, taps, stride) of its first convolutions, and its bottlenecks.
_FIRST = ((32, 3, 2), (32, 3, 2), (32, 1, 1), (96, 3, 2), (64, 1, 1))
_SMALL = (
    *(_Block(5, 5, 3, 96, 2), *(_Block(0, 3, 2, 96),) * 4, _Block(3, 0, 4, 96)),
    *(_Block(3, 3, 6, 128, 2), _Block(5, 5, 4, 128), _Block(0, 5, 4, 128), _Block(0, 5, 3, 128), *(_Block(0, 3, 4, 128),) * 2),
)
_LAST, _HEAD = 960, 1280


def mobilenet_v4_small(name: str, resolution: int = 224, classes: int = 1000) -> Trace:
    """MobileNet v4, conv small."""
    net = ConvNet(resolution)
    view = net.image
    for number, (outputs, taps, stride) in enumerate(_FIRST):
        view = net.conv(f"conv{number}", view, outputs, taps, stride)
    for number, block in enumerate(_SMALL):
        view = _bottleneck(net, f"block{number}", view, block)
    mean = net.averaged("pool", net.conv("last_conv", view, _LAST))
    row = net.linear("head", mean, _HEAD, RELU)
    return net.trace(name, net.linear("classifier", row, classes))


def _bottleneck(net: ConvNet, name: str, view: View, block: _Block) -> View:
    inner = view
    if block.before:
        inner = net.depthwise(f"{name}.before", view, block.before, 1 if block.within else block.stride, None)
    inner = net.conv(f"{name}.expand", inner, block.expansion * view.shape[1])
    if block.within:
        inner = net.depthwise(f"{name}.within", inner, block.within, block.stride, RELU)
    return net.residual(name, view, net.conv(f"{name}.project", inner, block.outputs, clip=None), block.stride)

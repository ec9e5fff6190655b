"""Networks without residual sums: AlexNet (one tower, arXiv 1404.5997), VGG (arXiv 1409.1556), SqueezeNet (arXiv 1602.07360)."""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU, ConvNet
from accelsim.trace.trace import Trace

VGG_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # convolutions: table 1
_VGG_WIDTHS = (64, 128, 256, 512, 512)
_ALEXNET = ((64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False), (256, 3, 1, 1, True))
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))  # (squeeze, expand) of fire2 to fire9
# Of each version: outputs and taps of the first convolution; modules with a pool behind them (v1.0: the paper; v1.1: its authors' code).
_SQUEEZENETS = {"1.0": (96, 7, (4, 8)), "1.1": (64, 3, (3, 5))}


def alexnet(name: str, resolution: int = 224, classes: int = 1000) -> Trace:
    """AlexNet of one tower."""
    net = ConvNet(resolution)
    view = net.image
    for number, (channels, taps, stride, padding, pooled) in enumerate(_ALEXNET, 1):
        view = net.conv(f"conv{number}", view, channels, taps, stride, padding)
        view = net.max_pool(f"pool{number}", view, 3, 2) if pooled else view
    return net.trace(name, _fully_connected(net, net.flattened(view), classes))


def vgg(name: str, layers: int, resolution: int = 224, classes: int = 1000) -> Trace:
    """VGG of so many layers: a key of VGG_STAGES."""
    net = ConvNet(resolution)
    view = net.image
    for stage, (channels, convolutions) in enumerate(zip(_VGG_WIDTHS, VGG_STAGES[layers], strict=True), 1):
        for number in range(1, convolutions + 1):
            view = net.conv(f"conv{stage}_{number}", view, channels, 3)
        view = net.max_pool(f"pool{stage}", view, 2, 2)
    return net.trace(name, _fully_connected(net, net.flattened(view), classes))


def squeezenet(name: str, version: str, resolution: int = 224, classes: int = 1000) -> Trace:
    """SqueezeNet: version 1.0 or 1.1."""
    first, first_taps, pooled_after = _SQUEEZENETS[version]
    net = ConvNet(resolution)
    view = net.max_pool("pool1", net.conv("conv1", net.image, first, first_taps, 2, 0), 3, 2, far=1)
    for number, (squeeze, expand) in enumerate(_FIRES, 2):
        name_of = f"fire{number}"
        view = net.conv(f"{name_of}.squeeze", view, squeeze)
        sides = (net.conv(f"{name_of}.expand{taps}", view, expand, taps) for taps in (1, 3))
        view = net.join(f"{name_of}.join", *sides)
        view = net.max_pool(f"pool{number}", view, 3, 2, far=1) if number in pooled_after else view
    return net.trace(name, net.averaged("average", net.conv("conv10", view, classes)))


def _fully_connected(net: ConvNet, view: View, classes: int) -> View:
    for number in (6, 7):
        view = net.linear(f"fc{number}", view, 4096, RELU)
    return net.linear("classifier", view, classes)

"""Networks without residual sums: AlexNet (one tower, arXiv 1404.5997), VGG (arXiv 1409.1556), SqueezeNet v1.1 (arXiv 1602.07360)."""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU, ConvNet
from accelsim.trace.trace import Trace

VGG_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # convolutions: table 1
_VGG_WIDTHS = (64, 128, 256, 512, 512)
_ALEXNET = ((64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False), (256, 3, 1, 1, True))
_FIRES = ((16, 64, False), (16, 64, True), (32, 128, False), (32, 128, True), (48, 192, False), (48, 192, False), (64, 256, False),
          (64, 256, False))  # fmt: skip  # (squeeze, expand, a pool follows)


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


def squeezenet(name: str, resolution: int = 224, classes: int = 1000) -> Trace:
    """SqueezeNet v1.1."""
    net = ConvNet(resolution)
    view = net.max_pool("pool1", net.conv("conv1", net.image, 64, 3, 2, 0), 3, 2, far=1)
    for number, (squeeze, expand, pooled) in enumerate(_FIRES, 2):
        name_of = f"fire{number}"
        view = net.conv(f"{name_of}.squeeze", view, squeeze)
        sides = (net.conv(f"{name_of}.expand{taps}", view, expand, taps) for taps in (1, 3))
        view = net.join(f"{name_of}.join", *sides)
        view = net.max_pool(f"pool{number}", view, 3, 2, far=1) if pooled else view
    return net.trace(name, net.averaged("average", net.conv("conv10", view, classes)))


def _fully_connected(net: ConvNet, view: View, classes: int) -> View:
    for number in (6, 7):
        view = net.linear(f"fc{number}", view, 4096, RELU)
    return net.linear("classifier", view, classes)

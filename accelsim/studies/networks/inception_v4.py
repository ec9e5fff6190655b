"""Inception v4 and Inception-ResNet v2 (Szegedy et al., arXiv 1602.07261), without auxiliary classifiers.

Disputable assumption: where the paper's figures of Inception-ResNet v2 differ from the TensorFlow model that boards run, the widths of the
model are taken.
"""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU, ConvNet
from accelsim.studies.networks.inception import COLUMN, ROW, chain, pooled
from accelsim.trace.trace import Trace

_BLOCKS_V4 = (4, 7, 3)  # of each size
_BLOCKS_RESNET = (10, 20, 10)
_SIDES = (("1x3", (1, 3)), ("3x1", (3, 1)))


def inception_v4(name: str, resolution: int = 299, classes: int = 1000) -> Trace:
    """Inception v4."""
    net = ConvNet(resolution)
    view = _stem(net)
    for block in range(_BLOCKS_V4[0]):
        view = _fine(net, f"a{block}", view)
    view = _halved(net, "reduction_a", view, 384, ((192, 1), (224, 3), 256))
    for block in range(_BLOCKS_V4[1]):
        view = _middle(net, f"b{block}", view)
    three = net.conv("reduction_b.3x3", net.conv("reduction_b.3x3_reduce", view, 192), 192, 3, 2, 0)
    seven = net.conv("reduction_b.7x7", chain(net, "reduction_b.7x7", view, (256, 1), (256, ROW), (320, COLUMN)), 320, 3, 2, 0)
    view = net.join("reduction_b.join", three, seven, net.max_pool("reduction_b.pool", view, 3, 2))
    for block in range(_BLOCKS_V4[2]):
        view = _coarse(net, f"c{block}", view)
    return net.trace(name, net.linear("classifier", net.averaged("average", view), classes))


def inception_resnet_v2(name: str, resolution: int = 299, classes: int = 1000) -> Trace:
    """Inception-ResNet v2."""
    net = ConvNet(resolution)
    view = net.conv("conv2", net.conv("conv1", net.image, 32, 3, 2, 0), 32, 3, 1, 0)
    view = net.conv("conv4", net.max_pool("pool1", net.conv("conv3", view, 64, 3), 3, 2), 80)
    view = net.max_pool("pool2", net.conv("conv5", view, 192, 3, 1, 0), 3, 2)
    five = net.conv("5b.5x5", net.conv("5b.5x5_reduce", view, 48), 64, 5)
    double = chain(net, "5b.double", view, (64, 1), (96, 3), (96, 3))
    view = net.join("5b.join", net.conv("5b.1x1", view, 96), five, double, pooled(net, "5b", view, 64))
    for block in range(_BLOCKS_RESNET[0]):
        here = f"a{block}"
        three = chain(net, f"{here}.3x3", view, (32, 1), (32, 3))
        double = chain(net, f"{here}.double", view, (32, 1), (48, 3), (64, 3))
        view = _added(net, here, view, net.join(f"{here}.join", net.conv(f"{here}.1x1", view, 32), three, double))
    view = _halved(net, "6a", view, 384, ((256, 1), (256, 3), 384))
    for block in range(_BLOCKS_RESNET[1]):
        here = f"b{block}"
        seven = chain(net, f"{here}.7x7", view, (128, 1), (160, ROW), (192, COLUMN))
        view = _added(net, here, view, net.join(f"{here}.join", net.conv(f"{here}.1x1", view, 192), seven))
    first = net.conv("7a.first", net.conv("7a.first_reduce", view, 256), 384, 3, 2, 0)
    second = net.conv("7a.second", net.conv("7a.second_reduce", view, 256), 288, 3, 2, 0)
    double = net.conv("7a.double", chain(net, "7a.double", view, (256, 1), (288, 3)), 320, 3, 2, 0)
    view = net.join("7a.join", first, second, double, net.max_pool("7a.pool", view, 3, 2))
    for block in range(_BLOCKS_RESNET[2]):
        here = f"c{block}"
        three = chain(net, f"{here}.3x3", view, (192, 1), (224, (1, 3)), (256, (3, 1)))
        joined = net.join(f"{here}.join", net.conv(f"{here}.1x1", view, 192), three)
        view = _added(net, here, view, joined, last=block == _BLOCKS_RESNET[2] - 1)
    return net.trace(name, net.linear("classifier", net.averaged("average", net.conv("last_conv", view, 1536)), classes))


def _stem(net: ConvNet) -> View:
    view = net.conv("conv2", net.conv("conv1", net.image, 32, 3, 2, 0), 32, 3, 1, 0)
    view = net.conv("conv3", view, 64, 3)
    view = net.join("stem1.join", net.max_pool("stem1.pool", view, 3, 2), net.conv("stem1.conv", view, 96, 3, 2, 0))
    short = net.conv("stem2.3x3", net.conv("stem2.3x3_reduce", view, 64), 96, 3, 1, 0)
    long = net.conv("stem2.7x7", chain(net, "stem2.7x7", view, (64, 1), (64, ROW), (64, COLUMN)), 96, 3, 1, 0)
    view = net.join("stem2.join", short, long)
    return net.join("stem3.join", net.conv("stem3.conv", view, 192, 3, 2, 0), net.max_pool("stem3.pool", view, 3, 2))


def _fine(net: ConvNet, name: str, view: View) -> View:
    three = chain(net, f"{name}.3x3", view, (64, 1), (96, 3))
    double = chain(net, f"{name}.double", view, (64, 1), (96, 3), (96, 3))
    return net.join(f"{name}.join", net.conv(f"{name}.1x1", view, 96), three, double, pooled(net, name, view, 96))


def _middle(net: ConvNet, name: str, view: View) -> View:
    seven = chain(net, f"{name}.7x7", view, (192, 1), (224, ROW), (256, COLUMN))
    double = chain(net, f"{name}.double", view, (192, 1), (192, COLUMN), (224, ROW), (224, COLUMN), (256, ROW))
    return net.join(f"{name}.join", net.conv(f"{name}.1x1", view, 384), seven, double, pooled(net, name, view, 128))


def _coarse(net: ConvNet, name: str, view: View) -> View:
    three = net.conv(f"{name}.3x3_reduce", view, 384)
    double = chain(net, f"{name}.double", view, (384, 1), (448, (3, 1)), (512, (1, 3)))
    sides = (net.conv(f"{name}.{branch}.{side}", inner, 256, taps) for branch, inner in (("3x3", three), ("double", double))
             for side, taps in _SIDES)  # fmt: skip
    return net.join(f"{name}.join", net.conv(f"{name}.1x1", view, 256), *sides, pooled(net, name, view, 256))


def _halved(net: ConvNet, name: str, view: View, outputs: int, double: tuple[tuple[int, int], tuple[int, int], int]) -> View:
    """A module of half the image: a 3x3 convolution, a chain of them (the last one's outputs alone), and a pool."""
    *inner, last = double
    three = net.conv(f"{name}.3x3", view, outputs, 3, 2, 0)
    longer = net.conv(f"{name}.double", chain(net, f"{name}.double", view, *inner), last, 3, 2, 0)
    return net.join(f"{name}.join", three, longer, net.max_pool(f"{name}.pool", view, 3, 2))


def _added(net: ConvNet, name: str, view: View, joined: View, last: bool = False) -> View:
    """The input and the branches, widened without a batch norm; the last block has no activation."""
    return net.add(f"{name}.add", view, net.conv(f"{name}.widened", joined, view.shape[1], clip=None), None if last else RELU)

"""Residual networks: v1 (He et al., arXiv 1512.03385) and v2 with pre-activation (He et al., arXiv 1603.05027).

Disputable assumption: v1 strides in the 3x3 convolution of a bottleneck (as torchvision does, "v1.5"), not in its first one; v2 strides in
the last block of a stage, as Keras does.
"""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU, ConvNet
from accelsim.trace.trace import Trace

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # table 1 of the v1 paper
_WIDTHS = (64, 128, 256, 512)
_BOTTLENECK_FROM, _WIDER = 50, 4  # layers of the smallest network of bottlenecks; their outputs per inner channel


def resnet(name: str, layers: int, resolution: int = 224, classes: int = 1000) -> Trace:
    """ResNet v1 of so many layers: a key of BLOCKS."""
    net = ConvNet(resolution)
    view = net.max_pool("pool", net.conv("conv1", net.image, 64, 7, 2), 3, 2, 1)
    block_of = _bottleneck if layers >= _BOTTLENECK_FROM else _basic
    for stage, (width, blocks) in enumerate(zip(_WIDTHS, BLOCKS[layers], strict=True), 1):
        for block in range(blocks):
            view = block_of(net, f"stage{stage}.{block}", view, width, 2 if stage > 1 and block == 0 else 1)
    return net.trace(name, net.linear("classifier", net.averaged("average", view), classes))


def resnet_v2(name: str, layers: int, resolution: int = 224, classes: int = 1000) -> Trace:
    """ResNet v2 of bottlenecks."""
    net = ConvNet(resolution)
    view = net.max_pool("pool", net.conv("conv1", net.image, 64, 7, 2, clip=None), 3, 2, 1)
    for stage, (width, blocks) in enumerate(zip(_WIDTHS, BLOCKS[layers], strict=True), 1):
        for block in range(blocks):
            last = block == blocks - 1 and stage < len(_WIDTHS)
            view = _pre_activated(net, f"stage{stage}.{block}", view, width, 2 if last else 1, block == 0)
    return net.trace(name, net.linear("classifier", net.averaged("average", net.normalized("norm", view)), classes))


def _basic(net: ConvNet, name: str, view: View, width: int, stride: int) -> View:
    inner = net.conv(f"{name}.conv1", view, width, 3, stride)
    inner = net.conv(f"{name}.conv2", inner, width, 3, clip=None)
    return net.add(f"{name}.add", inner, _shortcut(net, name, view, width, stride), RELU)


def _bottleneck(net: ConvNet, name: str, view: View, width: int, stride: int) -> View:
    inner = net.conv(f"{name}.conv1", view, width)
    inner = net.conv(f"{name}.conv2", inner, width, 3, stride)
    inner = net.conv(f"{name}.conv3", inner, _WIDER * width, clip=None)
    return net.add(f"{name}.add", inner, _shortcut(net, name, view, _WIDER * width, stride), RELU)


def _shortcut(net: ConvNet, name: str, view: View, outputs: int, stride: int) -> View:
    if stride == 1 and view.shape[1] == outputs:
        return view
    return net.conv(f"{name}.shortcut", view, outputs, 1, stride, clip=None)


def _pre_activated(net: ConvNet, name: str, view: View, width: int, stride: int, projected: bool) -> View:
    ready = net.normalized(f"{name}.norm", view)
    if projected:
        kept = net.conv(f"{name}.shortcut", ready, _WIDER * width, 1, stride, clip=None)
    else:
        kept = view if stride == 1 else net.max_pool(f"{name}.pool", view, 1, stride)
    inner = net.conv(f"{name}.conv1", ready, width)
    inner = net.conv(f"{name}.conv2", inner, width, 3, stride)
    return net.add(f"{name}.add", net.conv(f"{name}.conv3", inner, _WIDER * width, clip=None), kept)

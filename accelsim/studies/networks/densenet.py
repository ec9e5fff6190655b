"""DenseNet (Huang et al., arXiv 1608.06993, table 1): each layer reads the channels of all layers before it in its block.

Disputable assumption: the channels of a block are joined behind each of its layers, one copy of all per layer; a machine that writes
every layer's channels beside the others copies nothing.
"""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import ConvNet
from accelsim.trace.trace import Trace

BLOCKS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
_GROWTH, _INNER = 32, 4  # channels that a layer adds; those of its 1x1 convolution, over these


def densenet(name: str, layers: int, resolution: int = 224, classes: int = 1000) -> Trace:
    """DenseNet of so many layers: a key of BLOCKS."""
    net = ConvNet(resolution)
    view = net.max_pool("pool", net.conv("conv", net.image, 2 * _GROWTH, 7, 2), 3, 2, 1)
    for block, count in enumerate(BLOCKS[layers], 1):
        for layer in range(count):
            view = _layer(net, f"block{block}.{layer}", view)
        if block < len(BLOCKS[layers]):
            ready = net.normalized(f"transition{block}.norm", view)
            halved = net.conv(f"transition{block}.conv", ready, view.shape[1] // 2, clip=None, bias=False)
            view = net.average_pool(f"transition{block}.pool", halved, 2, 2)
    return net.trace(name, net.linear("classifier", net.averaged("average", net.normalized("norm", view)), classes))


def _layer(net: ConvNet, name: str, view: View) -> View:
    inner = net.conv(f"{name}.conv1", net.normalized(f"{name}.norm", view), _INNER * _GROWTH)
    return net.join(f"{name}.join", view, net.conv(f"{name}.conv2", inner, _GROWTH, 3, clip=None, bias=False))

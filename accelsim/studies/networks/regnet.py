"""RegNet (Radosavovic et al., arXiv 2003.13678): RegNetX-200MF and -400MF, bottlenecks of grouped convolutions."""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU, ConvNet
from accelsim.trace.trace import Trace

# (width, blocks) of each stage, and channels of a group: table 9.
STAGES = {
    "002": (((24, 1), (56, 1), (152, 4), (368, 7)), 8),
    "004": (((32, 1), (64, 2), (160, 7), (384, 12)), 16),
}
_STEM = 32


def regnet_x(name: str, size: str, resolution: int = 224, classes: int = 1000) -> Trace:
    """RegNetX: a key of STAGES."""
    net = ConvNet(resolution)
    view = net.conv("conv", net.image, _STEM, 3, 2)
    stages, group = STAGES[size]
    for stage, (width, blocks) in enumerate(stages, 1):
        for block in range(blocks):
            view = _block(net, f"stage{stage}.{block}", view, width, group, 2 if block == 0 else 1)
    return net.trace(name, net.linear("classifier", net.averaged("average", view), classes))


def _block(net: ConvNet, name: str, view: View, width: int, group: int, stride: int) -> View:
    inner = net.conv(f"{name}.conv1", view, width)
    inner = net.conv(f"{name}.conv2", inner, width, 3, stride, groups=width // group)
    inner = net.conv(f"{name}.conv3", inner, width, clip=None)
    kept = view if stride == 1 else net.conv(f"{name}.shortcut", view, width, 1, stride, clip=None)
    return net.add(f"{name}.add", inner, kept, RELU)

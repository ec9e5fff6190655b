"""MobileNet v1 (Howard et al., arXiv 1704.04861) and v2 (Sandler et al., arXiv 1801.04381) by depth multiplier.

Channels are rounded as the authors' code does: v1 downwards to whole channels, v2 to multiples of 8 and never by more than a tenth.
"""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU6, ConvNet
from accelsim.trace.trace import Trace

# (output channels, stride) of v1's depthwise separable blocks: table 1.
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
# (expansion, output channels, blocks, stride of the first) of v2: table 2.
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_LAST_V2 = 1280


def mobilenet_v1(name: str, depth: float = 1.0, resolution: int = 224, classes: int = 1000) -> Trace:
    """MobileNet v1."""
    net = ConvNet(resolution)
    view = net.conv("conv", net.image, int(32 * depth), 3, 2, clip=RELU6)
    for number, (channels, stride) in enumerate(_V1, 1):
        view = net.depthwise(f"block{number}.depthwise", view, 3, stride, RELU6)
        view = net.conv(f"block{number}.pointwise", view, int(channels * depth), clip=RELU6)
    return net.trace(name, net.linear("classifier", net.averaged("pool", view), classes))


def mobilenet_v2(name: str, depth: float = 1.0, resolution: int = 224, classes: int = 1000) -> Trace:
    """MobileNet v2; its last convolution is never narrower than at depth 1."""
    net = ConvNet(resolution)
    view = net.conv("conv", net.image, eights(32 * depth), 3, 2, clip=RELU6)
    number = 0
    for expansion, channels, blocks, first_stride in _V2:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            view = _inverted_residual(net, f"block{number}", view, expansion, eights(channels * depth), stride)
            number += 1
    view = net.conv("last_conv", view, eights(_LAST_V2 * max(1.0, depth)), clip=RELU6)
    return net.trace(name, net.linear("classifier", net.averaged("pool", view), classes))


def _inverted_residual(net: ConvNet, name: str, view: View, expansion: int, outputs: int, stride: int) -> View:
    inputs, wide = view.shape[1], view
    if expansion > 1:
        wide = net.conv(f"{name}.expand", view, expansion * inputs, clip=RELU6)
    wide = net.depthwise(f"{name}.depthwise", wide, 3, stride, RELU6)
    narrow = net.conv(f"{name}.project", wide, outputs, clip=None)
    return net.residual(name, view, narrow, stride)


def eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8; the next one up where that is more than a tenth below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near

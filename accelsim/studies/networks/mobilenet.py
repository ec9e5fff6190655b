"""MobileNet v1 (Howard et al., arXiv 1704.04861), FD-MobileNet (Qin et al., arXiv 1802.03750) and v2 (Sandler et al., arXiv 1801.04381).

All have a depth multiplier. Channels are rounded as the authors' code does: v1 downwards to whole channels, v2 to multiples of 8 and never
by more than a tenth.
"""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU6, ConvNet
from accelsim.trace.trace import Trace

# (output channels, stride) of v1's depthwise separable blocks: table 1.
_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
# The same of FD-MobileNet: table 1.
_FAST = ((64, 2), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 4, (1024, 1))
# (expansion, output channels, blocks, stride of the first) of v2: table 2.
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_LAST_V2 = 1280


def mobilenet_v1(name: str, depth: float = 1.0, resolution: int = 224, classes: int = 1000) -> Trace:
    """MobileNet v1."""
    return _separable(name, _V1, depth, resolution, classes)


def fd_mobilenet(name: str, depth: float = 1.0, resolution: int = 224, classes: int = 1000) -> Trace:
    """FD-MobileNet, which halves the image earlier."""
    return _separable(name, _FAST, depth, resolution, classes)


def mobilenet_v2(name: str, depth: float = 1.0, resolution: int = 224, classes: int = 1000) -> Trace:
    """MobileNet v2; its last convolution is never narrower than at depth 1."""
    net = ConvNet(resolution)
    *_, last = inverted_features(net, depth)
    return net.trace(name, net.linear("classifier", net.averaged("pool", last), classes))


def _separable(name: str, blocks: tuple[tuple[int, int], ...], depth: float, resolution: int, classes: int) -> Trace:
    net = ConvNet(resolution)
    *_, last = separable_features(net, depth, blocks)
    return net.trace(name, net.linear("classifier", net.averaged("pool", last), classes))


def separable_features(net: ConvNet, depth: float, blocks: tuple[tuple[int, int], ...] = _V1) -> list[View]:
    """The output of each block of MobileNet v1, or of others: (output channels, stride)."""
    made: list[View] = []
    view = net.conv("conv", net.image, int(32 * depth), 3, 2, clip=RELU6)
    for number, (channels, stride) in enumerate(blocks, 1):
        view = net.depthwise(f"block{number}.depthwise", view, 3, stride, RELU6)
        view = net.conv(f"block{number}.pointwise", view, int(channels * depth), clip=RELU6)
        made.append(view)
    return made


def inverted_features(net: ConvNet, depth: float) -> list[View]:
    """Of each block of MobileNet v2 the input of its depthwise convolution, and the output of the last convolution."""
    made: list[View] = []
    view = net.conv("conv", net.image, eights(32 * depth), 3, 2, clip=RELU6)
    for expansion, channels, blocks, first_stride in _V2:
        for block in range(blocks):
            stride, name = first_stride if block == 0 else 1, f"block{len(made)}"
            wide = net.conv(f"{name}.expand", view, expansion * view.shape[1], clip=RELU6) if expansion > 1 else view
            made.append(wide)
            wide = net.depthwise(f"{name}.depthwise", wide, 3, stride, RELU6)
            view = net.residual(name, view, net.conv(f"{name}.project", wide, eights(channels * depth), clip=None), stride)
    return [*made, net.conv("last_conv", view, eights(_LAST_V2 * max(1.0, depth)), clip=RELU6)]


def eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8; the next one up where that is more than a tenth below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near

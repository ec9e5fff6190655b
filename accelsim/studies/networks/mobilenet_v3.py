"""MobileNet v3 (Howard et al., arXiv 1905.02244), small and large."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.studies.networks.convnet import RELU, Activation, ConvNet
from accelsim.studies.networks.mobilenet import eights
from accelsim.trace.trace import Trace


class _Block(NamedTuple):
    """An inverted residual: taps, channels between its 1x1 convolutions, outputs; squeezed or not; activation, stride."""

    taps: int
    wide: int
    outputs: int
    squeezed: bool
    activation: Activation
    stride: int


_HARD = "hardswish"
# Tables 1 and 2 of MobileNet v3.
_LARGE = (
    *(_Block(3, 16, 16, False, RELU, 1), _Block(3, 64, 24, False, RELU, 2), _Block(3, 72, 24, False, RELU, 1)),
    *(_Block(5, 72, 40, True, RELU, 2), *(_Block(5, 120, 40, True, RELU, 1),) * 2),
    *(_Block(3, 240, 80, False, _HARD, 2), _Block(3, 200, 80, False, _HARD, 1), *(_Block(3, 184, 80, False, _HARD, 1),) * 2),
    *(_Block(3, 480, 112, True, _HARD, 1), _Block(3, 672, 112, True, _HARD, 1)),
    *(_Block(5, 672, 160, True, _HARD, 2), *(_Block(5, 960, 160, True, _HARD, 1),) * 2),
)
_SMALL = (
    *(_Block(3, 16, 16, True, RELU, 2), _Block(3, 72, 24, False, RELU, 2), _Block(3, 88, 24, False, RELU, 1)),
    *(_Block(5, 96, 40, True, _HARD, 2), *(_Block(5, 240, 40, True, _HARD, 1),) * 2),
    *(_Block(5, 120, 48, True, _HARD, 1), _Block(5, 144, 48, True, _HARD, 1)),
    *(_Block(5, 288, 96, True, _HARD, 2), *(_Block(5, 576, 96, True, _HARD, 1),) * 2),
)
_LARGE_HEAD, _SMALL_HEAD = (960, 1280), (576, 1024)


def mobilenet_v3(name: str, large: bool, resolution: int = 224, classes: int = 1000) -> Trace:
    """MobileNet v3 at depth 1."""
    net = ConvNet(resolution)
    view = net.conv("conv", net.image, 16, 3, 2, clip=_HARD)
    for number, block in enumerate(_LARGE if large else _SMALL):
        here, inputs = f"block{number}", view.shape[1]
        wide = net.conv(f"{here}.expand", view, block.wide, clip=block.activation) if block.wide != inputs else view
        wide = net.depthwise(f"{here}.depthwise", wide, block.taps, block.stride, block.activation)
        if block.squeezed:
            wide = net.squeezed(here, wide, eights(block.wide / 4), RELU, "hardsigmoid")
        view = net.residual(here, view, net.conv(f"{here}.project", wide, block.outputs, clip=None), block.stride)
    last, hidden = _LARGE_HEAD if large else _SMALL_HEAD
    row = net.averaged("pool", net.conv("last_conv", view, last, clip=_HARD))
    return net.trace(name, net.linear("classifier", net.linear("hidden", row, hidden, _HARD), classes))

"""SSD (Liu et al., arXiv 1512.02325) on MobileNets, as TensorFlow's object detection models of COCO have it.

Disputable assumption: boxes are decoded and selected by the host; the network's outputs are the maps of classes and boxes.
"""

from __future__ import annotations

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import RELU6, ConvNet
from accelsim.studies.networks.mobilenet import inverted_features, separable_features
from accelsim.trace.trace import Trace

_EXTRAS = ((256, 512), (128, 256), (128, 256), (64, 128))  # outputs of the 1x1 and of the strided 3x3 convolution of each further map
_ANCHORS = (3, 6, 6, 6, 6, 6)  # of each map
_BOX = 4
_MAP_V1, _MAP_V2 = 10, 13  # blocks whose output (v1), or expanded input (v2), is the first map


def ssd_mobilenet_v1(name: str, resolution: int = 300, classes: int = 90) -> Trace:
    """SSD on MobileNet v1, with 1x1 convolutions of each map."""
    net = ConvNet(resolution)
    features = separable_features(net, 1.0)
    return _detector(net, name, _maps(net, [features[_MAP_V1], features[-1]], separable=False), classes, taps=1)


def ssd_mobilenet_v2(name: str, resolution: int = 300, classes: int = 90) -> Trace:
    """SSD on MobileNet v2, with 3x3 convolutions of each map; those between the maps are separable."""
    net = ConvNet(resolution)
    features = inverted_features(net, 1.0)
    return _detector(net, name, _maps(net, [features[_MAP_V2], features[-1]], separable=True), classes, taps=3)


def ssdlite_mobilenet_v2(name: str, resolution: int = 300, classes: int = 90) -> Trace:
    """SSDLite (MobileNet v2's paper, section 6.2): separable convolutions in the place of those of 3x3."""
    net = ConvNet(resolution)
    features = inverted_features(net, 1.0)
    return _detector(net, name, _maps(net, [features[_MAP_V2], features[-1]], separable=True), classes, taps=3, separable=True)


def _maps(net: ConvNet, maps: list[View], *, separable: bool) -> list[View]:
    """The maps, and further ones of half the size each."""
    for number, (inner, outputs) in enumerate(_EXTRAS, len(maps)):
        view = net.conv(f"map{number}.reduce", maps[-1], inner, clip=RELU6)
        if separable:
            view = net.conv(f"map{number}.pointwise", net.depthwise(f"map{number}.depthwise", view, 3, 2, RELU6), outputs, clip=RELU6)
        else:
            view = net.conv(f"map{number}.conv", view, outputs, 3, 2, clip=RELU6)
        maps = [*maps, view]
    return maps


def _detector(net: ConvNet, name: str, maps: list[View], classes: int, taps: int, *, separable: bool = False) -> Trace:
    made = []
    for number, (view, anchors) in enumerate(zip(maps, _ANCHORS, strict=True)):
        for kind, outputs in (("boxes", anchors * _BOX), ("classes", anchors * (classes + 1))):
            source = net.depthwise(f"map{number}.{kind}.depthwise", view, taps, 1, RELU6) if separable else view
            made.append(net.conv(f"map{number}.{kind}", source, outputs, 1 if separable else taps, clip=None))
    return net.trace(name, *made)

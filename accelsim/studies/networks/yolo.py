"""YOLO detectors: v2 tiny (Redmon and Farhadi, arXiv 1612.08242), v5, v8 and 11 (Ultralytics' model files).

Disputable assumptions: boxes are decoded and selected by the host, so the outputs are the maps of boxes and classes; halves into which a
module splits channels are convolutions of their own, which copy nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from accelsim.importers.graph.layout import View
from accelsim.studies.networks.convnet import Activation, ConvNet
from accelsim.trace.trace import Trace

_ACTIVATION = "silu"
_SIDES = 16  # values that each side of a box has a distribution over
_HEAD = 64  # channels of a head of attention


class _Scale(NamedTuple):
    """Depth and width over those of the model file, and the most channels before they are scaled."""

    depth: float
    width: float
    most: int


SCALES_V5 = {"n": _Scale(0.33, 0.25, 1024), "s": _Scale(0.33, 0.5, 1024), "m": _Scale(0.67, 0.75, 1024)}
SCALES_V8 = {"n": _Scale(0.33, 0.25, 1024), "s": _Scale(0.33, 0.5, 1024), "m": _Scale(0.67, 0.75, 768)}
SCALES_11 = {"n": _Scale(0.5, 0.25, 1024), "s": _Scale(0.5, 0.5, 1024)}  # larger ones have other modules
_TINY = (16, 32, 64, 128, 256, 512)
_TINY_ANCHORS, _ANCHORS = 5, 3  # of each position


def yolo_v2_tiny(name: str, resolution: int = 416, classes: int = 80) -> Trace:
    """YOLO v2 tiny in its version of COCO; its leaky activation counts as a plain one."""
    net = ConvNet(resolution)
    view = net.image
    for number, channels in enumerate(_TINY, 1):
        view = net.conv(f"conv{number}", view, channels, 3)
        view = net.max_pool(f"pool{number}", view, 2, 2) if number < len(_TINY) else net.max_pool(f"pool{number}", view, 2, 1, far=1)
    view = net.conv("conv8", net.conv("conv7", view, 1024, 3), 512, 3)
    return net.trace(name, net.conv("detect", view, _TINY_ANCHORS * (classes + 5), clip=None))


def yolo_v5(name: str, scale: str, resolution: int = 640, classes: int = 80, *, split_head: bool = False) -> Trace:
    """YOLOv5 (v6 and later); `split_head`: v5u, with v8's detecting part."""
    model = _Model(ConvNet(resolution), SCALES_V5[scale])
    view = model.conv("0", model.net.image, 64, 6, 2, 2)
    kept = []
    for stage, (channels, repeats) in enumerate(((128, 3), (256, 6), (512, 9), (1024, 3))):
        view = model.three(f"{2 * stage + 2}", model.conv(f"{2 * stage + 1}", view, channels, 3, 2), channels, repeats)
        kept.append(view)
    deep = model.conv("10", model.pooled("9", view, 1024), 512)
    view = model.three("13", model.beside("12", model.net.doubled("11", deep), kept[2]), 512, 3, shortcut=False)
    middle = model.conv("14", view, 256)
    fine = model.three("17", model.beside("16", model.net.doubled("15", middle), kept[1]), 256, 3, shortcut=False)
    medium = model.three("20", model.beside("19", model.conv("18", fine, 256, 3, 2), middle), 512, 3, shortcut=False)
    coarse = model.three("23", model.beside("22", model.conv("21", medium, 512, 3, 2), deep), 1024, 3, shortcut=False)
    if split_head:
        return model.net.trace(name, *model.detected((fine, medium, coarse), classes, separable=False))
    outputs = _ANCHORS * (classes + 5)
    maps = (model.net.conv(f"detect.{at}", view, outputs, clip=None) for at, view in enumerate((fine, medium, coarse)))
    return model.net.trace(name, *maps)


def yolo_v8(name: str, scale: str, resolution: int = 640, classes: int = 80) -> Trace:
    """YOLOv8."""
    model = _Model(ConvNet(resolution), SCALES_V8[scale])
    view = model.conv("0", model.net.image, 64, 3, 2)
    kept = []
    for stage, (channels, repeats) in enumerate(((128, 3), (256, 6), (512, 6), (1024, 3))):
        view = model.split(f"{2 * stage + 2}", model.conv(f"{2 * stage + 1}", view, channels, 3, 2), channels, repeats)
        kept.append(view)
    deep = model.pooled("9", view, 1024)
    middle = model.split("12", model.beside("11", model.net.doubled("10", deep), kept[2]), 512, 3, shortcut=False)
    fine = model.split("15", model.beside("14", model.net.doubled("13", middle), kept[1]), 256, 3, shortcut=False)
    medium = model.split("18", model.beside("17", model.conv("16", fine, 256, 3, 2), middle), 512, 3, shortcut=False)
    coarse = model.split("21", model.beside("20", model.conv("19", medium, 512, 3, 2), deep), 1024, 3, shortcut=False)
    return model.net.trace(name, *model.detected((fine, medium, coarse), classes, separable=False))


def yolo_11(name: str, scale: str, resolution: int = 640, classes: int = 80) -> Trace:
    """YOLO11."""
    model = _Model(ConvNet(resolution), SCALES_11[scale])
    view = model.conv("1", model.conv("0", model.net.image, 64, 3, 2), 128, 3, 2)
    view = model.narrow("2", view, 256, 0.25)
    finer = model.narrow("4", model.conv("3", view, 256, 3, 2), 512, 0.25)
    kept = model.nested("6", model.conv("5", finer, 512, 3, 2), 512)
    view = model.nested("8", model.conv("7", kept, 1024, 3, 2), 1024)
    deep = model.attended("10", model.pooled("9", view, 1024))
    middle = model.narrow("13", model.beside("12", model.net.doubled("11", deep), kept), 512, 0.5)
    fine = model.narrow("16", model.beside("15", model.net.doubled("14", middle), finer), 256, 0.5)
    medium = model.narrow("19", model.beside("18", model.conv("17", fine, 256, 3, 2), middle), 512, 0.5)
    coarse = model.nested("22", model.beside("21", model.conv("20", medium, 512, 3, 2), deep), 1024)
    return model.net.trace(name, *model.detected((fine, medium, coarse), classes, separable=True))


@dataclass(frozen=True)
class _Model:
    """Modules of the model files at a scale; channels are those of the file."""

    net: ConvNet
    scale: _Scale

    def conv(self, name: str, view: View, channels: int, taps: int = 1, stride: int = 1, padding: int | None = None) -> View:
        return self._conv(name, view, self._scaled(channels), taps, stride, padding)

    def three(self, name: str, view: View, channels: int, repeats: int, shortcut: bool = True) -> View:
        """C3: two branches, one of bottlenecks, joined."""
        outputs = self._scaled(channels)
        return self._three(name, view, outputs, self._repeated(repeats), 1, shortcut)

    def split(self, name: str, view: View, channels: int, repeats: int, shortcut: bool = True) -> View:
        """C2f: the output of each bottleneck is joined."""
        outputs = self._scaled(channels)
        first, last = self._halves(name, view, outputs // 2)
        made = [first, last]
        for number in range(self._repeated(repeats)):
            made.append(self._bottleneck(f"{name}.{number}", made[-1], outputs // 2, 3, shortcut))
        return self._conv(f"{name}.out", self.net.join(f"{name}.join", *made), outputs)

    def narrow(self, name: str, view: View, channels: int, part: float) -> View:
        """C3k2 with one bottleneck of half the channels."""
        outputs = self._scaled(channels)
        first, last = self._halves(name, view, int(outputs * part))
        inner = self._bottleneck(f"{name}.0", last, last.shape[1] // 2, 3, True)
        return self._conv(f"{name}.out", self.net.join(f"{name}.join", first, last, inner), outputs)

    def nested(self, name: str, view: View, channels: int) -> View:
        """C3k2 with a module of two bottlenecks."""
        outputs = self._scaled(channels)
        first, last = self._halves(name, view, outputs // 2)
        inner = self._three(f"{name}.0", last, outputs // 2, 2, 3, True)
        return self._conv(f"{name}.out", self.net.join(f"{name}.join", first, last, inner), outputs)

    def pooled(self, name: str, view: View, channels: int) -> View:
        """SPPF: three pools one after the other, joined."""
        views = [self._conv(f"{name}.in", view, view.shape[1] // 2)]
        for number in range(3):
            views.append(self.net.max_pool(f"{name}.pool{number}", views[-1], 5, 1, 2))
        return self._conv(f"{name}.out", self.net.join(f"{name}.join", *views), self._scaled(channels))

    def attended(self, name: str, view: View) -> View:
        """C2PSA: half the channels attend over the image's positions."""
        inner = view.shape[1] // 2
        first, rest = self._halves(name, view, inner)
        heads = inner // _HEAD
        query, key = (self._conv(f"{name}.{part}", rest, inner // 2, clip=None) for part in ("q", "k"))
        value = self._conv(f"{name}.v", rest, inner, clip=None)
        seen = self.net.attention(f"{name}.attention", query, key, value, heads)
        placed = self.net.conv(f"{name}.place", value, inner, 3, groups=inner, clip=None)
        rest = self.net.add(f"{name}.add", rest, self._conv(f"{name}.proj", self.net.add(f"{name}.placed", placed, seen), inner, clip=None))
        fed = self._conv(f"{name}.ffn2", self._conv(f"{name}.ffn1", rest, 2 * inner), inner, clip=None)
        rest = self.net.add(f"{name}.ffn_add", rest, fed)
        return self._conv(f"{name}.out", self.net.join(f"{name}.join", first, rest), view.shape[1])

    def beside(self, name: str, first: View, second: View) -> View:
        return self.net.join(f"{name}.join", first, second)

    def detected(self, views: tuple[View, ...], classes: int, separable: bool) -> list[View]:
        """Maps of boxes and of classes of each size."""
        boxes, inner = max(_SIDES, views[0].shape[1] // 4, 4 * _SIDES), max(views[0].shape[1], min(classes, 100))
        made = []
        for at, view in enumerate(views):
            here = f"detect.{at}"
            box = self._conv(f"{here}.box2", self._conv(f"{here}.box1", view, boxes, 3), boxes, 3)
            made.append(self.net.conv(f"{here}.boxes", box, 4 * _SIDES, clip=None))
            kind = view
            for number in (1, 2):
                source = self.net.depthwise(f"{here}.depthwise{number}", kind, 3, 1, _ACTIVATION) if separable else kind
                kind = self._conv(f"{here}.class{number}", source, inner, 1 if separable else 3)
            made.append(self.net.conv(f"{here}.classes", kind, classes, clip=None))
        return made

    def _halves(self, name: str, view: View, outputs: int) -> tuple[View, View]:
        return self._conv(f"{name}.first", view, outputs), self._conv(f"{name}.last", view, outputs)

    def _three(self, name: str, view: View, outputs: int, repeats: int, taps: int, shortcut: bool) -> View:
        inner = self._conv(f"{name}.in", view, outputs // 2)
        for number in range(repeats):
            inner = self._bottleneck(f"{name}.{number}", inner, outputs // 2, taps, shortcut)
        return self._conv(f"{name}.out", self.net.join(f"{name}.join", inner, self._conv(f"{name}.beside", view, outputs // 2)), outputs)

    def _bottleneck(self, name: str, view: View, inner: int, taps: int, shortcut: bool) -> View:
        made = self._conv(f"{name}.conv2", self._conv(f"{name}.conv1", view, inner, taps), view.shape[1], 3)
        return self.net.add(f"{name}.add", view, made) if shortcut else made

    def _conv(
        self,
        name: str,
        view: View,
        outputs: int,
        taps: int = 1,
        stride: int = 1,
        padding: int | None = None,
        clip: Activation = _ACTIVATION,
    ) -> View:
        return self.net.conv(name, view, outputs, taps, stride, padding, clip=clip)

    def _scaled(self, channels: int) -> int:
        return math.ceil(min(channels, self.scale.most) * self.scale.width / 8) * 8

    def _repeated(self, repeats: int) -> int:
        return max(1, round(repeats * self.scale.depth))

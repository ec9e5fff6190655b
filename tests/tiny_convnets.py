"""Small convolutional networks, built without any framework: every layer that ResNet and MobileNet have, in a few positions."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.windows import Convolution, Pool
from accelsim.ops.add import AddLayer
from accelsim.ops.groupnorm import GroupNormLayer
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace


class ConvNet:
    """A network that grows by one call a layer; shapes are (1, channels, height, width)."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        self.builder = GraphBuilder()
        self.at: View = self.builder.image("image", channels, height, width)
        self.names = 0

    def name(self, op: str) -> str:
        self.names += 1
        return f"{op}{self.names}"

    def conv(self, outputs: int, taps: int = 3, stride: int = 1, groups: int = 1, padding_end: tuple[int, int] | None = None) -> ConvNet:
        pad = taps // 2
        conv = Convolution(outputs, (taps, taps), (stride, stride), (pad, pad), (1, 1), groups, padding_end)
        self.at = self.builder.conv2d(self.name("conv"), self.at, conv, True)
        return self

    def conv1d(self, outputs: int, taps: int, stride: int = 1, padding: int = 0) -> ConvNet:
        conv = Convolution(outputs, (1, taps), (1, stride), (0, padding), (1, 1), 1)
        self.at = self.builder.conv2d(self.name("conv"), self.at, conv, True)
        return self

    def relu(self, maximum: float | None = None) -> ConvNet:
        self.at = self.builder.clip(self.name("relu"), self.at, 0.0, maximum)
        return self

    def pool(self, pool: Pool) -> ConvNet:
        self.at = self.builder.pool(self.name("pool"), self.at, pool)
        return self

    def group_norm(self, channel_groups: int) -> ConvNet:
        self.at = self.builder.channel_operation(GroupNormLayer, self.name("norm"), self.at, 1, channel_groups=channel_groups)
        return self

    def add(self, other: View) -> ConvNet:
        self.at = self.builder.pair(AddLayer, self.name("add"), self.at, other)
        return self

    def roll(self, dim: int, by: int) -> ConvNet:
        """Indices of a dimension from `by` on, then those before."""
        parts = (range(by, self.at.shape[dim]), range(by))
        name = self.name("roll")
        self.at = self.builder.join(name, [self.builder.narrowed(f"{name}.part", self.at, dim, part) for part in parts], dim)
        return self

    def head(self, outputs: int) -> ConvNet:
        """Global average, then a linear layer."""
        _, channels, height, width = self.at.shape
        self.pool(Pool("avg_pool2d", (height, width), (height, width)))
        self.at = self.builder.linear(self.name("fc"), self.at.reshape((1, channels)), outputs, True)
        return self

    def trace(self, form: str = "uniform", pattern: str | None = None, payload: bool = False) -> Trace:
        """The network with seeded weights in a format; int8 where `pattern` does not match."""
        manifest = Manifest(
            name="convnet",
            source=seeded_source(1),
            inputs=tuple(self.builder.inputs),
            outputs=(self.at.producer,),
            layers=self.builder.layers,
        )
        if form == "float32":
            return Trace(manifest)
        return compress_trace(Trace(manifest), make_recipe(form, pattern), payload=payload)[0]


MAX_POOL = Pool("max_pool2d", (3, 3), (2, 2), (1, 1))
AVERAGE = Pool("avg_pool2d", (2, 2), (2, 2))


def every_layer(channels: int = 8, side: int = 13) -> ConvNet:
    """A stem with a pool, a residual block, an inverted residual with a depthwise convolution of stride 2, a pool, and a head."""
    net = ConvNet(3, side, side).conv(channels, 5, stride=2).relu().pool(MAX_POOL)
    shortcut = net.at
    net.conv(channels).relu().conv(channels).add(shortcut).relu()
    shortcut = net.at
    net.conv(2 * channels, 1).relu(6.0).conv(2 * channels, 3, groups=2 * channels).relu(6.0).conv(channels, 1).add(shortcut)
    net.conv(2 * channels, 1).relu(6.0).conv(2 * channels, 3, 2, 2 * channels, padding_end=(2, 0)).relu(6.0)
    return net.pool(replace(AVERAGE, padding=(1, 1))).head(12)


@st.composite
def convnets(draw: st.DrawFn) -> Trace:
    """A stem, one to three layers in any order, a head or none; int8, or a codebook where its codewords fit."""
    channels = 4 * draw(st.integers(1, 3))
    net = ConvNet(draw(st.integers(1, 3)), draw(st.integers(4, 9)), draw(st.integers(4, 9)))
    net.conv(channels, draw(st.sampled_from([1, 3])), stride=draw(st.integers(1, 2)))
    for step in draw(
        st.lists(st.sampled_from(["relu", "residual", "depthwise", "max", "average", "wide", "roll"]), min_size=1, max_size=3)
    ):
        before = net.at
        if step == "relu":
            net.relu(draw(st.sampled_from([None, 6.0])))
        elif step == "residual":
            net.conv(net.at.shape[1]).relu().conv(net.at.shape[1]).add(before).relu()
        elif step == "depthwise":
            net.conv(net.at.shape[1], 3, draw(st.integers(1, 2)), net.at.shape[1])
        elif step == "roll":
            dim = draw(st.integers(1, 3))
            net.roll(dim, 1) if net.at.shape[dim] > 1 else net.relu()
        elif step == "wide":
            net.conv(net.at.shape[1] + 4, 1)
        elif min(net.at.shape[2:]) > 1:
            net.pool(draw(st.sampled_from([MAX_POOL, replace(MAX_POOL, strides=(1, 1))])) if step == "max" else AVERAGE)
    if draw(st.booleans()):
        net.head(8)
    stem = net.builder.layers[0].bounds
    codewords_fit = stem.k % 4 == 0 and stem.k * stem.n >= 32
    return net.trace(draw(st.sampled_from(["uniform", "ssvq:k=8,d=4", "vq:k=8,d=4,axis=1"])) if codewords_fit else "uniform", "conv1")

"""Layers of a convolutional network in the order of its forward pass; batch norms behind a convolution are folded into it.

Disputable assumption: strided windows are padded alike on both sides, where TensorFlow pads the far side; the shapes are the same.
"""

from __future__ import annotations

from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.layout import View
from accelsim.importers.graph.windows import Convolution, Pool
from accelsim.ops.add import AddLayer
from accelsim.ops.affine import AffineLayer
from accelsim.ops.multiply import MultiplyLayer
from accelsim.ops.table import TableLayer
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

SEED = 1
RELU, RELU6 = (0.0, None), (0.0, 6.0)
Activation = tuple[float, float | None] | str | None
"""Bounds that hold an element, a function of `ops.table`, or none."""


class ConvNet:
    """Builds one network; a view is an image (1, channels, height, width)."""

    def __init__(self, resolution: int | tuple[int, int], channels: int = 3) -> None:
        self._builder = GraphBuilder()
        self.image = self._builder.image("image", channels, *_pair(resolution))

    def conv(
        self, name: str, view: View, outputs: int, taps: int | tuple[int, int] = 1, stride: int = 1,
        padding: int | tuple[int, int] | None = None, *, groups: int = 1, clip: Activation = RELU, bias: bool = True,
    ) -> View:  # fmt: skip
        """A convolution, square for one number of taps, by default padded so that a stride of 1 keeps the image, and its activation."""
        high, wide = _pair(taps)
        around = ((high - 1) // 2, (wide - 1) // 2) if padding is None else _pair(padding)
        window = Convolution(outputs, (high, wide), (stride, stride), around, (1, 1), groups)
        return self.activated(name, self._builder.conv2d(name, view, window, bias), clip)

    def depthwise(self, name: str, view: View, taps: int, stride: int, clip: Activation) -> View:
        """A convolution of each channel with a filter of its own."""
        return self.conv(name, view, view.shape[1], taps, stride, groups=view.shape[1], clip=clip)

    def activated(self, name: str, view: View, clip: Activation) -> View:
        """The activation of each element."""
        if clip is None:
            return view
        if isinstance(clip, str):
            return self._builder.element_operation(TableLayer, self._builder.unique(f"{name}.{clip}"), view, op=clip)
        return self._builder.clip(self._builder.unique(f"{name}.relu"), view, *clip)

    def normalized(self, name: str, view: View) -> View:
        """A batch norm that no convolution before it can absorb, and its activation."""
        return self.activated(name, self._builder.channel_operation(AffineLayer, name, view, 1, per_channel=True), RELU)

    def max_pool(self, name: str, view: View, taps: int, stride: int, padding: int = 0, far: int | None = None) -> View:
        """The largest element of each window."""
        end = None if far is None else (far, far)
        return self._builder.pool(name, view, Pool("max_pool2d", (taps, taps), (stride, stride), (padding, padding), end))

    def average_pool(self, name: str, view: View, taps: int, stride: int, padding: int = 0) -> View:
        """The mean of each window."""
        return self._builder.pool(name, view, Pool("avg_pool2d", (taps, taps), (stride, stride), (padding, padding)))

    def add(self, name: str, first: View, second: View, clip: Activation = None) -> View:
        """A residual sum."""
        return self.activated(name, self._builder.pair(AddLayer, name, first, second), clip)

    def residual(self, name: str, view: View, narrow: View, stride: int) -> View:
        """The result of a block, to which its input is added where the shapes are equal."""
        return self.add(f"{name}.add", view, narrow) if stride == 1 and view.shape == narrow.shape else narrow

    def squeezed(self, name: str, view: View, inner: int, activation: Activation, gate: str) -> View:
        """Channels times a gate that two layers compute of their means (Hu et al., arXiv 1709.01507)."""
        row = self.linear(f"{name}.squeeze", self.averaged(f"{name}.means", view), inner, activation)
        gates = self.linear(f"{name}.excite", row, view.shape[1], gate).reshape((1, view.shape[1], 1, 1))
        return self._builder.pair(MultiplyLayer, f"{name}.gated", view, gates)

    def doubled(self, name: str, view: View) -> View:
        """An image of twice the size, each position that of the nearest."""
        size = (2 * view.shape[2], 2 * view.shape[3])
        return self._builder.resize(name, view, size, corners="starts", method="nearest")

    def attention(self, name: str, query: View, key: View, value: View, heads: int) -> View:
        """Each position's mean of the values of all positions (Vaswani et al., arXiv 1706.03762), channels of a head side by side."""
        height, width = value.shape[2:]

        def matrices(view: View) -> View:
            rows = view.permute((0, 2, 3, 1)).reshape((1, height * width, heads, view.shape[1] // heads))
            return rows.permute((0, 2, 1, 3))

        scores = self._builder.matmul(f"{name}.scores", matrices(query), matrices(key).transpose(-2, -1))
        scores = self._builder.scale(scores, (query.shape[1] // heads) ** -0.5)
        seen = self._builder.matmul(f"{name}.context", self._builder.softmax(f"{name}.softmax", scores, -1), matrices(value))
        return seen.permute((0, 2, 1, 3)).reshape((1, height, width, value.shape[1])).permute((0, 3, 1, 2))

    def join(self, name: str, *views: View) -> View:
        """Channels of several views side by side."""
        return self._builder.join(name, views, 1)

    def averaged(self, name: str, view: View) -> View:
        """The mean of each channel, as a row (1, channels)."""
        size = (view.shape[2], view.shape[3])
        return self._builder.pool(name, view, Pool("avg_pool2d", size, size)).reshape((1, view.shape[1]))

    def flattened(self, view: View) -> View:
        """The image as a row."""
        return view.reshape((1, view.shape[1] * view.shape[2] * view.shape[3]))

    def linear(self, name: str, view: View, outputs: int, clip: Activation = None) -> View:
        """A fully connected layer and its activation."""
        return self.activated(name, self._builder.linear(name, view, outputs, bias=True), clip)

    def trace(self, name: str, *outputs: View) -> Trace:
        """The network as a float trace without values."""
        builder = self._builder
        manifest = Manifest(
            name=name,
            source=seeded_source(SEED),
            inputs=tuple(builder.inputs),
            outputs=tuple(builder.output("output", view).producer for view in outputs),
            layers=builder.layers,
        )
        return Trace(manifest)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Along (y, x)."""
    return (size, size) if isinstance(size, int) else size

"""The four reference networks of MLPerf Tiny (Banbury et al., arXiv 2106.07597, table 1), at the inputs that the benchmark gives them."""

from __future__ import annotations

from accelsim.importers.graph.builder import GraphBuilder
from accelsim.ops.clip import ClipLayer
from accelsim.studies.networks.convnet import RELU, SEED, ConvNet
from accelsim.studies.networks.mobilenet import mobilenet_v1
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

_WORDS, _BLOCKS = 64, 4  # channels and separable blocks of the keyword network
_SOUND, _WIDE, _NARROW = 640, 128, 8  # elements of the autoencoder's input, of its layers, and of its code


def keyword_spotting(name: str) -> Trace:
    """A separable network over 49 frames of 10 coefficients; 12 words."""
    net = ConvNet((49, 10), channels=1)
    view = net.conv("conv", net.image, _WORDS, (10, 4), 2, (5, 1))
    for block in range(_BLOCKS):
        view = net.depthwise(f"block{block}.depthwise", view, 3, 1, RELU)
        view = net.conv(f"block{block}.pointwise", view, _WORDS)
    return net.trace(name, net.linear("classifier", net.averaged("average", view), 12))


def wake_words(name: str) -> Trace:
    """MobileNet v1 at a quarter of its channels: whether a person is in an image of 96 x 96."""
    return mobilenet_v1(name, depth=0.25, resolution=96, classes=2)


def image_classification(name: str, resolution: int = 32, classes: int = 10) -> Trace:
    """A residual network of eight layers, on images of CIFAR-10."""
    net = ConvNet(resolution)
    view = net.conv("conv", net.image, 16, 3)
    for stage, width in enumerate((16, 32, 64), 1):
        stride = 1 if stage == 1 else 2
        inner = net.conv(f"stage{stage}.conv1", view, width, 3, stride)
        inner = net.conv(f"stage{stage}.conv2", inner, width, 3, clip=None)
        kept = view if stride == 1 else net.conv(f"stage{stage}.shortcut", view, width, 1, stride, clip=None)
        view = net.add(f"stage{stage}.add", kept, inner, RELU)
    return net.trace(name, net.linear("classifier", net.averaged("average", view), classes))


def anomaly_detection(name: str) -> Trace:
    """An autoencoder of fully connected layers, on five frames of 128 mel bands."""
    builder = GraphBuilder()
    view = builder.tokens("sound", 1, _SOUND)
    widths = (*(_WIDE,) * 4, _NARROW, *(_WIDE,) * 4)
    for number, width in enumerate(widths):
        view = builder.linear(f"layer{number}", view, width, bias=True)
        view = builder.element_operation(ClipLayer, f"layer{number}.relu", view)
    view = builder.linear("output", view, _SOUND, bias=True)
    return Trace(
        Manifest(
            name=name, source=seeded_source(SEED), inputs=tuple(builder.inputs), outputs=(view.producer,), layers=builder.layers,
        )
    )  # fmt: skip

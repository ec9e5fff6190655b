"""Convolutional networks imported from PyTorch compute what PyTorch computes, and have the published counts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model, import_program
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace
from tests import naive_graph

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch
nn: Any = torch.nn
RESNET18 = {"depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic", "embedding_size": 64}


def randomized(network: Any) -> Any:
    """The network in inference, every parameter and running statistic random: nothing is left at 0 or 1, which would hide an error."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
                if module.weight is not None:
                    module.weight.copy_(0.5 + torch.rand(module.weight.shape, generator=generator))
    return network.eval()


def compare(network: Any, tmp_path: Path, *shape: int) -> Trace:
    """Import the network with its weights, and compare the float graph with the network's own answer."""
    torch.export.save(torch.export.export(network, (torch.zeros(1, *shape),)), tmp_path / "m.pt2")
    trace = import_model(str(tmp_path / "m.pt2"))
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer = network(image)
    expected = getattr(answer, "logits", answer).numpy()
    given = image[0].numpy() if len(shape) == 3 else image.numpy()
    (found,) = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: given}, 0.0)[trace.manifest.outputs[0]]
    wanted = expected[0] if expected.ndim < 4 else expected[0].reshape(expected.shape[1], -1).T
    np.testing.assert_allclose(found, wanted.reshape(found.shape), rtol=1e-3, atol=1e-4)
    return trace


class EveryOperation(nn.Module):
    """A network that uses everything that an image goes through, in place where PyTorch can."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.same = nn.Conv2d(8, 8, 4, padding="same")
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.average = nn.AvgPool2d(2, 1, padding=1)
        self.inside = nn.AvgPool2d(3, 2, padding=1, count_include_pad=False, ceil_mode=True)
        self.tail = nn.Sequential(nn.Conv2d(8, 12, 1), nn.SiLU(), nn.Hardtanh(-0.4, 0.7), nn.Dropout(0.3), nn.Hardswish(), nn.Sigmoid())
        self.classifier = nn.Linear(12, 7)

    def forward(self, x: Any) -> Any:
        x = self.pool(self.stem(x))
        x = nn.functional.relu(self.norm(self.same(x)) + x)
        x = self.depthwise(nn.functional.pad(x, (0, 2, 1, 0)))
        x = torch.tanh(self.inside(self.average(x)).clamp(min=-1.5))
        x = self.tail(x)
        return self.classifier(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class FlattenedImage(nn.Module):
    """Linear layers over flattened images: an activation's, whose channels lie side by side, and a model input's, whose planes do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3)
        self.norm = nn.BatchNorm1d(6)
        self.first, self.second = nn.Linear(5 * 4 * 3, 6), nn.Linear(2 * 6 * 5, 6)

    def forward(self, x: Any) -> Any:
        return self.norm(self.first(self.conv(x).flatten(1))) + self.second(torch.flatten(x, 1))


class Tokens(nn.Module):
    """A mean over rows, and halves of an image by an adaptive pool."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.head = nn.Linear(6, 10), nn.Linear(10, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.project(x).mean(1))


NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "every operation": (EveryOperation, (3, 22, 26)),
    "flattened images": (FlattenedImage, (2, 6, 5)),
    "tokens": (Tokens, (7, 6)),
    "adaptive halves": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d((2, 3)), nn.Conv2d(4, 2, 1)), (3, 8, 11)),
    "mean of an image": (lambda: MeanOfImage(), (3, 7, 9)),
    "small ResNet": (
        lambda: transformers.ResNetForImageClassification(
            transformers.ResNetConfig(
                depths=[1, 2], hidden_sizes=[8, 12], layer_type="basic", embedding_size=8, num_labels=5, downsample_in_first_stage=True
            )
        ),
        (3, 33, 29),
    ),
    "small bottleneck ResNet": (
        lambda: transformers.ResNetForImageClassification(
            transformers.ResNetConfig(depths=[1, 1], hidden_sizes=[16, 24], layer_type="bottleneck", embedding_size=8, num_labels=5)
        ),
        (3, 32, 32),
    ),
    "small MobileNet-v2, TensorFlow's padding": (
        lambda: transformers.MobileNetV2ForImageClassification(
            transformers.MobileNetV2Config(depth_multiplier=0.25, image_size=32, num_labels=5)
        ),
        (3, 32, 32),
    ),
}  # fmt: skip


class MeanOfImage(nn.Module):
    """The mean of all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        return self.conv(x).mean((2, 3))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # PyTorch pads a copy: what we test
@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_computes_what_the_network_computes(name: str, tmp_path: Path) -> None:
    make, shape = NETWORKS[name]
    torch.manual_seed(1)
    compare(randomized(make()), tmp_path, *shape)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_batch_norms_and_activations_leave_no_layers_of_their_own_arithmetic(tmp_path: Path) -> None:
    trace = compare(randomized(EveryOperation()), tmp_path, 3, 22, 26)
    count = [layer.op for layer in trace.layers]
    assert "batch_norm" not in count
    assert [count.count(op) for op in ("conv2d", "depthwise_conv2d", "max_pool2d", "avg_pool2d", "gemm")] == [3, 1, 1, 3, 1]
    assert all(layer.bias for layer in trace.weighted_layers())
    depthwise = next(layer for layer in trace.layers if layer.op == "depthwise_conv2d")
    assert (depthwise.padding, depthwise.padding_end) == ((1, 0), (0, 2))  # pad(left 0, right 2, top 1, bottom 0)


def published(network: str, size: int = 224) -> tuple[Trace, int]:
    """A full-size network without weights, and the trained numbers that PyTorch counts in it."""
    with torch.device("meta"):
        model = (
            transformers.ResNetForImageClassification(transformers.ResNetConfig(**RESNET18, num_labels=1000))
            if network == "resnet18"
            else transformers.MobileNetV2ForImageClassification(transformers.MobileNetV2Config(num_labels=1000))
        ).eval()
        program = torch.export.export(model, (torch.zeros(1, 3, size, size),))
    return import_program(program, network, seed=1), sum(parameter.numel() for parameter in model.parameters())


# Trained numbers as torchvision's pages of resnet18 and mobilenet_v2 state them; the multiply-accumulates they state are 1.81 and 0.30 G.
@pytest.mark.parametrize(("network", "parameters", "gmac"), [("resnet18", 11_689_512, 1.81), ("mobilenet_v2", 3_504_872, 0.30)])
def test_a_published_network_has_its_published_size(network: str, parameters: int, gmac: float) -> None:
    trace, by_torch = published(network)
    norms = sum(layer.bounds.K * layer.bounds.G for layer in trace.weighted_layers() if layer.op != "gemm")  # gamma, beta became a bias
    assert by_torch == parameters == sum(layer.parameters for layer in trace.layers) + norms
    assert round(trace.macs / 1e9, 2) == gmac
    assert f"{norms:,} trained numbers" in trace.manifest.notes[0]


def test_the_counts_of_resnet18_follow_from_its_definition() -> None:
    trace, _ = published("resnet18")
    # stem 7x7 at 112 x 112; four stages of two blocks of two 3x3, the first of stages 2 to 4 with stride 2 and a 1x1 beside it
    macs = 112 * 112 * 64 * 3 * 49
    for side, width, before in ((56, 64, 64), (28, 128, 64), (14, 256, 128), (7, 512, 256)):
        macs += side * side * 9 * width * (before + 3 * width) + (side * side * width * before if before != width else 0)
    assert trace.macs == macs + 512 * 1000


class Wrong(nn.Module):
    """A convolution, and then something that an accelerator of this kind does not do."""

    def __init__(self, tail: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.conv, self.norm, self.tail = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), tail
        self.plain = nn.BatchNorm2d(4, affine=False)

    def forward(self, x: Any) -> Any:
        return self.tail(self, self.conv(x))


def viewed_and_changed(net: Any, x: Any) -> Any:
    x.transpose(2, 3).relu_()
    return x


def other_mean(x: Any, y: Any) -> Any:
    """What a response normalization divides by, but of the products of two tensors."""
    products = nn.functional.pad((x * y).view(1, 1, *x.shape[1:3], -1), (0, 0, 0, 0, 1, 1))
    return (nn.functional.avg_pool3d(products, (3, 1, 1), stride=1).squeeze(1).view(x.shape) * 0.5 + 1).pow(0.75)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (lambda net, x: nn.functional.max_pool2d(x, 2, dilation=2), "with dilation"),
        (lambda net, x: nn.functional.avg_pool2d(x, 4, 3, 1, ceil_mode=True), "counts its padding"),
        (lambda net, x: nn.functional.local_response_norm(x, 4), "allowed: an image, an odd number"),
        (lambda net, x: x / other_mean(x, torch.relu(x)), "the function that ends in pow_1"),
        (lambda net, x: torch.topk(x, 2)[0], "the largest of (1, 4, 7, 7) along dimension -1"),
        (lambda net, x: torch.linalg.vector_norm(x, 3, 1), "a norm of order 3"),
        (lambda net, x: nn.functional.pad(x, (-4, -3)), "leaves none"),
        (lambda net, x: nn.functional.interpolate(x, size=3, mode="bilinear", antialias=True), "antialias=True is not supported"),
        (
            lambda net, x: nn.functional.max_pool2d(x, 2, return_indices=True)[1].float(),
            "output 1 of max_pool2d",
        ),
    ],
)
def test_what_is_not_understood_is_a_named_error(tail: Any, message: str) -> None:
    with torch.device("meta"):
        program = torch.export.export(Wrong(tail).eval(), (torch.zeros(1, 3, 9, 9),))
    with pytest.raises(ImportModelError) as caught:
        import_program(program, "wrong", seed=0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_operation_in_place_is_seen_through_every_view(tmp_path: Path) -> None:
    trace = compare(randomized(Wrong(viewed_and_changed)), tmp_path, 3, 6, 7)
    assert [layer.op for layer in trace.layers] == ["conv2d", "relu"]
    assert trace.manifest.outputs == (trace.layers[-1].name,)


@pytest.mark.parametrize(
    ("tail", "ops"),
    [
        (lambda net, x: net.plain(x), []),
        (lambda net, x: x * torch.sigmoid(x), ["silu"]),
        (lambda net, x: x * nn.functional.hardsigmoid(x), ["hardswish"]),
        (lambda net, x: x * nn.functional.relu6(x + 3) / 6, ["hardswish"]),
        (lambda net, x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), ["gelu"]),
        (lambda net, x: nn.functional.relu6(x), ["clip"]),
        (lambda net, x: nn.functional.max_pool2d(nn.functional.pad(x, (1, 1), value=2.0), 2), ["pad", "max_pool2d"]),
        (lambda net, x: nn.functional.max_pool2d(nn.functional.pad(x, (1, 1)), 2), ["pad", "max_pool2d"]),
        (lambda net, x: nn.functional.avg_pool2d(x, 64, ceil_mode=True), ["avg_pool2d"]),
        (lambda net, x: nn.functional.local_response_norm(x, 3, 0.9, 0.6, 1.5), ["lrn"]),
        (lambda net, x: nn.functional.local_response_norm(torch.relu(x), 5, 2.0, 0.75, 0.5), ["relu", "lrn"]),
    ],
)
def test_what_is_spelt_out_is_one_layer(tail: Any, ops: list[str], tmp_path: Path) -> None:
    assert [layer.op for layer in compare(randomized(Wrong(tail)), tmp_path, 3, 6, 7).layers] == ["conv2d", *ops]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_a_decomposed_program_has_the_same_layers(tmp_path: Path) -> None:
    network = randomized(EveryOperation())
    program = torch.export.export(network, (torch.zeros(1, 3, 22, 26),))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PyTorch about itself
        parts = program.run_decompositions()
    whole, decomposed = import_program(program, "whole", seed=0), import_program(parts, "decomposed", seed=0)
    assert [layer.op for layer in whole.layers] == [layer.op for layer in decomposed.layers]
    assert (whole.macs, whole.parameters) == (decomposed.macs, decomposed.parameters)


def test_a_batch_norm_of_training_is_refused() -> None:
    program = torch.export.export(Wrong(lambda net, x: net.norm(x)).train(), (torch.zeros(1, 3, 9, 9),))
    with pytest.raises(ImportModelError, match=r"export the model after model\.eval\(\)"):
        import_program(program, "wrong", seed=0)


def test_folded_weights_are_the_nearest_floats(tmp_path: Path) -> None:
    network = randomized(Wrong(lambda net, x: net.norm(x)))
    trace = compare(network, tmp_path, 3, 6, 7)
    norm, conv = network.norm, network.conv
    factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    exact = (conv.weight.double() * factor[:, None, None, None]).reshape(4, -1).T.float().detach().numpy()
    np.testing.assert_array_equal(trace.weights("conv"), exact)
    shift = ((conv.bias.double() - norm.running_mean.double()) * factor + norm.bias.double()).float().detach().numpy()
    np.testing.assert_array_equal(trace.constant("conv", "bias"), shift)
    assert isinstance(trace.layers[0], WeightedLayer)

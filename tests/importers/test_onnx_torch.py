"""ONNX files that PyTorch exports: the same layers, work and weights as the model that they came from."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from accelsim.trace.layers import ConvLayer, WeightedLayer
from accelsim.trace.trace import Trace, load_trace
from tests import naive_graph, rounding

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

TRACES = Path(__file__).parents[2] / "traces"
DEIT_TINY = {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768}
TINY = {"hidden_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 56, "image_size": 24, "patch_size": 8}
EXPORTERS = [  # dynamo, opset, eager attention or PyTorch's own
    (True, None, "eager"),
    (True, None, "sdpa"),
    (False, 14, "eager"),
    (False, 17, "sdpa"),
]


def build(sizes: dict[str, int], attention: str) -> Any:
    """A ViT with random weights everywhere."""
    torch.manual_seed(3)
    network = transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, num_labels=1000, attn_implementation=attention)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.2)
    return network


def export(network: Any, size: int, path: Path, dynamo: bool, opset: int | None) -> str:
    """The model's ONNX file; the exporters warn of what is not this project's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.zeros(1, 3, size, size),), path, dynamo=dynamo, opset_version=opset, input_names=["pixel_values"], verbose=False
        )
    return str(path)


def shapes(trace: Trace) -> list[dict[str, Any]]:
    """Layers without where their weights lie; a file holds attention's factor in float32, so it is compared to seven digits."""
    fields = [layer.model_dump(exclude={"constants": True, "weight": {"streams"}}) for layer in trace.layers]
    return [{name: round(value, 7) if name == "scale" else value for name, value in layer.items()} for layer in fields]


@pytest.mark.parametrize(("dynamo", "opset", "attention"), EXPORTERS)
def test_an_exported_vit_is_the_described_one(dynamo: bool, opset: int | None, attention: str, tmp_path: Path) -> None:
    network = build(TINY, attention)
    trace = import_model(export(network, 24, tmp_path / "m.onnx", dynamo, opset), tmp_path / "float")
    described = import_model("vit:" + ",".join(f"{name}={value}" for name, value in TINY.items()), seed=0)
    assert shapes(trace) == shapes(described)
    image = torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(image).logits.numpy()
    values = naive_graph.run_float(load_trace(tmp_path / "float"), {"pixel_values": image[0].numpy()}, network.config.layer_norm_eps)
    np.testing.assert_allclose(values[trace.manifest.outputs[0]][0], expected, rtol=2e-3, atol=2e-3)


def test_deit_tiny_is_recorded_whole_with_its_weights(tmp_path: Path) -> None:
    network = build(DEIT_TINY, "eager")
    trace = import_model(export(network, 224, tmp_path / "deit.onnx", False, 14))
    assert shapes(trace) == shapes(import_model("vit", seed=0))
    assert trace.macs == 1_253_683_200
    assert trace.parameters == 5_717_416
    blocks = [layer for layer in trace.weighted_layers() if ".layers." in layer.name]
    assert len(blocks) == 72
    assert sum(layer.weight.count for layer in blocks) == 5_308_416
    for layer in trace.weighted_layers():
        module = network.get_submodule(layer.name)
        np.testing.assert_array_equal(trace.weights(layer.name), module.weight.detach().numpy().reshape(layer.weight.n, -1).T)
        np.testing.assert_array_equal(trace.constant(layer.name, "bias"), module.bias.detach().numpy())
    packed, _ = compress_trace(trace, make_recipe("ssvq:k=16,d=8"), tmp_path / "packed")
    machine = load_accelerator("edge-32x32")
    assert simulate(machine, packed).cycles == simulate(machine, load_trace(TRACES / "deit_tiny_ssvq_k16d8")).cycles


class SmallNet(torch.nn.Module):
    """Convolutions with batch norms and all kinds of activations, pools, and a classifier over the flattened image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(8), torch.nn.Hardswish())
        self.depthwise = torch.nn.Sequential(torch.nn.Conv2d(8, 8, 3, 1, 1, groups=8), torch.nn.BatchNorm2d(8), torch.nn.ReLU6())
        self.pool = torch.nn.MaxPool2d(3, 2, 1)
        self.head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8 * 3 * 3, 5), torch.nn.SiLU(), torch.nn.Linear(5, 4))

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        return self.head(self.pool(x + self.depthwise(x)))


@pytest.mark.parametrize("dynamo", [True, False])
def test_a_convnet_computes_what_the_model_computes(dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = SmallNet()
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 12, 12))  # gives the batch norms statistics of their own
    network.eval()
    trace = import_model(export(network, 12, tmp_path / "m.onnx", dynamo, None))
    image = torch.randn(1, 3, 12, 12)
    values = naive_graph.run_float(trace, {"pixel_values": image[0].numpy()}, 0.0)
    output = trace.manifest.outputs[0]
    with torch.no_grad():
        np.testing.assert_allclose(network(image).numpy(), values[output][0], rtol=0, atol=rounding.of_network(trace, values)[output])
    assert any(isinstance(layer, ConvLayer) and layer.op == "depthwise_conv2d" for layer in trace.layers)
    assert all(layer.bias for layer in trace.layers if isinstance(layer, WeightedLayer))


HUB = {
    "vit.layers.": "vit.encoder.layer.",
    ".o_proj.": ".output.dense.",
    ".mlp.fc1.": ".intermediate.dense.",
    ".mlp.fc2.": ".output.dense.",
} | {f".attention.{new}_proj.": f".attention.attention.{old}." for new, old in {"q": "query", "k": "key", "v": "value"}.items()}


@pytest.mark.parametrize("named", ["as the model", "as the hub"])
def test_a_described_vit_takes_a_files_weights(named: str, tmp_path: Path) -> None:
    network = build(TINY, "eager")
    state = {}
    for name, tensor in network.state_dict().items():
        for new, old in HUB.items() if named == "as the hub" else ():
            name = name.replace(new, old)
        state[name] = tensor.numpy()
    save_file(state, tmp_path / "w.safetensors")
    trace = import_model("vit:" + ",".join(f"{name}={value}" for name, value in TINY.items()), weights=tmp_path / "w.safetensors")
    for layer in trace.weighted_layers():
        expected = network.get_submodule(layer.name).weight.detach().numpy()
        np.testing.assert_array_equal(trace.weights(layer.name), expected.reshape(layer.weight.n, -1).T)
    assert trace.manifest.source.file == "w.safetensors"


def test_an_exported_vit_takes_a_files_weights(tmp_path: Path) -> None:
    network = build(TINY, "eager")
    path = export(network, 24, tmp_path / "m.onnx", False, 17)
    state = {name: 2 * tensor.numpy() for name, tensor in network.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    trace = import_model(path, weights=tmp_path / "w.safetensors")
    for layer in trace.weighted_layers():
        np.testing.assert_array_equal(trace.weights(layer.name), state[f"{layer.name}.weight"].reshape(layer.weight.n, -1).T)

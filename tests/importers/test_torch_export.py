"""The importer against the models themselves: counts that PyTorch makes, and outputs that PyTorch computes."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model, import_program
from accelsim.trace.layers import ConvLayer, GemmLayer, MatmulLayer
from accelsim.trace.trace import load_trace
from tests import naive_graph, rounding

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

TRACES = Path(__file__).parents[2] / "traces"
VITS = [
    {"hidden_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 56, "image_size": 24, "patch_size": 8},
    {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 100, "image_size": 30, "patch_size": 5},
    {"hidden_size": 18, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 17, "image_size": 8, "patch_size": 8},
]


def test_an_rms_norm_of_torch_is_known_by_its_name(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.RMSNorm(8, eps=0.0)).eval()
    with torch.no_grad():
        model[1].weight.normal_()
    x = torch.randn(1, 5, 6)
    torch.export.save(torch.export.export(model, (x,)), tmp_path / "rms.pt2")
    trace = import_model(str(tmp_path / "rms.pt2"))
    assert [layer.op for layer in trace.layers] == ["gemm", "rmsnorm"]
    values = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: x.numpy().reshape(1, 5, 6)}, 0.0)
    expected = model.double()(x.double()).detach().numpy()[0]
    np.testing.assert_allclose(values[trace.manifest.outputs[0]][0], expected, rtol=1e-6)


def build_vit(sizes: dict[str, int], attention: str = "eager") -> Any:
    """A ViT with random weights everywhere: biases, class token and positions too, which transformers starts at zero."""
    torch.manual_seed(3)
    config = transformers.ViTConfig(**sizes, num_labels=11, attn_implementation=attention)
    network = transformers.ViTForImageClassification(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.3)
    return network


def export(network: Any, *shape: int, path: Path) -> str:
    torch.export.save(torch.export.export(network, (torch.zeros(*shape),)), path)
    return str(path)


def macs_by_torch(network: Any, image: Any) -> int:
    """Multiply-accumulates as PyTorch's own counter sees them (it counts two operations each)."""
    with torch.no_grad(), torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        network(image)
    return int(counter.get_total_flops()) // 2


def test_deit_tiny_is_recorded_whole() -> None:
    trace = import_model("vit", seed=1)
    count = Counter(layer.op for layer in trace.layers)
    assert count == {"conv2d": 1, "gemm": 73, "matmul": 24, "softmax": 12, "layernorm": 25, "gelu": 12, "add": 24, "embed": 1}
    assert trace.parameters == 5_717_416
    assert trace.macs == 1_253_683_200  # 1.2537 GMAC, of which:
    assert sum(layer.macs for layer in trace.layers if isinstance(layer, ConvLayer)) == 196 * 768 * 192  # 28.90 M
    assert sum(layer.macs for layer in trace.layers if isinstance(layer, MatmulLayer)) == 24 * 3 * 197 * 197 * 64  # 178.83 M
    assert all(layer.heads == 3 for layer in trace.layers if isinstance(layer, MatmulLayer))
    assert all(layer.bias for layer in trace.layers if isinstance(layer, GemmLayer))


def test_the_committed_manifest_is_what_the_importer_makes() -> None:
    model = "vit:hidden_size=48,num_hidden_layers=2,num_attention_heads=3,intermediate_size=96,image_size=32,patch_size=8,num_labels=10"
    made = import_model(model, seed=1, name="tiny_vit_float").manifest
    assert made.with_fields(interface=None) == load_trace(TRACES / "tiny_vit_float").manifest  # which is older than this record


@pytest.mark.parametrize("sizes", VITS)
def test_parameters_and_macs_equal_pytorchs_own_count(sizes: dict[str, int], tmp_path: Path) -> None:
    network = build_vit(sizes)
    trace = import_model(export(network, 1, 3, sizes["image_size"], sizes["image_size"], path=tmp_path / "m.pt2"), seed=0)
    assert trace.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert trace.macs == macs_by_torch(network, torch.zeros(1, 3, sizes["image_size"], sizes["image_size"]))
    described = ",".join(f"{name}={value}" for name, value in {**sizes, "num_labels": 11}.items())
    assert import_model(f"vit:{described}", seed=0, name="m").layers == trace.layers


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("sizes", VITS)
def test_the_graph_computes_what_the_model_computes(sizes: dict[str, int], attention: str, tmp_path: Path) -> None:
    network = build_vit(sizes, attention)
    size = sizes["image_size"]
    trace = import_model(export(network, 1, 3, size, size, path=tmp_path / "m.pt2"), tmp_path / "float")
    assert trace.manifest.source.kind == "checkpoint"
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(image).logits.numpy()
    for candidate in (trace, load_trace(tmp_path / "float")):
        values = naive_graph.run_float(candidate, {"pixel_values": image[0].numpy()}, network.config.layer_norm_eps)
        np.testing.assert_allclose(values[trace.manifest.outputs[0]][0], expected, rtol=2e-3, atol=2e-3)


class ConvNet(torch.nn.Module):
    """Convolutions with unequal strides and padding, grouped and depthwise, without bias; no activation between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, (3, 5), stride=(2, 1), padding=(1, 2))
        self.depthwise = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.grouped = torch.nn.Conv2d(8, 12, 3, dilation=2, groups=2)

    def forward(self, x: Any) -> Any:
        return self.grouped(self.depthwise(self.first(x)))


def test_convolutions_compute_what_the_model_computes(tmp_path: Path) -> None:
    network = ConvNet().eval()
    trace = import_model(export(network, 1, 3, 11, 9, path=tmp_path / "m.pt2"))
    assert [layer.op for layer in trace.layers] == ["conv2d", "depthwise_conv2d", "conv2d"]
    image = torch.randn(1, 3, 11, 9, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(image)[0].numpy()  # K, OY, OX
    values = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: image[0].numpy()}, 0.0)
    (found,) = values["grouped"]
    np.testing.assert_allclose(expected, found.T.reshape(expected.shape), rtol=0, atol=rounding.of_network(trace, values)["grouped"])


def test_a_real_models_constants_survive_compression(tmp_path: Path) -> None:
    network = build_vit(VITS[0])
    trace = import_model(export(network, 1, 3, 24, 24, path=tmp_path / "m.pt2"))
    packed, _ = compress_trace(trace, make_recipe("ssvq:k=16,d=8"), tmp_path / "packed")
    loaded = load_trace(tmp_path / "packed")
    loaded.verify_payload()
    bias = network.get_submodule("classifier").bias.detach().numpy()
    np.testing.assert_array_equal(loaded.constant("classifier", "bias"), bias)
    np.testing.assert_array_equal(packed.constant("classifier", "bias"), bias)


class Wrong(torch.nn.Module):
    """One linear layer, and then something that the vocabulary cannot say."""

    def __init__(self, tail: Any) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(8, 8)
        self.scale = torch.nn.Parameter(torch.ones(8))
        self.tail = tail

    def forward(self, x: Any) -> Any:
        return self.tail(self, self.fc(x))


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (lambda net, x: torch.topk(x, 2)[0], "the largest of (1, 4, 8) along dimension -1"),
        (lambda net, x: x + torch.sort(x, 1)[0], "a sort of "),
        (lambda net, x: torch.gather(x, 2, torch.tensor([[[0, 1, 3]] * 4])), "that are not evenly apart; allowed: those of nested loops"),
        (lambda net, x: torch.linalg.vector_norm(x, 3, 1), "a norm of order 3 is not supported; allowed: 1, 2, inf"),
        (lambda net, x: torch.nn.functional.dropout(x, 0.5, training=True), "training mode"),
    ],
)
def test_what_is_not_understood_is_a_named_error(tail: Any, message: str, tmp_path: Path) -> None:
    path = export(Wrong(tail), 1, 4, 8, path=tmp_path / "m.pt2")
    with pytest.raises(ImportModelError) as caught:
        import_model(path, tmp_path / "out", seed=0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


FOLDED: dict[str, tuple[Any, int]] = {  # a network's tail, and the trained numbers that its layers show
    "a factor a channel": (lambda net, x: x * net.scale, 72),
    "a factor": (lambda net, x: 2 * x / 3, 72),
    "a sum": (lambda net, x: (x + 1.0) - net.scale, 72),
    "weights that are no parameters": (lambda net, x: torch.nn.functional.linear(x, torch.arange(16.0).reshape(2, 8)), 72 + 16),
    "weights of two layers": (lambda net, x: net.fc(net.fc(x)), 3 * 72),
}


@pytest.mark.parametrize("name", FOLDED)
def test_factors_and_sums_are_folded_into_the_layer_before(name: str, tmp_path: Path) -> None:
    tail, numbers = FOLDED[name]
    torch.manual_seed(2)
    network = Wrong(tail)
    with torch.no_grad():
        network.scale.normal_()
    trace = import_model(export(network, 1, 4, 8, path=tmp_path / "m.pt2"))
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(x)[0].numpy()
    values = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: x.numpy()}, 0.0)
    output = trace.manifest.outputs[0]
    np.testing.assert_allclose(expected, values[output][0], rtol=0, atol=rounding.of_network(trace, values)[output])
    assert {layer.op for layer in trace.layers} == {"gemm"}
    assert trace.parameters == numbers


def test_weights_that_several_layers_share_are_noted(tmp_path: Path) -> None:
    trace = import_model(export(Wrong(lambda net, x: net.fc(net.fc(x))), 1, 4, 8, path=tmp_path / "m.pt2"), seed=0)
    assert trace.manifest.notes[0] == "'fc.weight' is stored once in the model, and for each of fc, fc_1, fc_2 in the trace"


class Broad(torch.nn.Module):
    """A layer wider than a trace may hold, without the memory for it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(1, (1 << 24) + 1, bias=False, device="meta")

    def forward(self, x: Any) -> Any:
        return self.fc(x)


def test_a_layer_beyond_the_bounds_is_one_clear_message() -> None:
    program = torch.export.export(Broad(), (torch.zeros(1, 2, 1, device="meta"),))
    with pytest.raises(ImportModelError, match="16777217") as caught:
        import_program(program, "wide", seed=0)
    assert "\n" not in str(caught.value)


class Resized(torch.nn.Module):
    """Adds trained positions that it interpolates, and factors of indices that it computes (detectors, rotary embeddings)."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = torch.nn.Parameter(torch.randn(1, 4, 8))
        self.fc = torch.nn.Linear(8, 8)

    def forward(self, x: Any) -> Any:
        positions = torch.nn.functional.interpolate(self.positions.transpose(1, 2), size=6, mode="linear").transpose(1, 2)
        return self.fc(x + positions * torch.arange(8, device="cpu").to(positions.device))


def test_constants_computed_from_trained_tensors_without_numbers_stand_for_their_shapes(tmp_path: Path) -> None:
    with torch.device("meta"):
        program = torch.export.export(Resized(), (torch.zeros(1, 6, 8),))
    with_weights = import_model(export(Resized(), 1, 6, 8, path=tmp_path / "m.pt2"), seed=0)
    assert import_program(program, "m", seed=0).layers == with_weights.layers


def test_a_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"shape \(2, 4, 8\)"):
        import_model(export(torch.nn.Linear(8, 8), 2, 4, 8, path=tmp_path / "m.pt2"), seed=0)


def test_a_parameter_that_no_layer_reads_is_noted(tmp_path: Path) -> None:
    trace = import_model(export(Wrong(lambda net, x: x), 1, 4, 8, path=tmp_path / "m.pt2"), seed=0)
    assert trace.manifest.notes == ("parameters that no layer reads: scale",)


@pytest.mark.parametrize(
    ("model", "seed", "message"),
    [
        ("vit", None, "give a seed"),
        ("vit:hidden_sise=12", 0, "did you mean 'hidden_size'"),
        ("vit:hidden_size=-1", 0, "'hidden_size' has value '-1'"),
        ("vit:hidden_size=99999999999", 0, "'hidden_size' has value"),
        ("vit:hidden_size=10,num_attention_heads=3", 0, "not a multiple"),
        ("vit:image_size=10,patch_size=3", 0, "not a multiple"),
        ("model.onnxx", 0, "is not understood"),
        ("nowhere.pt2", 0, "no such file"),
    ],
)
def test_a_wrong_model_argument_is_one_clear_message(model: str, seed: int | None, message: str) -> None:
    with pytest.raises(ImportModelError) as caught:
        import_model(model, seed=seed)
    assert message in str(caught.value)


def test_a_file_that_is_no_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.pt2"
    path.write_bytes(b"not a zip archive")
    with pytest.raises(ImportModelError, match=r"not a program written by torch\.export\.save"):
        import_model(str(path), seed=0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something", "else")
    with pytest.raises(ImportModelError, match=r"not a program written by torch\.export\.save") as caught:
        import_model(str(path), seed=0)
    assert "\n" not in str(caught.value)


def test_a_truncated_program_is_refused(tmp_path: Path) -> None:
    path = Path(export(torch.nn.Linear(8, 8), 1, 4, 8, path=tmp_path / "m.pt2"))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ImportModelError, match=r"not a program written by torch\.export\.save"):
        import_model(str(path), seed=0)


class _Positions(torch.nn.Module):
    """Positions counted over what is no padding, as RoBERTa's."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.places = torch.nn.Embedding(9, 8), torch.nn.Embedding(9, 8)
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        shown = ids.ne(1).int()
        return self.linear(self.rows(ids) + self.places((shown.cumsum(1) * shown).long() + 1))


def test_token_ids_are_taken_to_be_no_padding_and_a_note_says_so(tmp_path: Path) -> None:
    module = _Positions().eval()
    ids = torch.tensor([[3, 5, 2, 8]])
    torch.export.save(torch.export.export(module, (ids,)), tmp_path / "m.pt2")
    trace = import_model(str(tmp_path / "m.pt2"))
    assert "no element of 'ids' is taken to be 1, the id of the padding" in trace.manifest.notes
    inputs = {item.name: module.rows.weight[ids[0]].detach().numpy().reshape(item.shape.dims) for item in trace.manifest.inputs}
    found = naive_graph.run_float(trace, inputs, 1e-5)[trace.manifest.outputs[0]]
    np.testing.assert_allclose(found.reshape(4, 4), module.double()(ids)[0].detach().numpy(), atol=1e-6)

"""Encoders and decoders of transformers, by every exporter: the imported graph computes what the model computes, and counts what it has."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model, import_program
from accelsim.trace.trace import Trace
from tests import naive_graph

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

ROWS, WIDTH, HEADS, INNER, LAYERS, WORDS = 7, 24, 3, 40, 2, 11
# Of one block: q, k, v and the projection (W x W each), two matrices of the feed-forward; scores and context over all heads are R x R x W.
BLOCK_MACS = ROWS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER) + 2 * ROWS * ROWS * WIDTH
BLOCK_PARAMETERS = 4 * (WIDTH * WIDTH + WIDTH) + 2 * WIDTH * INNER + INNER + WIDTH + 4 * WIDTH
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])


class Encoder(torch.nn.Module):
    """The shape of BERT and of MiniLM."""

    def __init__(self, attention: str) -> None:
        super().__init__()
        sizes = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER}
        config = transformers.BertConfig(
            vocab_size=WORDS, max_position_embeddings=16, layer_norm_eps=1e-5, attn_implementation=attention, **sizes
        )
        self.model = transformers.BertModel(config, add_pooling_layer=False)

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask)[0]


class Decoder(torch.nn.Module):
    """GPT-2: causal, GELU by tanh, and a head that shares its matrix with the token embedding."""

    def __init__(self, attention: str) -> None:
        super().__init__()
        sizes = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_inner": INNER, "n_positions": 16}
        config = transformers.GPT2Config(vocab_size=WORDS, attn_implementation=attention, use_cache=False, **sizes)
        self.model = transformers.GPT2LMHeadModel(config)

    def forward(self, input_ids: Any) -> Any:
        return self.model(input_ids=input_ids)[0]


def randomized(network: Any) -> Any:
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.4)
    return network.eval()


def exported(network: Any, inputs: tuple[Any, ...], exporter: str, folder: Path) -> str:
    """The network's file; the exporters warn of what is not this project's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torch.export":
            torch.export.save(torch.export.export(network, inputs), folder / "m.pt2")
            return str(folder / "m.pt2")
        dynamo = exporter == "ONNX"
        names = ["input_ids", "attention_mask"][: len(inputs)]
        torch.onnx.export(
            network, inputs, folder / "m.onnx", dynamo=dynamo, opset_version=None if dynamo else 17, input_names=names, verbose=False
        )
    return str(folder / "m.onnx")


def assert_same(trace: Trace, table: Any, expected: Any) -> None:
    """The trace computes what the model does, whose token embeddings it is given as its input."""
    (source,) = trace.manifest.inputs
    rows = table[IDS].detach().numpy()
    values = naive_graph.run_float(trace, {source.name: rows}, 1e-5)
    np.testing.assert_allclose(values[trace.manifest.outputs[0]][0], expected.detach().numpy()[0], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("exporter", ["torch.export", "ONNX", "ONNX by tracing"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_an_encoder_is_imported_whole(attention: str, exporter: str, tmp_path: Path) -> None:
    network = randomized(Encoder(attention))
    mask = torch.ones_like(IDS)
    trace = import_model(exported(network, (IDS, mask), exporter, tmp_path), fill={"attention_mask": 1})
    embeddings = network.model.embeddings
    assert_same(trace, embeddings.word_embeddings.weight, network(IDS, mask))
    assert trace.macs == LAYERS * BLOCK_MACS
    positions = sum(layer.constant_sizes["positions"] for layer in trace.layers if layer.op == "embed")
    assert positions in (ROWS * WIDTH, 2 * ROWS * WIDTH)  # of the positions and of the one token type, summed by the exporter or not
    assert trace.parameters == LAYERS * BLOCK_PARAMETERS + 2 * WIDTH + positions
    assert any("word_embeddings" in note and "no part of the trace" in note for note in trace.manifest.notes)


def test_a_mask_that_arrives_with_the_input_is_named(tmp_path: Path) -> None:
    path = exported(randomized(Encoder("eager")), (IDS, torch.ones_like(IDS)), "ONNX by tracing", tmp_path)
    with pytest.raises(ImportModelError, match="--fill attention_mask=VALUE"):
        import_model(path)


@pytest.mark.parametrize(
    ("attention", "exporter"), [("eager", "torch.export"), ("sdpa", "torch.export"), ("eager", "ONNX"), ("sdpa", "ONNX")]
)
def test_a_decoder_is_imported_whole(attention: str, exporter: str, tmp_path: Path) -> None:
    network = randomized(Decoder(attention))
    trace = import_model(exported(network, (IDS,), exporter, tmp_path))
    assert_same(trace, network.model.transformer.wte.weight, network(IDS))
    assert trace.macs == LAYERS * BLOCK_MACS + ROWS * WIDTH * WORDS
    assert trace.parameters == LAYERS * BLOCK_PARAMETERS + 2 * WIDTH + ROWS * WIDTH + WORDS * WIDTH
    assert [layer.mask for layer in trace.layers if layer.op == "softmax"] == ["causal"] * LAYERS
    assert not any("no layer reads" in note for note in trace.manifest.notes)


@pytest.mark.parametrize("first", [True, False])
def test_pytorchs_own_encoder_layer_is_three_products_of_one_matrix(first: bool, tmp_path: Path) -> None:
    layer = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, "gelu", batch_first=True, norm_first=first)
    network = randomized(torch.nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False))
    x = torch.randn(1, ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    trace = import_model(exported(network, (x,), "torch.export", tmp_path))
    values = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: x.numpy()}, 1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(values[trace.manifest.outputs[0]][0], network(x)[0].numpy(), rtol=2e-3, atol=2e-3)
    assert trace.macs == LAYERS * BLOCK_MACS
    assert trace.parameters == LAYERS * BLOCK_PARAMETERS
    assert trace.manifest.notes == ()


class FusedBlock(torch.nn.Module):
    """Attention as timm spells it: q, k and v of one product, split by a reshape; a factor per channel behind the projection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.gamma = torch.nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Any) -> Any:
        batch, rows, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, rows, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        context = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, rows, width)
        return x + self.proj(context) * self.gamma


class ChunkedBlock(FusedBlock):
    """The same without the norm, split by a chunk, attention spelled out."""

    def forward(self, x: Any) -> Any:
        batch, rows, width = x.shape
        q, k, v = (part.view(batch, rows, HEADS, width // HEADS).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        scores = (q @ k.transpose(-2, -1)) * (width // HEADS) ** -0.5
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, rows, width)) / self.gamma


@pytest.mark.parametrize("kind", [FusedBlock, ChunkedBlock])
def test_one_product_split_into_q_k_and_v_is_three_layers(kind: Any, tmp_path: Path) -> None:
    network = randomized(kind())
    x = torch.randn(1, ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    trace = import_model(exported(network, (x,), "torch.export", tmp_path))
    values = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: x.numpy()}, 1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(values[trace.manifest.outputs[0]][0], network(x)[0].numpy(), rtol=2e-3, atol=2e-3)
    assert trace.macs == ROWS * 4 * WIDTH * WIDTH + 2 * ROWS * ROWS * WIDTH
    assert [layer.weight.n for layer in trace.weighted_layers()] == [WIDTH] * 4


class Undifferentiated(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        with torch.no_grad():
            y = x * 2
        return y.requires_grad_()


def test_a_region_without_gradients_is_read_as_if_it_were_outside() -> None:
    program = torch.export.export(Undifferentiated(), (torch.zeros(1, 4, 8),))
    trace = import_program(program, "region", seed=0)
    x = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    values = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: x[None]}, 1e-5)
    np.testing.assert_array_equal(values[trace.manifest.outputs[0]].reshape(4, 8), 2 * x)


class ConvNext(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        sizes = {"depths": [1, 1], "hidden_sizes": [8, 12], "num_stages": 2, "image_size": 32, "num_labels": 5, "layer_norm_eps": 1e-5}
        self.model = transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**sizes))

    def forward(self, pixel_values: Any) -> Any:
        return self.model(pixel_values).logits


@pytest.mark.parametrize("exporter", ["torch.export", "ONNX", "ONNX by tracing"])
def test_a_convnext_folds_its_layer_scales(exporter: str, tmp_path: Path) -> None:
    network = randomized(ConvNext())
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    trace = import_model(exported(network, (image,), exporter, tmp_path))
    values = naive_graph.run_float(trace, {trace.manifest.inputs[0].name: image[0].numpy()}, 1e-5)
    with torch.no_grad(), torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        np.testing.assert_allclose(values[trace.manifest.outputs[0]][0], network(image)[0].numpy()[None], rtol=5e-3, atol=5e-3)
    assert trace.macs == counter.get_total_flops() // 2
    assert trace.parameters == sum(parameter.numel() for parameter in network.parameters()) - 8 - 12
    assert trace.manifest.notes[0].startswith("20 trained numbers are folded")

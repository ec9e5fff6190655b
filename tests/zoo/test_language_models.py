"""Language models that transformers defines, of two blocks and with random weights: equal products, equal values, and no copies."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.formats.uniform import UniformFormat
from accelsim.functional import check_functional
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from accelsim.trace.layers import MatmulLayer
from accelsim.trace.manifest import Manifest
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace
from tests import naive_graph

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch
T: Any = transformers

HIDDEN, INNER, BLOCKS, HEADS, KV_HEADS, WIDTH, WORDS, TOKENS, EPSILON = 32, 48, 2, 4, 2, 8, 50, 7, 1e-5
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
SIZES: dict[str, Any] = {
    "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS, "vocab_size": WORDS, "max_position_embeddings": 64, "rms_norm_eps": EPSILON, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "use_cache": False,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Qwen2": {},
    "Qwen3": {"head_dim": WIDTH},
    "Gemma": {"head_dim": WIDTH},
    "Gemma2": {"head_dim": WIDTH, "sliding_window": 3, "attn_logit_softcapping": 5.0},
    "Phi3": {},
    "Mistral": {"head_dim": WIDTH, "sliding_window": 3},
}


def macs(kv_heads: int) -> int:
    """All products of the model, counted matrix by matrix; scores and context are computed for every pair of tokens."""
    projections = 2 * HEADS * WIDTH * HIDDEN + 2 * kv_heads * WIDTH * HIDDEN  # queries and output, keys and values
    feed_forward = 3 * HIDDEN * INNER
    attention = 2 * TOKENS * HEADS * WIDTH
    return TOKENS * (BLOCKS * (projections + feed_forward + attention) + HIDDEN * WORDS)


def network(name: str, attention: str = "eager", **changes: Any) -> Any:
    """A causal language model whose parameters are all random."""
    config = getattr(T, f"{name}Config")(**{**SIZES, **MODELS[name], **changes}, attn_implementation=attention)
    model = getattr(T, f"{name}ForCausalLM")(config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(2, parameter[0].numel()) ** 0.5)
        model.get_input_embeddings().weight.mul_(8)  # a trace stores no epsilon: nothing that is normalized is small
    if name.startswith("Gemma"):
        for block in model.model.layers:
            block.mlp.act_fn = torch.nn.GELU()  # a trace does not tell it from GELU by tanh, which differs by 5e-4
    return model.eval()


class Logits(torch.nn.Module):
    """The logits of all tokens."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any) -> Any:
        return self.model(input_ids=input_ids).logits


def imported(model: Any, folder: Path) -> Trace:
    torch.export.save(torch.export.export(Logits(model), (IDS,)), folder / "m.pt2")
    return import_model(str(folder / "m.pt2"))


def assert_same_values(trace: Trace, model: Any) -> None:
    """The trace, given the embeddings of the tokens, computes the model's logits."""
    (source,) = trace.manifest.inputs
    rows = model.get_input_embeddings().weight[IDS].detach().numpy()
    found = naive_graph.run_float(trace, {source.name: rows}, EPSILON)[trace.manifest.outputs[0]]
    with torch.no_grad():
        expected = Logits(model)(IDS).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", MODELS)
def test_a_language_model_has_the_library_s_products_and_values(name: str, attention: str, tmp_path: Path) -> None:
    if name == "Gemma2" and attention == "sdpa":
        attention = "eager"  # the library's fused attention leaves out its cap
    model = network(name, attention)
    trace = imported(model, tmp_path)
    assert_same_values(trace, model)
    assert trace.macs == macs(KV_HEADS)
    count = Counter(layer.op for layer in trace.layers)
    assert (count["rotary"], count["softmax"], count["move"], count["concat"]) == (2 * BLOCKS, BLOCKS, 0, 0)
    products = [layer for layer in trace.layers if isinstance(layer, MatmulLayer)]
    assert {(layer.heads, layer.shared, layer.m) for layer in products} == {(KV_HEADS, HEADS // KV_HEADS, TOKENS * HEADS // KV_HEADS)}


@pytest.mark.parametrize("kv_heads", [1, HEADS])
def test_heads_may_all_share_one_key_or_none(kv_heads: int, tmp_path: Path) -> None:
    model = network("Llama", num_key_value_heads=kv_heads)
    trace = imported(model, tmp_path)
    assert_same_values(trace, model)
    assert trace.macs == macs(kv_heads)
    assert {layer.shared for layer in trace.layers if isinstance(layer, MatmulLayer)} == {HEADS // kv_heads}
    assert not any(layer.op in ("move", "concat") for layer in trace.layers)


def test_a_part_of_each_head_may_be_turned(tmp_path: Path) -> None:
    model = network("Phi3", rope_parameters={"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5})
    trace = imported(model, tmp_path)
    assert_same_values(trace, model)
    assert {layer.turned for layer in trace.layers if layer.op == "rotary"} == {WIDTH // 2}


def test_a_sliding_window_is_the_softmax_s_where_a_block_has_one(tmp_path: Path) -> None:
    trace = imported(network("Gemma2"), tmp_path)
    assert [layer.reach for layer in trace.layers if layer.op == "softmax"] == [3, 0]
    assert [layer.op for layer in trace.layers].count("tanh") == BLOCKS + 1  # caps of the scores and of the logits


def test_a_tied_head_is_a_layer_and_the_table_is_not(tmp_path: Path) -> None:
    trace = imported(network("Llama", tie_word_embeddings=True), tmp_path)
    assert (trace.layers[-1].op, trace.layers[-1].output.width) == ("gemm", WORDS)
    assert any(f"({WORDS} x {HIDDEN}) is no part of the trace" in note for note in trace.manifest.notes)


@pytest.mark.parametrize("name", ["Llama", "Gemma2"])
def test_shared_heads_run_and_multiply_bit_for_bit(name: str, tmp_path: Path) -> None:
    trace, _ = compress_trace(imported(network(name), tmp_path), make_recipe("uniform:bits=8"))
    chip = load_accelerator("edge-64x64")
    assert simulate(chip, trace).macs == macs(KV_HEADS)
    assert check_functional(chip, trace).ok


@pytest.mark.parametrize(("name", "rows"), [("Llama", (21, 21)), ("Gemma2", (3, 21))])
def test_an_imported_model_decodes_over_its_cache(name: str, rows: tuple[int, int], tmp_path: Path) -> None:
    """20 tokens and the current one, or those in the window of the first block; the head is computed of one token."""
    step = at_tokens(imported(network(name), tmp_path), 1, 20)
    layers = tuple(layer.in_format(UniformFormat(bits=8)) for layer in step.layers)
    result = simulate(load_accelerator("edge-64x64"), Trace(Manifest(**{**dict(step.manifest), "layers": layers})))
    moved = {key.operand: bits // 8 for key, bits in result.traffic.items()}
    assert (moved["kv_read"], moved["kv_write"]) == (2 * KV_HEADS * WIDTH * sum(rows), 2 * KV_HEADS * WIDTH * BLOCKS)
    weights = BLOCKS * (2 * HEADS * WIDTH * HIDDEN + 2 * KV_HEADS * WIDTH * HIDDEN + 3 * HIDDEN * INNER) + HIDDEN * WORDS
    assert moved["raw_weights"] == weights
    assert result.macs == weights + 2 * HEADS * WIDTH * sum(rows)


def test_rotations_and_shared_heads_come_through_onnx(tmp_path: Path) -> None:
    model = network("Llama")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Logits(model), (IDS,), tmp_path / "m.onnx", dynamo=True, verbose=False)
    trace = import_model(str(tmp_path / "m.onnx"))
    assert_same_values(trace, model)
    assert trace.macs == macs(KV_HEADS)
    assert [layer.op for layer in trace.layers].count("rotary") == 2 * BLOCKS

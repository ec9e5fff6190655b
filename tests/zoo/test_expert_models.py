"""Mixtures of experts that transformers defines, of two blocks and with random weights: equal products, values, and weights read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import load_accelerator
from accelsim.compression.compress_trace import compress_trace, make_recipe
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from accelsim.trace.token_step import at_tokens
from accelsim.trace.trace import Trace
from tests import naive_graph

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch
T: Any = transformers

HIDDEN, INNER, BLOCKS, HEADS, KV_HEADS, WIDTH, WORDS, TOKENS, EXPERTS, TOP_K, EPSILON = 32, 48, 2, 4, 2, 8, 50, 7, 4, 2, 1e-5
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
SIZES: dict[str, Any] = {
    "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": BLOCKS, "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS, "vocab_size": WORDS, "max_position_embeddings": 64, "rms_norm_eps": EPSILON, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "use_cache": False, "num_experts_per_tok": TOP_K,
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "Mixtral": {"num_local_experts": EXPERTS},
    "Olmoe": {"num_experts": EXPERTS},  # weights of the chosen experts are not normalized
    "Qwen3Moe": {"num_experts": EXPERTS, "moe_intermediate_size": INNER, "head_dim": WIDTH, "norm_topk_prob": True},
    "GraniteMoe": {"num_local_experts": EXPERTS},  # the softmax is that of the chosen scores
    "MiniMaxM2": {"num_local_experts": EXPERTS, "head_dim": WIDTH},  # experts are chosen by weights with a correction
    "Ernie4_5_Moe": {
        "moe_num_experts": EXPERTS,
        "moe_k": TOP_K,
        "moe_intermediate_size": INNER,
        "moe_num_shared_experts": 0,
        "moe_layer_start_index": 0,
    },
    "Lfm2Moe": {  # weights are scaled
        "num_experts": EXPERTS,
        "moe_intermediate_size": INNER,
        "num_dense_layers": 0,
        "layer_types": BLOCKS * ["full_attention"],
        "routed_scaling_factor": 2.5,
        "norm_eps": EPSILON,
    },
}


class Logits(torch.nn.Module):
    """The logits of all tokens."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any) -> Any:
        return self.model(input_ids=input_ids).logits


def network(name: str, implementation: str = "batched_mm") -> Any:
    """A causal language model whose parameters are all random."""
    config = getattr(T, f"{name}Config")(**{**SIZES, **MODELS[name]}, attn_implementation="eager")
    model = getattr(T, f"{name}ForCausalLM")(config)
    model.set_experts_implementation(implementation)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(2, parameter.shape[-1]) ** 0.5)
        for corrections in (buffer for name, buffer in model.named_buffers() if name.endswith(("correction_bias", "expert_bias"))):
            corrections.copy_(torch.randn(corrections.shape, generator=generator))
        model.get_input_embeddings().weight.mul_(8)  # a trace stores no epsilon: nothing that is normalized is small
    return model.eval()


def imported(model: Any, folder: Path) -> Trace:
    torch.export.save(torch.export.export(Logits(model), (IDS,)), folder / "m.pt2")
    return import_model(str(folder / "m.pt2"))


def macs(kv_heads: int) -> int:
    """Matrix by matrix: of the experts each token meets `TOP_K`, of three matrices each."""
    projections = 2 * HEADS * WIDTH * HIDDEN + 2 * kv_heads * WIDTH * HIDDEN
    experts = EXPERTS * HIDDEN + TOP_K * 3 * HIDDEN * INNER
    return TOKENS * (BLOCKS * (projections + experts + 2 * TOKENS * HEADS * WIDTH) + HIDDEN * WORDS)


@pytest.mark.parametrize("name", MODELS)
def test_a_mixture_of_experts_has_the_library_s_products_and_values(name: str, tmp_path: Path) -> None:
    model = network(name)
    trace = imported(model, tmp_path)
    (source,) = trace.manifest.inputs
    rows = model.get_input_embeddings().weight[IDS].detach().numpy()
    found = naive_graph.run_float(trace, {source.name: rows}, EPSILON)[trace.manifest.outputs[0]]
    with torch.no_grad():
        expected = Logits(model)(IDS).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert trace.macs == macs(KV_HEADS)
    assert [layer.op for layer in trace.layers].count("experts") == 3 * BLOCKS
    assert not any(layer.op in ("move", "concat") for layer in trace.layers)
    assert {layer.router.normalized for layer in trace.layers if layer.router is not None} == {name != "Olmoe"}


def test_a_decode_step_reads_the_weights_of_the_chosen_experts_alone(tmp_path: Path) -> None:
    """int8: a byte per weight of attention, router and head, and of `TOP_K` experts of each block; scales are apart."""
    trace, _ = compress_trace(imported(network("Mixtral"), tmp_path), make_recipe("uniform", seed=0))
    result = simulate(load_accelerator("edge-32x32"), at_tokens(trace, 1, 6))
    read = sum(bits for key, bits in result.traffic.items() if key.operand == "raw_weights") // 8
    block = 2 * HEADS * WIDTH * HIDDEN + 2 * KV_HEADS * WIDTH * HIDDEN + EXPERTS * HIDDEN + TOP_K * 3 * HIDDEN * INNER
    assert read == BLOCKS * block + HIDDEN * WORDS
    assert result.choices["experts"] == f"drawn evenly (seed 0): the weights of {BLOCKS * TOP_K} of {BLOCKS * EXPERTS} are read"


def test_the_grouped_implementation_is_refused_with_the_one_that_is_understood(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"allowed: the batched implementation, model.set_experts_implementation\('batched_mm'\)"):
        imported(network("Mixtral", "grouped_mm"), tmp_path)

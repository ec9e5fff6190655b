"""Mixtures of experts as GGUF files that the gguf package writes: stacked matrices keep their bits, and a step reads what it routes to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from accelsim.accelerator import load_accelerator
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from accelsim.simulation import simulate
from accelsim.trace.token_step import at_tokens
from tests.tiny_decoders import Sizes, random_tensors, write_gguf

EXPERTS, TOP_K, INNER, SHARED = 4, 2, 256, 512
MODELS = {
    "llama": Sizes("llama", blocks=1, experts=EXPERTS, expert_width=INNER),  # Mixtral
    "qwen2moe": Sizes("qwen2moe", blocks=1, experts=EXPERTS, expert_width=INNER, shared=SHARED),
    "qwen3moe": Sizes("qwen3moe", blocks=1, experts=EXPERTS, expert_width=INNER),
    "olmoe": Sizes("olmoe", blocks=1, experts=EXPERTS, expert_width=INNER),
}
CHIP = ["codebook.store=rom", "codebook.circuit=rom_macro", "array.scale_taps=2"]


@pytest.mark.parametrize("name", MODELS)
def test_stacked_matrices_keep_every_weight(name: str, tmp_path: Path) -> None:
    sizes = MODELS[name]
    tensors = random_tensors(sizes, {"": "Q4_0", "ffn_gate_exps": "IQ2_XXS", "ffn_down_exps": "Q6_K", "ffn_gate_inp": "F32"})
    write_gguf(tmp_path / "m.gguf", sizes, tensors)
    trace = import_model(str(tmp_path / "m.gguf"), bind={"tokens": 3})
    for part, outputs, inputs in (("gate", INNER, sizes.width), ("up", INNER, sizes.width), ("down", sizes.width, INNER)):
        kind, data = tensors[f"blk.0.ffn_{part}_exps.weight"]
        expected = dequantize(data.reshape(EXPERTS * outputs, -1), GGMLQuantizationType[kind])  # (experts x outputs, inputs)
        layer = trace.layer(f"blk.0.ffn_{part}_exps")
        assert layer.expert_product is not None
        assert (layer.expert_product.k, layer.expert_product.n, layer.expert_product.experts) == (inputs, outputs, EXPERTS)
        weight = layer.expert_product.weight
        found = weight.format.reconstruct(trace.arrays(layer.name), weight.k, weight.n)
        np.testing.assert_array_equal(found.T.astype(np.float32), expected)
    routers = {layer.name: layer.router for layer in trace.layers if layer.router is not None}
    assert routers["blk.0.ffn_route_exps"].normalized == (name in ("llama", "qwen3moe"))
    assert ("blk.0.ffn_route_shexp" in routers) == (name == "qwen2moe")


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="half a million weights are too many for plain Python")
def test_a_step_reads_the_stored_bytes_of_the_experts_that_it_routes_to(tmp_path: Path) -> None:
    """IQ2_XXS has 66 bytes per 256 weights: all of attention and the head, `TOP_K` of `EXPERTS` experts; the router is Q8_0, 34 per 32."""
    sizes = MODELS["llama"]
    write_gguf(tmp_path / "m.gguf", sizes, random_tensors(sizes, {"": "IQ2_XXS", "ffn_gate_inp": "F32"}))
    trace = import_model(str(tmp_path / "m.gguf"), bind={"tokens": 3})
    result = simulate(load_accelerator("edge-64x64", CHIP), at_tokens(trace, 1, 6))
    others = (
        "kv_read",
        "kv_write",
        "scales_bias",
        "parameters",
        "padding",
        "burst_rounding",
        "activations_in",
        "activations_out",
        "codebook",
    )
    stored = sum(bits for key, bits in result.traffic.items() if key.operand not in others)
    attention = (2 * sizes.heads + 2 * sizes.kv_heads) * sizes.head_width * sizes.width
    blocks = attention + TOP_K * 3 * INNER * sizes.width + sizes.vocabulary * sizes.width
    assert stored == 8 * (blocks // 256 * 66 + EXPERTS * sizes.width // 32 * 34)
    assert result.choices["experts"] == f"drawn evenly (seed 0): the weights of {TOP_K} of {EXPERTS} are read"


def test_a_shared_expert_is_read_in_every_step(tmp_path: Path) -> None:
    sizes = MODELS["qwen2moe"]
    write_gguf(tmp_path / "m.gguf", sizes, random_tensors(sizes, {"": "F32"}))
    trace = import_model(str(tmp_path / "m.gguf"), seed=1)
    step = at_tokens(trace, 1, 6)
    projections = (2 * sizes.heads + 2 * sizes.kv_heads) * sizes.head_width * sizes.width
    feed_forward = EXPERTS * sizes.width + TOP_K * 3 * INNER * sizes.width + sizes.width + 3 * SHARED * sizes.width
    assert step.macs == projections + feed_forward + 2 * 7 * sizes.heads * sizes.head_width + sizes.vocabulary * sizes.width


@pytest.mark.parametrize(
    ("sizes", "keys", "message"),
    [
        (
            replace(MODELS["llama"], architecture="gemma"),
            {},
            "'gemma.expert_count': experts are known of llama, qwen2moe, qwen3moe, olmoe alone",
        ),
        (replace(MODELS["olmoe"], experts=0), {}, "key 'olmoe.expert_count' is missing"),
        (MODELS["llama"], {"expert_gating_func": 2}, "key 'llama.expert_gating_func' has value 2; allowed: 1"),
        (replace(MODELS["llama"], top_k=5), {}, "key 'llama.expert_used_count' has value 5; allowed: a whole number from 1 to 4"),
        (
            MODELS["llama"],
            {"expert_feed_forward_length": 128},
            "of another shape .blk.0.ffn_gate_exps.weight .4, 256, 256. for .4, 128, 256.",
        ),
    ],
)
def test_what_is_no_known_mixture_is_one_message(sizes: Sizes, keys: dict[str, int], message: str, tmp_path: Path) -> None:
    tensors = random_tensors(sizes, {"": "F32"})
    write_gguf(tmp_path / "m.gguf", sizes, tensors, {**sizes.keys, **keys})
    with pytest.raises(ImportModelError, match=message):
        import_model(str(tmp_path / "m.gguf"))

"""GGUF files and folders of transformers' own models, tiny and of random floats: the imported graph computes the logits of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.importers.import_model import import_model
from accelsim.trace.trace import Trace
from tests.naive_graph import run_float
from tests.tiny_decoders import Sizes, write_gguf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch
T: Any = transformers

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2]])
TOKENS, EPSILON = IDS.shape[1], 1e-6
CLASSES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "phi3": "Phi3", "gemma": "Gemma", "gemma2": "Gemma2", "gemma3": "Gemma3"}
FIELDS: dict[str, dict[str, Any]] = {
    "gemma2": {"sliding_window": 3, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 4.0, "query_pre_attn_scalar": 64},
    "gemma3": {
        "sliding_window": 3, "query_pre_attn_scalar": 64,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    },
    "phi3": {"sliding_window": 3},
}  # fmt: skip
KEYS: dict[str, dict[str, int | float | str]] = {
    "gemma2": {"attention.sliding_window": 3, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 4.0},
    "gemma3": {"attention.sliding_window": 3, "rope.freq_base": 100.0, "rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
    "phi3": {"attention.sliding_window": 3},
}
BLOCKS = {"gemma3": 6}  # the sixth sees all tokens
NAMES = {  # the library's name of a tensor -> that of llama.cpp's converter
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "mlp.gate_up_proj": "ffn_up", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}  # fmt: skip


def model_of(sizes: Sizes, **changes: Any) -> Any:
    """The library's model, all parameters random."""
    fields: dict[str, Any] = {
        "hidden_size": sizes.width, "intermediate_size": sizes.feed_forward, "num_hidden_layers": sizes.blocks,
        "head_dim": sizes.head_width,
        "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.kv_heads, "vocab_size": sizes.vocabulary, "pad_token_id": 0,
        "max_position_embeddings": sizes.context, "rms_norm_eps": EPSILON, "tie_word_embeddings": sizes.tied, "use_cache": False,
        **FIELDS.get(sizes.architecture, {}), **changes,
    }  # fmt: skip
    kind = CLASSES[sizes.architecture]
    config = getattr(T, f"{kind}TextConfig" if kind == "Gemma3" else f"{kind}Config")(**fields, attn_implementation="eager")
    model = getattr(T, f"{kind}ForCausalLM")(config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(2, parameter[0].numel()) ** 0.5)
        model.get_input_embeddings().weight.mul_(8)  # a trace stores no epsilon: nothing that is normalized is small
    if sizes.architecture.startswith("gemma"):
        for block in model.model.layers:
            block.mlp.act_fn = torch.nn.GELU()  # a trace does not tell it from GELU by tanh, which differs by 5e-4
    return model.double().eval()


def as_converted(sizes: Sizes, model: Any) -> dict[str, tuple[str, np.ndarray]]:
    """The model's tensors as llama.cpp's converter stores them: Llama's q and k reordered, one added to Gemma's norms."""
    found: dict[str, tuple[str, np.ndarray]] = {}
    post = "post_attention_norm" if sizes.architecture in ("gemma2", "gemma3") else "ffn_norm"
    for library, values in model.state_dict().items():
        name, array = library, values.numpy()
        for old, new in {**NAMES, "post_attention_layernorm": post}.items():
            name = name.replace(f"{old}.", f"{new}.")
        if sizes.architecture == "llama" and name.split(".")[-2] in ("attn_q", "attn_k"):
            array = array.reshape(-1, 2, sizes.head_width // 2, sizes.width).swapaxes(1, 2).reshape(array.shape)
        if sizes.architecture.startswith("gemma") and "norm" in name:
            array = array + 1
        if not (sizes.tied and name == "output.weight"):
            found[name] = "F32", array.astype(np.float32)
    return found


def check_logits(trace: Trace, model: Any, sizes: Sizes) -> None:
    """Compare the logits of all tokens with the library's."""
    with torch.no_grad():
        expected = model(input_ids=IDS).logits[0].numpy()
        rows = model.get_input_embeddings().weight[IDS[0]].numpy()
    if sizes.architecture.startswith("gemma"):
        rows = rows * sizes.width**0.5
    values = run_float(trace, {"embeddings": rows[None]}, EPSILON)
    (output,) = trace.manifest.outputs
    np.testing.assert_allclose(values[output][0], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("tied", [False, True], ids=["own head", "tied head"])
@pytest.mark.parametrize("architecture", CLASSES)
def test_the_logits_are_those_of_the_library(architecture: str, tied: bool, tmp_path: Path) -> None:
    sizes = Sizes(architecture, BLOCKS.get(architecture, 2), tied=tied)
    model = model_of(sizes)
    write_gguf(tmp_path / "m.gguf", sizes, as_converted(sizes, model), KEYS.get(architecture))
    trace = import_model(str(tmp_path / "m.gguf"), bind={"tokens": TOKENS})
    check_logits(trace, model, sizes)


@pytest.mark.parametrize("architecture", CLASSES)
def test_a_folder_that_the_library_saves_computes_its_logits(architecture: str, tmp_path: Path) -> None:
    sizes = Sizes(architecture, BLOCKS.get(architecture, 2))
    model = model_of(sizes)
    model.float().save_pretrained(tmp_path / "model", max_shard_size="1MB")
    trace = import_model(str(tmp_path / "model"), bind={"tokens": TOKENS})
    check_logits(trace, model.double(), sizes)
    assert any(": SHA-256 " in note for note in trace.manifest.notes)  # of the other shards


@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
        {
            "rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    ],
)  # fmt: skip
def test_scaled_positions_are_those_of_the_library(rope: dict[str, Any], tmp_path: Path) -> None:
    sizes = Sizes()
    model = model_of(sizes, rope_parameters=rope)
    model.float().save_pretrained(tmp_path / "model")
    trace = import_model(str(tmp_path / "model"), bind={"tokens": TOKENS})
    assert not np.allclose(
        trace.constant("blk.0.attn_q_rotary", "cos"), np.cos(np.arange(TOKENS)[:, None] * 1e4 ** (-np.arange(32) / 32)).ravel()
    )
    check_logits(trace, model.double(), sizes)

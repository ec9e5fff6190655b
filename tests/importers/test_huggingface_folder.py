"""Folders of config.json and safetensors files, written by hand: what does not fit is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from accelsim.compression.open_trace import open_trace
from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from accelsim.presets import built_in
from accelsim.trace.token_step import at_tokens

CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 12, "vocab_size": 10, "max_position_embeddings": 16,
}  # fmt: skip
BLOCK = {
    "input_layernorm": (8,), "post_attention_layernorm": (8,), "self_attn.q_proj": (8, 8), "self_attn.k_proj": (4, 8),
    "self_attn.v_proj": (4, 8), "self_attn.o_proj": (8, 8), "mlp.gate_proj": (12, 8), "mlp.up_proj": (12, 8), "mlp.down_proj": (8, 12),
}  # fmt: skip
SHAPES: dict[str, tuple[int, ...]] = {
    "model.embed_tokens.weight": (10, 8), "model.norm.weight": (8,), "lm_head.weight": (10, 8),
    **{f"model.layers.0.{name}.weight": shape for name, shape in BLOCK.items()},
}  # fmt: skip


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def folder(path: Path, config: dict[str, Any], stored: dict[str, np.ndarray]) -> str:
    (path / "config.json").write_text(json.dumps(config))
    save_file(stored, path / "model.safetensors")
    return str(path)


def test_matrices_are_float_and_keep_their_values(tmp_path: Path) -> None:
    stored = tensors()
    trace = import_model(folder(tmp_path, CONFIG, stored), bind={"tokens": 3})
    np.testing.assert_array_equal(trace.weights("blk.0.ffn_down").T, stored["model.layers.0.mlp.down_proj.weight"])
    np.testing.assert_array_equal(trace.constant("output_norm", "gamma"), stored["model.norm.weight"])
    projections, feed_forward, attention = 2 * 8 * 8 + 2 * 8 * 4, 3 * 8 * 12, 2 * 3 * 8
    assert trace.macs == 3 * (projections + feed_forward + attention + 8 * 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "lama"}, r"field 'model_type' has value 'lama'; allowed: one of gemma, .*did you mean 'llama'"),
        ({"attention_bias": True}, "field 'attention_bias' has value true; allowed: none"),
        ({"hidden_size": "8"}, "field 'hidden_size' has value '8'; allowed: a whole number"),
        (
            {"num_hidden_layers": 1 << 60},
            "field 'num_hidden_layers' has value 1152921504606846976; allowed: a whole number from 1 to 1,024",
        ),
        ({"num_key_value_heads": 3}, "field 'num_key_value_heads' has value 3; allowed: a whole number from 1 to 2"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "field 'rope_scaling.rope_type' has value 'yarn'; allowed: default, linear or llama3"),
        ({"rope_scaling": {"type": "yarn"}}, "field 'rope_scaling.type' has value 'yarn'; allowed: default, linear or llama3"),
        ({"rope_scaling": {"type": "linear", "factor": -1}}, "field 'rope_scaling.factor' has value -1; allowed: above 0"),
        ({"rope_parameters": 4}, "field 'rope_parameters' has value 4; allowed: an object"),
        ({"rope_scaling": 4}, "field 'rope_scaling' has value 4; allowed: an object"),
        ({"rope_parameters": {"rope_theta": -5.0}}, "field 'rope_parameters.rope_theta' has value -5.0; allowed: above 0"),
        ({"rope_theta": 0}, "field 'rope_theta' has value 0; allowed: above 0"),
        ({"partial_rotary_factor": 2}, "field 'partial_rotary_factor' has value 2; allowed: above 0, up to 1"),
        ({"vocab_size": None}, "field 'vocab_size' has value null; allowed: a whole number"),
        ({"hidden_size": 10**12}, "field 'hidden_size' has value 1000000000000; allowed: a whole number from 1 to 16,777,216"),
        ({"head_dim": 10**12}, "field 'head_dim' has value 1000000000000; allowed: a whole number from 1 to 8,388,608"),
        ({"hidden_act": "relu"}, "field 'hidden_act' has value 'relu'; allowed: silu, swish"),
        (
            {"model_type": "gemma2", "sliding_window": 4, "layer_types": ["full"]},
            "field 'layer_types' has value .'full'.; allowed: sliding_",
        ),
        (
            {"model_type": "gemma3_text", "rope_parameters": {"full_attention": 3}},
            "allowed: an object for each of full_attention, sliding_",
        ),
        ({"model_type": "gemma2", "sliding_window": 4, "layer_types": [["full"]]}, "field 'layer_types' has value"),
        ({"model_type": "mistral", "sliding_window": -4}, "field 'sliding_window' has value -4; allowed: a whole number from 0"),
        ({"model_type": "mistral", "sliding_window": 1 << 60}, "field 'sliding_window' has value 1152921504606846976; allowed"),
        ({"num_hidden_layers": 2}, r"9 missing \(blk.1.attn_norm.weight"),
    ],
)
def test_a_field_without_a_meaning_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=message):
        import_model(folder(tmp_path, {**CONFIG, **change}, tensors()))


@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings"])
def test_a_field_that_is_absent_is_said_to_be_missing(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=f"config.json: field '{name}' is missing; allowed: a whole number"):
        import_model(folder(tmp_path, {key: value for key, value in CONFIG.items() if key != name}, tensors()))


@pytest.mark.parametrize(("content", "message"), [("[1]", "holds a list; allowed: an object"), ("{", "is not JSON")])
def test_a_configuration_that_is_no_object_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ImportModelError, match=message):
        import_model(str(tmp_path))


def test_a_folder_without_a_configuration_or_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportModelError, match=r"config\.json: cannot be read: No such file"):
        import_model(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(ImportModelError, match="holds no file named"):
        import_model(str(tmp_path))


def test_the_committed_language_model_is_the_one_of_its_page(tmp_path: Path) -> None:
    page = (built_in().traces / "README.md").read_text(encoding="utf-8")
    start = page.index('{"model_type": "llama"')
    (tmp_path / "llama_1b_float").mkdir()
    (tmp_path / "llama_1b_float" / "config.json").write_text(page[start : page.index("\n\n", start)])
    made = import_model(str(tmp_path / "llama_1b_float"), seed=1, bind={"tokens": 128})
    assert made.sha256 == open_trace("llama_1b_float").sha256


MOE = {"num_local_experts": 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("change", "parameters"),
    [
        ({"model_type": "mixtral", **MOE}, 4 * 3 * 8 * 12 + 4 * 8),  # inner width 12: the matrices of experts are not square
        ({"model_type": "qwen3_moe", **MOE, "moe_intermediate_size": 5}, 4 * 3 * 8 * 5 + 4 * 8),
        ({"model_type": "olmoe", **MOE}, 4 * 3 * 8 * 12 + 4 * 8),
        ({"model_type": "qwen2_moe", **MOE, "shared_expert_intermediate_size": 6}, 4 * 3 * 8 * 12 + 4 * 8 + 3 * 8 * 6 + 8),
        ({"model_type": "gemma3_text", "head_dim": 4, "tie_word_embeddings": False}, 3 * 8 * 12),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_a_configuration_alone_gives_the_matrices_of_its_family(change: dict[str, Any], parameters: int, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **change}))
    trace = import_model(str(tmp_path), seed=1)
    attention = 8 * (8 + 4 + 4) + 8 * 8
    assert sum(layer.weight.k * layer.weight.n for layer in trace.weighted_layers()) == attention + parameters + 8 * 10


@pytest.mark.parametrize(
    ("change", "reaches"),
    [
        ({"model_type": "mistral", "sliding_window": 5}, [5] * 8),
        ({"model_type": "mistral", "sliding_window": None}, [0] * 8),
        ({"model_type": "gemma2", "sliding_window": 5}, [5, 0] * 4),
        ({"model_type": "gemma3_text", "sliding_window": 5}, [5, 5, 5, 5, 5, 0, 5, 5]),
        ({"model_type": "gemma3_text", "sliding_window": 5, "sliding_window_pattern": 2}, [5, 0] * 4),
        ({"model_type": "gemma2", "sliding_window": 5, "layer_types": ["full_attention"] * 7 + ["sliding_attention"]}, [0] * 7 + [5]),
        ({"model_type": "qwen2", "sliding_window": 5}, [0] * 8),
        ({"model_type": "qwen2", "sliding_window": 5, "use_sliding_window": True, "max_window_layers": 6}, [0] * 6 + [5] * 2),
    ],
)
def test_windows_are_kept_whatever_the_prompt_that_is_imported(change: dict[str, Any], reaches: list[int], tmp_path: Path) -> None:
    """Two tokens are imported, fewer than the window: a later step over more must still obey it."""
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "num_hidden_layers": 8, **change}))
    trace = import_model(str(tmp_path), seed=1, bind={"tokens": 2})
    assert [layer.causal_reach for layer in trace.layers if layer.op == "softmax"] == reaches
    step = at_tokens(trace, 1, 11)
    cached = [layer.head_product.cache_rows for layer in step.layers if layer.head_product is not None]
    assert cached == [reach or 12 for reach in reaches for _ in range(2)]


def test_a_configuration_alone_gives_shapes_from_a_seed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    alone = import_model(str(tmp_path), seed=1)
    stored = import_model(folder(tmp_path, CONFIG, tensors()), seed=1)
    assert (alone.layers, alone.has_payload, alone.manifest.source.kind) == (stored.layers, False, "seeded")

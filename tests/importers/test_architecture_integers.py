"""Every whole number of a config.json and of a GGUF file's architecture: one message with its own name, its value and what is allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from tests.tiny_decoders import Sizes, random_tensors, write_gguf

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
    "intermediate_size": 24, "vocab_size": 10, "max_position_embeddings": 64,
}  # fmt: skip
QWEN_MOE: dict[str, Any] = {
    **LLAMA, "model_type": "qwen2_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1,
}  # fmt: skip
GEMMA: dict[str, Any] = {**LLAMA, "model_type": "gemma3_text", "sliding_window": 8, "sliding_window_pattern": 2}
LONG: dict[str, Any] = {**LLAMA, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 32}}
NO_NUMBERS = (-1, 1.5, "8", True, 1 << 60, 10**30, [4])
FIELDS = [
    *((LLAMA, name) for name in LLAMA if name != "model_type"),
    *((QWEN_MOE, name) for name in QWEN_MOE if name not in ("model_type", "use_sliding_window")),
    *((GEMMA, name) for name in ("sliding_window", "sliding_window_pattern")),
    ({**QWEN_MOE, "decoder_sparse_step": 1}, "decoder_sparse_step"),
    ({**LLAMA, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2}, "num_local_experts"),
]
MAY_BE_ZERO = ("sliding_window", "max_window_layers")


def refusal(path: Path, fields: dict[str, Any]) -> str:
    (path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(ImportModelError) as caught:
        import_model(str(path), seed=1)
    message = str(caught.value)
    assert message.startswith(f"{path}/config.json: field ")
    assert "\n" not in message
    return message.removeprefix(f"{path}/config.json: ")


@pytest.mark.parametrize(("fields", "name"), FIELDS, ids=lambda item: item if isinstance(item, str) else item["model_type"])
def test_a_count_of_a_configuration_is_refused_by_its_field(fields: dict[str, Any], name: str, tmp_path: Path) -> None:
    for value in (*NO_NUMBERS, *(() if name in MAY_BE_ZERO else (0,))):
        message = refusal(tmp_path, {**fields, name: value})
        shown = {True: "true"}.get(value, repr(value)) if not isinstance(value, list) else repr(value)
        assert message.startswith(f"field '{name}' has value {shown[:77]}"), value
        assert "; allowed: " in message


def test_the_fields_are_right_as_they_are(tmp_path: Path) -> None:
    for fields in (*(fields for fields, _ in FIELDS), LONG):
        (tmp_path / "config.json").write_text(json.dumps(fields))
        assert import_model(str(tmp_path), seed=1, bind={"tokens": 2}).macs > 0


@pytest.mark.parametrize(
    ("fields", "change", "message"),
    [
        (LLAMA, {"num_key_value_heads": 3}, "field 'num_key_value_heads' has value 3; allowed: a divisor of num_attention_heads = 4"),
        (LLAMA, {"num_key_value_heads": 8}, "field 'num_key_value_heads' has value 8; allowed: a whole number from 1 to 4"),
        (
            LLAMA,
            {"head_dim": None, "hidden_size": 18},
            "field 'hidden_size' has value 18; allowed: a multiple of num_attention_heads = 4, where head_dim is not given",
        ),
        (LLAMA, {"head_dim": 5}, "field 'head_dim' has value 5; allowed: what lets an even number of a head's 5 elements turn"),
        (LLAMA, {"head_dim": None, "hidden_size": 20}, "field 'hidden_size' has value 20; allowed: what lets an even number"),
        (LLAMA, {"partial_rotary_factor": 0.8}, "field 'partial_rotary_factor' has value 0.8; allowed: what lets an even number"),
        (
            LLAMA,
            {"rope_parameters": {"partial_rotary_factor": 0.1}},
            "field 'rope_parameters.partial_rotary_factor' has value 0.1; allowed: what lets an even number of a head's",
        ),
        (LLAMA, {"head_dim": 1 << 23}, "field 'head_dim' has value 8388608; allowed: a whole number from 1 to 4,194,304"),
        (QWEN_MOE, {"num_experts_per_tok": 5}, "field 'num_experts_per_tok' has value 5; allowed: a whole number from 1 to 4"),
        (QWEN_MOE, {"norm_topk_prob": "yes"}, "field 'norm_topk_prob' has value 'yes'; allowed: true or false"),
        (QWEN_MOE, {"use_sliding_window": 1}, "field 'use_sliding_window' has value 1; allowed: true or false"),
        (LLAMA, {"tie_word_embeddings": "false"}, "field 'tie_word_embeddings' has value 'false'; allowed: true or false"),
        (GEMMA, {"query_pre_attn_scalar": 0}, "field 'query_pre_attn_scalar' has value 0; allowed: above 0"),
                (GEMMA, {"final_logit_softcapping": -30}, "field 'final_logit_softcapping' has value -30; allowed: 0 or above"),
        (LLAMA, {"num_hidden_layers": 1025}, "field 'num_hidden_layers' has value 1025; allowed: a whole number from 1 to 1,024"),
        *(
            (LONG, {"rope_scaling": {**LONG["rope_scaling"], "original_max_position_embeddings": value}}, f"{start}{value}"[:120])
            for start in ("field 'rope_scaling.original_max_position_embeddings' has value ",)
            for value in (0, -1, 10**30)
        ),
    ],
)  # fmt: skip
def test_numbers_that_do_not_go_together_are_named(fields: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, {**fields, **change}).startswith(message)


def test_a_vocabulary_other_than_the_embeddings_is_named(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    from tests.importers.test_huggingface_folder import CONFIG, tensors

    save_file(tensors(), tmp_path / "model.safetensors")
    assert refusal(tmp_path, {**CONFIG, "vocab_size": 11}) == (
        "field 'vocab_size' has value 11; allowed: 10, the rows of tensor 'model.embed_tokens.weight'"
    )


DENSE = Sizes(blocks=1, width=32, head_width=8, feed_forward=48, vocabulary=24)
EXPERTS = replace(DENSE, experts=4, top_k=2, expert_width=16)
KEYS = [
    *((DENSE, name) for name in DENSE.keys if name not in ("attention.layer_norm_rms_epsilon", "rope.freq_base")),
    (DENSE, "rope.dimension_count"),
    (DENSE, "attention.sliding_window"),
    (DENSE, "vocab_size"),
    *((EXPERTS, name) for name in ("expert_count", "expert_used_count", "expert_feed_forward_length", "expert_gating_func")),
    (EXPERTS, "expert_group_count"),
]
KEYS_MAY_BE_ZERO = ("attention.sliding_window", "expert_count", "expert_gating_func", "expert_group_count")


def gguf_refusal(path: Path, sizes: Sizes, name: str, value: float | str) -> str:
    file = path / "model.gguf"
    write_gguf(file, sizes, random_tensors(sizes, {"": "F32"}), {name: value})
    with pytest.raises(ImportModelError) as caught:
        import_model(str(file))
    message = str(caught.value)
    assert message.startswith(f"{file}: key ")
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


@pytest.mark.parametrize(("sizes", "name"), KEYS, ids=lambda item: item if isinstance(item, str) else "")
def test_a_count_of_a_gguf_file_is_refused_by_its_key(sizes: Sizes, name: str, tmp_path: Path) -> None:
    for value in (-1, 1.5, "8", True, 1 << 40, *(() if name in KEYS_MAY_BE_ZERO else (0,))):
        message = gguf_refusal(tmp_path, sizes, name, value)
        assert message.startswith(f"key 'llama.{name}' has value {'true' if value is True else repr(value)}; allowed: "), value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("attention.head_count_kv", 3), "key 'llama.attention.head_count_kv' has value 3; allowed: a divisor of attention.head_count = 4"),
        (("attention.head_count_kv", 8), "key 'llama.attention.head_count_kv' has value 8; allowed: a whole number from 1 to 4"),
        (("attention.value_length", 32), "key 'llama.attention.value_length' has value 32; allowed: 8, the width of keys"),
        (("rope.dimension_count", 7), "key 'llama.rope.dimension_count' has value 7; allowed: what lets an even number of a head's 8"),
        (("rope.dimension_count", 10), "key 'llama.rope.dimension_count' has value 10; allowed: a whole number from 1 to 8"),
        (("vocab_size", 25), "key 'llama.vocab_size' has value 25; allowed: a whole number from 1 to 24"),
        (("rope.freq_base", -1.0), "key 'llama.rope.freq_base' has value -1.0; allowed: above 0"),
        (("final_logit_softcapping", -1.0), "key 'llama.final_logit_softcapping' has value -1.0; allowed: 0 or above"),
    ],
)
def test_keys_that_do_not_go_together_are_named(change: tuple[str, float | str], message: str, tmp_path: Path) -> None:
    assert gguf_refusal(tmp_path, DENSE, *change).startswith(message)


@pytest.mark.parametrize("words", [24, 20])
def test_a_vocabulary_of_the_embeddings_or_fewer_words_is_taken(words: int, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    write_gguf(file, DENSE, random_tensors(DENSE, {"": "F32"}), {"vocab_size": words})
    assert import_model(str(file), bind={"tokens": 2}).macs > 0

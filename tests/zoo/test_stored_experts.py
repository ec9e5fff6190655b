"""Mixtures of experts of transformers, saved as GGUF (stacked, by the gguf package) and as folders: the library's logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ImportModelError
from accelsim.importers.import_model import import_model
from tests.tiny_decoders import Sizes, write_gguf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

from tests.zoo.test_gguf_models import EPSILON, NAMES, TOKENS, check_logits  # noqa: E402  # needs torch

EXPERTS = 4
CLASSES = {"llama": "Mixtral", "qwen2moe": "Qwen2Moe", "qwen3moe": "Qwen3Moe", "olmoe": "Olmoe"}
FIELDS: dict[str, dict[str, Any]] = {
    "llama": {"num_local_experts": EXPERTS, "intermediate_size": 64, "head_dim": 16},
    "qwen2moe": {"num_experts": EXPERTS, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 96},
    "qwen3moe": {"num_experts": EXPERTS, "moe_intermediate_size": 64, "head_dim": 16, "norm_topk_prob": True},
    "olmoe": {"num_experts": EXPERTS, "intermediate_size": 64},
}
EXPERT_PARTS = {"w1": "gate", "w3": "up", "w2": "down", "gate_proj": "gate", "up_proj": "up", "down_proj": "down"}
MORE_NAMES = {
    "block_sparse_moe.gate": "ffn_gate_inp", "mlp.gate": "ffn_gate_inp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def sizes_of(kind: str) -> Sizes:
    return Sizes(
        kind, width=64, heads=4, kv_heads=2, head_width=16, feed_forward=64, experts=EXPERTS, expert_width=64,
        shared=96 if kind == "qwen2moe" else 0,
    )  # fmt: skip


def model_of(sizes: Sizes) -> Any:
    """The library's model, all parameters random."""
    fields: dict[str, Any] = {
        "hidden_size": sizes.width, "intermediate_size": sizes.feed_forward, "num_hidden_layers": sizes.blocks,
        "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.kv_heads, "vocab_size": sizes.vocabulary, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": sizes.context, "rms_norm_eps": EPSILON, "use_cache": False,
        "num_experts_per_tok": sizes.top_k, "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}, **FIELDS[sizes.architecture],
    }  # fmt: skip
    kind = CLASSES[sizes.architecture]
    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**fields, attn_implementation="eager"))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(2, parameter.shape[-1]) ** 0.5)
        model.get_input_embeddings().weight.mul_(8)  # a trace stores no epsilon: nothing that is normalized is small
    return model.eval()


def as_converted(sizes: Sizes, folder: Path) -> dict[str, tuple[str, np.ndarray]]:
    """The tensors that the library saved, as llama.cpp's converter writes them: experts stacked, Mixtral's q and k reordered."""
    from safetensors.numpy import load_file

    found: dict[str, tuple[str, np.ndarray]] = {}
    stacks: dict[str, dict[int, np.ndarray]] = {}
    for library, array in load_file(folder / "model.safetensors").items():
        name = library
        for old, new in {**NAMES, **MORE_NAMES}.items():
            name = name.replace(f"{old}.", f"{new}.")
        if ".experts." in library:
            parts = library.split(".")
            stacks.setdefault(f"blk.{parts[2]}.ffn_{EXPERT_PARTS[parts[-2]]}_exps.weight", {})[int(parts[-3])] = array
            continue
        if sizes.architecture == "llama" and name.split(".")[-2] in ("attn_q", "attn_k"):
            array = array.reshape(-1, 2, sizes.head_width // 2, sizes.width).swapaxes(1, 2).reshape(array.shape)
        found[name] = "F32", array
    return found | {name: ("F32", np.stack([parts[number] for number in range(EXPERTS)])) for name, parts in stacks.items()}


@pytest.mark.parametrize("kind", CLASSES)
def test_a_folder_and_a_file_of_experts_compute_the_library_s_logits(kind: str, tmp_path: Path) -> None:
    sizes = sizes_of(kind)
    model = model_of(sizes)
    model.save_pretrained(tmp_path / "model")
    write_gguf(tmp_path / "m.gguf", sizes, as_converted(sizes, tmp_path / "model"))
    for path in ("model", "m.gguf"):
        trace = import_model(str(tmp_path / path), bind={"tokens": TOKENS})
        check_logits(trace, model, sizes)
        assert [layer.op for layer in trace.layers].count("experts") == (6 if sizes.shared else 3) * sizes.blocks


@pytest.mark.parametrize("kind", ["llama", "qwen3moe"])
def test_experts_that_a_folder_stores_stacked_compute_the_library_s_logits(kind: str, tmp_path: Path) -> None:
    """As the library holds them: gates above what they let through, of each expert."""
    from safetensors.numpy import save_file

    sizes = sizes_of(kind)
    model = model_of(sizes)
    model.save_pretrained(tmp_path)
    stored = {name: value.numpy() for name, value in model.state_dict().items()}
    assert stored["model.layers.0.mlp.experts.gate_up_proj"].shape == (EXPERTS, 2 * 64, 64)
    save_file(stored, tmp_path / "model.safetensors")
    check_logits(import_model(str(tmp_path), bind={"tokens": TOKENS}), model, sizes)


def test_an_expert_that_is_missing_and_a_block_without_experts_are_named(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    sizes = sizes_of("olmoe")
    model_of(sizes).save_pretrained(tmp_path)
    file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    tensors = load_file(file)
    del tensors["model.layers.1.mlp.experts.2.up_proj.weight"]
    save_file(tensors, file)
    with pytest.raises(ImportModelError, match=r"1 missing \(blk.1.ffn_up_exps.weight\)"):
        import_model(str(tmp_path))
    fields = json.loads(config.read_text())
    config.write_text(json.dumps({**fields, "mlp_only_layers": [1]}))
    with pytest.raises(ImportModelError, match="field 'mlp_only_layers' has value"):
        import_model(str(tmp_path))
    config.write_text(json.dumps({**fields, "num_experts_per_tok": 9}))
    with pytest.raises(ImportModelError, match="field 'num_experts_per_tok' has value 9; allowed: a whole number from 1 to 4"):
        import_model(str(tmp_path))

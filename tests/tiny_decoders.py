"""Tiny language models as GGUF files, written by the gguf package: random floats, or random blocks of any type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from accelsim.formats.gguf_blocks import LAYOUTS
from tests.random_weights import random_blocks

FLOATS = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Sizes:
    """Sizes of a decoder; rows of each matrix are multiples of 256, as the largest blocks need."""

    architecture: str = "llama"
    blocks: int = 2
    width: int = 256
    heads: int = 4
    kv_heads: int = 2
    head_width: int = 64
    feed_forward: int = 512
    vocabulary: int = 96
    context: int = 64
    epsilon: float = 1e-5
    tied: bool = False
    experts: int = 0
    top_k: int = 2
    expert_width: int = 256
    shared: int = 0

    @property
    def keys(self) -> dict[str, int | float]:
        """Keys of the architecture, as llama.cpp's converter writes them."""
        experts: dict[str, int | float] = {}
        if self.experts:
            experts = {"expert_count": self.experts, "expert_used_count": self.top_k, "expert_feed_forward_length": self.expert_width}
        if self.shared:
            experts["expert_shared_feed_forward_length"] = self.shared
        return {
            **experts, "block_count": self.blocks, "context_length": self.context, "embedding_length": self.width,
            "feed_forward_length": self.feed_forward, "attention.head_count": self.heads, "attention.head_count_kv": self.kv_heads,
            "attention.key_length": self.head_width, "attention.value_length": self.head_width,
            "attention.layer_norm_rms_epsilon": self.epsilon, "rope.freq_base": 10_000.0,
        }  # fmt: skip

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Tensors of the architecture, as llama.cpp names them."""
        q, kv, kind = self.heads * self.head_width, self.kv_heads * self.head_width, self.architecture
        block: dict[str, tuple[int, ...]] = {"attn_norm.weight": (self.width,), "ffn_norm.weight": (self.width,)}
        if kind == "phi3":
            block |= {"attn_qkv.weight": (q + 2 * kv, self.width), "ffn_up.weight": (2 * self.feed_forward, self.width)}
        else:
            block |= {"attn_q.weight": (q, self.width), "attn_k.weight": (kv, self.width), "attn_v.weight": (kv, self.width)}
            block |= {"ffn_gate.weight": (self.feed_forward, self.width), "ffn_up.weight": (self.feed_forward, self.width)}
        block |= {"attn_output.weight": (self.width, q), "ffn_down.weight": (self.width, self.feed_forward)}
        if self.experts:
            block = {name: shape for name, shape in block.items() if not name.startswith(("ffn_gate", "ffn_up", "ffn_down"))}
            stack = (self.experts, self.expert_width, self.width)
            block |= {"ffn_gate_inp.weight": stack[::2], "ffn_gate_exps.weight": stack, "ffn_up_exps.weight": stack}
            block |= {"ffn_down_exps.weight": (self.experts, self.width, self.expert_width)}
        if self.shared:
            block |= {f"ffn_{part}_shexp.weight": (self.shared, self.width) for part in ("gate", "up")}
            block |= {"ffn_down_shexp.weight": (self.width, self.shared), "ffn_gate_inp_shexp.weight": (self.width,)}
        if kind == "olmoe":
            block |= {"attn_q_norm.weight": (q,), "attn_k_norm.weight": (kv,)}
        if kind in ("qwen2", "qwen2moe"):
            block |= {"attn_q.bias": (q,), "attn_k.bias": (kv,), "attn_v.bias": (kv,)}
        if kind in ("qwen3", "qwen3moe", "gemma3"):
            block |= {"attn_q_norm.weight": (self.head_width,), "attn_k_norm.weight": (self.head_width,)}
        if kind in ("gemma2", "gemma3"):
            block |= {"post_attention_norm.weight": (self.width,), "post_ffw_norm.weight": (self.width,)}
        found: dict[str, tuple[int, ...]] = {"token_embd.weight": (self.vocabulary, self.width), "output_norm.weight": (self.width,)}
        if not self.tied:
            found["output.weight"] = (self.vocabulary, self.width)
        return found | {f"blk.{index}.{name}": shape for index in range(self.blocks) for name, shape in block.items()}


def write_gguf(
    path: Path,
    sizes: Sizes,
    tensors: Mapping[str, tuple[str, np.ndarray]],
    keys: Mapping[str, int | float | str] | None = None,
) -> None:
    """Write a file of (type, data) by name; quantized data are the blocks' bytes, (outputs, bytes of a row)."""
    writer = GGUFWriter(path, sizes.architecture)
    add: dict[type, Callable[[str, Any], None]] = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
    }
    for name, value in {**sizes.keys, **(keys or {})}.items():
        key = f"{sizes.architecture}.{name}"
        if isinstance(value, int) and not 0 <= value < 1 << 32:
            writer.add_int64(key, value)
        else:
            add[type(value)](key, value)
    writer.add_array("tokenizer.ggml.tokens", [f"t{token}" for token in range(sizes.vocabulary)])
    for name, (kind, data) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random_tensors(sizes: Sizes, kinds: Mapping[str, str], seed: int = 0) -> dict[str, tuple[str, np.ndarray]]:
    """Vectors of F32, and matrices of the type that the last part of their name has in `kinds` ("" for the others)."""
    rng = np.random.default_rng(seed)
    found: dict[str, tuple[str, np.ndarray]] = {}
    for name, shape in sizes.shapes.items():
        stem = name.removesuffix(".weight").split(".")[-1]
        kind = kinds.get(stem, kinds[""])
        if len(shape) == 1:
            found[name] = "F32", rng.uniform(0.5, 1.5, shape).astype(np.float32)
        elif kind in FLOATS:
            found[name] = kind, _floats(rng.normal(0, 0.05, shape).astype(np.float32), kind)
        else:
            layout = LAYOUTS[kind]
            rows = int(np.prod(shape[:-1]))
            found[name] = kind, random_blocks(layout, rows, shape[-1] // layout.weights, rng).reshape(*shape[:-1], -1)
    return found


def _floats(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "BF16":  # the upper half of a float32
        return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    return values.astype(np.float16) if kind == "F16" else values

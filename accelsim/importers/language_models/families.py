"""Families of decoder-only language models: the ways in which their blocks differ, a row each.

Read off llama.cpp's graphs (src/models) and transformers' modeling files; names are those of a GGUF file's `general.architecture`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Family:
    """The form of a block.

    Attributes
    ----------
    gate
        Function of the gated feed-forward part: SwiGLU or GeGLU.
    pairs
        Elements of a head that a GGUF file's rotary embedding turns together.
    fused
        Queries, keys and values are one stored matrix, and so are gate and up.
    up_first
        In a fused one, up stands above gate.
    biases
        Queries, keys and values have biases.
    head_norms
        Each head of queries and of keys is normalized.
    whole_norms
        Queries of all heads are normalized together, and so are keys.
    post_norms
        The results of attention and of the feed-forward part are normalized before they are added.
    scaled_embeddings
        Embeddings are multiplied by the root of their width.
    global_every
        With a sliding window: the last of each `global_every` blocks sees all tokens; 0: none does.
    experts
        Whether the feed-forward part is a mixture of experts.
    normalized_experts
        The weights of a token's experts are divided by their sum.
    """

    gate: Literal["silu", "gelu"] = "silu"
    pairs: Literal["halves", "neighbours"] = "halves"
    fused: bool = False
    up_first: bool = False
    biases: bool = False
    head_norms: bool = False
    whole_norms: bool = False
    post_norms: bool = False
    scaled_embeddings: bool = False
    global_every: int = 0
    experts: Literal["never", "sometimes", "always"] = "never"
    normalized_experts: bool = True


FAMILIES: Mapping[str, Family] = {
    "llama": Family(pairs="neighbours", experts="sometimes"),  # the converter reorders the rows of q and k; with experts Mixtral
    "qwen2": Family(biases=True),
    "qwen3": Family(head_norms=True),
    "qwen2moe": Family(biases=True, experts="always", normalized_experts=False),
    "qwen3moe": Family(head_norms=True, experts="always"),
    "olmoe": Family(whole_norms=True, experts="always", normalized_experts=False),
    "phi3": Family(fused=True),
    "gemma": Family(gate="gelu", scaled_embeddings=True),
    "gemma2": Family(gate="gelu", scaled_embeddings=True, post_norms=True, global_every=2),
    "gemma3": Family(gate="gelu", scaled_embeddings=True, post_norms=True, head_norms=True, global_every=6),
}

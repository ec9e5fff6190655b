"""Latent attention (DeepSeek-AI, arXiv 2405.04434, section 2.1): queries, keys and values are made of narrow rows.

Disputable assumptions: the absorbed form, in which each head's query meets the narrow rows themselves, so that the cache holds one of them
per token, and the turned elements, whose product with queries is added; llama.cpp's and transformers' graphs of MiniCPM3 keep the keys and
values of all heads instead.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latent:
    """Sizes of latent attention.

    Attributes
    ----------
    query_rank, rank
        Elements of the narrow row of a token that queries are made of, and of that which keys and values are made of.
    turned
        Elements of a head of queries and keys that turn with the position; those of keys are one for all heads.
    value_width
        Elements of a head of values.
    """

    query_rank: int
    rank: int
    turned: int
    value_width: int

    def tensors(self, width: int, heads: int, head_width: int) -> dict[str, tuple[int, ...]]:
        """Shapes of a block's tensors, matrices as (outputs, inputs)."""
        still = head_width - self.turned
        return {
            "attn_q_a.weight": (self.query_rank, width),
            "attn_q_a_norm.weight": (self.query_rank,),
            "attn_q_b.weight": (heads * head_width, self.query_rank),
            "attn_kv_a_mqa.weight": (self.rank + self.turned, width),
            "attn_kv_a_norm.weight": (self.rank,),
            "attn_kv_b.weight": (heads * (still + self.value_width), self.rank),
            "attn_output.weight": (width, heads * self.value_width),
        }

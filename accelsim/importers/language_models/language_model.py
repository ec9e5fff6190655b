"""A language model's sizes, and the tensors that it has by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.errors import ImportModelError
from accelsim.importers.language_models.families import Family
from accelsim.importers.language_models.latent import Latent
from accelsim.importers.language_models.mixture import Mixture
from accelsim.importers.language_models.rotary_angles import Rotary
from accelsim.wording import first_names

MAX_BLOCKS = 1024
_LISTED = 5


@dataclass(frozen=True)
class LanguageModel:
    """Sizes and constants of a decoder, which whoever reads them from a file has checked by the names that they have there.

    Attributes
    ----------
    heads, kv_heads
        Heads of queries; of keys and values, each of which as many heads of queries share.
    head_width
        Elements of a head.
    score_scale
        Factor of the scores of attention.
    window
        Tokens that a block with a sliding window sees; 0: no block has one.
    windowed
        Whether each block has the sliding window; empty: those of its family have.
    score_cap, logit_cap
        c in c * tanh(x / c) of scores and of logits; 0: none.
    rotary, local_rotary
        Rotary embedding of blocks that see all tokens, and of those with a sliding window.
    tied
        The head's matrix is that of the embeddings.
    mixture
        The experts of each block; None: its feed-forward part is one of `feed_forward` elements.
    latent
        The narrow rows that queries, keys and values are made of; None: they are made of the block's input.
    """

    family: Family
    blocks: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward: int
    vocabulary: int
    context: int
    score_scale: float
    rotary: Rotary
    local_rotary: Rotary
    window: int = 0
    windowed: tuple[bool, ...] = ()
    score_cap: float = 0.0
    logit_cap: float = 0.0
    tied: bool = False
    mixture: Mixture | None = None
    latent: Latent | None = None

    @property
    def query_width(self) -> int:
        """Elements of all heads of queries."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Elements of all heads of keys, or of values."""
        return self.kv_heads * self.head_width

    def reach(self, block: int) -> int:
        """Tokens that a block sees; 0: all before its own."""
        if self.windowed:
            return self.window if self.windowed[block] else 0
        every = self.family.global_every
        return 0 if every and block % every == every - 1 else self.window

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors by GGUF's names, matrices as (outputs, inputs)."""
        found: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (self.vocabulary, self.width),
            "output_norm.weight": (self.width,),
        }
        if not self.tied:
            found["output.weight"] = (self.vocabulary, self.width)
        for block in range(self.blocks):
            found.update({f"blk.{block}.{name}": shape for name, shape in self._block_tensors().items()})
        return found

    def _block_tensors(self) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {"attn_norm.weight": (self.width,), "ffn_norm.weight": (self.width,)}
        if self.family.post_norms:
            found.update({f"post_{part}_norm.weight": (self.width,) for part in ("attention", "ffw")})
        return found | self._attention_tensors() | self._feed_forward_tensors()

    def _attention_tensors(self) -> dict[str, tuple[int, ...]]:
        if self.latent is not None:
            return self.latent.tensors(self.width, self.heads, self.head_width)
        family = self.family
        heads = {"q": self.query_width, "k": self.kv_width, "v": self.kv_width}
        found: dict[str, tuple[int, ...]] = {"attn_output.weight": (self.width, self.query_width)}
        if family.fused:
            found["attn_qkv.weight"] = (sum(heads.values()), self.width)
        else:
            found.update({f"attn_{part}.weight": (size, self.width) for part, size in heads.items()})
        if family.biases:
            found.update({f"attn_{part}.bias": (size,) for part, size in heads.items()})
        if family.head_norms:
            found.update({f"attn_{part}_norm.weight": (self.head_width,) for part in ("q", "k")})
        if family.whole_norms:
            found.update({f"attn_{part}_norm.weight": (heads[part],) for part in ("q", "k")})
        return found

    def _feed_forward_tensors(self) -> dict[str, tuple[int, ...]]:
        if self.mixture is not None:
            return self.mixture.tensors(self.width)
        down = {"ffn_down.weight": (self.width, self.feed_forward)}
        if self.family.fused:
            return {"ffn_up.weight": (2 * self.feed_forward, self.width), **down}
        return {**{f"ffn_{part}.weight": (self.feed_forward, self.width) for part in ("gate", "up")}, **down}


def check_tensors(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], what: str) -> None:
    """Compare the tensors of a file with those of its architecture.

    Raises
    ------
    ImportModelError
        Tensors that are missing, unexpected, or of another shape, by name.
    """
    problems = {
        "missing": [name for name in wanted if name not in found],
        "unexpected": [name for name in found if name not in wanted],
        "of another shape": [f"{name} {found[name]} for {shape}" for name, shape in wanted.items() if found.get(name, shape) != shape],
    }
    texts = [f"{len(names)} {problem} ({first_names(names, _LISTED)})" for problem, names in problems.items() if names]
    if texts:
        raise ImportModelError(f"{what}: its tensors are not those of its architecture: {'; '.join(texts)}")

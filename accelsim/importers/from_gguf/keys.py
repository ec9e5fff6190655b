"""The keys of a GGUF file as a language model: sizes, rotary embedding, windows and caps."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.importers.from_gguf.file import GgufFile
from accelsim.importers.language_models.families import FAMILIES, Family
from accelsim.importers.language_models.language_model import MAX_BLOCKS, LanguageModel
from accelsim.importers.language_models.mixture import Mixture
from accelsim.importers.language_models.rotary_angles import Rotary
from accelsim.ops.shapes import MAX_BOUND
from accelsim.registry import suggest
from accelsim.wording import shown

_LOCAL_BASE = 10_000.0  # of Gemma 3's blocks with a sliding window
_WIDE_SCORES = {("gemma2", 46), ("gemma3", 62)}  # blocks of the 27B models, whose scores are scaled by width / heads
_FACTORS = ("rope_freqs.weight", "rope_factors_short.weight")


@dataclass(frozen=True)
class _Keys:
    """Keys of the architecture, by the part of their name after it."""

    file: GgufFile
    architecture: str

    def whole(self, name: str, default: int | None = None, least: int = 1, most: int = MAX_BOUND) -> int:
        """A whole number from `least` to `most`; the same for all blocks where it is given for each."""
        value = self._get(name, default)
        if isinstance(value, list) and value and value == value[:1] * len(value):
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(name, f"a whole number from {least} to {most:,}, the same for all blocks")
        return value

    def real(self, name: str, default: float, *, above: float = -inf, least: float = -inf) -> float:
        """A finite number, above `above` or at least `least`."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.refuse(name, "a finite number")
        if value <= above:
            raise self.refuse(name, f"above {above:g}")
        if value < least:
            raise self.refuse(name, f"{least:g} or above")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """A text."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise self.refuse(name, "a text")
        return value

    def given(self, *names: str) -> str:
        """The first of the keys that is there; the last of them where none is."""
        return next((name for name in names if self._stored(name) is not None), names[-1])

    def refuse(self, name: str, allowed: str) -> ImportModelError:
        """The message on a key's value, or on its absence."""
        value = self._stored(name)
        said = "is missing" if value is None else f"has value {shown(value)}"
        return ImportModelError(f"{self.file.path}: key '{self.architecture}.{name}' {said}; allowed: {allowed}")

    def _get(self, name: str, default: Any) -> Any:
        value = self._stored(name)
        if value is None and default is None:
            raise ImportModelError(f"{self.file.path}: key '{self.architecture}.{name}' is missing")
        return default if value is None else value

    def _stored(self, name: str) -> Any:
        return self.file.get(f"{self.architecture}.{name}", None)


def language_model_of(file: GgufFile) -> LanguageModel:
    """The model that a file's keys describe.

    Raises
    ------
    ImportModelError
        An unknown architecture, a key that is missing or has no allowed value, or experts of a family that has none here.
    """
    architecture = file.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in FAMILIES:
        raise ImportModelError(
            f"{file.path}: key 'general.architecture' has value {architecture!r}; known: {', '.join(sorted(FAMILIES))}"
            f"{suggest(str(architecture), FAMILIES)}"
        )
    keys, family = _Keys(file, architecture), FAMILIES[architecture]
    if keys.whole("expert_count", 0, least=0) and family.experts == "never":
        known = ", ".join(name for name, item in FAMILIES.items() if item.experts != "never")
        raise ImportModelError(f"{file.path}: key '{architecture}.expert_count': experts are known of {known} alone")
    if "token_embd.weight" not in file.tensors or len(file.shape("token_embd.weight")) != 2:
        raise ImportModelError(f"{file.path}: no matrix 'token_embd.weight'")
    return _model(keys, family)


def _model(keys: _Keys, family: Family) -> LanguageModel:
    width, heads = keys.whole("embedding_length"), keys.whole("attention.head_count")
    blocks = keys.whole("block_count", most=MAX_BLOCKS)
    if keys.given("attention.key_length", "embedding_length") == "embedding_length" and width % heads:
        raise keys.refuse("embedding_length", f"a multiple of attention.head_count = {heads}, where attention.key_length is not given")
    head_width = keys.whole("attention.key_length", width // heads, most=MAX_BOUND // heads)
    if keys.whole("attention.value_length", head_width) != head_width:
        raise keys.refuse("attention.value_length", f"{head_width}, the width of keys")
    kv_heads = keys.whole("attention.head_count_kv", heads, most=heads)
    if heads % kv_heads:
        raise keys.refuse("attention.head_count_kv", f"a divisor of attention.head_count = {heads}")
    vocabulary = keys.file.shape("token_embd.weight")[0]
    keys.whole("vocab_size", vocabulary, most=vocabulary)  # rows beyond it are padding, which files have
    scale = width / heads if (keys.architecture, blocks) in _WIDE_SCORES else head_width
    rotary = _rotary(keys, head_width)
    return LanguageModel(
        family=family,
        blocks=blocks,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_width=head_width,
        feed_forward=keys.whole("feed_forward_length"),
        vocabulary=vocabulary,
        context=keys.whole("context_length"),
        score_scale=keys.real("attention.scale", 1 / sqrt(scale)),
        rotary=rotary,
        local_rotary=Rotary(rotary.turned, _LOCAL_BASE) if keys.architecture == "gemma3" else rotary,
        window=keys.whole("attention.sliding_window", 0, least=0),
        score_cap=keys.real("attn_logit_softcapping", 0.0, least=0),
        logit_cap=keys.real("final_logit_softcapping", 0.0, least=0),
        tied="output.weight" not in keys.file.tensors,
        mixture=_mixture(keys, family),
    )


def _mixture(keys: _Keys, family: Family) -> Mixture | None:
    """The experts, whose widths are llama.cpp's where a file does not say them."""
    always = family.experts == "always"
    experts = keys.whole("expert_count", None if always else 0, least=int(always))
    if not experts:
        return None
    for name in ("expert_gating_func", "expert_group_count"):
        if keys.whole(name, 1, least=0) > 1:
            raise keys.refuse(name, "1 (softmax over all experts, in one group)")
    top_k, inner = keys.whole("expert_used_count", most=experts), keys.whole("feed_forward_length")
    divided = inner // top_k if keys.architecture.startswith("qwen") else inner
    return Mixture(
        experts=experts,
        top_k=top_k,
        feed_forward=keys.whole("expert_feed_forward_length", divided),
        normalized=family.normalized_experts,
        shared=keys.whole("expert_shared_feed_forward_length", inner) if keys.architecture == "qwen2moe" else 0,
    )


def _rotary(keys: _Keys, head_width: int) -> Rotary:
    """Linear scaling, and the divisors per pair that a file stores."""
    kind = keys.text("rope.scaling.type", "none")
    if kind not in ("none", "linear", "longrope"):
        raise keys.refuse("rope.scaling.type", "none, linear, longrope")
    turned = keys.whole("rope.dimension_count", head_width, most=head_width)
    if turned % 2:
        name = keys.given("rope.dimension_count", "attention.key_length", "embedding_length")
        raise keys.refuse(name, f"what lets an even number of a head's {head_width} elements turn, not {turned}")
    stored = next((name for name in _FACTORS if name in keys.file.tensors), None)
    factors = () if stored is None else tuple(float(value) for value in keys.file.vector(stored))
    if factors and (len(factors) != turned // 2 or not np.all(np.array(factors) > 0)):
        allowed = f"{turned // 2} above 0, one per pair"
        raise ImportModelError(f"{keys.file.path}: tensor {stored!r} has {len(factors)} values; allowed: {allowed}")
    base, factor = keys.real("rope.freq_base", 10_000.0, above=0), keys.real("rope.scaling.factor", 1.0, above=0)
    return Rotary(turned, base, factor if kind == "linear" else 1.0, factors, keys.real("rope.scaling.attn_factor", 1.0))

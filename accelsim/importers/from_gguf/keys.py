"""The keys of a GGUF file as a language model: sizes, rotary embedding, windows and caps."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
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

_LOCAL_BASE = 10_000.0  # of Gemma 3's blocks with a sliding window
_WIDE_SCORES = {("gemma2", 46), ("gemma3", 62)}  # blocks of the 27B models, whose scores are scaled by width / heads
_FACTORS = ("rope_freqs.weight", "rope_factors_short.weight")


@dataclass(frozen=True)
class _Keys:
    """Keys of the architecture, by the part of their name after it."""

    file: GgufFile
    architecture: str

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number; the same for all blocks where it is given for each."""
        value = self._get(name, default)
        if isinstance(value, list) and value and value == value[:1] * len(value):
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._refuse(name, value, "a whole number, the same for all blocks")
        return value

    def size(self, name: str, default: int | None = None, most: int = MAX_BOUND) -> int:
        """A whole number from 1 to `most`."""
        value = self.whole(name, default)
        if not 1 <= value <= most:
            raise self._refuse(name, value, f"1 to {most}")
        return value

    def real(self, name: str, default: float) -> float:
        """A finite number."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self._refuse(name, value, "a finite number")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """A text."""
        value = self._get(name, default)
        if not isinstance(value, str):
            raise self._refuse(name, value, "a text")
        return value

    def _get(self, name: str, default: Any) -> Any:
        value = self.file.get(f"{self.architecture}.{name}", default)
        if value is None:
            raise ImportModelError(f"{self.file.path}: key '{self.architecture}.{name}' is missing")
        return value

    def _refuse(self, name: str, value: object, allowed: str) -> ImportModelError:
        return ImportModelError(f"{self.file.path}: key '{self.architecture}.{name}' has value {value!r}; allowed: {allowed}")


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
    if keys.whole("expert_count", 0) and family.experts == "never":
        known = ", ".join(name for name, item in FAMILIES.items() if item.experts != "never")
        raise ImportModelError(f"{file.path}: key '{architecture}.expert_count': experts are known of {known} alone")
    if "token_embd.weight" not in file.tensors or len(file.shape("token_embd.weight")) != 2:
        raise ImportModelError(f"{file.path}: no matrix 'token_embd.weight'")
    try:
        return _model(keys, family)
    except ImportModelError as error:
        message = str(error)
        raise ImportModelError(message if message.startswith(str(file.path)) else f"{file.path}: {message}") from None


def _model(keys: _Keys, family: Family) -> LanguageModel:
    width, heads = keys.size("embedding_length"), keys.size("attention.head_count")
    blocks = keys.size("block_count", most=MAX_BLOCKS)
    head_width = keys.whole("attention.key_length", width // heads)
    if keys.whole("attention.value_length", head_width) != head_width:
        raise ImportModelError(f"heads of values are not as wide as those of keys, {head_width}; allowed: the same width")
    scale = width / heads if (keys.architecture, blocks) in _WIDE_SCORES else head_width
    rotary = _rotary(keys, head_width)
    return LanguageModel(
        family=family,
        blocks=blocks,
        width=width,
        heads=heads,
        kv_heads=keys.size("attention.head_count_kv", heads),
        head_width=head_width,
        feed_forward=keys.size("feed_forward_length"),
        vocabulary=keys.file.shape("token_embd.weight")[0],
        context=keys.size("context_length"),
        score_scale=keys.real("attention.scale", 1 / sqrt(max(scale, 1))),
        rotary=rotary,
        local_rotary=Rotary(rotary.turned, _LOCAL_BASE) if keys.architecture == "gemma3" else rotary,
        window=keys.whole("attention.sliding_window", 0),
        score_cap=keys.real("attn_logit_softcapping", 0.0),
        logit_cap=keys.real("final_logit_softcapping", 0.0),
        tied="output.weight" not in keys.file.tensors,
        mixture=_mixture(keys, family),
    )


def _mixture(keys: _Keys, family: Family) -> Mixture | None:
    """The experts, whose widths are llama.cpp's where a file does not say them."""
    experts = keys.whole("expert_count", None if family.experts == "always" else 0)
    if not experts:
        return None
    for name, allowed in (("expert_gating_func", 1), ("expert_group_count", 1)):
        value = keys.whole(name, allowed)
        if value not in (0, allowed):
            raise ImportModelError(
                f"key '{keys.architecture}.{name}' has value {value}; allowed: 1 (softmax over all experts, in one group)"
            )
    top_k, inner = keys.whole("expert_used_count"), keys.whole("feed_forward_length")
    divided = inner // max(top_k, 1) if keys.architecture.startswith("qwen") else inner
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
        raise ImportModelError(f"key '{keys.architecture}.rope.scaling.type' has value {kind!r}; allowed: none, linear, longrope")
    turned = keys.whole("rope.dimension_count", head_width)
    stored = next((name for name in _FACTORS if name in keys.file.tensors), None)
    factors = () if stored is None else tuple(float(value) for value in keys.file.vector(stored))
    if factors and (len(factors) != turned // 2 or not np.all(np.array(factors) > 0)):
        raise ImportModelError(f"tensor {stored!r} has {len(factors)} values; allowed: {turned // 2} above 0, one per pair")
    base, factor = keys.real("rope.freq_base", 10_000.0), keys.real("rope.scaling.factor", 1.0)
    if base <= 0 or factor <= 0:
        raise ImportModelError(f"the rotary embedding has base {base} and factor {factor}; allowed: above 0")
    return Rotary(turned, base, factor if kind == "linear" else 1.0, factors, keys.real("rope.scaling.attn_factor", 1.0))

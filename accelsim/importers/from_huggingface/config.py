"""A folder's config.json as a language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, isfinite, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.importers.language_models.families import FAMILIES
from accelsim.importers.language_models.language_model import MAX_BLOCKS, LanguageModel
from accelsim.importers.language_models.mixture import Mixture
from accelsim.importers.language_models.rotary_angles import Rotary
from accelsim.ops.shapes import MAX_BOUND
from accelsim.reading import parse_json, read_text
from accelsim.registry import suggest
from accelsim.wording import shown

_FAMILIES = {
    **{name: name for name in ("llama", "qwen2", "qwen3", "phi3", "gemma", "gemma2", "olmoe")},
    "gemma3_text": "gemma3", "mistral": "llama", "mixtral": "llama", "qwen2_moe": "qwen2moe", "qwen3_moe": "qwen3moe",
}  # fmt: skip
_WITH_EXPERTS = ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe")
_MOST_BYTES = 1 << 20
_GATES = {"silu": ("silu", "swish"), "gelu": ("gelu", "gelu_pytorch_tanh", "gelu_new")}  # names of the function of a gate
_WINDOWED = {"sliding_attention": True, "full_attention": False}
_REFUSED = ("attention_bias", "mlp_bias", "clip_qkv", "mlp_only_layers")  # where they say anything


@dataclass(frozen=True)
class Config:
    """Fields of a config.json, or of an object in it, whose place (with a dot) stands before their names in messages."""

    path: Path
    fields: Mapping[str, Any]
    within: str = ""

    def whole(self, name: str, default: int | None = None, least: int = 1, most: int = MAX_BOUND) -> int:
        """A whole number from `least` to `most`; the default where it is absent or null."""
        value = default if self.fields.get(name) is None else self.fields[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(name, f"a whole number from {least} to {most:,}")
        return value

    def real(self, name: str, default: float, *, above: float = -inf, least: float = -inf) -> float:
        """A finite number, above `above` or at least `least`; the default where it is absent or null."""
        value = default if self.fields.get(name) is None else self.fields[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.refuse(name, "a finite number")
        if value <= above:
            raise self.refuse(name, f"above {above:g}")
        if value < least:
            raise self.refuse(name, f"{least:g} or above")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false; the default where it is absent or null."""
        value = default if self.fields.get(name) is None else self.fields[name]
        if not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def given(self, *names: str) -> str:
        """The first of the fields that is there; the last of them where none is."""
        return next((name for name in names if self.fields.get(name) is not None), names[-1])

    def refuse(self, name: str, allowed: str) -> ImportModelError:
        """The message on a field's value, or on its absence."""
        said = f"has value {shown(self.fields[name])}" if name in self.fields else "is missing"
        return ImportModelError(f"{self.path}: field {self.within + name!r} {said}; allowed: {allowed}")


def read_config(path: Path) -> Config:
    """Read a config.json.

    Raises
    ------
    ImportModelError
        No such file, too large, or not an object of JSON.
    """
    try:
        fields = parse_json(read_text(path, ImportModelError, limit=_MOST_BYTES))
    except ValueError as error:
        raise ImportModelError(f"{path}: is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ImportModelError(f"{path}: holds a {type(fields).__name__}; allowed: an object")
    return Config(path, fields)


def language_model_of(config: Config) -> LanguageModel:
    """The model that the fields describe; its rotary embedding pairs halves, as the library's does.

    Raises
    ------
    ImportModelError
        An unknown model type, or a field that is missing or has no allowed value.
    """
    kind = config.fields.get("model_type")
    if not isinstance(kind, str) or kind not in _FAMILIES:
        known = ", ".join(sorted(_FAMILIES))
        raise config.refuse("model_type", f"one of {known}{suggest(str(kind), _FAMILIES)}")
    for name in _REFUSED:
        if config.fields.get(name) and not (name == "attention_bias" and kind == "qwen2"):
            raise config.refuse(name, "none: biases only where the family has them, no clips, and experts in all blocks or in none")
    if kind == "qwen2_moe" and config.fields.get("qkv_bias", True) is not True:
        raise config.refuse("qkv_bias", "true")
    width, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    if config.fields.get("head_dim") is None and width % heads:
        raise config.refuse("hidden_size", f"a multiple of num_attention_heads = {heads}, where head_dim is not given")
    head_width = config.whole("head_dim", width // heads, most=MAX_BOUND // heads)
    kv_heads = config.whole("num_key_value_heads", heads, most=heads)
    if heads % kv_heads:
        raise config.refuse("num_key_value_heads", f"a divisor of num_attention_heads = {heads}")
    family = replace(FAMILIES[_FAMILIES[kind]], pairs="halves")
    activation = config.fields.get("hidden_activation") or config.fields.get("hidden_act") or family.gate
    if activation not in _GATES[family.gate]:
        raise config.refuse("hidden_activation" if config.fields.get("hidden_activation") else "hidden_act", ", ".join(_GATES[family.gate]))
    rotary, local_rotary = _rotaries(config, kind, head_width)
    blocks = config.whole("num_hidden_layers", most=MAX_BLOCKS)
    window = config.whole("sliding_window", 0, least=0) if config.flag("use_sliding_window", not kind.startswith("qwen")) else 0
    score_elements = config.real("query_pre_attn_scalar", head_width, above=0)
    return LanguageModel(
        family=family,
        blocks=blocks,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_width=head_width,
        feed_forward=config.whole("intermediate_size"),
        vocabulary=config.whole("vocab_size"),
        context=config.whole("max_position_embeddings"),
        score_scale=1 / sqrt(score_elements),
        rotary=rotary,
        local_rotary=local_rotary,
        window=window,
        windowed=_windowed(config, kind, blocks) if window else (),
        score_cap=config.real("attn_logit_softcapping", 0.0, least=0),
        logit_cap=config.real("final_logit_softcapping", 0.0, least=0),
        tied=config.flag("tie_word_embeddings", kind.startswith("gemma")),
        mixture=_mixture(config, kind),
    )


def _mixture(config: Config, kind: str) -> Mixture | None:
    """The experts of each block; None for a kind that has none."""
    if kind not in _WITH_EXPERTS:
        return None
    if config.whole("decoder_sparse_step", 1) != 1:
        raise config.refuse("decoder_sparse_step", "1: experts in all blocks")
    experts = config.whole(config.given("num_experts", "num_local_experts"))
    return Mixture(
        experts=experts,
        top_k=config.whole("num_experts_per_tok", most=experts),
        feed_forward=config.whole("moe_intermediate_size", config.whole("intermediate_size")),
        normalized=kind == "mixtral" or config.flag("norm_topk_prob", default=False),
        shared=config.whole("shared_expert_intermediate_size") if kind == "qwen2_moe" else 0,
    )


def _windowed(config: Config, kind: str, blocks: int) -> tuple[bool, ...]:
    """Whether each block has the sliding window, as the library decides it; empty: the family's pattern."""
    said = config.fields.get("layer_types")
    if said is not None:
        if not isinstance(said, list) or len(said) != blocks or any(not isinstance(item, str) or item not in _WINDOWED for item in said):
            raise config.refuse("layer_types", f"{' or '.join(_WINDOWED)} for each of {blocks} blocks")
        return tuple(_WINDOWED[item] for item in said)
    if kind in ("qwen2", "qwen3", "qwen2_moe"):
        first = config.whole("max_window_layers", 28, least=0)
        return tuple(block >= first for block in range(blocks))
    every = config.whole("sliding_window_pattern", 6) if kind == "gemma3_text" else 0
    return tuple((block + 1) % every > 0 for block in range(blocks)) if every else ()


def _rotaries(config: Config, kind: str, head_width: int) -> tuple[Rotary, Rotary]:
    """The rotary embeddings of blocks that see all tokens, and of those with a sliding window: one for both, but for Gemma 3's."""
    name = "rope_parameters" if config.fields.get("rope_parameters") else "rope_scaling"
    nested = config.fields.get(name) or {}
    if not isinstance(nested, dict):
        raise config.refuse(name, "an object")
    if kind != "gemma3_text":
        rotary = _rotary(config, Config(config.path, nested, f"{name}."), ("rope_theta", 10_000.0), head_width)
        return rotary, rotary
    bases = {"full_attention": ("rope_theta", 1_000_000.0), "sliding_attention": ("rope_local_base_freq", 10_000.0)}
    by_kind = any(item in nested for item in bases)
    parts = {item: nested.get(item) or {} for item in bases} if by_kind else {"full_attention": nested, "sliding_attention": {}}
    if not all(isinstance(part, dict) for part in parts.values()):
        raise config.refuse(name, f"an object for each of {', '.join(bases)}")
    whole, local = (
        _rotary(config, Config(config.path, parts[item], f"{name}.{item}." if by_kind else f"{name}."), base, head_width)
        for item, base in bases.items()
    )
    return whole, local


def _rotary(config: Config, rope: Config, base_of_config: tuple[str, float], head_width: int) -> Rotary:
    """Base and scaling (none, linear, or Llama 3's) of an object of the config, whose own field of the base is named with its default."""
    type_field = "rope_type" if "rope_type" in rope.fields else "type"
    kind = rope.fields.get(type_field, "default")
    if kind not in ("default", "linear", "llama3"):
        raise rope.refuse(type_field, "default, linear or llama3")
    part = rope.real("partial_rotary_factor", config.real("partial_rotary_factor", 1.0))
    base, factor = rope.real("rope_theta", config.real(*base_of_config, above=0), above=0), rope.real("factor", 1.0, above=0)
    if not 0 < part <= 1:
        raise (config if rope.fields.get("partial_rotary_factor") is None else rope).refuse("partial_rotary_factor", "above 0, up to 1")
    turned = int(head_width * part)
    if turned % 2 or turned < 2:
        by_part = [item for item in (rope, config) if item.fields.get("partial_rotary_factor") is not None]
        place, name = (by_part[0], "partial_rotary_factor") if by_part else (config, config.given("head_dim", "hidden_size"))
        raise place.refuse(name, f"what lets an even number of a head's {head_width} elements turn, 2 or more, not {turned}")
    if kind != "llama3":
        return Rotary(turned, base, factor if kind == "linear" else 1.0)
    return Rotary(turned, base, factors=_by_wavelength(rope, base, turned, factor))


def _by_wavelength(rope: Config, base: float, turned: int, factor: float) -> tuple[float, ...]:
    """Llama 3's divisors: none of short waves, `factor` of long ones, and a blend of both between."""
    low, high = rope.real("low_freq_factor", 1.0), rope.real("high_freq_factor", 4.0)
    if high <= low:
        raise rope.refuse("high_freq_factor", f"above low_freq_factor = {low}")
    turns = rope.whole("original_max_position_embeddings", 8192) * base ** -(np.arange(0, turned, 2) / turned) / (2 * pi)
    blend = np.clip((turns - low) / (high - low), 0.0, 1.0)  # full turns within the original context
    return tuple(float(value) for value in 1 / ((1 - blend) / factor + blend))

"""Decoder-only language models by their public configurations (config.json of each model's page), and one layer of a stated width.

Assumes that families which the importers do not name are Llama's or Qwen2's graph: InternLM2, MiniCPM and TeleChat2 are Llama's with other
tensor names and factors, ChatGLM3's attention has Qwen2's biases. Of models that also see, the language part alone is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from typing import Any

from accelsim.importers.language_models.decoder_trace import Description, decoder_trace
from accelsim.importers.language_models.families import FAMILIES
from accelsim.importers.language_models.language_model import LanguageModel
from accelsim.importers.language_models.latent import Latent
from accelsim.importers.language_models.rotary_angles import Rotary
from accelsim.importers.language_models.shapes_alone import ShapesAlone
from accelsim.studies.networks.convnet import SEED
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

PROMPT = 16  # tokens of the trace; a run takes it to its own number
CONTEXT = 4096  # tokens that a model is built for
_BASE = 10_000.0  # of rotary embeddings, whose values no time depends on
# Family; width, blocks, heads, heads of keys and values, head's width, feed-forward width, vocabulary; whether the output head is tied.
MODELS: Mapping[str, tuple[str, int, int, int, int, int, int, int, bool]] = {
    "qwen1.5_0.5b": ("qwen2", 1024, 24, 16, 16, 64, 2816, 151936, True),
    "qwen1.5_1.8b": ("qwen2", 2048, 24, 16, 16, 128, 5504, 151936, False),
    "qwen1.5_4b": ("qwen2", 2560, 40, 20, 20, 128, 6912, 151936, False),
    "qwen2_0.5b": ("qwen2", 896, 24, 14, 2, 64, 4864, 151936, True),
    "qwen2_1.5b": ("qwen2", 1536, 28, 12, 2, 128, 8960, 151936, True),
    "qwen2_7b": ("qwen2", 3584, 28, 28, 4, 128, 18944, 152064, False),
    "qwen2.5_0.5b": ("qwen2", 896, 24, 14, 2, 64, 4864, 151936, True),
    "qwen2.5_1.5b": ("qwen2", 1536, 28, 12, 2, 128, 8960, 151936, True),
    "qwen2.5_3b": ("qwen2", 2048, 36, 16, 2, 128, 11008, 151936, True),
    "qwen2.5_7b": ("qwen2", 3584, 28, 28, 4, 128, 18944, 152064, False),
    "qwen2.5_14b": ("qwen2", 5120, 48, 40, 8, 128, 13824, 152064, False),
    "deepseek_r1_distill_qwen_1.5b": ("qwen2", 1536, 28, 12, 2, 128, 8960, 151936, False),
    "qwen3_0.6b": ("qwen3", 1024, 28, 16, 8, 128, 3072, 151936, True),
    "qwen3_1.7b": ("qwen3", 2048, 28, 16, 8, 128, 6144, 151936, True),
    "qwen3_4b": ("qwen3", 2560, 36, 32, 8, 128, 9728, 151936, True),
    "qwen3_8b": ("qwen3", 4096, 36, 32, 8, 128, 12288, 151936, False),
    "qwen3_14b": ("qwen3", 5120, 40, 40, 8, 128, 17408, 151936, False),
    "tinyllama_1.1b": ("llama", 2048, 22, 32, 4, 64, 5632, 32000, False),
    "llama2_7b": ("llama", 4096, 32, 32, 32, 128, 11008, 32000, False),
    "llama2_13b": ("llama", 5120, 40, 40, 40, 128, 13824, 32000, False),
    "mistral_7b": ("llama", 4096, 32, 32, 8, 128, 14336, 32000, False),
    "llama3_8b": ("llama", 4096, 32, 32, 8, 128, 14336, 128256, False),
    "llama3.2_1b": ("llama", 2048, 16, 32, 8, 64, 8192, 128256, True),
    "llama3.2_3b": ("llama", 3072, 28, 24, 8, 128, 8192, 128256, True),
    "smollm2_135m": ("llama", 576, 30, 9, 3, 64, 1536, 49152, True),
    "smollm2_360m": ("llama", 960, 32, 15, 5, 64, 2560, 49152, True),
    "smollm2_1.7b": ("llama", 2048, 24, 32, 32, 64, 8192, 49152, True),
    "smolvlm_256m": ("llama", 576, 30, 9, 3, 64, 1536, 49280, False),
    "smollm3_3b": ("llama", 2048, 36, 16, 4, 128, 11008, 128256, True),
    "internlm2_1.8b": ("llama", 2048, 24, 16, 8, 128, 8192, 92544, False),
    "internlm2_7b": ("llama", 4096, 32, 32, 8, 128, 14336, 92544, False),
    "internlm3_8b": ("llama", 4096, 48, 32, 2, 128, 10240, 128512, False),
    "telechat2_3b": ("llama", 3072, 24, 24, 24, 128, 6144, 131072, False),
    "minicpm_2b": ("llama", 2304, 40, 36, 36, 64, 5760, 122753, True),
    "minicpm4_0.5b": ("llama", 1024, 24, 16, 2, 64, 4096, 73448, True),
    "minicpm3_4b": ("llama", 2560, 62, 40, 40, 96, 6400, 73448, True),
    "phi3_3.8b": ("phi3", 3072, 32, 32, 32, 96, 8192, 32064, False),
    "phi4_mini": ("phi3", 3072, 32, 24, 8, 128, 8192, 200064, True),
    "chatglm3_6b": ("qwen2", 4096, 28, 32, 2, 128, 13696, 65024, False),
    "gemma_2b": ("gemma", 2048, 18, 8, 1, 256, 16384, 256000, True),
    "gemma2_2b": ("gemma2", 2304, 26, 8, 4, 256, 9216, 256000, True),
    "gemma3_270m": ("gemma3", 640, 18, 4, 1, 256, 2048, 262144, True),
    "gemma3_1b": ("gemma3", 1152, 26, 4, 1, 256, 6912, 262144, True),
    "gemma3_4b": ("gemma3", 2560, 34, 8, 4, 256, 10240, 262208, True),
}
# Models of another's sizes.
SAME: Mapping[str, str] = {
    **{f"deepseek_r1_distill_qwen_{size}": f"qwen2.5_{size}" for size in ("7b", "14b")},
    **{f"smollm_{size}": f"smollm2_{size}" for size in ("135m", "360m", "1.7b")},
    **dict.fromkeys(("llama3.1_8b", "deepseek_r1_distill_llama_8b"), "llama3_8b"),
    **dict.fromkeys(("phi3_mini", "phi3.5_mini"), "phi3_3.8b"),
    "tinyllama": "tinyllama_1.1b", "phi4_mini_3.8b": "phi4_mini", "chatglm3": "chatglm3_6b", "internlm2.5_1.8b": "internlm2_1.8b",
    "internlm2.5_7b": "internlm2_7b",
    "qwen2_vl_2b": "qwen2_1.5b", "qwen2.5_vl_3b": "qwen2.5_3b", "qwen2.5_vl_7b": "qwen2.5_7b", "qwen3_vl_2b": "qwen3_1.7b",
    "qwen3_vl_4b": "qwen3_4b",
}  # fmt: skip
# Further fields of a model, by its name or its family's: arXiv 2408.00118 (section 2) and 2503.19786 (section 2), MiniCPM3's configuration.
_BESIDES: Mapping[str, Mapping[str, Any]] = {
    "gemma2": {"window": 4096, "score_cap": 50.0, "logit_cap": 30.0},
    "gemma3": {"window": 512},
    "gemma3_4b": {"window": 1024},
    "minicpm3_4b": {"latent": Latent(query_rank=768, rank=256, turned=32, value_width=64)},
}


def model_of(name: str) -> LanguageModel:
    """Sizes of a key of MODELS or SAME."""
    name = SAME.get(name, name)
    sizes = MODELS[name]
    return _model(*sizes, **{**_BESIDES.get(sizes[0], {}), **_BESIDES.get(name, {})})


def decoder(name: str, model: str) -> Trace:
    """A whole model: a key of MODELS or SAME."""
    return _trace(name, model_of(model))


def decoder_layer(name: str, hidden: int, ffn: int, heads: int, kv_heads: int) -> Trace:
    """One decoder layer of Llama's form, without embeddings and head."""
    whole = _trace(name, _model("llama", hidden, 1, heads, kv_heads, hidden // heads, ffn, 1, True)).manifest
    layers = tuple(layer for layer in whole.layers if layer.name.startswith("blk."))
    return Trace(Manifest(name=name, source=whole.source, inputs=whole.inputs, outputs=(layers[-1].name,), layers=layers))


def _model(
    family: str, width: int, blocks: int, heads: int, kv_heads: int, head_width: int, feed_forward: int, vocabulary: int, tied: bool,
    **besides: Any,
) -> LanguageModel:  # fmt: skip
    latent = besides.get("latent")
    rotary = Rotary(head_width if latent is None else latent.turned, _BASE)
    return LanguageModel(
        family=replace(FAMILIES[family], pairs="halves"), blocks=blocks, width=width, heads=heads, kv_heads=kv_heads, head_width=head_width,
        feed_forward=feed_forward, vocabulary=vocabulary, context=CONTEXT, score_scale=1 / sqrt(max(head_width, 1)), rotary=rotary,
        local_rotary=rotary, tied=tied, **besides,
    )  # fmt: skip


def _trace(name: str, model: LanguageModel) -> Trace:
    about = Description(name, seeded_source(SEED), (), values=False)
    return decoder_trace(model, ShapesAlone(model), PROMPT, about, 8, 8)

"""Decoder-only language models by their public configurations (config.json of each model's page), and one layer of a stated width.

Assumes that families which the importers do not name are Llama's or Qwen2's graph: InternLM2 and MiniCPM are Llama's with other tensor
names and factors, ChatGLM3's attention has Qwen2's biases.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelsim.importers.from_huggingface.config import Config, language_model_of
from accelsim.importers.language_models.decoder_trace import Description, decoder_trace
from accelsim.importers.language_models.language_model import LanguageModel
from accelsim.importers.language_models.shapes_alone import ShapesAlone
from accelsim.studies.networks.convnet import SEED
from accelsim.trace.manifest import Manifest
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

PROMPT = 16  # tokens of the trace; a run takes it to its own number
_COLUMNS = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
            "intermediate_size", "vocab_size", "tie_word_embeddings")  # fmt: skip
_CONTEXT = {"max_position_embeddings": 4096}
MODELS: dict[str, tuple[Any, ...]] = {
    "qwen2_0.5b": ("qwen2", 896, 24, 14, 2, 64, 4864, 151936, True),
    "qwen2_1.5b": ("qwen2", 1536, 28, 12, 2, 128, 8960, 151936, True),
    "qwen2_7b": ("qwen2", 3584, 28, 28, 4, 128, 18944, 152064, False),
    "qwen2.5_0.5b": ("qwen2", 896, 24, 14, 2, 64, 4864, 151936, True),
    "qwen2.5_1.5b": ("qwen2", 1536, 28, 12, 2, 128, 8960, 151936, True),
    "qwen2.5_3b": ("qwen2", 2048, 36, 16, 2, 128, 11008, 151936, True),
    "qwen2.5_7b": ("qwen2", 3584, 28, 28, 4, 128, 18944, 152064, False),
    "qwen3_0.6b": ("qwen3", 1024, 28, 16, 8, 128, 3072, 151936, True),
    "qwen3_1.7b": ("qwen3", 2048, 28, 16, 8, 128, 6144, 151936, True),
    "qwen3_4b": ("qwen3", 2560, 36, 32, 8, 128, 9728, 151936, True),
    "tinyllama_1.1b": ("llama", 2048, 22, 32, 4, 64, 5632, 32000, False),
    "llama2_7b": ("llama", 4096, 32, 32, 32, 128, 11008, 32000, False),
    "llama3_8b": ("llama", 4096, 32, 32, 8, 128, 14336, 128256, False),
    "llama3.2_1b": ("llama", 2048, 16, 32, 8, 64, 8192, 128256, True),
    "llama3.2_3b": ("llama", 3072, 28, 24, 8, 128, 8192, 128256, True),
    "smollm2_135m": ("llama", 576, 30, 9, 3, 64, 1536, 49152, True),
    "smollm2_360m": ("llama", 960, 32, 15, 5, 64, 2560, 49152, True),
    "smollm2_1.7b": ("llama", 2048, 24, 32, 32, 64, 8192, 49152, True),
    "internlm2_1.8b": ("llama", 2048, 24, 16, 8, 128, 8192, 92544, False),
    "minicpm_2b": ("llama", 2304, 40, 36, 36, 64, 5760, 122753, True),
    "minicpm4_0.5b": ("llama", 1024, 24, 16, 2, 64, 4096, 73448, True),
    "phi3_3.8b": ("phi3", 3072, 32, 32, 32, 96, 8192, 32064, False),
    "chatglm3_6b": ("qwen2", 4096, 28, 32, 2, 128, 13696, 65024, False),
    "gemma_2b": ("gemma", 2048, 18, 8, 1, 256, 16384, 256000, True),
    "gemma2_2b": ("gemma2", 2304, 26, 8, 4, 256, 9216, 256000, True),
}


def model_of(name: str) -> LanguageModel:
    """Sizes of a key of MODELS."""
    return _model(name, dict(zip(_COLUMNS, MODELS[name], strict=True)))


def decoder(name: str) -> Trace:
    """A whole model."""
    return _trace(name, model_of(name))


def decoder_layer(name: str, hidden: int, ffn: int, heads: int, kv_heads: int) -> Trace:
    """One decoder layer of Llama's form, without embeddings and head."""
    sizes = ("llama", hidden, 1, heads, kv_heads, hidden // heads, ffn, 1, True)
    whole = _trace(name, _model(name, dict(zip(_COLUMNS, sizes, strict=True)))).manifest
    layers = tuple(layer for layer in whole.layers if layer.name.startswith("blk."))
    return Trace(Manifest(name=name, source=whole.source, inputs=whole.inputs, outputs=(layers[-1].name,), layers=layers))


def _model(name: str, fields: dict[str, Any]) -> LanguageModel:
    return language_model_of(Config(Path(name), {**fields, **_CONTEXT}))


def _trace(name: str, model: LanguageModel) -> Trace:
    about = Description(name, seeded_source(SEED), (), values=False)
    return decoder_trace(model, ShapesAlone(model), PROMPT, about, 8, 8)

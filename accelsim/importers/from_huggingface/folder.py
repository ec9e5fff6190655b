"""A folder of config.json and safetensors files as a float trace; tensors take the names of a GGUF file, which the graph knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.formats.float32 import Float32Format
from accelsim.importers.from_huggingface.config import language_model_of, read_config
from accelsim.importers.language_models.decoder_trace import Bits, Description, decoder_trace, tokens_of
from accelsim.importers.language_models.language_model import LanguageModel, check_tensors
from accelsim.importers.language_models.stored_tensors import Floats, StoredMatrix
from accelsim.importers.weights_file import WeightsFile, open_weights
from accelsim.trace.manifest import CheckpointSource
from accelsim.trace.payload import file_sha256
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

_NAMES = {  # of a module -> of a tensor in a GGUF file
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "mlp.gate_up_proj": "ffn_up", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}  # fmt: skip
_PASSED_OVER = ".rotary_emb.inv_freq"  # older files store it; it follows from the configuration


@dataclass(frozen=True)
class FolderTensors:
    """Tensors by GGUF's names.

    Attributes
    ----------
    places
        File and name in it.
    norm_offset
        Added to the vectors of norms (Gemma's are stored less one).
    """

    places: Mapping[str, tuple[WeightsFile, str]]
    norm_offset: float

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor."""
        file, stored = self.places[name]
        return file.shape(stored)

    def vector(self, name: str) -> Floats:
        """A tensor of one dimension."""
        return self._read(name) + np.float32(self.norm_offset if name.endswith("norm.weight") else 0.0)

    def matrix(self, name: str, first: int, stop: int) -> StoredMatrix:
        """Outputs `first` to `stop`, as float32."""
        values = np.ascontiguousarray(self._read(name)[first:stop].T)
        k, n = values.shape
        return StoredMatrix(Float32Format(), k, n, {"weights": values})

    def _read(self, name: str) -> Floats:
        file, stored = self.places[name]
        values = file.read(stored)
        if not np.isfinite(values).all():
            raise ImportModelError(f"{file.path}: tensor {stored!r} holds NaN or an infinity; allowed: finite numbers")
        return values


def import_folder(
    folder: Path, name: str, bind: Mapping[str, int], seed: int | None, activation_bits: Bits = 8, residual_bits: Bits = 8
) -> Trace:
    """Import a folder as a float trace; with a seed its shapes alone.

    Raises
    ------
    ImportModelError
        The configuration is not understood, or the tensors are not those that it describes.
    """
    model = language_model_of(read_config(folder / "config.json"))
    files = [open_weights(path) for path in sorted(folder.glob("*.safetensors"))]
    if not files:
        raise ImportModelError(f"{folder}: holds no file named *.safetensors")
    tensors = _tensors(files, model)
    check_tensors({tensor: tensors.shape(tensor) for tensor in tensors.places}, model.tensors(), str(folder))
    hashes = {file.path.name: file_sha256(file.path) for file in files} if seed is None else {}
    first, *others = hashes.items() or [("", "")]
    source = CheckpointSource(file=first[0], sha256=first[1]) if seed is None else seeded_source(seed)
    about = Description(name, source, tuple(f"{file}: SHA-256 {digest}" for file, digest in others), values=seed is None)
    return decoder_trace(model, tensors, tokens_of(dict(bind), model), about, activation_bits, residual_bits)


def _tensors(files: list[WeightsFile], model: LanguageModel) -> FolderTensors:
    """All tensors of a folder by GGUF's names; a tied head that is stored as well is passed over."""
    places: dict[str, tuple[WeightsFile, str]] = {}
    post = "post_attention_norm" if model.family.post_norms else "ffn_norm"
    names = {**_NAMES, "post_attention_layernorm": post}
    for file in files:
        for stored in sorted(file.names):
            name = stored
            for module, known in names.items():
                name = name.replace(f"{module}.", f"{known}.")
            if name.endswith(_PASSED_OVER) or (model.tied and name == "output.weight"):
                continue
            if name in places:
                raise ImportModelError(f"{file.path}: tensor {stored!r} is stored in {places[name][0].path.name} as well")
            places[name] = file, stored
    return FolderTensors(places, 1.0 if model.family.scaled_embeddings else 0.0)

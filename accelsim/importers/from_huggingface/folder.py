"""A folder of config.json and safetensors files as a trace; tensors take the names of a GGUF file, which the graph knows.

Quantized matrices stay as they are stored; beside them, matrices of floats are quantized to 8 bits per output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from accelsim.errors import ImportModelError
from accelsim.formats.float32 import Float32Format
from accelsim.formats.uniform import UniformFormat
from accelsim.importers.from_huggingface.config import language_model_of, read_config
from accelsim.importers.from_huggingface.quantized.module import QuantizedModule, in_8_bits
from accelsim.importers.from_huggingface.quantized.quantized_matrix import ComposedMatrix, QuantizedMatrix, Scheme, StoredWeight
from accelsim.importers.from_huggingface.quantized.scheme import scheme_of
from accelsim.importers.language_models.decoder_trace import Bits, Description, decoder_trace, tokens_of
from accelsim.importers.language_models.language_model import LanguageModel, check_tensors
from accelsim.importers.language_models.shapes_alone import ShapesAlone
from accelsim.importers.language_models.stored_tensors import Floats, StoredMatrix, Surroundings
from accelsim.importers.weights_file import WeightsFile, open_weights
from accelsim.trace.manifest import CODEBOOK_ERROR, CheckpointSource
from accelsim.trace.payload import file_sha256
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace, with_metrics

_NAMES = {  # of a module -> of a tensor in a GGUF file
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output", "model.layers": "blk",
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.qkv_proj": "attn_qkv", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "mlp.gate_up_proj": "ffn_up", "mlp.upgate_proj": "ffn_up", "block_sparse_moe.gate": "ffn_gate_inp", "mlp.gate": "ffn_gate_inp",
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp", "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "mlp.shared_expert.up_proj": "ffn_up_shexp", "mlp.shared_expert.down_proj": "ffn_down_shexp",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}  # fmt: skip
_UP_FIRST = ".mlp.upgate_proj."  # QuIP# joins the matrices of a layer that read the same
_OF_EXPERT = re.compile(r"\.(?:block_sparse_moe|mlp)\.experts\.([0-9]{1,6})\.(\w+)\.")
_EXPERT_PARTS = {"w1": "gate", "w3": "up", "w2": "down", "gate_proj": "gate", "up_proj": "up", "down_proj": "down"}
_STACKED = re.compile(r"(.*_exps)\.([0-9]+)(\.weight)")
_STACK = re.compile(r"\.mlp\.experts\.(gate_up|down)_proj$")
_GATE_UP = "ffn_gate_up_exps.weight"  # gates above what they let through, of each expert
_PASSED_OVER = ".rotary_emb.inv_freq"  # older files store it; it follows from the configuration


@dataclass(frozen=True)
class FolderTensors:
    """Tensors by GGUF's names.

    Attributes
    ----------
    places
        File and name in it, of tensors of floats.
    norm_offset
        Added to the vectors of norms (Gemma's are stored less one).
    quantized
        Matrices of quantized modules.
    """

    places: Mapping[str, tuple[WeightsFile, str]]
    norm_offset: float
    quantized: Mapping[str, StoredWeight] = field(default_factory=dict)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors, matrices as (outputs, inputs), those of experts stacked."""
        floats = {name: file.shape(stored) for name, (file, stored) in self.places.items() if not _STACKED.fullmatch(name)}
        for name in [name for name in floats if name.endswith(_GATE_UP)]:
            shape = floats.pop(name)
            if len(shape) == 3 and shape[1] % 2 == 0:
                floats |= {name.replace("gate_up", part): (shape[0], shape[1] // 2, shape[2]) for part in ("gate", "up")}
        for name, parts in self.stacks.items():
            shapes = {file.shape(stored) for file, stored in parts.values()}
            if sorted(parts) == list(range(len(parts))) and len(shapes) == 1:
                floats[name] = (len(parts), *shapes.pop())
        return floats | {name: (matrix.n, matrix.k) for name, matrix in self.quantized.items()}

    def vector(self, name: str) -> Floats:
        """A tensor of one dimension."""
        made = self.made_vectors.get(name)
        if made is not None:
            return made()
        return self._read(name) + np.float32(self.norm_offset if name.endswith("norm.weight") else 0.0)

    def matrix(self, name: str, first: int, stop: int) -> StoredMatrix:
        """Outputs `first` to `stop`, as they are stored; floats beside quantized matrices in 8 bits."""
        matrix = self.matrices.get(name)
        if matrix is not None:
            return StoredMatrix(matrix.format, matrix.k, stop - first, lambda: matrix.outputs(first, stop), matrix.where)
        k, where = self.shapes[name][-1], f"tensor {name!r}"
        if self.quantized:
            return StoredMatrix(UniformFormat(), k, stop - first, lambda: in_8_bits(self._rows(name)[first:stop].T), where)
        return StoredMatrix(
            Float32Format(), k, stop - first, lambda: {"weights": np.ascontiguousarray(self._rows(name)[first:stop].T)}, where
        )

    def notes(self, tied: bool) -> tuple[str, ...]:
        """A line on the matrices of floats beside quantized ones; embeddings are a matrix of the network only where the head is tied."""
        passed_over = () if tied else ("token_embd.weight",)
        floats = [name for name, (file, stored) in self.places.items() if len(file.shape(stored)) == 2 and name not in passed_over]
        if not self.quantized or not floats:
            return ()
        listed = ", ".join(floats[:5]) + (", ..." if len(floats) > 5 else "")
        return (f"{len(floats)} matrices of floats beside quantized ones are quantized to 8 bits with a scale per output: {listed}",)

    @cached_property
    def matrices(self) -> dict[str, QuantizedMatrix]:
        """Quantized matrices as they are stored, those of a composed one by its name and their suffixes."""
        return {
            name + suffix: matrix
            for name, stored in self.quantized.items()
            for suffix, matrix in (stored.matrices if isinstance(stored, ComposedMatrix) else {"": stored}).items()
        }

    @cached_property
    def made_vectors(self) -> dict[str, Callable[[], Floats]]:
        """Vectors that composed matrices bring along, alike."""
        composed = {name: stored for name, stored in self.quantized.items() if isinstance(stored, ComposedMatrix)}
        return {name + suffix: vector for name, stored in composed.items() for suffix, vector in stored.vectors.items()}

    @property
    def surroundings(self) -> dict[str, Surroundings]:
        """Layers around composed matrices, by the names of these."""
        return {name: stored.around for name, stored in self.quantized.items() if isinstance(stored, ComposedMatrix)}

    @cached_property
    def stacks(self) -> dict[str, dict[int, tuple[WeightsFile, str]]]:
        """Places of the matrices of experts, which are stored one by one: name of the stack -> number of the expert -> place."""
        found: dict[str, dict[int, tuple[WeightsFile, str]]] = {}
        for name, place in self.places.items():
            match = _STACKED.fullmatch(name)
            if match is not None:
                found.setdefault(match[1] + match[3], {})[int(match[2])] = place
        return found

    def _rows(self, name: str) -> Floats:
        """(outputs, inputs), of experts one below the other."""
        parts = self.stacks.get(name)
        block, _, part = name.removesuffix("_exps.weight").rpartition(".ffn_")
        both = f"{block}.{_GATE_UP}"
        if part in ("gate", "up") and both in self.places and parts is None:
            values = self._read(both)
            halves = values.reshape(values.shape[0], 2, -1, values.shape[-1])
            return halves[:, int(part == "up")].reshape(-1, values.shape[-1])
        if parts is None:
            values = self._read(name)
            return values.reshape(-1, values.shape[-1])
        stem = name.removesuffix(".weight")
        return np.concatenate([self._read(f"{stem}.{expert}.weight") for expert in sorted(parts)])

    def _read(self, name: str) -> Floats:
        file, stored = self.places[name]
        values = file.read(stored)
        if not np.isfinite(values).all():
            raise ImportModelError(f"{file.path}: tensor {stored!r} holds NaN or an infinity; allowed: finite numbers")
        return values


def import_folder(
    folder: Path, name: str, bind: Mapping[str, int], seed: int | None, activation_bits: Bits = 8, residual_bits: Bits = 8
) -> Trace:
    """Import a folder; with a seed its shapes and formats alone, for which its configuration will do.

    Raises
    ------
    ImportModelError
        The configuration is not understood, or the tensors are not those that it describes.
    """
    config = read_config(folder / "config.json")
    model, scheme = language_model_of(config), scheme_of(config)
    if scheme is not None and model.mixture is not None:
        raise config.refuse("quantization_config", "none: experts are read as floats")
    files = [open_weights(path) for path in sorted(folder.glob("*.safetensors"))]
    if not files and seed is not None and scheme is None:
        about = Description(name, seeded_source(seed), (), values=False)
        return decoder_trace(model, ShapesAlone(model), tokens_of(dict(bind), model), about, activation_bits, residual_bits)
    if not files:
        more = "" if scheme is not None else "; a config.json alone gives shapes, with a seed (--seed)"
        raise ImportModelError(f"{folder}: holds no file named *.safetensors{more}")
    if any(_UP_FIRST in name for file in files for name in file.names):
        model = replace(model, family=replace(model.family, fused=True, up_first=True))
    places, modules = _parted(_places(files, model), scheme)
    quantized = {name: scheme.matrix(module) for name, module in modules.items()} if scheme is not None else {}
    tensors = FolderTensors(places, 1.0 if model.family.scaled_embeddings else 0.0, quantized)
    rows = tensors.shapes.get("token_embd.weight", (model.vocabulary,))[0]
    if rows != model.vocabulary:
        raise config.refuse("vocab_size", f"{rows}, the rows of tensor 'model.embed_tokens.weight'")
    check_tensors(tensors.shapes, model.tensors(), str(folder))
    hashes = {file.path.name: file_sha256(file.path) for file in files} if seed is None else {}
    first, *others = hashes.items() or [("", "")]
    source = CheckpointSource(file=first[0], sha256=first[1]) if seed is None else seeded_source(seed)
    notes = [f"{file}: SHA-256 {digest}" for file, digest in others] + [*tensors.notes(model.tied), *(scheme.notes if scheme else ())]
    error = scheme.codebook_error(list(modules.values())) if scheme is not None and seed is None and modules else None
    if error is not None:
        lookup = next(iter(quantized.values())).format.decode_path().lookup
        bits = f"{lookup.element_bits} bits" if lookup else "integers"
        notes.append(f"codebooks of {len(modules)} matrices are requantized to {bits}, by up to {error:.2%} of their root mean square")
    about = Description(name, source, tuple(notes), values=seed is None)
    tokens = tokens_of(dict(bind), model)
    trace = decoder_trace(model, tensors, tokens, about, activation_bits, residual_bits, tensors.surroundings)
    return trace if error is None else with_metrics(trace, {CODEBOOK_ERROR: error})


def _places(files: list[WeightsFile], model: LanguageModel) -> dict[str, tuple[WeightsFile, str]]:
    """All tensors of a folder by GGUF's names; a tied head that is stored as well is passed over."""
    places: dict[str, tuple[WeightsFile, str]] = {}
    post = "post_attention_norm" if model.family.post_norms else "ffn_norm"
    names = {**_NAMES, "post_attention_layernorm": post}
    for file in files:
        for stored in sorted(file.names):
            name = _STACK.sub(r".ffn_\1_exps.weight", _OF_EXPERT.sub(_expert_name, stored))
            for module, known in names.items():
                name = name.replace(f"{module}.", f"{known}.")
            if name.endswith(_PASSED_OVER) or (model.tied and name.startswith("output.")):
                continue
            if name in places:
                raise ImportModelError(f"{file.path}: tensor {stored!r} is stored in {places[name][0].path.name} as well")
            places[name] = file, stored
    return places


def _expert_name(match: re.Match[str]) -> str:
    """Of an expert's matrix: that of their stack, and the number of the expert."""
    part = _EXPERT_PARTS.get(match[2])
    return match[0] if part is None else f".ffn_{part}_exps.{match[1]}."


def _parted(
    places: Mapping[str, tuple[WeightsFile, str]], scheme: Scheme | None
) -> tuple[dict[str, tuple[WeightsFile, str]], dict[str, QuantizedModule]]:
    """Tensors that stand for themselves, and the quantized modules that the others make up, by the names of their weights."""
    modules: dict[str, dict[str, tuple[WeightsFile, str]]] = {}
    for name, place in places.items():
        module, _, part = (name if scheme is None else scheme.tensor_name(name)).rpartition(".")
        modules.setdefault(module, {})[part] = place
    for module in [name for name in modules if scheme is not None and name.rpartition(".")[0] in modules]:  # modules within a module
        outer, _, inner = module.rpartition(".")
        if scheme is not None and scheme.quantizes(modules[outer]):
            modules[outer] |= {f"{inner}.{part}": place for part, place in modules.pop(module).items()}
    plain: dict[str, tuple[WeightsFile, str]] = {}
    quantized: dict[str, QuantizedModule] = {}
    for module, parts in modules.items():
        own = {part: place for part, place in parts.items() if part != "bias"} if scheme is not None and scheme.quantizes(parts) else {}
        if own:
            part, (_, tensor) = next(iter(own.items()))
            stored = (scheme.tensor_name(tensor) if scheme else tensor).removesuffix(f".{part}")
            quantized[f"{module}.weight"] = QuantizedModule(stored, own)
        plain |= {f"{module}.{part}": place for part, place in parts.items() if part not in own}
    return plain, quantized

"""From a GGUF file to a trace: the graph of its architecture, with its weights as stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.importers.from_gguf.file import RECIPE, GgufFile, open_gguf
from accelsim.importers.from_gguf.keys import language_model_of
from accelsim.importers.language_models.decoder_trace import Bits, Description, decoder_trace, tokens_of
from accelsim.importers.language_models.language_model import check_tensors
from accelsim.trace.manifest import CheckpointSource
from accelsim.trace.payload import file_sha256
from accelsim.trace.seeded import seeded_source
from accelsim.trace.trace import Trace

_OF_POSITIONS = ("rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight")  # no layer's own
_ONE_OUTPUT = ".ffn_gate_inp_shexp.weight"


def import_gguf(
    path: Path, name: str, bind: Mapping[str, int], seed: int | None, activation_bits: Bits = 8, residual_bits: Bits = 8
) -> Trace:
    """Import a file; with a seed its shapes and formats alone.

    Raises
    ------
    ImportModelError
        The file is not sound, or its tensors are not those that its keys describe.
    """
    file = open_gguf(path)
    model = language_model_of(file)
    found = {tensor: _shape(file, tensor) for tensor in file.tensors if tensor not in _OF_POSITIONS}
    check_tensors(found, model.tensors(), str(path))
    source = CheckpointSource(file=path.name, sha256=file_sha256(path)) if seed is None else seeded_source(seed)
    about = Description(name, source, _notes(file, model.tied), values=seed is None)
    return decoder_trace(model, file, tokens_of(dict(bind), model), about, activation_bits, residual_bits)


def _shape(file: GgufFile, tensor: str) -> tuple[int, ...]:
    """Its shape; the gate of a shared expert is a vector in some files, and a matrix of one output in others."""
    shape = file.shape(tensor)
    return (1, *shape) if tensor.endswith(_ONE_OUTPUT) and len(shape) == 1 else shape


def _notes(file: GgufFile, tied: bool) -> tuple[str, ...]:
    """The recipe of matrices of floats beside quantized ones."""
    passed_over = () if tied else ("token_embd.weight",)
    floats = [
        name
        for name in file.tensors
        if file.is_float(name) and (len(file.shape(name)) > 1 or name.endswith(_ONE_OUTPUT)) and name not in passed_over
    ]
    if file.all_floats or not floats:
        return ()
    listed = ", ".join(floats[:5]) + (", ..." if len(floats) > 5 else "")
    return (f"{len(floats)} matrices of floats beside quantized ones are quantized to {RECIPE.name} by the gguf package: {listed}",)

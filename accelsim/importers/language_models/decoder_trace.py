"""From a language model and its stored tensors to a trace: each matrix keeps the format and the bits that the file gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelsim.errors import FormatError, ImportModelError
from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.language_models.graph import DecoderGraph
from accelsim.importers.language_models.language_model import LanguageModel
from accelsim.importers.language_models.stored_tensors import Surroundings, TensorSource
from accelsim.ops.weight_record import StreamRecord, WeightRecord
from accelsim.registry import suggest
from accelsim.trace.layers import Layer
from accelsim.trace.manifest import Manifest, Source
from accelsim.trace.trace import Trace, with_payload

Bytes = npt.NDArray[np.uint8]
Bits = Literal[8, 16, 32]
TOKENS = "tokens"  # the one size of a language model that is free
DEFAULT_TOKENS = 128


@dataclass(frozen=True)
class Description:
    """A trace's name, the source of its weights and notes; without `values` shapes and formats alone are kept."""

    name: str
    source: Source
    notes: tuple[str, ...]
    values: bool


def tokens_of(bind: dict[str, int], model: LanguageModel) -> int:
    """Tokens of the prompt: bound by name, or the default, within the model's context."""
    unknown = next((name for name in bind if name != TOKENS), None)
    if unknown is not None:
        raise ImportModelError(f"--bind {unknown}: not a size of a language model; known: {TOKENS}{suggest(unknown, [TOKENS])}")
    tokens = bind.get(TOKENS, min(DEFAULT_TOKENS, model.context))
    if not 1 <= tokens <= model.context:
        raise ImportModelError(f"--bind {TOKENS}={tokens}; allowed: 1 to the model's context of {model.context}")
    return tokens


def decoder_trace(
    model: LanguageModel,
    tensors: TensorSource,
    tokens: int,
    about: Description,
    activation_bits: Bits,
    residual_bits: Bits,
    surroundings: Mapping[str, Surroundings] | None = None,
) -> Trace:
    """The trace of a prompt of `tokens` tokens; `surroundings` of the stored matrices that need any, by name.

    Raises
    ------
    ImportModelError
        A matrix that its format cannot take, or a value that is not finite.
    """
    graph = DecoderGraph(model, GraphBuilder(activation_bits, residual_bits), surroundings or {})
    output = graph.build(tokens)
    streams: dict[str, Bytes] = {}
    layers = tuple(_with_tensors(layer, graph, tensors, about.values, streams) for layer in graph.builder.layers)
    notes = (*_notes(model), *about.notes)
    manifest = Manifest(
        name=about.name, source=about.source, inputs=tuple(graph.builder.inputs), outputs=(output,), layers=layers, notes=notes
    )
    return with_payload(manifest, streams) if about.values else Trace(manifest)


def _notes(model: LanguageModel) -> tuple[str, ...]:
    scaled = ", times the root of their width" if model.family.scaled_embeddings else ""
    return (f"the input is the embeddings of the tokens{scaled}: rows of 'token_embd.weight', read at the bits of an activation",)


def _with_tensors(layer: Layer, graph: DecoderGraph, tensors: TensorSource, values: bool, streams: dict[str, Bytes]) -> Layer:
    """A layer with its stored weights and constants, whose bits are added to `streams`."""
    fields: dict[str, Any] = {}
    if layer.name in graph.weights:
        part = graph.weights[layer.name]
        stored = tensors.matrix(part.tensor, part.first, part.stop)
        records: dict[str, StreamRecord] = {}
        try:
            if values:
                table = stored.format.streams(stored.k, stored.n)
                for name, data in stored.format.pack(stored.read(), stored.k, stored.n).items():
                    records[name] = _kept(f"{layer.name}.{name}", table[name].total_bits, data, streams)
            fields["weight"] = WeightRecord(format=stored.format, k=stored.k, n=stored.n, streams=records)
        except FormatError as error:
            raise ImportModelError(f"{stored.where}: {error}") from None
    if values:
        constants = {name: tensors.vector(part.tensor) for name, part in graph.constants.get(layer.name, {}).items()}
        constants |= graph.computed.get(layer.name, {})
        if constants:
            fields["constants"] = {
                name: _kept(f"{layer.name}.{name}", 32 * vector.size, np.frombuffer(vector.astype("<f4").tobytes(), np.uint8), streams)
                for name, vector in constants.items()
            }
    return layer.with_fields(**fields) if fields else layer


def _kept(tensor: str, bits: int, data: Bytes, streams: dict[str, Bytes]) -> StreamRecord:
    record = StreamRecord.of(tensor, bits, data)
    streams[record.tensor] = data
    return record

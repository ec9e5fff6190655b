"""From a float trace to a packed trace, by a recipe: which layers take which format.

Each layer is encoded on its own, with a generator made of the recipe's seed and the layer's name, so that neither order nor
company changes a layer's bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from math import sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelsim.compress.encoder import Matrix, encode, encode_with, reconstruct
from accelsim.compress.shared_codebooks import Codebooks, Network, shared_codebooks
from accelsim.errors import FormatError, TraceError
from accelsim.formats.catalog import describe_format, parse_format
from accelsim.formats.weight_format import WeightFormat
from accelsim.trace.layers import WeightedLayer, WeightRecord
from accelsim.trace.manifest import CompressionRecord, Manifest, SeededSource
from accelsim.trace.seeded import float_weights, seeded_weights
from accelsim.trace.streams import StreamRecord
from accelsim.trace.trace import Trace, save_trace, with_payload

BLOCK_PATTERN = "*.[0-9]*.*"  # layers inside a numbered block: 'vit.layers.0.mlp.fc1', not 'classifier'
REST = "uniform:bits=8"
Bytes = npt.NDArray[np.uint8]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Rule:
    """Layers whose name matches a shell pattern take a format."""

    pattern: str
    format: WeightFormat


@dataclass(frozen=True)
class Recipe:
    """Rules in order: the first that matches a layer's name holds; a layer that none matches is an error."""

    rules: tuple[Rule, ...]
    seed: int = 0

    def format_of(self, layer: str) -> WeightFormat:
        """The format of a layer; FormatError if no rule matches."""
        for rule in self.rules:
            if fnmatchcase(layer, rule.pattern):
                return rule.format
        raise FormatError(f"no rule of the recipe matches layer {layer!r}; rules: {[rule.pattern for rule in self.rules]}")


@dataclass(frozen=True)
class LayerCompression:
    """What became of one layer.

    Attributes
    ----------
    weights
        Number of weights.
    paper_bits
        Bits of indices, signs, masks or raw weights: what papers count.
    stored_bits
        Bits of the layer's streams as stored, with its codebook, scales and byte padding; a codebook in the chip's ROM is no layer's.
    padding_bits
        Of these, what only fills the last bytes.
    squared_error, squared_norm, quantized_norm
        Sums of (W - Wq)^2, of W^2 and of Wq^2.
    """

    name: str
    format: str
    weights: int
    paper_bits: int
    stored_bits: int
    padding_bits: int
    squared_error: float
    squared_norm: float
    quantized_norm: float

    @property
    def paper_bits_per_weight(self) -> float:
        """Bits a weight as papers count them."""
        return self.paper_bits / self.weights

    @property
    def stored_bits_per_weight(self) -> float:
        """Bits a weight with everything."""
        return self.stored_bits / self.weights

    @property
    def compression_ratio(self) -> float:
        """Against float32, with everything."""
        return 32 * self.weights / self.stored_bits

    @property
    def relative_mse(self) -> float:
        """Sum of squared errors over the sum of squared weights."""
        return self.squared_error / self.squared_norm if self.squared_norm else 0.0

    @property
    def cosine(self) -> float:
        """Of the angle between the weights and what they became, each as one vector; 0 if one of them has no length."""
        both = sqrt(self.squared_norm * self.quantized_norm)
        return (self.squared_norm + self.quantized_norm - self.squared_error) / (2 * both) if both else 0.0

    @property
    def vector_loss(self) -> float:
        """VecQ's (arXiv 2005.08501): 1 - cosine, and the squared difference of the two lengths."""
        return 1 - self.cosine + (sqrt(self.squared_norm) - sqrt(self.quantized_norm)) ** 2


@dataclass(frozen=True)
class CompressionReport:
    """All layers, and sums over them."""

    layers: tuple[LayerCompression, ...]

    @property
    def total(self) -> LayerCompression:
        """The whole model's weights."""
        return _sum("total", self.layers)

    @property
    def by_format(self) -> dict[str, LayerCompression]:
        """Sums over the layers of each format: the compressed matrices apart from those left at 8 bit."""
        kinds = dict.fromkeys(layer.format for layer in self.layers)
        return {kind: _sum(kind, tuple(layer for layer in self.layers if layer.format == kind)) for kind in kinds}


def make_recipe(format_text: str, pattern: str | None = None, seed: int = 0) -> Recipe:
    """The usual recipe: one format for the layers that match `pattern`, int8 for the others.

    Without a pattern a uniform format goes to all layers, and any other to those inside numbered blocks: patch embedding and
    classifier stay at 8 bit, as the SSVQ paper has it.

    Raises
    ------
    FormatError
        The text describes no format.
    """
    spec = parse_format(format_text)
    chosen = pattern or ("*" if spec.kind == "uniform" else BLOCK_PATTERN)
    return Recipe((Rule(chosen, spec), Rule("*", parse_format(REST))), seed)


def compress_trace(
    trace: Trace,
    recipe: Recipe,
    out: Path | str | None = None,
    *,
    payload: bool = True,
    name: str | None = None,
    companions: Sequence[Trace] = (),
    progress: Progress | None = None,
) -> tuple[Trace, CompressionReport]:
    """Encode every weight matrix of a float trace.

    Parameters
    ----------
    trace
        A float trace, with payload or seeded.
    recipe
        Which layers take which format.
    out
        Directory to write; None returns the trace only.
    payload
        False writes the manifest alone: checksums stay, and `materialize` regenerates the bits if the trace is seeded.
    name
        Name of the result; by default the directory's.
    companions
        Other float traces, on which a codebook that networks share is drawn too, by the same recipe.
    progress
        Called as (layers done, layers in all, layer about to be encoded).

    Returns
    -------
    The packed trace, with its payload in memory whatever `payload` says, and the report.

    Raises
    ------
    TraceError, FormatError
        Not a float trace, a format that does not fit a layer, weights that are not finite; `out` cannot be written.
    """
    if not payload and not isinstance(trace.manifest.source, SeededSource):
        raise TraceError(f"trace {trace.name!r} is not seeded: without its payload its weights would be lost")
    if not payload and companions:
        raise TraceError(f"trace {trace.name!r} shares a codebook with {companions[0].name!r}: without its payload it would be lost")
    weighted = trace.weighted_layers()
    networks = {item.sha256: item for item in (trace, *companions)}
    shared = shared_codebooks([_network(networks[key], recipe) for key in sorted(networks)], recipe.seed)
    tensors = {
        record.tensor: trace.payload.read(record.tensor) for layer in trace.layers for record in layer.constants.values() if trace.payload
    }
    done: dict[str, WeightedLayer] = {}
    rows: list[LayerCompression] = []
    for position, layer in enumerate(weighted):
        if progress is not None:
            progress(position, len(weighted), layer.name)
        try:
            spec = recipe.format_of(layer.name)
            record, streams, row = _compress_layer(layer, spec, float_weights(trace, layer.name), recipe.seed, shared)
        except FormatError as error:
            raise FormatError(f"trace {trace.name!r}, layer {layer.name!r}: {error}") from None
        tensors.update(streams)
        done[layer.name] = layer.with_fields(weight=record)
        rows.append(row)
    origin = CompressionRecord(
        rules=tuple((rule.pattern, describe_format(rule.format)) for rule in recipe.rules),
        seed=recipe.seed,
        float_trace_sha256=trace.sha256,
    )
    fields = {field: getattr(trace.manifest, field) for field in type(trace.manifest).model_fields}
    fields |= {
        "name": name or (Path(out).name if out is not None else f"{trace.name}_{recipe.rules[0].format.kind}"),
        "layers": tuple(done.get(layer.name, layer) for layer in trace.layers),
        "payload": None,
        "compression": origin,
    }
    manifest = Manifest(**fields)
    packed = with_payload(manifest, tensors)
    if out is not None:
        save_trace(packed if payload else Trace(manifest), out)
    return packed, CompressionReport(tuple(rows))


def materialize(trace: Trace) -> Trace:
    """The trace with its payload: as it is if it has one, else regenerated from its seed by the same encoders (NumPy and Numba only).

    Raises
    ------
    TraceError
        The weights come from a checkpoint, or the regenerated bits differ from the checksums in the manifest.
    """
    if trace.has_payload:
        return trace
    source, origin = trace.manifest.source, trace.manifest.compression
    if not isinstance(source, SeededSource):
        raise TraceError(f"trace {trace.name!r} has no payload, and its weights come from {source.file!r}: they cannot be regenerated")
    if origin is None:
        raise TraceError(f"trace {trace.name!r} is a float trace: compress it first")
    tensors: dict[str, Bytes] = {}
    load = {
        layer.name: partial(seeded_weights, source.seed, layer.name, layer.weight.k, layer.weight.n) for layer in trace.weighted_layers()
    }
    network = [(layer.weight.format, Matrix(layer.weight.k, layer.weight.n, load[layer.name])) for layer in trace.weighted_layers()]
    shared = shared_codebooks([network], origin.seed)
    for layer in trace.weighted_layers():
        weights = load[layer.name]()
        record, streams, _ = _compress_layer(layer, layer.weight.format, weights, origin.seed, shared)
        if layer.weight.streams and record.streams != layer.weight.streams:
            raise TraceError(f"trace {trace.name!r}, layer {layer.name!r}: regenerated weights differ from the manifest's checksums")
        tensors.update(streams)
    return with_payload(trace.manifest, tensors)


def _network(trace: Trace, recipe: Recipe) -> Network:
    """The layers of a float trace with the formats that a recipe gives them."""
    return [
        (recipe.format_of(layer.name), Matrix(layer.weight.k, layer.weight.n, partial(float_weights, trace, layer.name)))
        for layer in trace.weighted_layers()
    ]


def _compress_layer(
    layer: WeightedLayer, spec: WeightFormat, weights: npt.NDArray[np.float32], seed: int, shared: Codebooks
) -> tuple[WeightRecord, dict[str, Bytes], LayerCompression]:
    """Encode, pack and measure one matrix; the streams are keyed by tensor."""
    k, n = weights.shape
    if spec in shared:
        arrays = encode_with(spec, weights, shared[spec])
    else:
        draw = np.random.SeedSequence([seed, zlib.crc32(layer.name.encode())])
        arrays = encode(spec, weights, np.random.Generator(np.random.PCG64(draw)))
    packed = spec.pack(arrays, k, n)
    table = spec.streams(k, n)
    own = [stream for stream in table.values() if not stream.shared]
    records = {
        stream: StreamRecord.of(f"{describe_format(spec) if table[stream].shared else layer.name}.{stream}", table[stream].total_bits, data)
        for stream, data in packed.items()
    }
    exact, quantized = weights.astype(np.float64), reconstruct(spec, arrays, k, n)
    row = LayerCompression(
        name=layer.name,
        format=describe_format(spec),
        weights=k * n,
        paper_bits=sum(stream.total_bits for stream in table.values() if stream.in_paper_count),
        stored_bits=8 * sum(stream.bytes for stream in own),
        padding_bits=sum(8 * stream.bytes - stream.total_bits for stream in own),
        squared_error=float(((exact - quantized) ** 2).sum()),
        squared_norm=float((exact**2).sum()),
        quantized_norm=float((quantized**2).sum()),
    )
    record = WeightRecord(format=spec, k=k, n=n, streams=records)
    return record, {records[stream].tensor: data for stream, data in packed.items()}, row


def _sum(name: str, layers: tuple[LayerCompression, ...]) -> LayerCompression:
    return LayerCompression(
        name=name,
        format=", ".join(dict.fromkeys(layer.format for layer in layers)),
        weights=sum(layer.weights for layer in layers),
        paper_bits=sum(layer.paper_bits for layer in layers),
        stored_bits=sum(layer.stored_bits for layer in layers),
        padding_bits=sum(layer.padding_bits for layer in layers),
        squared_error=sum(layer.squared_error for layer in layers),
        squared_norm=sum(layer.squared_norm for layer in layers),
        quantized_norm=sum(layer.quantized_norm for layer in layers),
    )

"""From a float trace to a packed trace, by a recipe: which layers take which format.

Each layer is encoded on its own, with a generator made of the recipe's seed and the layer's name, so that neither order nor
company changes a layer's bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelsim.compression.compression_report import CompressionReport, LayerCompression
from accelsim.compression.encoder import Codebook, Matrix, encode, encode_with, find_encoder, layer_generator, reconstruct
from accelsim.compression.given_arrays import Arrays, Completed, GivenArrays, check_layers, completed, given_notes
from accelsim.compression.recipe import MatrixShape, Recipe, Rule, check_fit, make_recipe
from accelsim.compression.shared_codebooks import Codebooks, NetworkMatrices, shared_codebooks
from accelsim.errors import FormatError, TraceError
from accelsim.formats.catalog import describe_format
from accelsim.formats.weight_format import CODEBOOK, WeightFormat
from accelsim.ops.weight_record import StreamRecord
from accelsim.progress import Progress
from accelsim.trace.layers import WeightedLayer, WeightRecord
from accelsim.trace.manifest import CODEBOOK_ERROR, CompressionRecord, SeededSource
from accelsim.trace.seeded import float_weights, seeded_weights
from accelsim.trace.trace import Trace, check_replaceable_trace, save_trace, with_payload

__all__ = ["CompressionReport", "Recipe", "Rule", "compress_trace", "make_recipe", "materialize"]

Bytes = npt.NDArray[np.uint8]


def compress_trace(
    trace: Trace,
    recipe: Recipe,
    out: Path | str | None = None,
    *,
    payload: bool = True,
    name: str | None = None,
    companions: Sequence[Trace] = (),
    given: GivenArrays | None = None,
    progress: Progress | None = None,
) -> tuple[Trace, CompressionReport]:
    """Encode every weight matrix of a float trace.

    Parameters
    ----------
    trace
        A float trace, with payload or seeded.
    recipe
        Which layers take which format; each of its patterns must decide about a layer of this trace or of a companion.
    out
        Directory to write; None returns the trace only.
    payload
        False writes the manifest alone: checksums are kept, and `materialize` regenerates the bits if the trace is seeded.
    name
        Name of the result; by default the directory's.
    companions
        Other float traces, on which a codebook that networks share is drawn too, by the same recipe.
    given
        Layer -> arrays of its format, which are packed in place of an encoder's.
    progress
        Called before each layer as (phase, layers done, layers in all).

    Returns
    -------
    The packed trace, with its payload in memory whatever `payload` says and the report's metrics in its manifest, and the report.

    Raises
    ------
    TraceError, FormatError
        Not a float trace, a pattern that matches nothing, a format that does not fit a layer, weights that are not finite or
        differ from their checksums; `out` cannot be written, or is a float trace's own directory.
    """
    if not payload and not isinstance(trace.manifest.source, SeededSource):
        raise TraceError(f"trace {trace.name!r} is not seeded: without its payload its weights would be lost")
    if not payload and companions:
        raise TraceError(f"trace {trace.name!r} shares a codebook with {companions[0].name!r}: without its payload it would be lost")
    title = name or (Path(out).name if out is not None else f"{trace.name}_{recipe.main.kind}")
    trace.manifest.with_fields(name=title)  # fails before minutes of work
    given = given or {}
    _check_request(trace, companions, given, payload)
    networks = {item.sha256: item for item in (trace, *companions)}
    if out is not None:
        _check_out(Path(out), (trace, *companions))
    for item in (trace, *companions):
        if item.has_payload:
            item.verify_payload()
    weighted = trace.weighted_layers()
    check_layers(given, [layer.name for layer in weighted])
    for rule in () if given else recipe.rules:
        find_encoder(rule.format)  # fails before minutes of work
    recipe = recipe.settled([[MatrixShape.of(layer) for layer in item.weighted_layers()] for item in (trace, *companions)])
    for item in (trace, *companions):
        for layer in item.weighted_layers():
            with _naming(item, layer):
                check_fit(MatrixShape.of(layer), recipe.format_of(layer.name))
    own = {layer.name: _completed(trace, layer, recipe, given) for layer in weighted if layer.name in given}
    known = _given_codebooks(own, recipe)
    others = [[item for item in _network(networks[key], recipe) if item[0] not in known] for key in sorted(networks)]
    shared = {**shared_codebooks(others, recipe.seed), **known}
    if companions and not shared:
        raise FormatError(f"trace {companions[0].name!r} shares nothing: no layer takes a format whose codebook networks share")
    tensors = {
        record.tensor: trace.payload.read(record.tensor) for layer in trace.layers for record in layer.constants.values() if trace.payload
    }
    measured = not isinstance(trace.manifest.source, SeededSource)
    errors = [item.error for item in own.values() if item.error is not None]
    done: dict[str, WeightedLayer] = {}
    rows: list[LayerCompression] = []
    for position, layer in enumerate(weighted):
        if progress is not None:
            progress("layers encoded", position, len(weighted))
        with _naming(trace, layer):
            weights = float_weights(trace, layer.name)
            spec = recipe.format_of(layer.name)
            arrays = own[layer.name].arrays if layer.name in own else _encoded(layer.name, spec, weights, recipe.seed, shared)
            record, streams, row = _packed(layer, spec, arrays, weights if measured or layer.name not in own else None)
        tensors.update(streams)
        done[layer.name] = layer.with_fields(weight=record)
        rows.append(row)
    origin = CompressionRecord(
        rules=tuple((rule.pattern, describe_format(rule.format)) for rule in recipe.rules),
        seed=recipe.seed,
        float_trace_sha256=trace.sha256,
    )
    report = CompressionReport(
        tuple(rows),
        rest=describe_format(recipe.rest) if recipe.rest is not None else None,
        other_parameters=trace.parameters - sum(layer.weight.count for layer in weighted),
        other_bits=sum(8 * layer.parameter_bytes for layer in trace.layers)
        + 32 * sum(sum(layer.constant_sizes.values()) for layer in weighted),
    )
    manifest = trace.manifest.with_fields(
        name=title,
        layers=tuple(done.get(layer.name, layer) for layer in trace.layers),
        payload=None,
        notes=(*trace.manifest.notes, *recipe.notes, *given_notes(given, errors, measured)),
        compression=origin,
        metrics={**report.metrics(), **({CODEBOOK_ERROR: max(errors)} if errors else {})},
    )
    packed = with_payload(manifest, tensors)
    if out is not None:
        save_trace(packed if payload else Trace(manifest), out)
    return packed, report


def materialize(trace: Trace, progress: Progress | None = None) -> Trace:
    """The trace with its payload: as it is if it has one, else regenerated from its seed by the same encoders (NumPy and Numba only).

    A trace of shapes alone, without checksums, gets those of the bits. `progress` is called as by `compress_trace`.

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
    done: dict[str, WeightedLayer] = {}
    weighted = trace.weighted_layers()
    load = {layer.name: partial(seeded_weights, source.seed, layer.name, layer.weight.k, layer.weight.n) for layer in weighted}
    network = [(layer.weight.format, Matrix(layer.weight.k, layer.weight.n, load[layer.name])) for layer in weighted]
    shared = shared_codebooks([network], origin.seed)
    for position, layer in enumerate(weighted):
        if progress is not None:
            progress("layers regenerated", position, len(weighted))
        weights = load[layer.name]()
        arrays = _encoded(layer.name, layer.weight.format, weights, origin.seed, shared)
        record, streams, _ = _packed(layer, layer.weight.format, arrays, weights)
        if layer.weight.streams and record.streams != layer.weight.streams:
            raise TraceError(f"trace {trace.name!r}, layer {layer.name!r}: regenerated weights differ from the manifest's checksums")
        tensors.update(streams)
        done[layer.name] = layer.with_fields(weight=record)
    return with_payload(trace.manifest.with_fields(layers=tuple(done.get(layer.name, layer) for layer in trace.layers)), tensors)


def _check_request(trace: Trace, companions: Sequence[Trace], given: GivenArrays, payload: bool) -> None:
    """TraceError for a payload that could not be made again, or a network that is given twice."""
    if not payload and not isinstance(trace.manifest.source, SeededSource):
        raise TraceError(f"trace {trace.name!r} is not seeded: without its payload its weights would be lost")
    if not payload and given:
        raise TraceError(f"trace {trace.name!r} is given arrays: without its payload they would be lost")
    if not payload and companions:
        raise TraceError(f"trace {trace.name!r} shares a codebook with {companions[0].name!r}: without its payload it would be lost")
    if len({item.sha256 for item in (trace, *companions)}) <= len(companions):
        raise TraceError(f"trace {trace.name!r}: a network is given twice; allowed beside it: other networks that share its codebook")


def _check_out(out: Path, sources: Sequence[Trace]) -> None:
    """Fail before the work if `out` is taken, or is the directory of a float trace."""
    check_replaceable_trace(out)
    for trace in sources:
        if trace.directory is not None and out.resolve() == trace.directory.resolve():
            raise TraceError(f"{out}: holds the float trace {trace.name!r}, whose weights would be lost; allowed: another directory")


@contextmanager
def _naming(trace: Trace, layer: WeightedLayer) -> Iterator[None]:
    """Prefix a format's errors with the names of trace and layer."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"trace {trace.name!r}, layer {layer.name!r}: {error}") from None


def _network(trace: Trace, recipe: Recipe) -> NetworkMatrices:
    """The layers of a float trace with the formats that a recipe gives them."""
    return [
        (recipe.format_of(layer.name), Matrix(layer.weight.k, layer.weight.n, partial(float_weights, trace, layer.name)))
        for layer in trace.weighted_layers()
    ]


def _completed(trace: Trace, layer: WeightedLayer, recipe: Recipe, given: GivenArrays) -> Completed:
    """A layer's given arrays, checked against the format that the recipe gives it."""
    spec, k, n = recipe.format_of(layer.name), layer.weight.k, layer.weight.n
    with _naming(trace, layer):
        found = completed(spec, given[layer.name], k, n)
        spec.pack(found.arrays, k, n)
    return found


def _given_codebooks(own: Mapping[str, Completed], recipe: Recipe) -> dict[WeightFormat, Codebook]:
    """The codebook of each shared format that given arrays hold; FormatError if two layers have different ones."""
    found: dict[WeightFormat, Codebook] = {}
    for name, item in own.items():
        spec = recipe.format_of(name)
        if spec.codebook_scope == "shared" and CODEBOOK in item.arrays:  # blocks of GGUF leave the grid to the chip
            codebook = item.arrays[CODEBOOK]
            if not np.array_equal(found.setdefault(spec, codebook), codebook):
                raise FormatError(
                    f"layer {name!r}: its codebook of {describe_format(spec)!r} differs from that of a layer before; allowed: one"
                )
    return found


def _encoded(name: str, spec: WeightFormat, weights: npt.NDArray[np.float32], seed: int, shared: Codebooks) -> Arrays:
    """The arrays of an encoder."""
    return encode_with(spec, weights, shared[spec]) if spec in shared else encode(spec, weights, layer_generator(seed, name))


def _packed(
    layer: WeightedLayer, spec: WeightFormat, arrays: Arrays, weights: npt.NDArray[np.float32] | None
) -> tuple[WeightRecord, dict[str, Bytes], LayerCompression]:
    """Pack one matrix, and measure it against its float weights, if there are any; the streams are keyed by tensor."""
    k, n = layer.weight.k, layer.weight.n
    spec = spec.fitted(arrays, k, n)
    packed = spec.pack(arrays, k, n)
    table, bits = spec.streams(k, n), spec.bit_count(k, n)
    owners = {part: describe_format(spec) if stream.place == "chip" else layer.name for part, stream in table.items()}
    records = {part: StreamRecord.of(f"{owners[part]}.{part}", table[part].total_bits, data) for part, data in packed.items()}
    quantized = reconstruct(spec, arrays, k, n)
    exact = quantized if weights is None else weights.astype(np.float64)
    row = LayerCompression(
        name=layer.name,
        format=describe_format(spec),
        weights=k * n,
        paper_bits=bits.paper,
        stored_bits=bits.stored,
        padding_bits=bits.padding,
        squared_error=float(((exact - quantized) ** 2).sum()),
        squared_norm=float((exact**2).sum()),
        quantized_norm=float((quantized**2).sum()),
    )
    record = WeightRecord(format=spec, k=k, n=n, streams=records)
    return record, {records[stream].tensor: data for stream, data in packed.items()}, row

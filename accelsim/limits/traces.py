"""Parts of a network as traces of their own: what a closed form speaks of, and the steps of a walk from there to the whole.

Disputable assumption: a matrix product that stands alone finds its rows in the activation buffer, put there by the host.
"""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.errors import TraceError
from accelsim.trace.layers import ConvLayer, GemmLayer, WeightedLayer
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.shapes import LoopBounds, TensorShape
from accelsim.trace.streams import WeightRecord
from accelsim.trace.trace import Trace


def compressed_matrices(baseline: Trace, other: Trace) -> tuple[str, ...]:
    """Names of the layers whose weights are in another format than in the baseline: the "block matrices" of the papers.

    Raises
    ------
    TraceError
        There are none.
    """
    formats = {layer.name: layer.weight.format for layer in baseline.weighted_layers()}
    names = tuple(layer.name for layer in other.weighted_layers() if formats.get(layer.name, layer.weight.format) != layer.weight.format)
    if not names:
        raise TraceError(f"traces {baseline.name!r} and {other.name!r} store every layer in the same format: there is nothing to compare")
    return names


def products_alone(trace: Trace, names: Iterable[str] | None = None) -> Trace:
    """The layers with weights (those of `names`, or all) without what lies between them: each multiplies a model input."""
    chosen = None if names is None else set(names)
    layers = [_as_gemm(layer) for layer in trace.weighted_layers() if chosen is None or layer.name in chosen]
    return _network(f"{trace.name}, products alone", trace, layers)


def stacked(trace: Trace, names: Iterable[str], parts: int, columns: int, rows: int) -> Trace:
    """The weights of `names` as `parts` equal matrices of `columns` columns, each multiplied by `rows` rows.

    The same bits and as many MACs a row as the matrices themselves, but the array is full and hardly a scale, bias or codebook
    is left beside them: a matrix carries 8 bytes a column of those, and there are few columns.

    Raises
    ------
    TraceError
        The weights do not divide so, or the layers differ in format.
    """
    chosen = [trace.layer(name) for name in names]
    layers = [layer for layer in chosen if isinstance(layer, WeightedLayer)]
    formats = {str(layer.weight.format) for layer in layers}
    weights = sum(layer.weight.count for layer in layers)
    depth, rest = divmod(weights, parts * columns)
    if len(formats) != 1 or rest:
        raise TraceError(
            f"trace {trace.name!r}: {weights} weights in {len(formats)} formats do not make {parts} matrices of {columns} columns"
            f"; allowed: one format, a multiple of {parts * columns}"
        )
    record = WeightRecord(format=layers[0].weight.format, k=depth, n=columns)
    return _network(f"{trace.name}, stacked", trace, [_gemm(f"stack.{number}", rows, record) for number in range(parts)])


def _as_gemm(layer: WeightedLayer) -> GemmLayer:
    """A layer with weights as the matrix product that the array computes."""
    if isinstance(layer, ConvLayer) and layer.bounds.G > 1:
        raise TraceError(f"layer {layer.name!r}: a grouped convolution is not one matrix product")
    record = WeightRecord(format=layer.weight.format, k=layer.weight.k, n=layer.weight.n)
    return _gemm(layer.name, layer.m, record)


def _gemm(name: str, rows: int, record: WeightRecord) -> GemmLayer:
    return GemmLayer(
        name=name,
        inputs=(_input(rows, record.k).name,),
        output=TensorShape(rows=rows, width=record.n),
        bounds=LoopBounds(K=record.n, C=record.k, OX=rows),
        weight=record,
    )


def _input(rows: int, width: int) -> ModelInput:
    return ModelInput(name=f"rows {rows} x {width}", shape=TensorShape(rows=rows, width=width))


def _network(name: str, trace: Trace, layers: list[GemmLayer]) -> Trace:
    inputs = {(layer.m, layer.k): _input(layer.m, layer.k) for layer in layers}
    return Trace(
        Manifest(
            name=name,
            source=trace.manifest.source,
            inputs=tuple(inputs.values()),
            outputs=tuple(layer.name for layer in layers),
            layers=tuple(layers),
        )
    )

"""Parts of a network as separate traces: the matrices of a closed form, and the steps of a walk from there to the whole.

Disputable assumption: a stand-alone matrix product finds its rows in the activation buffer, placed there by the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from accelsim.errors import TraceError
from accelsim.ops.shapes import LoopBounds, TensorShape
from accelsim.ops.weight_record import WeightRecord
from accelsim.trace.layers import GemmLayer, WeightedLayer
from accelsim.trace.manifest import Manifest, ModelInput
from accelsim.trace.trace import Trace

PARTS = 12  # matrices of a stack, where their number divides the weights: one per block of DeiT-tiny


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
        raise TraceError(f"traces {baseline.name!r} and {other.name!r} store every layer in the same format; give two that differ")
    return names


def products_alone(trace: Trace, names: Iterable[str] | None = None) -> Trace:
    """The layers with weights (those of `names`, or all) without the layers between them: each multiplies a model input."""
    chosen = None if names is None else set(names)
    layers = [_as_gemm(layer) for layer in trace.weighted_layers() if chosen is None or layer.name in chosen]
    return _network(f"{trace.name}, products alone", trace, layers)


def stacked(trace: Trace, names: Iterable[str], array_columns: int, rows: int) -> Trace:
    """The weights of `names` as a few equal, narrow matrices, each multiplied by `rows` rows.

    The same bits and as many MACs per row as the matrices themselves, but the array is full and hardly a scale, bias or codebook
    is left beside them: a matrix carries 8 bytes per column of those, and there are few columns.

    Parameters
    ----------
    array_columns : of the array; a matrix has as many where that divides the weights, else the largest number that divides both

    Raises
    ------
    TraceError
        The layers differ in format.
    """
    chosen = set(names)
    layers = [layer for layer in trace.weighted_layers() if layer.name in chosen]
    formats = list(dict.fromkeys(str(layer.weight.format) for layer in layers))
    if len(formats) != 1:
        raise TraceError(f"trace {trace.name!r}: layers in formats {formats} cannot be stacked; allowed: one format")
    weights = sum(layer.weight.count for layer in layers)
    columns = gcd(array_columns, weights)
    parts = gcd(PARTS, weights // columns)
    record = WeightRecord(format=layers[0].weight.format, k=weights // columns // parts, n=columns)
    return _network(f"{trace.name}, stacked", trace, [_gemm(f"stack.{number}", rows, record) for number in range(parts)])


def _as_gemm(layer: WeightedLayer) -> GemmLayer:
    """A layer with weights as the matrix product that the array computes."""
    if layer.bounds.G > 1:
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

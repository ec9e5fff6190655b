"""The functional check: every product of a trace, decoded out of its DRAM image and multiplied, against an independent twin.

Pools are read window by window as the vector unit does, up to the requantization (which divides a sum). Activations are drawn for each
layer, so that each is checked separately, over all of int8, or of the wider type of its rows; `accelsim.execution` computes a network as a
whole. Accumulators have `array.psum_bits` bits and wrap; a sum that overflows them is a difference. Outputs of softmax are drawn as int8
too, although a machine has them unsigned.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.accelerator import Accelerator
from accelsim.compiler.core_splits import Split
from accelsim.compiler.geometry import activation_geometry, weight_geometry
from accelsim.compiler.image import tile_of_weight
from accelsim.compiler.place_on_cores import splits_of
from accelsim.compiler.target import Target, target_of
from accelsim.compression.compress_trace import materialize
from accelsim.errors import CompileError
from accelsim.functional.accumulators import describe_overflow
from accelsim.functional.cores import core_products, joined
from accelsim.functional.groups import check_sum_width
from accelsim.functional.products import Product, Rows, Source, Tamper, decoded, head_products, panels, run_panel, weighted_products
from accelsim.functional.row_passes import byte_passes
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.stripe import Float32
from accelsim.ops.weight_record import locate_corruption
from accelsim.progress import Progress
from accelsim.trace.layers import MacLayer, VectorLayer, WeightedLayer
from accelsim.trace.manifest import CODEBOOK_ERROR
from accelsim.trace.trace import Trace


@dataclass(frozen=True)
class LayerCheck:
    """The outcome of one layer.

    Attributes
    ----------
    tiles : decoded and compared, over all groups or heads; 0 for a pool
    message : "bit-exact", or the position and kind of the difference
    """

    name: str
    op: str
    ok: bool
    tiles: int
    message: str


@dataclass(frozen=True)
class FunctionalReport:
    """All layers that multiply, and all pools, in the trace's order.

    Attributes
    ----------
    codebook_error
        Of codebooks that were floats before they became the chip's integers, the largest of all matrices, relative to their root mean
        square; None if there were none, or none is on record.
    """

    layers: tuple[LayerCheck, ...]
    codebook_error: float | None = None

    def __repr__(self) -> str:
        return f"<FunctionalReport: {sum(layer.ok for layer in self.layers)} of {len(self.layers)} layers bit-exact>"

    @property
    def ok(self) -> bool:
        """Every layer is bit-exact."""
        return all(layer.ok for layer in self.layers)


def check_functional(
    accelerator: Accelerator, *traces: Trace, seed: int = 0, progress: Progress | None = None, tamper: Tamper | None = None
) -> FunctionalReport:
    """Decode and multiply every layer of a trace as the machine does, and compare with the twin.

    Parameters
    ----------
    traces
        One network, or several, whose layers the report then calls 'network/layer'.
    seed
        Of the activations, together with each layer's name.
    progress
        Called as (label, layers done, total layers).
    tamper
        Given a layer's name and its image, returns the image that is decoded; lets a test flip a bit.

    Raises
    ------
    TraceError
        The trace has no payload and none can be regenerated.
    CompileError
        A layer does not fit the accelerator, or its format holds what the core does not compute with.
    """
    check_computable(*traces)
    wholes = [materialize(trace, progress) for trace in traces]
    target = target_of(accelerator, wholes)
    splits = {whole.name: splits_of(target, whole) for whole in wholes} if target.splits_layers else {}
    layers = [(whole, layer) for whole in wholes for layer in whole.layers if layer.exact]
    checks: list[LayerCheck] = []
    for done, (whole, layer) in enumerate(layers):
        if progress is not None:
            progress("functional check", done, len(layers))
        rng = np.random.default_rng([seed, zlib.crc32(layer.name.encode())])
        check = (
            multiply_layer(
                target, accelerator.array.psum_bits, whole, layer.product, _drawn(rng, whole, layer), tamper, _split(splits, whole, layer)
            )[0]
            if layer.product is not None
            else _check_sums(layer, whole.shapes[layer.inputs[0]].rows, rng)
        )
        checks.append(check if len(wholes) == 1 else replace(check, name=f"{whole.name}/{check.name}"))
    if progress is not None:
        progress("functional check", len(layers), len(layers))
    return FunctionalReport(tuple(checks), codebook_error(*traces))


def _split(splits: Mapping[str, Mapping[str, Split]], trace: Trace, layer: MacLayer | VectorLayer) -> Split | None:
    """How cores share a layer; None where there is one core, or where one has all of it."""
    split = splits[trace.name].get(layer.name) if splits else None
    return None if split is None or split.is_whole else split


def codebook_error(*traces: Trace) -> float | None:
    """See `FunctionalReport`."""
    return max((trace.manifest.metrics[CODEBOOK_ERROR] for trace in traces if CODEBOOK_ERROR in trace.manifest.metrics), default=None)


def check_computable(*traces: Trace) -> None:
    """Refuse weights that the machine loads whole but cannot multiply: their format's table has a header that no part of its path reads.

    Raises
    ------
    CompileError
        Names the layer, the format and the stream.
    """
    for trace in traces:
        for layer in trace.products():
            if layer.not_checked:
                raise CompileError(
                    f"layer {layer.name!r}: the functional check {layer.not_checked}; allowed: the same run without --functional"
                )
        for layer in trace.weighted_layers():
            weight = layer.weight
            known = {part.stream for part in weight.format.decode_path().group_parts}
            for name, stream in weight.format.side_data(weight.k, weight.n).items():
                if name not in known:
                    raise CompileError(
                        f"layer {layer.name!r} ({weight.format.kind}): the functional check cannot apply the {stream.count} values of "
                        f"stream {name!r}, which no scale or offset of its decode path names; allowed: the same run without --functional"
                    )


def multiply_layer(
    target: Target,
    psum_bits: int,
    trace: Trace,
    layer: MacLayer,
    source: Source,
    tamper: Tamper | None = None,
    split: Split | None = None,
) -> tuple[LayerCheck, list[npt.NDArray[Any]]]:
    """Compute a product as the array does, and compare it with the twin.

    Parameters
    ----------
    split
        How several cores share it; None: one core decodes the image of the whole layer.

    Returns
    -------
    The comparison, and the sums (rows of all samples, N) of each group or tile of groups, or of each head of each sample in turn: as the
    array leaves them, right or wrong; none if a stream is corrupted.
    """
    weighted, heads = layer.weighted, layer.head_product
    if weighted is not None:
        geometry = weight_geometry(target, decoded(weighted))
        part = geometry.mapping.part
        corrupted = _corruption(trace, weighted, geometry)
        if corrupted is not None:
            return LayerCheck(layer.name, layer.op, False, 0, corrupted), []
        if geometry.scales:
            check_sum_width(psum_bits, weighted, trace.shapes[layer.inputs[0]].bits)
        own_images = split is not None and split.how == "stripes"
        products = weighted_products(geometry, trace, weighted, source, None if own_images else tamper)
    else:
        assert heads is not None  # a product of the array has weights or heads
        geometry, part = activation_geometry(target, heads.transposed_b), "head"
        products = head_products(geometry, trace, heads, source, tamper)
    tiles, error, wrong = 0, 0.0, None
    found: list[npt.NDArray[Any]] = []
    for index, item in enumerate(products):
        error = max(error, item.float_error)
        sums, problem = _multiply_on_cores(geometry, trace, weighted, item, psum_bits, split, tamper)
        found.append(sums)
        if wrong is None and problem is not None:
            where = f", {part} {index % layer.bounds.G}" if layer.bounds.G > 1 and part else ""
            wrong = f"layer {layer.name!r}{where}, {problem}"
        if wrong is None:
            tiles += -(-item.weights.shape[1] // geometry.cols) * geometry.tile_count(layer.k)
    rounding = f"; float32 sums within {error:.1e} of float64" if geometry.scales else ""
    return LayerCheck(layer.name, layer.op, wrong is None, tiles, wrong or f"bit-exact{rounding}"), found


def _multiply_on_cores(
    geometry: CoreGeometry,
    trace: Trace,
    layer: WeightedLayer | None,
    item: Product,
    psum_bits: int,
    split: Split | None,
    tamper: Tamper | None,
) -> tuple[npt.NDArray[Any], str | None]:
    """As `_multiply`; where cores share the layer, each computes its part, and the sums are those of all."""
    if layer is None or split is None:
        return _multiply(geometry, item, psum_bits)
    parts = [_multiply(geometry, part, psum_bits) for part in core_products(geometry, trace, decoded(layer), item, split, tamper)]
    wrong = next((f"core {share.core}, {text}" for share, (_, text) in zip(split.shares, parts, strict=True) if text is not None), None)
    return joined(split, [sums for sums, _ in parts]), wrong


def _check_sums(layer: VectorLayer, rows: int, rng: np.random.Generator) -> LayerCheck:
    image = _draw(rng, rows, layer.output.width)
    wrong = np.argwhere(layer.unit_sums(image) != layer.exact_sums(image))
    if wrong.size == 0:
        return LayerCheck(layer.name, layer.op, True, 0, "bit-exact")
    row, column = wrong[0].tolist()
    return LayerCheck(layer.name, layer.op, False, 0, f"layer {layer.name!r}: element [{row},{column}] differs")


def _corruption(trace: Trace, layer: WeightedLayer, geometry: CoreGeometry) -> str | None:
    """The first stream of a layer that differs from its record, and the position; None if none does."""
    weight, payload = layer.weight, trace.required_payload(layer.name)
    table = weight.format.streams(weight.k, weight.n)
    for name, record in weight.streams.items():
        position = locate_corruption(record, partial(payload.read_part, record.tensor))
        if position is None:
            continue
        what = f"layer {layer.name!r}, stream {name!r}"
        if position == "several":
            return f"{what}: several bits differ from those written"
        if position >= record.bits:
            return f"{what}: bit {position}, in the padding of the last byte, is flipped"
        first = weight.format.first_weight(name, position, weight.k, weight.n)
        if first is None:
            return f"{what}: bit {position} is flipped; every tile depends on it"
        (nt, kt), read = tile_of_weight(geometry, layer, *first), "" if table[name].place == "record" else "read first "
        return f"{what}: bit {position} is flipped, {read}in tile (nt={nt}, kt={kt})"
    return None


def _multiply(geometry: CoreGeometry, item: Product, psum_bits: int) -> tuple[npt.NDArray[Any], str | None]:
    """The sums (M, N) of a product, panel by panel, and the first difference from the expected result."""
    passes, parts, problem = byte_passes(item.rows), [], None
    for stripes in panels(geometry.cols, -(-item.weights.shape[1] // geometry.cols)):
        panel, sums = run_panel(geometry, item, passes, stripes, psum_bits)
        parts.append(sums)
        for place, stripe in enumerate(stripes):
            own = slice(place * geometry.cols, (place + 1) * geometry.cols)
            problem = problem or _compare_stripe(geometry, item, stripe, panel[:, own], sums[:, own], psum_bits)
    return np.hstack(parts)[:, : item.weights.shape[1]], problem


def _compare_stripe(
    geometry: CoreGeometry, item: Product, stripe: int, panel: Float32, sums: npt.NDArray[Any], psum_bits: int
) -> str | None:
    """The first error in a decoded stripe, (K, C), or its sums, (M, C); columns past the last weight may hold anything."""
    first, nt = stripe * geometry.cols, item.nt0 + stripe
    weights = item.weights[:, first : first + geometry.cols]
    used = weights.shape[1]
    wrong = np.argwhere(weights != panel[:, :used])
    if wrong.size:
        row, column = wrong[0].tolist()
        kt = geometry.tile_of_row(row)
        tile, inside = f"tile (nt={nt}, kt={kt})", row - geometry.tile_rows(weights.shape[0], kt).start
        return f"{tile}: weight [{inside},{column}] decodes to {int(panel[row, column])}, not {weights[row, column]}"
    beyond = np.argwhere(~np.isfinite(item.sums[:, first : first + used]))
    if beyond.size:
        row, column = beyond[0].tolist()
        return (
            f"stripe nt={nt}: sum [{row},{column}] leaves the range of float32, in which scaled groups are summed; allowed: smaller scales"
        )
    wrong = np.argwhere(item.sums[:, first : first + used] != sums[:, :used])
    if wrong.size:
        row, column = wrong[0].tolist()
        found, wanted = sums[row, column], item.sums[row, first + column]
        overflow = (
            None if geometry.scales else describe_overflow(geometry, item.rows_of(first + column)[row], weights[:, column], psum_bits)
        )
        if overflow is not None:
            return f"stripe nt={nt}: sum [{row},{column}] {overflow}"
        return f"stripe nt={nt}: the weights are right, but sum [{row},{column}] is {found}, not {wanted}"
    return None


def _draw(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.int8]:
    return rng.integers(-128, 128, shape, np.int8)


def _drawn(rng: np.random.Generator, trace: Trace, layer: MacLayer | VectorLayer) -> Source:
    """Random rows over all of their width; what is loaded as weights, which follows, has 8 bits."""
    types = iter([np.int32 if (bits := trace.shapes[layer.inputs[0]].bits) > 16 else np.int16 if bits > 8 else np.int8])

    def draw(*shape: int) -> Rows:
        kind = np.iinfo(next(types, np.int8))
        return rng.integers(kind.min, kind.max + 1, (1, *shape), kind.dtype)

    return draw

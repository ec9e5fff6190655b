"""The functional check: every product of a trace, decoded out of its DRAM image and multiplied, against an independent twin.

Pools are read window by window as the vector unit does, up to the requantization (which divides a sum). Activations are drawn
over all of int8 for each layer, so that each is checked separately; values between layers (requantization, softmax, ...) are not
computed. Accumulators have `array.psum_bits` bits and wrap; a sum that overflows them is a difference. Outputs of softmax are drawn
as int8 too, although a machine has them unsigned.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim import functional_twin as twin
from accelsim.accelerator import Accelerator
from accelsim.compiler.geometry import activation_geometry, weight_geometry
from accelsim.compiler.image import LayerImage, layer_image, matrix_image, tile_of_weight
from accelsim.compiler.merged_groups import stripe_count
from accelsim.compiler.scaled_image import scaled_image
from accelsim.compiler.target import Target, target_of
from accelsim.compression.compress_trace import materialize
from accelsim.errors import CompileError
from accelsim.functional_accumulators import at_width, describe_overflow
from accelsim.functional_groups import check_scale_place, check_sum_width, computes_groups, decode_scaled, scaled_sums
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.decode import Words, codeword_words, stream_words
from accelsim.kernels.decode_masked import NO_MASKS, MaskTable, mask_table
from accelsim.kernels.stripe import INT32_K, Float32, append_one, decode_stripes, multiply
from accelsim.ops.weight_record import locate_corruption
from accelsim.progress import Progress
from accelsim.trace.layers import ConvLayer, MacLayer, MatmulLayer, VectorLayer, WeightedLayer
from accelsim.trace.trace import Trace

Int8 = npt.NDArray[np.int8]
Tamper = Callable[[str, LayerImage], LayerImage]
PANEL_COLUMNS = 320  # decoded, then multiplied: wide enough that BLAS seldom packs the same activations, and a panel fits a cache


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
    """All layers that multiply, and all pools, in the trace's order."""

    layers: tuple[LayerCheck, ...]

    @property
    def ok(self) -> bool:
        """Every layer is bit-exact."""
        return all(layer.ok for layer in self.layers)


@dataclass(frozen=True)
class _Tables:
    """An image as the kernels read it: its stream, its codebook, and its masks or none."""

    words: Words
    codebook: Words
    masks: MaskTable

    @classmethod
    def of(cls, geometry: CoreGeometry, image: LayerImage) -> _Tables:
        masks = NO_MASKS if image.patterns is None else mask_table(image.patterns, geometry.codeword_length)
        return cls(stream_words(image.data), codeword_words(image.codebook), masks)


@dataclass(frozen=True)
class _Product:
    """One product on the array: rows in the order of its reduction, its stripes from `nt0` on, and the expected result.

    `weights` is (K, N) in the order of the reduction, `sums` (M, N): int64, or float32 where groups have scales. `wide` are those in
    float64, None where they are exact; `zeros` says that groups have zero points.
    """

    rows: Int8
    image: LayerImage
    tables: _Tables
    nt0: int
    weights: npt.NDArray[np.int64]
    sums: npt.NDArray[Any]
    wide: npt.NDArray[np.float64] | None = None
    zeros: bool = False

    @property
    def float_error(self) -> float:
        """Largest error of the sums, relative to the largest sum; 0 where they are exact."""
        if self.wide is None or not self.wide.any():
            return 0.0
        return float(np.abs(self.sums - self.wide).max() / np.abs(self.wide).max())


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
    layers = [(whole, layer) for whole in wholes for layer in whole.layers if layer.exact]
    checks: list[LayerCheck] = []
    for done, (whole, layer) in enumerate(layers):
        if progress is not None:
            progress("functional check", done, len(layers))
        rng = np.random.default_rng([seed, zlib.crc32(layer.name.encode())])
        check = (
            _check_layer(target, accelerator.array.psum_bits, whole, layer.product, rng, tamper)
            if layer.product is not None
            else _check_sums(layer, whole.shapes[layer.inputs[0]].rows, rng)
        )
        checks.append(check if len(wholes) == 1 else replace(check, name=f"{whole.name}/{check.name}"))
    if progress is not None:
        progress("functional check", len(layers), len(layers))
    return FunctionalReport(tuple(checks))


def check_computable(*traces: Trace) -> None:
    """Refuse weights that the machine loads whole but cannot multiply: their format's table has scales finer than a channel, or the like.

    Raises
    ------
    CompileError
        Names the layer, the format and the stream.
    """
    for trace in traces:
        for layer in trace.weighted_layers():
            weight = layer.weight
            path = weight.format.decode_path()
            if computes_groups(weight.format, weight.k, weight.n):
                continue
            for part in path.timed_only:
                if part.record_bits(max(1, path.d)):
                    raise CompileError(
                        f"layer {layer.name!r} ({weight.format.kind}): the functional check cannot decode its records: {part.words}; "
                        "allowed: the same run without --functional"
                    )
            for name, stream in weight.format.side_data(weight.k, weight.n).items():
                raise CompileError(
                    f"layer {layer.name!r} ({weight.format.kind}): the functional check cannot apply the {stream.count} values of stream "
                    f"{name!r}, as it scales sums of groups with one binary16 scale and channels alone; "
                    "allowed: the same run without --functional"
                )


def _check_layer(
    target: Target,
    psum_bits: int,
    trace: Trace,
    layer: MacLayer,
    rng: np.random.Generator,
    tamper: Tamper | None,
) -> LayerCheck:
    tiles = 0
    weighted, heads = layer.weighted, layer.head_product
    if weighted is not None:
        geometry = weight_geometry(target, weighted)
        part = "group" if geometry.merged == 1 else "tile"
        corrupted = _corruption(trace, weighted, geometry)
        if corrupted is not None:
            return LayerCheck(layer.name, layer.op, False, 0, corrupted)
        if geometry.scales:
            check_scale_place(target.array.scale_at, weighted)
            check_sum_width(psum_bits, weighted)
        products = _weighted_products(geometry, trace, weighted, rng, tamper)
    else:
        assert heads is not None  # a product of the array has weights or heads
        geometry, part = activation_geometry(target, heads.transposed_b), "head"
        products = _head_products(geometry, trace, heads, rng, tamper)
    error = 0.0
    for index, item in enumerate(products):
        error = max(error, item.float_error)
        problem = _compare(geometry, item, psum_bits)
        if problem is not None:
            where = f", {part} {index}" if layer.bounds.G > 1 else ""
            return LayerCheck(layer.name, layer.op, False, tiles, f"layer {layer.name!r}{where}, {problem}")
        tiles += -(-layer.n // geometry.cols) * geometry.tile_count(layer.k)
    rounding = f"; float32 sums within {error:.1e} of float64" if geometry.scales else ""
    return LayerCheck(layer.name, layer.op, True, tiles, f"bit-exact{rounding}")


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
        stream = table[name]
        if stream.place != "record" or len(stream.shape) != 2:
            return f"{what}: bit {position} is flipped; every tile depends on it"
        row, column = divmod(position // stream.bits, stream.shape[1])
        tile = tile_of_weight(geometry, layer, row * weight.k // stream.shape[0], column * weight.n // stream.shape[1])
        return f"{what}: bit {position} is flipped, in tile (nt={tile[0]}, kt={tile[1]})"
    return None


def _compare(geometry: CoreGeometry, item: _Product, psum_bits: int) -> str | None:
    """Run a product panel by panel; locate the first difference from the expected result."""
    activations = item.rows.astype(np.float32)
    for stripes in panels(geometry.cols, -(-item.weights.shape[1] // geometry.cols)):
        panel, sums = _run_panel(geometry, item, activations, stripes, psum_bits)
        for place, stripe in enumerate(stripes):
            own = slice(place * geometry.cols, (place + 1) * geometry.cols)
            problem = _compare_stripe(geometry, item, stripe, panel[:, own], sums[:, own], psum_bits)
            if problem is not None:
                return problem
    return None


def _run_panel(
    geometry: CoreGeometry, item: _Product, activations: Float32, stripes: range, psum_bits: int
) -> tuple[Float32, npt.NDArray[Any]]:
    """(weights (K, columns), sums (M, columns)) of some stripes, as the core computes them."""
    if geometry.scales:
        own = [item.nt0 + stripe for stripe in stripes]
        panel, scales = decode_scaled(geometry, item.image, item.tables.words, own, activations.shape[1], item.zeros)
        return panel, scaled_sums(geometry, activations, panel, scales)
    panel = _decode(geometry, item, stripes)
    sums = np.empty((activations.shape[0], panel.shape[1]), np.int32 if panel.shape[0] <= INT32_K else np.int64)
    multiply(activations, panel, sums, np.empty(sums.shape, np.float32))
    return panel, at_width(sums, psum_bits)


def panels(cols: int, stripes: int) -> list[range]:
    """Stripes of `cols` columns, divided evenly into panels of at most PANEL_COLUMNS, or of one stripe."""
    count = -(-stripes // max(1, PANEL_COLUMNS // cols))
    edges = [stripes * part // count for part in range(count + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def _compare_stripe(
    geometry: CoreGeometry, item: _Product, stripe: int, panel: Float32, sums: npt.NDArray[Any], psum_bits: int
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
    wrong = np.argwhere(item.sums[:, first : first + used] != sums[:, :used])
    if wrong.size:
        row, column = wrong[0].tolist()
        found, wanted = sums[row, column], item.sums[row, first + column]
        overflow = None if geometry.scales else describe_overflow(geometry, item.rows[row], weights[:, column], psum_bits)
        if overflow is not None:
            return f"stripe nt={nt}: sum [{row},{column}] {overflow}"
        return f"stripe nt={nt}: the weights are right, but sum [{row},{column}] is {found}, not {wanted}"
    return None


def _decode(geometry: CoreGeometry, item: _Product, stripes: range) -> Float32:
    """The weights of some stripes, (K, columns), as the core decodes them."""
    tables = item.tables
    first_bits = item.image.first_bits[item.nt0 + stripes.start : item.nt0 + stripes.stop]
    panel = np.empty((item.rows.shape[1], len(stripes) * geometry.cols), np.float32)
    decode_stripes(
        tables.words, first_bits, geometry.rows, geometry.codeword_length, geometry.axis,
        geometry.index_field_bits, geometry.sign, 0 if geometry.decode else geometry.raw_bits, tables.codebook,
        tables.masks.lanes, tables.masks.bits, tables.masks.words, panel,
    )  # fmt: skip
    if item.image.odd:
        append_one(panel)
    return panel


def _draw(rng: np.random.Generator, *shape: int) -> Int8:
    return rng.integers(-128, 128, shape, np.int8)


def _weighted_products(
    geometry: CoreGeometry, trace: Trace, layer: WeightedLayer, rng: np.random.Generator, tamper: Tamper | None
) -> Iterator[_Product]:
    """The groups of a layer with weights, which share one image."""
    make_image = scaled_image if geometry.scales else layer_image
    together = stripe_count(geometry, layer) // (layer.bounds.G if geometry.merged == 1 else 1)
    image = make_image(geometry, layer, trace.arrays(layer.name), "stripe" if layer.m > geometry.run_rows(together) else "layer")
    if tamper is not None:
        image = tamper(layer.name, image)
    tables = _Tables.of(geometry, image)
    weights = twin.weights(trace, layer)
    convolution = layer if isinstance(layer, ConvLayer) else None
    if geometry.merged > 1 and convolution is not None:
        yield from _merged_products(geometry, convolution, weights, image, tables, rng)
        return
    order = layer.reduction_order
    planes = _draw(rng, convolution.input_channels, *convolution.image) if convolution is not None else None
    source = trace.shapes[layer.inputs[0]]
    for group in range(layer.bounds.G):
        own = weights[:, group * layer.n : (group + 1) * layer.n]
        if convolution is not None and planes is not None:
            rows, as_twin = gather(convolution, planes, group, order), twin.patches(convolution, planes, group)
        else:
            activation = _draw(rng, source.rows, source.width)
            at = layer.row_read
            rows = activation if at is None else activation[at : at + 1]
            as_twin = rows
        ordered = own if order is None else own[order]
        nt0 = group * -(-layer.n // geometry.cols)
        if geometry.scales:
            outputs = slice(group * layer.n, (group + 1) * layer.n)
            ends = [geometry.tile_rows(layer.k, kt).stop for kt in range(geometry.tile_count(layer.k))]
            sums, wide = twin.scaled_product(trace, layer, as_twin, own, outputs, ends)
            yield _Product(rows, image, tables, nt0, ordered, sums, wide, "zeros" in layer.weight.streams)
        else:
            yield _Product(rows, image, tables, nt0, ordered, twin.product(as_twin, own))


def _merged_products(
    geometry: CoreGeometry, layer: ConvLayer, weights: npt.NDArray[np.int64], image: LayerImage, tables: _Tables, rng: np.random.Generator
) -> Iterator[_Product]:
    """The tiles of a convolution whose groups share them; what lies behind the last channel is drawn too, as it meets zeros."""
    merged = layer.merged(geometry.merged)
    order = merged.reduction_order
    planes = _draw(rng, merged.input_channels, *layer.image)
    for tile in range(merged.bounds.G):
        groups = range(tile * geometry.merged, min((tile + 1) * geometry.merged, layer.bounds.G))
        own = twin.diagonal([weights[:, group * layer.n : (group + 1) * layer.n] for group in groups], geometry.merged)
        sums = [twin.product(twin.patches(layer, planes, group), weights[:, group * layer.n : (group + 1) * layer.n]) for group in groups]
        rows = gather(merged, planes, tile, order)
        yield _Product(rows, image, tables, tile, own if order is None else own[order], np.hstack(sums))


def gather(layer: ConvLayer, planes: Int8, group: int, order: npt.NDArray[np.int64] | None) -> Int8:
    """Rows of a convolution, (OY*OX, K) in the order of the reduction, read by address from the image in the layer's layout.

    `planes` is (channels of all groups, height, width); positions outside read 0.
    """
    bounds, (height, width) = layer.bounds, layer.image
    planar = layer.input_layout == "planar"
    memory = (planes if planar else planes.transpose(1, 2, 0)).reshape(-1)
    step = np.arange(bounds.k) if order is None else order
    channel, tap = group * bounds.C + step // (bounds.FY * bounds.FX), step % (bounds.FY * bounds.FX)
    rows = np.zeros((bounds.OY * bounds.OX, bounds.k), np.int8)
    for oy in range(bounds.OY):
        y = (oy * layer.strides[0] - layer.padding[0] + tap // bounds.FX * layer.dilation[0])[None, :]
        x = np.arange(bounds.OX)[:, None] * layer.strides[1] - layer.padding[1] + (tap % bounds.FX * layer.dilation[1])[None, :]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        address = (channel * height + y) * width + x if planar else (y * width + x) * layer.input_channels + channel
        rows[oy * bounds.OX : (oy + 1) * bounds.OX] = np.where(inside, memory[np.where(inside, address, 0)], 0)
    return rows


def _head_products(
    geometry: CoreGeometry, trace: Trace, layer: MatmulLayer, rng: np.random.Generator, tamper: Tamper | None
) -> Iterator[_Product]:
    """The heads of a product of two activations: the second is read as raw records."""
    first, second = (_draw(rng, *trace.shapes[name].dims) for name in layer.inputs)
    for head in range(layer.heads):
        own = range(head * layer.shared, (head + 1) * layer.shared)
        a = np.concatenate([_head(first, layer.a.split, layer.k, query) for query in own])
        b = _head(second, layer.b.split, layer.k if layer.transposed_b else layer.n, head)
        matrix = b.T if layer.transposed_b else b
        image = matrix_image(geometry, matrix)
        if tamper is not None:
            image = tamper(layer.name, image)
        yield _Product(a, image, _Tables.of(geometry, image), 0, matrix.astype(np.int64), twin.product(a, matrix))


def _head(activation: Int8, split: str, width: int, head: int) -> Int8:
    """The matrix of one head out of (groups, rows, width)."""
    own = activation[head] if split == "groups" else activation[0, :, head * width : (head + 1) * width]
    return np.ascontiguousarray(own)

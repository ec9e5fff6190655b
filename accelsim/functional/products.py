"""Products as the array computes them: decoded out of the DRAM image stripe by stripe, multiplied at the width of the accumulators.

Each product carries its expected result beside it, from `functional_twin`, which shares no code with the decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim import functional_twin as twin
from accelsim.compiler.image import LayerImage, layer_image, matrix_image
from accelsim.compiler.unit_image import unit_image
from accelsim.functional.accumulators import at_width
from accelsim.functional.groups import UnitDecoder, completed, scaled_sums
from accelsim.functional.row_passes import summed_passes
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.decode import Words, codeword_words, stream_words
from accelsim.kernels.decode_masked import NO_MASKS, MaskTable, mask_table
from accelsim.kernels.stripe import Float32, append_one, decode_stripes
from accelsim.trace.layers import ConvLayer, MatmulLayer, WeightedLayer
from accelsim.trace.trace import Trace

Int8 = npt.NDArray[np.int8]
Rows = npt.NDArray[np.signedinteger]  # of 8, 16 or 32 bits
Tamper = Callable[[str, LayerImage], LayerImage]
Source = Callable[..., Rows]  # the shape of an activation -> (samples, *shape); of a convolution: all channels' planes; rows, then weights
PANEL_COLUMNS = 320  # decoded, then multiplied: wide enough that BLAS seldom packs the same activations, and a panel fits a cache


@dataclass(frozen=True)
class Tables:
    """An image as the kernels read it: its stream, its codebook, and its masks or none."""

    words: Words
    codebook: Words
    masks: MaskTable

    @classmethod
    def of(cls, geometry: CoreGeometry, image: LayerImage) -> Tables:
        masks = NO_MASKS if image.patterns is None else mask_table(image.patterns, geometry.codeword_length)
        return cls(stream_words(image.data), codeword_words(image.codebook), masks)


@dataclass(frozen=True)
class Product:
    """One product on the array: rows in the order of its reduction, its stripes from `nt0` on, and the expected result.

    `rows` is (M, K), or (M, K, N) where each column has a feed. `weights` is (K, N) in the order of the reduction, `sums` (M, N): int64,
    or float32 where groups have scales. `wide` are those in float64, None where they are exact; `decoder` reads the image, None where
    the core's own kernel does.
    """

    rows: Rows
    image: LayerImage
    tables: Tables
    nt0: int
    weights: npt.NDArray[np.int64]
    sums: npt.NDArray[Any]
    wide: npt.NDArray[np.float64] | None = None
    decoder: UnitDecoder | None = None

    def rows_of(self, column: int) -> Rows:
        """Rows (M, K) that a column meets."""
        return self.rows[:, :, column] if self.rows.ndim == 3 else self.rows

    @property
    def float_error(self) -> float:
        """Largest error of the sums, relative to the largest sum; 0 where they are exact or leave the range of float32."""
        if self.wide is None or not self.wide.any() or not np.isfinite(self.sums).all():
            return 0.0
        return float(np.abs(self.sums - self.wide).max() / np.abs(self.wide).max())


def panels(cols: int, stripes: int) -> list[range]:
    """Stripes of `cols` columns, divided evenly into panels of at most PANEL_COLUMNS, or of one stripe."""
    count = -(-stripes // max(1, PANEL_COLUMNS // cols))
    edges = [stripes * part // count for part in range(count + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def run_panel(
    geometry: CoreGeometry, item: Product, passes: list[Float32], stripes: range, psum_bits: int
) -> tuple[Float32, npt.NDArray[Any]]:
    """(weights (K, columns), sums (M, columns)) of some stripes, as the core computes them out of the `byte_passes` of the rows."""
    if item.decoder is not None:
        own = [item.nt0 + stripe for stripe in stripes]
        panel, factors = item.decoder.decode(item.image, item.tables.words, own, item.rows.shape[1])
        if geometry.scales:
            path = item.decoder.path
            return completed(path, panel, factors), scaled_sums(path, passes, panel, factors)
    else:
        panel = _decode(geometry, item, stripes)
    if item.rows.ndim == 3:
        return panel, at_width(_fed_sums(item.rows, panel, stripes.start * geometry.cols), psum_bits)
    return panel, at_width(summed_passes(passes, panel), psum_bits)


def _fed_sums(activations: Rows, panel: Float32, first: int) -> npt.NDArray[np.int64]:
    """Sums (M, columns) of columns that each meet rows of their own, (M, K, N), from column `first` on; 0 past the last channel."""
    sums = np.zeros((activations.shape[0], panel.shape[1]), np.int64)
    for column in range(min(panel.shape[1], activations.shape[2] - first)):
        sums[:, column] = activations[:, :, first + column].astype(np.int64) @ panel[:, column].astype(np.int64)
    return sums


def _decode(geometry: CoreGeometry, item: Product, stripes: range) -> Float32:
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


def weighted_products(
    geometry: CoreGeometry, trace: Trace, layer: WeightedLayer, source: Source, tamper: Tamper | None = None
) -> Iterator[Product]:
    """The groups of a layer with weights, which share one image; the samples' rows lie one below the other.

    The image is what an entropy decoder hands on.
    """
    weights = twin.weights(trace, layer)
    factors = twin.factors(trace, layer) if geometry.scales else None
    layer = decoded(layer)
    decoder = UnitDecoder.of(geometry, layer)
    make_image = layer_image if decoder is None else unit_image
    lying = geometry.mapping.stripes(layer.bounds.G, layer.n, geometry.cols)
    together = lying.total // lying.sets
    image = make_image(geometry, layer, trace.arrays(layer.name), "stripe" if geometry.in_stripes(layer.m, together) else "layer")
    if tamper is not None:
        image = tamper(layer.name, image)
    tables = Tables.of(geometry, image)
    convolution = layer.convolution
    if geometry.mapping.merged > 1 and convolution is not None:
        yield from _merged_products(geometry, convolution, weights, image, tables, source)
        return
    if geometry.mapping.own_rows and convolution is not None:
        yield _fed_product(convolution, weights, image, tables, source)
        return
    order, shape = layer.reduction_order, trace.shapes[layer.inputs[0]]
    at = slice(None) if layer.row_read is None else slice(layer.row_read, layer.row_read + 1)
    activations = source(convolution.input_channels, *convolution.image) if convolution is not None else source(shape.rows, shape.width)
    for group in range(layer.bounds.G):
        own = weights[:, group * layer.n : (group + 1) * layer.n]
        if convolution is not None:
            rows = np.concatenate([gather(convolution, planes, group, order) for planes in activations])
            as_twin = np.concatenate([twin.patches(convolution, planes, group) for planes in activations])
        else:
            rows = as_twin = np.concatenate([activation[at] for activation in activations])
        ordered = own if order is None else own[order]
        nt0 = group * -(-layer.n // geometry.cols)
        if factors is not None:
            outputs = slice(group * layer.n, (group + 1) * layer.n)
            sums, wide = twin.scaled_product(as_twin, own, factors.of(outputs))
            yield Product(rows, image, tables, nt0, ordered, sums, wide, decoder)
        else:
            yield Product(rows, image, tables, nt0, ordered, twin.product(as_twin, own), None, decoder)


def decoded(layer: WeightedLayer) -> WeightedLayer:
    """The layer as the core sees it behind an entropy decoder; itself where its records have a fixed width."""
    inside = layer.weight.format.quantizer
    return layer if inside is layer.weight.format else layer.in_format(inside)


def _merged_products(
    geometry: CoreGeometry, layer: ConvLayer, weights: npt.NDArray[np.int64], image: LayerImage, tables: Tables, source: Source
) -> Iterator[Product]:
    """The tiles of a convolution whose groups share them; bytes behind the last channel are read too, as they meet zeros."""
    merged = layer.merged(geometry.mapping.merged)
    order = merged.reduction_order
    activations = source(merged.input_channels, *layer.image)
    for tile in range(merged.bounds.G):
        groups = range(tile * geometry.mapping.merged, min((tile + 1) * geometry.mapping.merged, layer.bounds.G))
        blocks = [weights[:, group * layer.n : (group + 1) * layer.n] for group in groups]
        own = twin.diagonal(blocks, geometry.mapping.merged)
        sums = np.hstack(
            [
                twin.product(np.concatenate([twin.patches(layer, planes, group) for planes in activations]), block)
                for group, block in zip(groups, blocks, strict=True)
            ]
        )
        rows = np.concatenate([gather(merged, planes, tile, order) for planes in activations])
        yield Product(rows, image, tables, tile, own if order is None else own[order], sums)


def _fed_product(layer: ConvLayer, weights: npt.NDArray[np.int64], image: LayerImage, tables: Tables, source: Source) -> Product:
    """All channels of a depthwise convolution side by side: column c meets rows of its own, `rows[..., c]`."""
    order, groups = layer.reduction_order, range(layer.bounds.G)
    activations = source(layer.input_channels, *layer.image)
    rows = [np.concatenate([gather(layer, planes, group, order) for planes in activations]) for group in groups]
    sums = [
        twin.product(np.concatenate([twin.patches(layer, planes, group) for planes in activations]), weights[:, group : group + 1])
        for group in groups
    ]
    return Product(np.stack(rows, axis=2), image, tables, 0, weights if order is None else weights[order], np.hstack(sums))


def gather(layer: ConvLayer, planes: Rows, group: int, order: npt.NDArray[np.int64] | None) -> Rows:
    """Rows of a convolution, (OY*OX, K) in the order of the reduction, read by address from the image in the layer's layout.

    `planes` is (channels of all groups, height, width); positions outside read 0.
    """
    bounds, (height, width) = layer.bounds, layer.image
    planar = layer.input_layout == "planar"
    memory = (planes if planar else planes.transpose(1, 2, 0)).reshape(-1)
    step = np.arange(bounds.k) if order is None else order
    channel, tap = group * bounds.C + step // (bounds.FY * bounds.FX), step % (bounds.FY * bounds.FX)
    rows = np.zeros((bounds.OY * bounds.OX, bounds.k), planes.dtype)
    for oy in range(bounds.OY):
        y = (oy * layer.strides[0] - layer.padding[0] + tap // bounds.FX * layer.dilation[0])[None, :]
        x = np.arange(bounds.OX)[:, None] * layer.strides[1] - layer.padding[1] + (tap % bounds.FX * layer.dilation[1])[None, :]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        address = (channel * height + y) * width + x if planar else (y * width + x) * layer.input_channels + channel
        rows[oy * bounds.OX : (oy + 1) * bounds.OX] = np.where(inside, memory[np.where(inside, address, 0)], 0)
    return rows


def head_products(
    geometry: CoreGeometry, trace: Trace, layer: MatmulLayer, source: Source, tamper: Tamper | None = None
) -> Iterator[Product]:
    """The heads of a product of two activations, sample by sample: the second is read as raw records."""
    operands = [source(*trace.shapes[name].dims) for name in layer.inputs]
    for first, second in zip(*operands, strict=True):
        for head in range(layer.heads):
            own = range(head * layer.shared, (head + 1) * layer.shared)
            a = np.concatenate([_head(first, layer.a.split, layer.k, query) for query in own])
            b = _head(second, layer.b.split, layer.k if layer.transposed_b else layer.n, head)
            matrix = b.T if layer.transposed_b else b
            image = matrix_image(geometry, matrix)
            if tamper is not None:
                image = tamper(layer.name, image)
            yield Product(a, image, Tables.of(geometry, image), 0, matrix.astype(np.int64), twin.product(a, matrix))


def _head(activation: Rows, split: str, width: int, head: int) -> Rows:
    """The matrix of one head out of (groups, rows, width)."""
    own = activation[head] if split == "groups" else activation[0, :, head * width : (head + 1) * width]
    return np.ascontiguousarray(own)

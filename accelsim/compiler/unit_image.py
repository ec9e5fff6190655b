"""The DRAM image of records that the RTL's core lacks: units of weights that share bits, each K-tile behind the scales of its groups.

A unit is the smallest rectangle of neighbours whose bits cannot be parted: one raw field, eight base-3 digits, a codeword with an index
per codebook, or the codewords whose signs share a parity. Its fields lie side by side, lowest bits first; units of a K-tile follow each
other row by row. Ahead of a tile lie, level by level from the finest, for each group that begins in it and each column, the fields of the
group in the order of the decode path, in whole pops; or the tables of the blocks that begin in it. Disputable assumption: the timed core
takes a tile record by record, in rows of D weights, where a unit here may cover up to eight rows; the bits of a tile and its pops are the
same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compiler.image import LayerImage, Packing, stream_stripes, striped, tile_first_bits
from accelsim.compiler.tile_tables import TileTables
from accelsim.errors import CompileError
from accelsim.formats.parts import Offset, Scale
from accelsim.formats.weight_format import CODEBOOK
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer

Bits = npt.NDArray[np.uint8]
Integers = npt.NDArray[Any]


@dataclass(frozen=True)
class UnitField:
    """`down` x `across` x `books` values of a stream in a unit, of `bits` bits each, the last axis fastest."""

    stream: str
    down: int
    across: int
    books: int
    bits: int

    @property
    def values(self) -> int:
        return self.down * self.across * self.books


@dataclass(frozen=True)
class RecordUnit:
    """`rows` x `cols` weights (reduction, outputs) and the fields that hold them, lowest bits first."""

    rows: int
    cols: int
    fields: tuple[UnitField, ...]

    @property
    def bits(self) -> int:
        """Of a unit."""
        return sum(field.values * field.bits for field in self.fields)


def record_unit(geometry: CoreGeometry, layer: WeightedLayer) -> RecordUnit:
    """The unit of a layer's records, from the shapes of the streams that its format puts there.

    Raises
    ------
    CompileError
        K-tiles of this array cut a unit.
    """
    weight = layer.weight
    table = weight.format.placed("record", weight.k, weight.n)
    spans = {name: (weight.k // stream.shape[0], weight.n // stream.shape[1]) for name, stream in table.items()}
    rows, cols = (max(span[axis] for span in spans.values()) for axis in (0, 1))
    if min(geometry.block_rows, geometry.rows) % rows:
        raise CompileError(
            f"layer {layer.name!r} ({weight.format.kind}): {rows} weights along the reduction share bits, but K-tiles of "
            f"{min(geometry.block_rows, geometry.rows)} rows cut them; allowed: array.rows a multiple of {rows}"
        )
    fields = []
    for name, stream in table.items():
        if geometry.passes > 1 and name != "indices":
            continue  # those of a residual codebook are the indices of its pass
        bits = geometry.index_field_bits if name == "indices" else stream.bits
        books = stream.count // (stream.shape[0] * stream.shape[1]) if geometry.passes == 1 else 1
        fields.append(UnitField(name, rows // spans[name][0], cols // spans[name][1], books, bits))
    return RecordUnit(rows, cols, tuple(fields))


def level_parts(geometry: CoreGeometry, parts: Sequence[Scale | Offset]) -> dict[int, list[tuple[Scale | Offset, int]]]:
    """Weights of a group -> the parts that travel with it and how many values each has there, finest group first."""
    finest = geometry.scales[0][0] if geometry.scales else 0
    levels: dict[int, list[tuple[Scale | Offset, int]]] = {over: [] for over, _ in geometry.scales}
    for part in parts:
        over = max(part.group, finest)
        levels[over].append((part, over // part.group))
    return levels


def unit_image(geometry: CoreGeometry, layer: WeightedLayer, arrays: Mapping[str, Integers], packing: Packing) -> LayerImage:
    """The image of a layer.

    Parameters
    ----------
    arrays
        The unpacked streams of the layer's weights, as its format stores them.
    packing
        See `layer_image`.

    Raises
    ------
    CompileError
        See `record_unit`; or codewords along N cross the groups of a grouped convolution.
    """
    weight, groups, unit = layer.weight, layer.bounds.G, record_unit(geometry, layer)
    if layer.n % unit.cols:
        raise CompileError(
            f"layer {layer.name!r}: codewords of d = {unit.cols} outputs cross its {groups} groups of {layer.n} outputs; "
            "allowed: a divisor of the outputs of a group, or weights left uncompressed"
        )
    chip = weight.format.chip_arrays(arrays, weight.k, weight.n)
    units = [_units(geometry, layer, unit, _of_pass(geometry, chip, number)) for number in range(geometry.passes)]
    parts = weight.format.decode_path().group_parts
    factors = {part.stream: striped(_codes(chip[part.stream]), groups, geometry.cols) for part in parts}
    counts = stream_stripes(geometry, units[0].shape[0], groups, packing)
    sizes = np.array([geometry.words(layer.k, count) * geometry.word_bits for count in counts])
    starts = np.cumsum(sizes) - sizes
    first_bits = np.concatenate(
        [start + tile_first_bits(geometry, layer.k, count) for start, count in zip(starts.tolist(), counts, strict=True)]
    )
    stream = np.zeros(int(sizes.sum()), np.uint8)
    levels, blocks = level_parts(geometry, parts), TileTables.of(weight.format.decode_path().lookup, geometry.cols)
    for stripe, firsts in enumerate(first_bits.tolist()):
        own = {name: values[stripe] for name, values in factors.items()}
        for kt, first in enumerate(firsts):
            rows = geometry.tile_rows(layer.k, kt)
            ahead = _header(levels, own, rows) if blocks is None else _tables(geometry, layer, blocks, chip[CODEBOOK], stripe, rows)
            stream[first : first + ahead.size] = ahead
            first += geometry.scale_pops(layer.k, kt) * geometry.pop_bits
            records = units[kt % geometry.passes][stripe, rows.start // unit.rows : -(-rows.stop // unit.rows)].reshape(-1)
            stream[first : first + records.size] = records
    return LayerImage(
        data=np.packbits(stream, bitorder="little"),
        words=stream.size // geometry.word_bits,
        word_bits=geometry.word_bits,
        first_bits=first_bits,
        indices=np.zeros((0, geometry.ports), np.int32),
        codebook=chip.get(CODEBOOK, np.zeros(0)).astype(np.int8).reshape(-1, geometry.codeword_length),
    )


def _units(geometry: CoreGeometry, layer: WeightedLayer, unit: RecordUnit, chip: Mapping[str, Integers]) -> Bits:
    """(stripes, units along K, units of a stripe along N * bits of a unit)."""
    order, across = layer.reduction_order, geometry.cols // unit.cols
    found = []
    for field in unit.fields:
        codes = _codes(chip[field.stream])
        down, right = codes.shape[0] // field.down, codes.shape[1] // field.across
        grid = (
            codes.reshape(down, field.down, right, field.across, field.books).transpose(0, 2, 1, 3, 4).reshape(down, right * field.values)
        )
        stripes = striped(grid if order is None else grid[order], layer.bounds.G, across * field.values)
        values = stripes.reshape(*stripes.shape[:2], across, field.values)
        found.append(low_bits(values, field.bits).reshape(*values.shape[:3], -1))
    bits = np.concatenate(found, axis=-1)
    return bits.reshape(*bits.shape[:2], -1)


def _of_pass(geometry: CoreGeometry, chip: Mapping[str, Integers], number: int) -> Mapping[str, Integers]:
    """The streams that the K-tiles of a pass hold: indices into one codebook, where each has passes of its own."""
    if geometry.passes == 1:
        return chip
    if "residuals" in chip:
        return {**chip, "indices": chip[("indices", "residuals")[number]]}
    return {**chip, "indices": chip["indices"][..., number : number + 1]}


def _header(levels: Mapping[int, list[tuple[Scale | Offset, int]]], factors: Mapping[str, Integers], rows: range) -> Bits:
    """The bits ahead of the tile of `rows`; `factors` are codes (groups, C)."""
    out = [np.zeros(0, np.uint8)]
    for over, parts in levels.items():
        begun = slice(-(-rows.start // over), -(-rows.stop // over))
        fields = []
        for part, count in parts:
            codes = factors[part.stream]
            own = codes.reshape(-1, count, codes.shape[1])[begun].transpose(0, 2, 1)
            fields.append(low_bits(own, part.bits).reshape(*own.shape[:2], count * part.bits))
        out.append(np.concatenate(fields, axis=-1).reshape(-1))
    return np.concatenate(out)


def _tables(geometry: CoreGeometry, layer: WeightedLayer, blocks: TileTables, tables: Integers, stripe: int, rows: range) -> Bits:
    """The bits ahead of the tile of `rows`: tables of the blocks that begin there, row by row of blocks; zeros past the last output."""
    lookup = layer.weight.format.decode_path().lookup
    assert lookup is not None  # it has the blocks
    assert lookup.block is not None
    out = np.zeros((len(blocks.begun(rows)), geometry.table_bits), np.uint8)
    for place, row in enumerate(blocks.begun(rows)):
        columns = blocks.columns(stripe * geometry.cols, layer.n, geometry.cols)
        own = [low_bits(tables[column // lookup.block[1], row], blocks.element_bits).reshape(-1) for column in columns]
        found = np.concatenate(own)
        out[place, : found.size] = found
    return out.reshape(-1)


def _codes(values: Integers) -> Integers:
    """Stored numbers, floats of binary16 or binary32, as integers whose low bits are theirs."""
    return values.view(f"u{values.itemsize}") if values.dtype.kind == "f" else values


def low_bits(values: Integers, size: int) -> Bits:
    """(..., size) bits of integers, lowest first."""
    return (values[..., None].astype(np.int32) >> np.arange(size, dtype=np.int32) & 1).astype(np.uint8)

"""The DRAM image of a layer's weights: the records in the order in which the array decodes them, packed into words.

N-stripes are the outer loop and K-tiles the inner one; where PEs hold files of weights, folds of stripes are the outer loop, and the
tiles of a fold lie together. Columns are padded to whole stripes and each tile to whole groups, both with zero records. Index and signs
of a record lie together, unlike in a trace, which keeps a stream of each.

Disputable assumptions: each group of a grouped convolution is a run of its own, with its own stripes and words, so a depthwise
one fills one column in C, unless groups are merged (`merged_groups`); a padding record is looked up like any other (codeword 0), because
the loader does not know that it is padding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelsim.compiler.merged_groups import block_diagonal, stripe_count
from accelsim.compiler.tile_tables import TileTables
from accelsim.errors import CompileError
from accelsim.formats.masks import mask_patterns, pattern_bits
from accelsim.formats.weight_format import CODEBOOK
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer

Packing = Literal["layer", "stripe"]
Integers = npt.NDArray[Any]  # an integer type that the format decides
_STRIPES = 8  # packed at a time: 8 stripes of any number of bits are whole bytes, and so are words (WeightBufferSpec)


@dataclass(frozen=True)
class ImageBits:
    """Bits of an image: they add up to its words.

    Attributes
    ----------
    streams : stream of the format's table -> its bits, all of them useful; "side_data": those of scales ahead of their tiles; "codebook":
        those of tables ahead of their tiles, once for each stripe with their weights
    padding : padded columns, rows, records and pops ahead of tiles, what is above an index in a padded field, and the rest of a last word
    """

    streams: Mapping[str, int]
    padding: int

    @property
    def total(self) -> int:
        return sum(self.streams.values()) + self.padding


@dataclass(frozen=True)
class LayerImage:
    """An image, and what a machine needs to know to read it.

    Attributes
    ----------
    data : uint8 (words * word_bits / 8,); bit j of the image is bit j % 8 of byte j // 8
    words, word_bits : length and width of the words
    first_bits : int64 (stripes, K-tiles), first bit of each tile
    indices : int32 (groups, ports), index of every record in stream order, padding records 0; (0, ports) for raw records
    codebook : int8 (codewords, codeword_length); (0, codeword_length) for raw records
    odd : raw values u stand for the odd integers 2u + 1
    patterns : int8 (patterns, of), the lanes that a mask's number keeps; None without masks
    """

    data: npt.NDArray[np.uint8]
    words: int
    word_bits: int
    first_bits: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    codebook: npt.NDArray[np.int8]
    odd: bool = False
    patterns: npt.NDArray[np.int8] | None = None


@dataclass(frozen=True)
class _Field:
    """A part of every record: `grid` (stripes, record rows, record columns, lanes), lanes of `bits` bits, lane 0 lowest."""

    grid: Integers
    bits: int


def tile_of_weight(geometry: CoreGeometry, layer: WeightedLayer, row: int, column: int) -> tuple[int, int]:
    """(nt, kt) of the tile that holds Wt[row, column]; columns count through all groups."""
    order = layer.reduction_order
    step = row if order is None else int(np.flatnonzero(order == row)[0])
    return geometry.mapping.stripes(layer.bounds.G, layer.n, geometry.cols).holding(column), geometry.tile_of_row(step)


def layer_image(geometry: CoreGeometry, layer: WeightedLayer, arrays: Mapping[str, Integers], packing: Packing = "layer") -> LayerImage:
    """The image of a layer.

    Parameters
    ----------
    arrays
        The unpacked streams of the layer's weights, as its format names and shapes them.
    packing
        "layer": the stripes of a group (all, without groups) follow each other without gaps, as one run reads them;
        "stripe": each, or each fold's, begins on a word of its own, to be held and read again.

    Raises
    ------
    CompileError
        Codewords along N that cross the groups of a grouped convolution.
    """
    if geometry.mapping.merged > 1:
        return _block_diagonal_image(geometry, layer, arrays["weights"], packing)
    weight, groups = layer.weight, _stripe_sets(geometry, layer)
    order = layer.reduction_order
    rows = slice(None) if order is None else order
    if not geometry.decode:
        lanes = _Field(_lane_grid(geometry, arrays["weights"][rows], groups), int(geometry.raw_bits))
        image = _image(geometry, layer.k, [lanes], packing, groups, None)
        return replace(image, odd=weight.format.decode_path().odd)
    d = geometry.codeword_length
    if geometry.axis == 0 and not geometry.mapping.own_rows and layer.n % d:
        raise CompileError(
            f"layer {layer.name!r}: codewords of d = {d} outputs cross its {groups} groups of {layer.n} outputs; "
            "allowed: a divisor of the outputs of a group, or weights left uncompressed"
        )
    fields = [_Field(_record_grid(geometry, arrays["indices"][rows], groups), geometry.index_field_bits)]
    if geometry.sign:
        fields.append(_Field(_lane_grid(geometry, arrays["signs"][rows], groups), 1))
    mask = weight.format.decode_path().mask
    if mask is not None:
        fields.append(_Field(_lane_grid(geometry, arrays["masks"][rows], groups, mask[1]), pattern_bits(*mask)))
    image = _image(geometry, layer.k, fields, packing, groups, arrays["codebook"].astype(np.int8))
    return image if mask is None else replace(image, patterns=mask_patterns(*mask))


def _block_diagonal_image(geometry: CoreGeometry, layer: WeightedLayer, weights: Integers, packing: Packing) -> LayerImage:
    """The image of raw weights whose groups share tiles: the stripes of all of them are one stream."""
    merged = layer.merged(geometry.mapping.merged)
    order = merged.reduction_order
    matrix = block_diagonal(weights, layer.bounds.G, geometry.mapping.merged)
    lanes = _lane_grid(geometry, matrix if order is None else matrix[order], merged.bounds.G)
    return _image(geometry, merged.k, [_Field(lanes, int(geometry.raw_bits))], packing, 1, None)


def _stripe_sets(geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """Groups that have stripes of their own."""
    return geometry.mapping.stripes(layer.bounds.G, layer.n, geometry.cols).sets


def matrix_image(geometry: CoreGeometry, matrix: npt.NDArray[np.int8]) -> LayerImage:
    """The words in which the loader reads an activation matrix [K,N] as raw weights, packed as one stream."""
    return _image(geometry, matrix.shape[0], [_Field(_lane_grid(geometry, matrix, 1), int(geometry.raw_bits))], "layer", 1, None)


def image_bits(geometry: CoreGeometry, layer: WeightedLayer, packing: Packing = "layer") -> ImageBits:
    """The bits of the image of a layer: those of its format's records, and what the words of the core hold besides."""
    weight, stripes = layer.weight, stripe_count(geometry, layer)
    streams = {name: stream.total_bits for name, stream in weight.format.placed("record", weight.k, weight.n).items()}
    if geometry.scales:
        streams["side_data"] = _scale_bits(geometry, layer)
    tables = TileTables.of(weight.format.decode_path().lookup, geometry.cols)
    if tables is not None:
        streams[CODEBOOK] = tables.stripe_bits(weight.k, weight.n, geometry.cols)
    sizes = Counter(stream_stripes(geometry, stripes, _stripe_sets(geometry, layer), packing))
    words = sum(count * geometry.words(layer.k * geometry.mapping.merged, size) for size, count in sizes.items())
    return ImageBits(streams, words * geometry.word_bits - sum(streams.values()))


def _scale_bits(geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """Bits of the scales and offsets of all groups, which travel ahead of their tiles."""
    weight = layer.weight
    stored = sum(stream.total_bits for stream in weight.format.side_data(weight.k, weight.n).values())
    sent = weight.n * sum(-(-weight.k // group) * bits for group, bits in geometry.scales)
    if stored != sent:
        raise CompileError(
            f"layer {layer.name!r} ({weight.format.kind}): its scales and offsets are {stored} bits, but the groups of its decode path "
            f"have {sent}"
        )
    return stored


def group_bank_cycles(indices: npt.NDArray[np.int32], banks: int) -> npt.NDArray[np.uint8]:
    """Decode cycles of each group when codeword i lies in single-ported bank i mod `banks`: those of the most loaded bank.

    Parameters
    ----------
    indices : int32 (groups, ports); equal indices of a group are read once

    Returns
    -------
    uint8 (groups,)

    Raises
    ------
    CompileError
        More ports than the cycles of a group can count.
    """
    if indices.shape[1] > 255:
        raise CompileError(
            f"codebook.banks: groups of {indices.shape[1]} lookups can conflict for too long; allowed: at most 255 per cycle"
        )
    cycles = np.zeros(indices.shape[0], np.uint8)
    block = max(1, (1 << 20) // max(banks, indices.shape[1]))
    for start in range(0, indices.shape[0], block):
        part = np.sort(indices[start : start + block], axis=1)
        fresh = np.ones(part.shape, np.bool_)
        fresh[:, 1:] = part[:, 1:] != part[:, :-1]
        slots = np.arange(part.shape[0])[:, None] * banks + part % banks
        loads = np.bincount(slots[fresh], minlength=part.shape[0] * banks)
        cycles[start : start + block] = loads.reshape(-1, banks).max(axis=1)
    return cycles


def _record_columns(geometry: CoreGeometry) -> int:
    """Records side by side in a stripe."""
    return geometry.cols // geometry.codeword_length if geometry.axis == 0 else geometry.cols


def striped(grid: Integers, groups: int, width: int) -> Integers:
    """(rows, groups * columns) -> (stripes, rows, width), the columns of each group padded with zeros to whole stripes."""
    rows, columns = grid.shape[0], grid.shape[1] // groups
    stripes = -(-columns // width)
    padded = np.zeros((rows, groups, stripes * width), grid.dtype)
    padded[:, :, :columns] = grid.reshape(rows, groups, columns)
    return padded.reshape(rows, groups * stripes, width).transpose(1, 0, 2)


def _record_grid(geometry: CoreGeometry, indices: Integers, groups: int) -> Integers:
    """One value per record: (record rows, record columns) -> (stripes, record rows, record columns of a stripe, 1)."""
    return striped(indices, groups, _record_columns(geometry))[..., None]


def _lane_grid(geometry: CoreGeometry, matrix: Integers, groups: int, span: int = 1) -> Integers:
    """One value per weight, or per `span` weights along a codeword: (K, N) -> (stripes, record rows, record columns, values)."""
    d = geometry.codeword_length // span
    whole = striped(matrix, groups, geometry.cols // span if geometry.axis == 0 else geometry.cols)
    stripes, k, cols = whole.shape
    if geometry.axis == 0:
        return whole.reshape(stripes, k, cols // d, d)
    padded = np.zeros((stripes, -(-k // d) * d, cols), matrix.dtype)
    padded[:, :k] = whole
    return padded.reshape(stripes, -1, d, cols).transpose(0, 1, 3, 2)


def stream_stripes(geometry: CoreGeometry, stripes: int, groups: int, packing: Packing) -> list[int]:
    """N-stripes of each stream of an image of so many stripes, of all groups."""
    own = stripes // groups
    return (geometry.folds(own) if packing == "stripe" else [own]) * groups


def tile_first_bits(geometry: CoreGeometry, k: int, stripes: int) -> npt.NDArray[np.int64]:
    """First bit of each tile of a stream of so many N-stripes: int64 (stripes, K-tiles)."""
    bits = geometry.tile_pops(k) * geometry.pop_bits
    before = np.cumsum(bits) - bits
    stripe = np.arange(stripes)
    first = stripe // geometry.file * geometry.file
    held = np.minimum(geometry.file, stripes - first)
    out: npt.NDArray[np.int64] = (first * bits.sum())[:, None] + held[:, None] * before + (stripe - first)[:, None] * bits
    return out


def _stream_order(geometry: CoreGeometry, k: int, grid: Integers) -> Integers:
    """(stripes, record rows, record columns, lanes) -> (stripes, records, lanes), each tile padded to whole groups."""
    stripes, record_rows, _, lanes = grid.shape
    rows = geometry.rows if geometry.axis == 0 else geometry.rows // geometry.codeword_length
    out = np.zeros((stripes, geometry.stripe_groups(k) * geometry.ports, lanes), grid.dtype)
    first = 0
    for kt, row in enumerate(range(0, record_rows, rows)):
        tile = grid[:, row : row + rows].reshape(stripes, -1, lanes)
        out[:, first : first + tile.shape[1]] = tile
        first += geometry.tile_groups(k, kt) * geometry.ports
    return out


def _fold_order(geometry: CoreGeometry, k: int, records: Integers, counts: list[int]) -> Integers:
    """(stripes, records, lanes) with the records of each stream's folds in order: of a K-tile the tiles of all stripes of the fold."""
    if geometry.file == 1:
        return records
    ends = np.cumsum([0, *(geometry.tile_groups(k, kt) * geometry.ports for kt in range(geometry.tile_count(k)))]).tolist()
    out, first = np.empty_like(records), 0
    for held in (held for count in counts for held in geometry.folds(count)):
        fold = records[first : first + held]
        tiles = [fold[:, start:end].reshape(-1, fold.shape[2]) for start, end in pairwise(ends)]
        out[first : first + held] = np.concatenate(tiles).reshape(fold.shape)
        first += held
    return out


def _image(
    geometry: CoreGeometry, k: int, fields: list[_Field], packing: Packing, groups: int, codebook: npt.NDArray[np.int8] | None
) -> LayerImage:
    """Pack records that consist of `fields`, the first of them the index when there is a codebook."""
    counts = stream_stripes(geometry, fields[0].grid.shape[0], groups, packing)
    ordered = [_Field(_fold_order(geometry, k, _stream_order(geometry, k, field.grid), counts), field.bits) for field in fields]
    used = geometry.stripe_groups(k) * geometry.pop_bits
    sizes = [geometry.words(k, count) for count in counts]
    words = sum(sizes)
    data = np.zeros(words * geometry.word_bits // 8, np.uint8)
    first, first_word, first_bits = 0, 0, []
    for together, size in zip(counts, sizes, strict=True):
        first_bits.append(first_word * geometry.word_bits + tile_first_bits(geometry, k, together))
        for start in range(first, first + together, _STRIPES):
            count = min(_STRIPES, first + together - start)
            bits = np.concatenate([_bits(field, start, count) for field in ordered], axis=2)
            packed = np.packbits(bits.reshape(-1), bitorder="little")
            byte = (first_word * geometry.word_bits + (start - first) * used) // 8
            data[byte : byte + packed.size] = packed
        first += together
        first_word += size
    raw = codebook is None
    return LayerImage(
        data=data,
        words=words,
        word_bits=geometry.word_bits,
        first_bits=np.concatenate(first_bits),
        indices=np.zeros((0, geometry.ports), np.int32) if raw else ordered[0].grid.astype(np.int32).reshape(-1, geometry.ports),
        codebook=np.zeros((0, geometry.codeword_length), np.int8) if codebook is None else codebook,
    )


def _bits(field: _Field, start: int, count: int) -> npt.NDArray[np.uint8]:
    """The bits of a field of `count` stripes: uint8 (count, records, lanes * bits), lowest first."""
    values = field.grid[start : start + count].astype(np.uint8 if field.bits <= 8 else "<u4")
    octets = values[..., None].view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=field.bits, bitorder="little").reshape(*values.shape[:2], -1)

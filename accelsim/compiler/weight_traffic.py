"""Bits that a layer's weights cost on the bus, by operand: its format's table of streams, and the chip's words per output.

Records are packed into the image, which is fetched as often as the runs need it; scales and offsets of groups, and tables of blocks, lie
there ahead of their tiles. The header comes once: what the vector unit takes for the requantization of each output channel, into which a
scale per tensor or channel is folded; the layer's codebook, unless it is in the chip's ROM; and all other streams that the table puts
there, each padded to whole bytes. Tables of an entropy decoder, and the offset of each K-tile's codes, come with the codebook.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from accelsim.compiler.image import ImageBits
from accelsim.compiler.plan import ColumnTile
from accelsim.formats.entropy_code import OFFSET_BITS
from accelsim.formats.weight_format import CODEBOOK
from accelsim.hw.vector_unit import VectorUnitSpec
from accelsim.trace.layers import WeightRecord

_RECORD_OPERANDS = {"weights": "raw_weights", "residuals": "indices"}  # stream -> operand; the other records are operands of their own name


def record_traffic(image: ImageBits) -> dict[str, int]:
    """Operand -> bits of one fetch of an image."""
    found: Counter[str] = Counter(padding=image.padding)
    for name, bits in image.streams.items():
        found[_RECORD_OPERANDS.get(name, name)] += bits
    return dict(found)


def header_traffic(weight: WeightRecord, vector: VectorUnitSpec, codebook_in_rom: bool, tiles: int) -> Mapping[str, int]:
    """Operand -> bits of a layer's header, whole bytes together; its image has so many K-tiles.

    Raises
    ------
    FormatError
        A stream that the table folds into the requantization has values for less than an output channel.
    """
    table, k, n = weight.format, weight.k, weight.n
    table.placed("requantization", k, n)  # checked, then held by the multipliers
    bits: Counter[str] = Counter(scales_bias=n * vector.channel_bits)
    path = table.decode_path()
    in_image = path.scale_levels
    codebook_in_image = path.lookup is not None and path.lookup.block is not None
    if path.entropy is not None and path.entropy.mean is not None:
        bits["codebook"] += OFFSET_BITS * tiles
    for stream in table.placed("decoder", k, n).values():
        bits["codebook"] += stream.total_bits
        bits["padding"] += 8 * stream.bytes - stream.total_bits
    for name, stream in table.placed("header", k, n).items():
        if codebook_in_rom or codebook_in_image if name == CODEBOOK else in_image:
            continue
        bits["codebook" if name == CODEBOOK else "side_data"] += stream.total_bits
        bits["padding"] += 8 * stream.bytes - stream.total_bits
    return bits


def header_of_columns(header: Mapping[str, int], tile: ColumnTile) -> Mapping[str, int]:
    """The part of a layer's header that comes with a column tile: its share by columns, the codebook with the first."""
    if tile.count == 1:
        return header
    bits: Counter[str] = Counter(codebook=header.get("codebook", 0) if tile.index == 0 else 0)
    for operand, count in header.items():
        if operand not in ("codebook", "padding"):
            bits[operand] = count * (tile.first + tile.columns) // tile.all_columns - count * tile.first // tile.all_columns
    bits["padding"] = -sum(bits.values()) % 8
    return bits


def most_header_bytes(header: Mapping[str, int], tile: ColumnTile) -> int:
    """No column tile of the layer has a larger header: it comes with the codebook and the most columns."""
    if tile.count == 1:
        return sum(header.values()) // 8
    columns = tile.first // tile.index if tile.index else tile.columns
    shares = (-(-count * columns // tile.all_columns) for operand, count in header.items() if operand not in ("codebook", "padding"))
    return -(-(header.get("codebook", 0) + sum(shares)) // 8)

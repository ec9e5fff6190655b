"""All that products of equal shape and format have in common on a chip: their split, how their weights are reused, traffic and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from accelsim.compiler.gemv import map_product
from accelsim.compiler.geometry import activation_geometry, weight_geometry
from accelsim.compiler.held_operands import hold_of_product
from accelsim.compiler.image import image_bits
from accelsim.compiler.merged_groups import image_tiles
from accelsim.compiler.plan import Op
from accelsim.compiler.product_split import ProductSplit, split_product
from accelsim.compiler.program_size import check_runs
from accelsim.compiler.record_table import Fields
from accelsim.compiler.shared_rom import shared_rom
from accelsim.compiler.target import Target
from accelsim.compiler.weight_traffic import header_of_columns, header_traffic, most_header_bytes, record_traffic
from accelsim.errors import CompileError
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.program import Int64
from accelsim.trace.layers import MacLayer, MatmulLayer


@dataclass(frozen=True)
class WeightReuse:
    """How long the weight buffer holds the streams that a product fetches.

    Attributes
    ----------
    header_bytes : of the layer, or the column tile, ahead of its first records; of a product of two activations the scales of its cache
    over_chunks : a stripe's weights serve all of its M-chunks
    over_row_tiles : the layer's weights serve all row tiles
    """

    header_bytes: int
    over_chunks: bool
    over_row_tiles: bool

    def fetches(self, split: ProductSplit) -> bool:
        """Whether the runs of this row tile fetch their weights, rather than find them in the buffer."""
        return not (self.over_row_tiles and split.row_tile.index)

    def runs_per_fetch(self, split: ProductSplit) -> int:
        """Consecutive runs that a fetched stream serves."""
        return split.chunks if self.over_chunks else 1

    def frees(self, split: ProductSplit) -> Int64:
        """1 for each run that is the last that needs the weights that it reads: int64 (runs,)."""
        if self.over_row_tiles and split.row_tile.index < split.row_tile.count - 1:
            return np.zeros(split.runs, np.int64)
        return np.where(self.over_chunks, split.run_chunks == split.chunks - 1, True).astype(np.int64)


@dataclass(frozen=True)
class ProductFacts:
    """Facts that equal products have in common.

    Attributes
    ----------
    fields : of their runs
    streams : which of the fetched streams each run reads
    first_group : groups of lookups in the image before each run's first stripe
    records, header : operand -> bits of one fetch of the layer's image, and of what comes ahead of it or of its column tile; empty for a
        product of two activations
    bounds : resource of the core -> least cycles
    """

    split: ProductSplit
    reuse: WeightReuse
    fields: Fields
    streams: int | Int64
    first_group: int | Int64
    records: Mapping[str, int]
    header: Mapping[str, int]
    bounds: Mapping[str, int]


def product_key(op: Op) -> tuple[object, ...]:
    """All that `product_facts` reads of an operation, but for names in messages."""
    layer, row_tile = op.layer, op.row_tile and op.row_tile.likeness
    if layer.weighted is not None:
        return (*layer.weighted.likeness, op.row_bits, op.m, op.k, op.n, row_tile, op.column_tile)
    heads = _head_product(op)
    return (
        type(layer),
        heads.transposed_b,
        heads.from_cache,
        heads.cache_bits,
        op.loaded_bits,
        op.row_bits,
        op.m,
        op.k,
        op.n,
        row_tile,
        heads.contiguous,
    )


def _head_product(op: Op) -> MatmulLayer:
    """The layer of a product without weights."""
    assert op.layer.head_product is not None  # the plan makes products of these two kinds only
    return op.layer.head_product


def product_geometry(target: Target, op: Op) -> CoreGeometry:
    """The core as the runs of a product see it, in the mapping that the target of its ranking chooses."""
    if op.layer.weighted is not None:
        geometry = weight_geometry(target, op.layer.weighted)
    else:
        heads = _head_product(op)
        bits = 16 if op.loaded_bits == 16 else heads.cache_bits
        geometry = activation_geometry(target, heads.transposed_b, heads.from_cache, bits)
    if target.ranked_by is not None:
        return _in_passes(target, op, geometry.planned_as(product_geometry(target.ranked_by, op)))
    return _in_passes(target, op, hold_of_product(target, op, map_product(target, op, geometry)))


def _in_passes(target: Target, op: Op, geometry: CoreGeometry) -> CoreGeometry:
    """The core with the cycles of rows whose elements have more than 8 bits.

    Raises
    ------
    CompileError
        A mapping whose rows do not enter tile by tile, or rows wider than the chip takes.
    """
    if op.row_bytes == 1:
        return geometry
    if target.array.row_bits is not None and op.row_bits > target.array.row_bits:
        raise CompileError(
            f"layer {op.layer.name!r}: rows of {op.row_bits} bits exceed array.row_bits = {target.array.row_bits} of {target.name!r}; "
            f"allowed: activations of at most {target.array.row_bits} bits"
        )
    if not geometry.mapping.takes_passes:
        raise CompileError(
            f"layer {op.layer.name!r}: rows of {op.row_bits} bits enter tile by tile, which "
            f"'{geometry.mapping.name(geometry)}' on {target.name!r} does not; allowed: activations of 8 bits, or weights that stay "
            "in the PEs (array.dataflow = 'weight_stationary', array.depthwise = 'column' or 'block_diagonal')"
        )
    return replace(geometry, row_passes=target.array.row_cycles(op.row_bits))


def product_facts(target: Target, op: Op) -> ProductFacts:
    """The facts of a product.

    Raises
    ------
    CompileError, FormatError
        Its format does not fit the chip.
    """
    header: Mapping[str, int] = {}
    records: Mapping[str, int] = {}
    layer, geometry = op.layer.weighted, product_geometry(target, op)
    if layer is not None:
        split = split_product(op, geometry)
        tiles = image_tiles(geometry, layer)
        header = header_traffic(layer.weight, target.vector_unit, target.codebook.store == "rom", tiles)
        records = record_traffic(image_bits(geometry, layer, split.packing))
    else:
        heads = _head_product(op)
        split = split_product(op, geometry)
        if heads.from_cache and heads.cache is not None:
            useful = heads.cache_bits * op.k * op.n
            records = {"kv_read": useful, "padding": 8 * split.image_bytes - useful}
            header = {"kv_read": bits} if (bits := heads.cache.scale_bits(op.n if heads.transposed_b else op.k)) else {}
    check_runs(f"layer {op.layer.name!r}", split.runs)
    reuse = _reuse(target, split, header)
    header = header_of_columns(header, split.column_tile)
    frees = bool(records) and target.weight_buffer.residency == "stream"
    return ProductFacts(
        split=split,
        reuse=reuse,
        fields={**_fields(target, split), "frees": _of_runs(reuse.frees(split)) if frees else 0},
        streams=_of_runs(np.arange(split.runs) // reuse.runs_per_fetch(split)),
        first_group=_of_runs((split.first_stripe + split.nt0) * split.stripe_groups),
        records=records,
        header=header,
        bounds=_bounds(target, split, op.layer.product),
    )


def _of_runs(values: Int64) -> int | Int64:
    """A value of each run; of a single run, as most products are, a number."""
    return values if values.size > 1 else int(values[0])


def _reuse(target: Target, split: ProductSplit, header: Mapping[str, int]) -> WeightReuse:
    """How the weights are reused, alike in all column tiles, given the header of the whole layer."""
    capacity = target.weight_buffer.capacity
    most = most_header_bytes(header, split.column_tile)
    return WeightReuse(
        header_bytes=sum(header_of_columns(header, split.column_tile).values()) // 8,
        over_chunks=not split.per_stripe or most + split.stream_bytes <= capacity,
        over_row_tiles=split.row_tile.count > 1 and sum(header.values()) // 8 + split.image_bytes <= capacity,
    )


def _fields(target: Target, split: ProductSplit) -> Fields:
    """Rows, stripes and words of the runs."""
    geometry = split.geometry
    return {
        "k": split.k,
        "kt_count": split.kt_count,
        **geometry.scale_fields(),
        "d": geometry.codeword_length * (target.array.cols // geometry.cols),  # as the kernel counts records: over all columns
        "axis": geometry.axis,
        "ports": geometry.cycle_records,
        "groups": geometry.groups_per_cycle,
        "lookups": geometry.groups_per_cycle * geometry.group_lookups,
        "pop_bits": geometry.groups_per_cycle * geometry.pop_bits,
        "buffer_bits": geometry.buffer_bits,
        "word_bits": geometry.word_bits,
        "words_per_cycle": geometry.words_per_cycle,
        "m": _of_runs(split.run_rows),
        "m0": _of_runs(split.first_rows),
        "nt0": _of_runs(split.nt0),
        "nt_count": _of_runs(split.nt_counts),
        "columns": _of_runs(split.run_columns),
        "steps": _of_runs(geometry.mapping.steps(split)),
        **geometry.mapping.fields(geometry, split.k),
        **{name: value if isinstance(value, int) else _of_runs(value) for name, value in geometry.mapping.run_fields(split).items()},
        "words": _of_runs(split.words),
    }


def _bounds(target: Target, split: ProductSplit, layer: MacLayer | None) -> Mapping[str, int]:
    """Least cycles of each resource of the core."""
    geometry = split.geometry
    assert layer is not None  # the plan puts nothing else on the array
    cycles = split.stripe_cycles * split.all_stripes * split.chunks
    bits = geometry.stripe_pops(split.k) * split.all_stripes * split.chunks * geometry.pop_bits
    rom = shared_rom(target)
    return {
        **({"rom": rom.least_cycles(cycles)} if rom.rom_groups and geometry.group_lookups else {}),
        "array": geometry.row_passes * geometry.mapping.array_cycles(layer, split, target.array.rows_per_cycle),
        "decode": cycles,
        "buffer_width": -(-bits // (geometry.words_per_cycle * geometry.word_bits)),
    }

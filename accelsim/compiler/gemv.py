"""The mapping of a product of few rows: tile by tile through the array, or group by group as its weights leave the decoder (GEMV).

Both read the one image of the weights. Tile by tile, a tile takes its rows or its load behind the swap wave, whichever is longer; group
by group, each group takes its rows, and no wave holds it. Disputable assumptions: memory, which both wait for alike, bank conflicts and
what begins and ends a layer are not part of the estimate; on a tie tiles win. Groups of a convolution keep the tiles, as do formats with
tables per block, which the codebook takes ahead of a tile, and those with a scale for fewer rows than meet activations in a cycle, whose
products would be added up before they are scaled.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.compiler.plan import Op
from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.gemv import Gemv
from accelsim.hw.row_accesses import row_accesses


def map_product(target: Target, op: Op, geometry: CoreGeometry) -> CoreGeometry:
    """The core as the runs of a product see it, with the mapping that `array.mapping` asks for."""
    if not can_leave_array(target, op, geometry):
        return geometry
    direct = replace(geometry, mapping=Gemv(), max_m=target.array.few_rows)
    if target.array.mapping == "cheapest" and gemv_cycles(target, op, geometry) >= tile_cycles(target, op, geometry):
        return geometry
    return direct


def can_leave_array(target: Target, op: Op, geometry: CoreGeometry) -> bool:
    """Whether all rows of a product, 8 bits wide, have sums that fit the registers behind the decoder, and products that can be scaled."""
    fits = op.row_bytes == 1 and whole_rows(op) <= target.array.few_rows and op.layer.tile_groups == 1
    return fits and not geometry.table_rows and _scales_whole_cycles(target, geometry)


def _scales_whole_cycles(target: Target, geometry: CoreGeometry) -> bool:
    """Whether the products that a cycle adds to a sum share each of their scales, or the decoder has applied them."""
    if target.array.scale_at == "weight" or not geometry.scales:
        return True
    finest = min(rows for rows, _ in geometry.scales)
    return finest % min(geometry.group_rows, geometry.block_rows) == 0


def whole_rows(op: Op) -> int:
    """Rows of the whole product, which a row tile is part of."""
    return op.m if op.row_tile is None else op.row_tile.all_rows


def gemv_cycles(target: Target, op: Op, geometry: CoreGeometry) -> int:
    """Estimated cycles group by group: each takes its rows, or its bits; or the lanes take the sums of the stripes.

    Of the scales ahead of a tile, a pop for each row but one passes while the group before meets them.
    """
    rows, groups = whole_rows(op), geometry.stripe_groups(op.k)
    vector, steps = target.vector_unit, _row_cycles(target, op, rows, geometry.group_rows)
    scales = [geometry.scale_pops(op.k, kt) for kt in range(geometry.tile_count(op.k))]
    behind = sum(max(0, pops - (steps - 1)) for pops in scales)
    pops = max(groups * steps + behind, width_cycles(geometry, groups + sum(scales)))
    drain = vector.row_cycles(rows * geometry.cols, vector.passes.requantize)
    return -(-op.n // geometry.cols) * max(pops, drain)


def tile_cycles(target: Target, op: Op, geometry: CoreGeometry) -> int:
    """Estimated cycles tile by tile: each takes its rows, its bits, or its load behind the wave; or the lanes take the rows.

    Rows that the accumulators do not hold together read the tiles again for each chunk of them.
    """
    tiles, groups, vector = geometry.tile_count(op.k), op.layer.tile_groups, target.vector_unit
    chunks = -(-whole_rows(op) // geometry.max_m)
    rows = -(-whole_rows(op) // chunks)
    steps = _row_cycles(target, op, rows, geometry.rows)
    array = sum(tile_period(geometry, op.k, kt, steps) for kt in range(tiles))
    drain = rows * vector.row_cycles(geometry.cols, vector.passes.requantize)
    return groups * -(-op.n // groups // geometry.cols) * chunks * max(array, drain)


def tile_period(geometry: CoreGeometry, k: int, kt: int, steps: int) -> int:
    """Cycles from a tile's swap to the next one's, whose rows take `steps`: a group is popped behind the row of PEs that it ends in."""
    groups = geometry.tile_groups(k, kt)
    behind = max(geometry.last_row(0) + groups - 1, geometry.last_row(groups - 1)) + geometry.cols
    pops = groups + geometry.scale_pops(k, kt)
    load = max(pops, width_cycles(geometry, pops), -(-behind // geometry.shadow_sets))
    return max(load, steps)


def _row_cycles(target: Target, op: Op, rows: int, elements: int) -> int:
    """Cycles in which rows of so many elements are taken in and read: those that take several accesses wait for a port of the buffer."""
    layer = op.layer.product
    assert layer is not None  # the plan puts nothing else on the array
    accesses = row_accesses(target.activation_buffer, layer, elements)
    waits = rows * (-(-accesses // target.activation_buffer.port_accesses) - 1)
    return -(-rows // target.array.rows_per_cycle) + waits


def width_cycles(geometry: CoreGeometry, groups: int) -> int:
    """Cycles in which the weight buffer's port reads the bits of so many pops."""
    return -(-groups * geometry.pop_bits // geometry.word_bits)

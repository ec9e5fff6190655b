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
from accelsim.compiler.product_cost import product_cycles
from accelsim.compiler.target import Target
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.gemv import Gemv


def map_product(target: Target, op: Op, geometry: CoreGeometry) -> CoreGeometry:
    """The core as the runs of a product see it, with the mapping that `array.mapping` asks for."""
    if not can_leave_array(target, op, geometry):
        return geometry
    direct = replace(geometry, mapping=Gemv(), max_m=target.array.few_rows)
    if target.array.mapping == "cheapest":
        return min(geometry, direct, key=lambda found: product_cycles(target, op, found) or 0)  # both have estimates
    return direct


def can_leave_array(target: Target, op: Op, geometry: CoreGeometry) -> bool:
    """Whether all rows of a product, 8 bits wide, have sums that fit the registers behind the decoder, and products that can be scaled."""
    fits = op.row_bytes == 1 and op.whole_rows <= target.array.few_rows and op.layer.tile_groups == 1
    return fits and not geometry.table_rows and _scales_whole_cycles(target, geometry)


def _scales_whole_cycles(target: Target, geometry: CoreGeometry) -> bool:
    """Whether the products that a cycle adds to a sum share each of their scales, or the decoder has applied them."""
    if target.array.scale_at == "weight" or not geometry.scales:
        return True
    finest = min(rows for rows, _ in geometry.scales)
    return finest % geometry.group_rows == 0

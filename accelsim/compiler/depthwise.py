"""The mapping of a grouped or depthwise convolution: a tile per group, block-diagonal tiles, columns with feeds, or the vector unit.

Disputable assumption: mappings are ranked by the cycles of the array alone, as the drain of the sums mostly hides behind it; on the
vector unit by those of the lanes, which multiply and requantize one after the other.
"""

from __future__ import annotations

from accelsim.compiler.column_feed import fed_columns, feed_cycles
from accelsim.compiler.merged_groups import merge_groups, merged_cycles
from accelsim.compiler.target import Target
from accelsim.compiler.vector_path import lane_cycles, on_lanes
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.trace.layers import WeightedLayer


def map_groups(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> CoreGeometry:
    """The core as the runs of a layer see it, in the mapping that `array.depthwise` asks for; of equally cheap ones the first."""
    asked = target.array.depthwise
    if asked == "column" or layer.tile_groups == 1:
        return geometry
    merged, fed, lanes = merge_groups(geometry, layer), fed_columns(target, geometry, layer), on_lanes(target, geometry, layer)
    if asked == "block_diagonal":
        return merged
    if asked == "column_feed":
        return fed or geometry
    if asked == "vector":
        return lanes or geometry
    found = [(merged_cycles(target, choice, layer), choice) for choice in (geometry, merged)]
    if fed is not None:
        found.append((feed_cycles(target, fed, layer), fed))
    if lanes is not None:
        found.append((lane_cycles(target, lanes, layer), lanes))
    return min(found, key=lambda item: item[0])[1]

"""How many N-tiles a fold of enhanced weight stationary takes: fewer than a file holds where the weight buffer does not hold the layer.

A fold of E tiles needs sums for E tiles of each row, so a run takes 1 / E of the rows that the accumulators hold, and results leave by
whole folds. Weights that the buffer does not hold are then read more often. Such a layer takes the fewest tiles under which neither the
swap wave nor the reads of a row are waited for; more would spare reads of the activation buffer alone. Disputable assumption: the rows are
those of one image, whatever the batch and the row tiles, as the order of the weights in memory follows.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.compiler.image import image_bits
from accelsim.compiler.merged_groups import image_tiles
from accelsim.compiler.target import Target
from accelsim.compiler.weight_traffic import header_traffic
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.row_accesses import row_accesses
from accelsim.trace.layers import WeightedLayer


def fit_folds(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> CoreGeometry:
    """The core with as many tiles in a fold as the layer's runs take."""
    if geometry.file == 1 or target.weight_buffer.residency == "pinned" or _is_held(target, geometry, layer):
        return geometry
    return replace(geometry, file=_fewest_tiles(target, geometry, layer))


def _is_held(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> bool:
    """Whether the weight buffer holds the layer's weights whole, scales and biases included."""
    header = header_traffic(layer.weight, target.vector_unit, target.codebook.store == "rom", image_tiles(geometry, layer))
    return sum(header.values()) + image_bits(geometry, layer).total <= 8 * target.weight_buffer.capacity


def _fewest_tiles(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """The fewest tiles E whose E x M cycles cover E - 1 loads and the wave behind the last, and E cycles the reads of a row."""
    load = geometry.tile_groups(layer.k * geometry.mapping.merged, 0)
    wave = geometry.rows + geometry.cols - 1
    buffer = target.activation_buffer
    reads = -(-row_accesses(buffer, layer.merged(geometry.mapping.merged), geometry.rows) // buffer.port_accesses)
    most = max(1, min(geometry.file, geometry.max_m // layer.m))
    covered = (tiles for tiles in range(min(most, reads), most) if tiles * layer.m >= wave + (tiles - 1) * load)
    return next(covered, most)

"""Block-diagonal tiles: several groups of a convolution in one tile, their reductions one below the other, their outputs side by side.

All columns of a weight-stationary array see the same activations, so a tile of one group has no more columns than the group has outputs:
one in C for a depthwise layer. Merged groups are the groups of a coarser convolution with zeros off the diagonal blocks, and the last one
is filled up with channels of zeros. Disputable assumption: the zeros are stored, as everything in the columns of a stripe is, so memory,
loader and array need nothing new; a format without a code for zero keeps a tile per group.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compiler.target import Target
from accelsim.formats.decode_path import DecodePath
from accelsim.formats.parts import Raw, Scale
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.mappings.block_diagonal import BlockDiagonal
from accelsim.hw.row_accesses import row_accesses
from accelsim.trace.layers import WeightedLayer


def merge_groups(geometry: CoreGeometry, layer: WeightedLayer) -> CoreGeometry:
    """The core as the runs of a layer see it, with as many groups in a tile as fit."""
    count = _most_groups(geometry, layer)
    return replace(geometry, mapping=BlockDiagonal(count)) if count > 1 else geometry


def _most_groups(geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """Groups in a tile: no more than rows and columns take, and no more than fill the fewest tiles evenly."""
    groups = layer.tile_groups
    if not _has_zero(layer.weight.format.decode_path()):
        return 1
    most = min(geometry.rows // layer.k, geometry.cols // layer.n)
    return -(-groups // -(-groups // most)) if most > 1 else 1


def _has_zero(path: DecodePath) -> bool:
    """Whether a stored 0 is a weight of 0: a signed integer to which nothing but a scale per channel or tensor is applied."""
    return not path.odd and not path.scale_levels and all(isinstance(part, Raw | Scale) for part in path.parts)


def merged_cycles(target: Target, geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """Estimated cycles of a layer, one image: of each tile its rows, at the rate of their reads, or its load behind the swap wave."""
    k = layer.k * geometry.mapping.merged
    groups = geometry.tile_groups(k, 0)
    load = max(groups, -(-groups * geometry.pop_bits // geometry.word_bits)) + (geometry.cols - 1 if geometry.shadow_sets == 1 else 0)
    lying = geometry.mapping.stripes(layer.bounds.G, layer.n, geometry.cols)
    stripes = lying.total
    chunks = -(-layer.m // geometry.run_rows(stripes // lying.sets))
    reads = row_accesses(target.activation_buffer, layer.merged(geometry.mapping.merged), geometry.rows)
    row = max(1, -(-reads // target.activation_buffer.port_accesses))
    return stripes * geometry.tile_count(k) * chunks * max(-(-layer.m // chunks) * row, load)


def stripe_count(geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """N-stripes of a layer: those of each group of a convolution, one group after the other; or those of all of them that share tiles."""
    return geometry.mapping.stripes(layer.bounds.G, layer.n, geometry.cols).total


def image_tiles(geometry: CoreGeometry, layer: WeightedLayer) -> int:
    """K-tiles of a layer's image, of all stripes."""
    return geometry.tile_count(layer.k * geometry.mapping.merged) * stripe_count(geometry, layer)


def block_diagonal(matrix: npt.NDArray[Any], groups: int, count: int) -> npt.NDArray[Any]:
    """(K, groups * N) -> (count * K, ceil(groups / count) * count * N): each `count` groups on a diagonal, zeros elsewhere."""
    k, n = matrix.shape[0], matrix.shape[1] // groups
    out = np.zeros((count * k, -(-groups // count) * count * n), matrix.dtype)
    for group in range(groups):
        place, column = group % count, group * n
        out[place * k : (place + 1) * k, column : column + n] = matrix[:, column : column + n]
    return out

"""Costs of a layer's row tiles: each loads the weights again, from memory where the weight buffer does not hold them whole.

Disputable assumption: a load that the array does not cover with rows counts in full, as if memory moved no activations meanwhile.
"""

from __future__ import annotations

from typing import NamedTuple

from accelsim.compiler.layer_weights import LayerWeights, weights_of_layers
from accelsim.compiler.plan import Plan
from accelsim.compiler.target import Target
from accelsim.trace.layers import WeightedLayer
from accelsim.trace.trace import Trace


class RowTileCost(NamedTuple):
    """Of a layer: bytes that each row tile reads, and bytes of activations that memory moves while the array loads it, or takes a row.

    Attributes
    ----------
    read : bytes of the image, 0 where the buffer holds it
    loaded : bytes that memory moves while all tiles are loaded once
    row : bytes that memory moves while all tiles take a row
    """

    read: int
    loaded: float
    row: float

    def more(self, times: int, rows: int) -> int:
        """Bytes, or bytes in place of time, that loading the weights `times` times for so many rows costs more than once."""
        loads = times * self.loaded - max(self.loaded, rows * self.row)
        return max(self.read * (times - 1), int(loads))


WeightsReadAgain = tuple[tuple[str, RowTileCost], ...]  # by name of the layer; hashable


def weights_read_again(target: Target, trace: Trace) -> WeightsReadAgain:
    """The costs of row tiles of the layers of `trace` that have weights."""
    if target.weight_buffer.residency == "pinned":
        return ()
    memory = target.placement.activations
    rate = float(0 if memory == "none" else target.memory(memory).bytes_per_cycle or 0)  # an ideal memory moves all at once
    found = weights_of_layers(target, trace.weighted_layers())
    return tuple((layer.name, _cost(target, layer, item, rate)) for layer, item in found)


def _cost(target: Target, layer: WeightedLayer, item: LayerWeights, rate: float) -> RowTileCost:
    geometry, groups = item.geometry, layer.tile_groups
    stripes = groups * -(-layer.n // groups // geometry.cols)
    tiles = geometry.tile_count(layer.k)
    load = sum(geometry.tile_period(layer.k, kt, 0) for kt in range(tiles))
    held = item.header_bytes + item.image_bytes <= target.weight_buffer.capacity
    return RowTileCost(0 if held else item.image_bytes, rate * stripes * load, rate * stripes * tiles)


def bytes_read_again(plan: Plan, again: WeightsReadAgain) -> int:
    """Bytes of weights that all row tiles of `plan` but the first of each layer read."""
    costs = dict(again)
    first_columns = (op for op in plan.ops if op.column_tile is None or not op.column_tile.index)  # all column tiles read the image once
    return sum(
        costs[op.layer.name].read for op in first_columns if op.layer.name in costs and op.row_tile is not None and op.row_tile.index
    )

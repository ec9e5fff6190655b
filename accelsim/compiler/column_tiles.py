"""Column tiles of products: the choice where a layer's weights exceed the weight buffer, so that each row tile reads them again.

The rows of a row tile remain in the activation buffer for all column tiles, whose results leave one after the other, so fewer row tiles
do. Scales and biases are loaded with each column tile. Disputable assumption: a column tile is whole N-stripes, and rows that serve
several column tiles are not loaded under the row tile before.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

from accelsim.compiler.layer_weights import weights_of_layers
from accelsim.compiler.plan import ColumnTile, Op, Plan, TensorId
from accelsim.compiler.row_tiles import TileBytes, TileCounts, lines_of, most_tiles, row_tile_counts, tile_row_ranges
from accelsim.compiler.target import Target
from accelsim.trace.trace import Trace


class WideLayer(NamedTuple):
    """A product whose weights do not fit the weight buffer together.

    Attributes
    ----------
    cols, stripes : outputs of an N-stripe, or of as many as a fold holds, and how many of these there are
    least_tiles : column tiles that its scales and biases need
    max_m : rows that one read of a stripe serves; 0: any number, as the buffer holds the stripe
    """

    cols: int
    stripes: int
    least_tiles: int
    max_m: int


WideLayers = tuple[tuple[str, WideLayer], ...]  # by name of the layer; hashable


def wide_layers(target: Target, trace: Trace) -> WideLayers:
    """The layers of `trace` that may run in column tiles."""
    buffer = target.weight_buffer
    out: list[tuple[str, WideLayer]] = []
    for layer, weights in weights_of_layers(target, trace.weighted_layers()):
        if layer.tile_groups > 1 or buffer.residency == "pinned" or layer.weight.k * layer.n <= buffer.capacity // 8:
            continue
        geometry = weights.geometry
        held = min(geometry.file, -(-layer.n // geometry.cols))  # N-stripes that are read together
        cols = held * geometry.cols
        stripes = -(-layer.n // cols)
        total, codebook = weights.header_bytes, weights.header.get("codebook", 0) // 8
        stripe_bytes = geometry.words(layer.k, held) * geometry.word_bits // 8
        if total + stripes * stripe_bytes <= buffer.capacity:
            continue
        least = 1
        if total + target.dma.transfer > buffer.capacity:  # half the buffer, so that it is loaded under the column tile before
            room = max(1, (buffer.capacity - target.dma.transfer) // 2 - codebook)
            most = max(1, room * stripes // max(1, total - codebook))  # stripes of a column tile
            least = -(-stripes // most)
        max_m = 0 if total + stripe_bytes <= buffer.capacity else geometry.run_rows(held)
        out.append((layer.name, WideLayer(cols, stripes, least, max_m)))
    return tuple(out)


def column_tiles(op: Op, wide: WideLayer | None, count: int) -> list[ColumnTile | None]:
    """About `count` column tiles of equally many stripes, the last with the remainder; None: all columns at once."""
    if wide is None or count == 1:
        return [None]
    step = -(-wide.stripes // count) * wide.cols
    firsts = range(0, op.n, step)
    return [ColumnTile(index, len(firsts), first, min(step, op.n - first), op.n) for index, first in enumerate(firsts)]


def fewest_reads(sizes: TileBytes, op: Op, wide: WideLayer, in_dram: Set[TensorId], room_bytes: int, rows: int) -> TileCounts | None:
    """The row and column tiles with fewest reads of the weights, then fewest column tiles; None if none reads less than `rows` row tiles.

    The result lies in DRAM; two of its tiles are in the buffer, as one is written while the next is computed.
    """
    plan = sizes.plan
    result = plan.tensors[op.writes]
    if op.writes not in in_dram or wide.cols * result.bits % 8:
        return None
    best, least = None, reads(plan, op, wide, rows)
    for count in row_tile_counts(lines_of(plan, op)):
        found = reads(plan, op, wide, count)
        if found >= least:
            continue
        most_rows = tile_row_ranges(plan, op, count)[0][1]
        room = room_bytes - sizes.of(op, in_dram - {op.writes}, count)
        stripes = room // (2 * max(1, most_rows * wide.cols * result.bits // 8))
        if stripes >= 1:
            best, least = TileCounts(count, max(wide.least_tiles, -(-wide.stripes // stripes))), found
    return best


def reads(plan: Plan, op: Op, wide: WideLayer, count: int) -> int:
    """How often `count` row tiles read the weights."""
    if not wide.max_m:
        return count
    return sum(-(-rows // wide.max_m) for _, rows in tile_row_ranges(plan, op, count))


def finer_tiles(plan: Plan, op: Op, wide: WideLayer | None, counts: TileCounts, factor: int) -> TileCounts:
    """`counts` with `factor` times the tiles: columns first, as they cost no read."""
    if wide is None or counts.columns == 1:
        return TileCounts(min(most_tiles(plan, op), factor * counts.rows), counts.columns)
    columns = min(wide.stripes, factor * counts.columns)
    return TileCounts(min(most_tiles(plan, op), -(-factor * counts.columns // columns) * counts.rows), columns)


def least_tiles(plan: Plan, wide: Mapping[str, WideLayer]) -> dict[int, TileCounts]:
    """Operation -> the column tiles that its scales and biases need, for those that need several."""
    found = ((op, wide.get(op.layer.name)) for op in plan.ops)
    return {op.index: TileCounts(1, each.least_tiles) for op, each in found if each is not None and each.least_tiles > 1}

"""The largest or the mean element over any dimensions of a view, as a pool with one window per result.

The dimensions that are reduced become the lines of an image, which one window covers; a move lays them out where they do not lie so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from accelsim.importers.graph.builder import GraphBuilder
from accelsim.importers.graph.layout import View, axis_dim
from accelsim.importers.graph.windows import Pool, PoolOp


def reduce_dims(builder: GraphBuilder, name: str, view: View, dims: Sequence[int], op: PoolOp) -> View:
    """The largest or the mean element over some dimensions, which have one element afterwards.

    Parameters
    ----------
    builder
        Takes the layer, and a move where no image holds the lines that are reduced.
    name
        Of the layer.
    view
        The activation.
    dims
        Dimensions, counted from the first or from the end.
    op
        Reduction of each window.
    """
    rank, shape = len(view.shape), view.shape
    reduced = sorted({dim % rank for dim in dims})
    result = tuple(1 if dim in reduced else size for dim, size in enumerate(shape))
    if result == shape:
        return view
    if rank == 4 and reduced == [2, 3]:
        image = (shape[2], shape[3])
        return builder.pool(name, view, Pool(op, image, image))
    kept = [dim for dim in range(rank) if dim not in reduced]
    in_columns = [dim for dim in kept if view.dims[dim][-1:] == axis_dim("column", shape[dim])[-1:] != ()]
    channels = (in_columns or kept[-1:])[:1]
    others = [dim for dim in kept if dim not in channels]
    lines, places = (math.prod(shape[dim] for dim in part) for part in (reduced, others))
    order = [*reduced, *others, *channels]
    turned = view.permute(order).reshape((1, lines, places, math.prod(shape[dim] for dim in channels))).permute((0, 3, 1, 2))
    pooled = builder.pool(name, turned, Pool(op, (lines, 1), (lines, 1)))
    back = pooled.permute((0, 2, 3, 1)).reshape([result[dim] for dim in order])
    return back.permute([order.index(dim) for dim in range(rank)])

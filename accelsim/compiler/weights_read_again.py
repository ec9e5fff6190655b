"""Layers whose weights the weight buffer does not hold whole, so that each row tile reads them again."""

from __future__ import annotations

from accelsim.compiler.geometry import weight_geometry
from accelsim.compiler.image import image_bits
from accelsim.compiler.merged_groups import image_tiles
from accelsim.compiler.plan import Plan
from accelsim.compiler.target import Target
from accelsim.compiler.weight_traffic import header_traffic
from accelsim.trace.trace import Trace

WeightsReadAgain = tuple[tuple[str, int], ...]  # (name of the layer, bytes of its image); hashable


def weights_read_again(target: Target, trace: Trace) -> WeightsReadAgain:
    """The layers of `trace` whose header and image exceed the weight buffer, with the bytes of the image."""
    buffer = target.weight_buffer
    if buffer.residency == "pinned":
        return ()
    out: list[tuple[str, int]] = []
    for layer in trace.weighted_layers():
        geometry = weight_geometry(target, layer)
        header = header_traffic(layer.weight, target.vector_unit, target.codebook.store == "rom", image_tiles(geometry, layer))
        image_bytes = image_bits(geometry, layer).total // 8
        if sum(header.values()) // 8 + image_bytes > buffer.capacity:
            out.append((layer.name, image_bytes))
    return tuple(out)


def bytes_read_again(plan: Plan, again: WeightsReadAgain) -> int:
    """Bytes of weights that all row tiles of `plan` but the first of each layer read."""
    image_bytes = dict(again)
    first_columns = (op for op in plan.ops if op.column_tile is None or not op.column_tile.index)  # all column tiles read the image once
    return sum(image_bytes.get(op.layer.name, 0) for op in first_columns if op.row_tile is not None and op.row_tile.index)

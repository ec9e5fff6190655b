"""Layers whose weights the weight buffer does not hold whole, so that each row tile reads them again."""

from __future__ import annotations

from accelsim.compiler.layer_weights import weights_of_layers
from accelsim.compiler.plan import Plan
from accelsim.compiler.target import Target
from accelsim.trace.trace import Trace

WeightsReadAgain = tuple[tuple[str, int], ...]  # (name of the layer, bytes of its image); hashable


def weights_read_again(target: Target, trace: Trace) -> WeightsReadAgain:
    """The layers of `trace` whose header and image exceed the weight buffer, with the bytes of the image."""
    buffer = target.weight_buffer
    if buffer.residency == "pinned":
        return ()
    found = weights_of_layers(target, trace.weighted_layers())
    return tuple((layer.name, item.image_bytes) for layer, item in found if item.header_bytes + item.image_bytes > buffer.capacity)


def bytes_read_again(plan: Plan, again: WeightsReadAgain) -> int:
    """Bytes of weights that all row tiles of `plan` but the first of each layer read."""
    image_bytes = dict(again)
    first_columns = (op for op in plan.ops if op.column_tile is None or not op.column_tile.index)  # all column tiles read the image once
    return sum(image_bytes.get(op.layer.name, 0) for op in first_columns if op.row_tile is not None and op.row_tile.index)

"""A lower bound on the activation buffer, checked before anything is planned, in time proportional to the layers.

A product of two activations runs head by head. Each head reads operands that hold all heads, of all images, so they are in the buffer
whole beside the head's result (or the result of all heads, where their columns are merged), in row tiles or not.
"""

from __future__ import annotations

from accelsim.compiler.allocation import IN_ROW_TILES, short_of_room
from accelsim.compiler.plan import TensorId
from accelsim.ops.shapes import TensorShape
from accelsim.trace.trace import Trace


def check_heads(trace: Trace, batch: int, capacity_bytes: int) -> None:
    """Refuse a network one of whose heads cannot fit the buffer.

    Raises
    ------
    ActivationsTooLarge
        Names the first such layer, the tensors that it needs, and the bytes missing.
    """
    shapes = {source.name: source.shape for source in trace.manifest.inputs} | {layer.name: layer.output for layer in trace.layers}
    maybe_fused = {name for layer in trace.layers if layer.fusable for name in layer.inputs}  # their result is another tensor
    for layer in trace.layers:
        heads = layer.head_product
        if heads is None:
            continue
        live: dict[TensorId, int] = {}
        operands = zip(layer.inputs, (heads.a.split == "groups", heads.b.split == "groups"), strict=False)
        results = [(layer.name, heads.merge == "groups")] if layer.name not in maybe_fused else []
        for name, per_head in (*operands, *results):
            live[TensorId(name, 0) if per_head else TensorId(name)] = _bytes(shapes[name], batch, per_head)
        short_bytes = sum(live.values()) - capacity_bytes
        if short_bytes > 0:
            raise short_of_room(layer.name, short_bytes, capacity_bytes, IN_ROW_TILES, live, -1)


def _bytes(shape: TensorShape, batch: int, per_head: bool) -> int:
    return (1 if per_head else shape.groups * batch) * shape.rows * shape.width * shape.bits // 8

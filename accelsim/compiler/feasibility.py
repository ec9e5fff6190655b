"""A lower bound on the activation buffer, checked before anything is planned, in time proportional to the layers.

A product of two activations runs head by head, and a head in row bands: beside a row of the head's first operand and a row of its result,
the head's part of the second operand is in the buffer whole.
"""

from __future__ import annotations

from accelsim.compiler.allocation import IN_ROW_TILES, short_of_room
from accelsim.compiler.plan import TensorId
from accelsim.trace.trace import Trace


def check_heads(trace: Trace, capacity_bytes: int) -> None:
    """Refuse a network one of whose heads cannot fit the buffer.

    Raises
    ------
    ActivationsTooLarge
        Names the first such layer, the parts of tensors that it needs, and the bytes missing.
    """
    bits = {source.name: source.shape.bits for source in trace.manifest.inputs} | {layer.name: layer.output.bits for layer in trace.layers}
    maybe_fused = {name for layer in trace.layers if layer.fusable for name in layer.inputs}  # their result is another tensor
    for layer in trace.layers:
        heads = layer.head_product
        if heads is None:
            continue
        elements = [heads.k] if heads.from_cache else [heads.k, heads.k * heads.n]
        live = {TensorId(name, 0): count * bits[name] // 8 for name, count in zip(layer.inputs, elements, strict=False)}
        if layer.name not in maybe_fused:
            live[TensorId(layer.name, 0)] = heads.n * bits[layer.name] // 8
        short_bytes = sum(live.values()) - capacity_bytes
        if short_bytes > 0:
            raise short_of_room(layer.name, short_bytes, capacity_bytes, IN_ROW_TILES, live, -1)

"""Lower bounds on the activation buffer and on the memory of the weights, checked before planning in time proportional to the layers.

A product of two activations runs head by head, and a head in row bands: beside a row of the head's first operand and a row of its result,
the head's part of the second operand is in the buffer whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from accelsim.compiler.allocation import IN_ROW_TILES, short_of_room
from accelsim.compiler.layer_weights import weights_of_layers
from accelsim.compiler.plan import TensorId
from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.hw.l2 import L2
from accelsim.trace.trace import Trace


def check_images(target: Target, traces: Iterable[Trace]) -> None:
    """Refuse networks whose matrices alone exceed the DRAM or flash in which they lie.

    Headers, bursts and activations are not counted. The bytes that a shared level lacks are known once all is placed.

    Raises
    ------
    CompileError
        Names the memory, its bytes, and those of all matrices.
    """
    memory = target.placement.weights
    capacity_bytes = target.memory(memory).capacity_bytes
    if capacity_bytes is None or memory == L2:
        return
    layers = (layer for trace in traces for layer in trace.weighted_layers())
    needed_bytes = sum(weights.image_bytes for _, weights in weights_of_layers(target, layers))
    if needed_bytes > capacity_bytes:
        raise CompileError(f"accelerator {target.name!r}: {memory} holds {capacity_bytes} B, the image needs at least {needed_bytes} B")


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

"""Lower bounds on operations, the activation buffer and the weights' memory, checked before planning in time proportional to the layers.

A product of two activations runs head by head, and a head in row bands: beside a row of the head's first operand and a row of its result,
the head's part of the second operand is in the buffer whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accelsim.compiler.allocation import IN_ROW_TILES, short_of_room
from accelsim.compiler.layer_weights import weights_of_layers
from accelsim.compiler.plan import MOST_OPERATIONS, TensorId
from accelsim.compiler.target import Target
from accelsim.errors import CompileError
from accelsim.hw.l2 import L2
from accelsim.ops.shapes import TensorShape
from accelsim.trace.trace import Trace

_MOST_BY_HEAD = MOST_OPERATIONS // 2  # the plans of several head orders are alive at once


def check_images(target: Target, traces: Sequence[Trace], batch: int) -> None:
    """Refuse networks whose matrices alone, or with their inputs and outputs, exceed the DRAM or flash in which they lie.

    Headers, bursts and other activations are not counted. The bytes that a shared level lacks are known once all is placed.

    Raises
    ------
    CompileError
        Names the memory, its bytes, and those of all matrices, inputs and outputs.
    """
    memory = target.placement.weights
    capacity_bytes = target.memory(memory).capacity_bytes
    if capacity_bytes is None or memory == L2:
        return
    layers = (layer for trace in traces for layer in trace.weighted_layers())
    needed_bytes = sum(weights.image_bytes for _, weights in weights_of_layers(target, layers))
    if needed_bytes > capacity_bytes:
        raise CompileError(f"accelerator {target.name!r}: {memory} holds {capacity_bytes} B, the image needs at least {needed_bytes} B")
    if target.placement.activations != memory:
        return
    tensor_bytes = sum(batch * shape.elements * shape.bits // 8 for trace in traces for shape in _outer_shapes(trace))
    if needed_bytes + tensor_bytes > capacity_bytes:
        raise CompileError(
            f"accelerator {target.name!r}: {memory} holds {capacity_bytes} B, the image needs at least {needed_bytes + tensor_bytes} B: "
            f"{tensor_bytes} B are inputs and outputs, batch = {batch}"
        )


def _outer_shapes(trace: Trace) -> Iterator[TensorShape]:
    """The shapes of a network's inputs and outputs, each once."""
    shapes = {source.name: source.shape for source in trace.manifest.inputs}
    outputs = set(trace.manifest.outputs) - shapes.keys()
    yield from shapes.values()
    yield from (layer.output for layer in trace.layers if layer.name in outputs)


def check_operations(trace: Trace, batch: int) -> None:
    """Refuse a batch with too many heads: each head of each image is an operation, and so is what reads its scores.

    Raises
    ------
    CompileError
        Names the operations, those allowed, and the largest batch that has no more.
    """
    heads = {layer.name: layer.head_product.heads for layer in trace.layers if layer.head_product is not None}
    stored = {layer.name for layer in trace.layers if layer.head_product is not None and layer.head_product.merge == "groups"}
    reading = (
        max((heads[name] for name in layer.inputs if name in stored), default=0) for layer in trace.layers if layer.name not in heads
    )
    needed = sum(heads.values()) + sum(reading)
    if batch * needed > _MOST_BY_HEAD:
        most = _MOST_BY_HEAD // needed
        raise CompileError(
            f"network {trace.name!r}: batch = {batch} needs at least {batch * needed:,} operations, as each head has its own; "
            f"allowed: {_MOST_BY_HEAD:,}{f', batch = {most}' if most else ''}"
        )


def check_planes(trace: Trace, batch: int, capacity_bytes: int) -> None:
    """Refuse a batch of images that arrive plane by plane and exceed the buffer: only those of one image are read in parts.

    Raises
    ------
    ActivationsTooLarge
        Names the first layer that reads such images, and the bytes missing.
    """
    if batch == 1:
        return
    sources = {source.name: source.shape for source in trace.manifest.inputs}
    for layer in trace.layers:
        name = layer.inputs[0] if layer.inputs else ""
        if not layer.input_planes or name not in sources:
            continue
        shape = sources[name]
        needed_bytes = batch * shape.groups * shape.rows * shape.width * shape.bits // 8
        if needed_bytes > capacity_bytes:
            why = f", as the planes of a batch of {batch} images are read whole"
            raise short_of_room(layer.name, needed_bytes - capacity_bytes, capacity_bytes, why, {TensorId(name): needed_bytes}, -1)


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

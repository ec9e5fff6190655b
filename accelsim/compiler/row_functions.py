"""Row functions of the vector unit: softmax, layernorm, pools and layers that could not be fused.

Disputable assumption: a pool reads every window as a whole, so overlapping windows read a position several times; each line of a
window is one consecutive piece of the activation buffer.
"""

from __future__ import annotations

import numpy as np

from accelsim.compiler.drain_order import last_units
from accelsim.compiler.inference import Inference, KernelFields, by_row, last_unit, place_is_free, provider, vector_layer
from accelsim.compiler.plan import Op
from accelsim.compiler.streams import RunStream
from accelsim.kernels import compute_state
from accelsim.ops.operation import LineWindow


def lower_row_function(inference: Inference, op: Op) -> None:
    low, vector = inference.low, inference.target.vector_unit
    layer = vector_layer(op.layer) if op.part is None else op.part.layer
    tensor = inference.plan.tensors[op.writes]
    rows = op.row_tile.rows if op.row_tile is not None else tensor.rows
    fields: KernelFields = {}
    whole = [key for key, _ in op.reads if not inference.plan.tensors[key].partial]
    partial = [key for key, _ in op.reads if inference.plan.tensors[key].partial]
    window = layer.window
    for number, key in enumerate(whole if window is None else ()):
        shift = layer.leading_rows if inference.plan.batch == 1 else 0
        row = by_row(inference, key, op, rows if layer.in_step or shift else 0, shift)
        fields |= {f"dep{number}": row["task"], f"dep{number}_base": row["base"], f"dep{number}_step": row["step"]}
    if window is not None:
        fields |= _window(inference, op, window)
    if partial:  # operations of the unit end in order: the last one ends them all
        fields |= {"dep1": inference.writers[partial[-1]][-1], "dep1_base": last_unit(inference, inference.writers[partial[-1]][-1])}
    if layer.parameter_bytes:
        fields["chunk"] = _parameters(inference, op)
    fields |= place_is_free(inference, op)
    width, passes = layer.row_work(vector.passes.of, tensor.width, vector.lanes)
    passes += tensor.extra_passes
    operands = [inference.plan.tensors[key] for key in whole]
    read = layer.row_pieces([operand.width for operand in operands])
    pieces = [-(-piece.elements * operands[piece.operand].bits // 8) for piece in read]
    once = [inference.plan.tensors[key].bytes for key in partial]
    if tensor.partial:
        once.append(tensor.bytes)
    else:
        pieces.append(tensor.width * tensor.bits // 8)
    task = low.task(
        kind=compute_state.ROW, ordinal=len(low.row_tasks), units=rows, rows=rows, width=width,
        passes=passes, latency=vector.latency, accesses=low.vector_accesses(pieces, vector.row_cycles(width, passes), rows, once),
        layer=inference.layer_index[layer.name], **fields,
    )  # fmt: skip
    low.row_tasks.append(task)
    inference.task_of[op.index] = task
    inference.writers.setdefault(op.writes, []).append(task)
    build = low.layers[inference.layer_index[layer.name]]
    if op.row_tile is not None and op.row_tile.count > 1 and not tensor.partial:
        build.notes.append(f"{op.row_tile.count} row tiles")
    if op.part is not None:
        build.notes.append(op.part.note)
    build.vector_cycles += rows * vector.row_cycles(width, passes)
    build.bounds["vector"] += rows * vector.row_cycles(width, passes)


def _window(inference: Inference, op: Op, window: LineWindow) -> KernelFields:
    """The line of the image, or of its buffered lines, that a window waits for: its last one inside the image."""
    key = op.reads[0][0]
    task, _ = provider(inference, key, op)
    record = inference.low.tasks[task]
    tensor = inference.plan.tensors[key]
    if inference.plan.batch > 1 or len(tensor.producers) > 1 or op.part is not None:
        return {"dep0": task, "dep0_base": record["units"] - 1, "dep0_step": 0}
    row0 = op.row_tile.first_row if op.row_tile is not None else 0
    base, step = last_units(record)
    reach = window.span - 1 - window.padding + row0 // window.positions * window.stride - tensor.first_row // window.width
    return {
        "dep0": task, "dep0_base": base, "dep0_step": step, "dep_ox": window.positions, "dep_stride": window.stride,
        "dep_reach": reach, "dep_ix": window.width, "dep_rows": tensor.rows,
    }  # fmt: skip


def _parameters(inference: Inference, op: Op) -> int:
    """Fetch the parameters of a row function, once for all row tiles and heads; the transfer that ends it."""
    low, layer = inference.low, op.layer
    if layer.name in inference.parameters:
        return inference.parameters[layer.name]
    key = (inference.trace.name, layer.name)
    if key in low.pinned_parameters:
        inference.parameters[layer.name] = low.pinned_parameters[key]
        return inference.parameters[layer.name]
    index = inference.layer_index[layer.name]
    gate = max(inference.gate, low.tiles if inference.target.control.overlap != "prefetch" else 0)
    stream = RunStream(layer.parameter_bytes, 1, 0, np.zeros(1, np.int64), np.array([gate]), buffered=False)
    images = inference.memory.images
    placed = low.streams.add(stream, f"layer {layer.name!r}", index, images.get(layer.name))
    images.setdefault(layer.name, placed.address)
    bits = low.layers[index].bits
    bits["parameters", low.weight_memory, False] += 8 * layer.parameter_bytes
    if placed.bus_bytes > layer.parameter_bytes:
        bits["burst_rounding", low.weight_memory, False] += 8 * (placed.bus_bytes - layer.parameter_bytes)
    last = placed.first + placed.count - 1
    if inference.target.weight_buffer.residency == "pinned":
        low.pinned_parameters[key] = last
    inference.parameters[layer.name] = last
    return last

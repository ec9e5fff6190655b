"""Row functions of the vector unit: softmax, layernorm, pools and what could not be fused.

Disputable assumption: a pool reads every window as a whole, so overlapping windows read a position several times; each line of a
window is one consecutive piece of the activation buffer.
"""

from __future__ import annotations

from accelsim.compiler.frame import Frame, Record, by_row, passes_of, place_is_free, provider
from accelsim.compiler.plan import Op
from accelsim.compiler.streams import Stream
from accelsim.kernels import compute_state
from accelsim.trace.layers import ClipLayer, EmbedLayer, PoolLayer


def lower_row_function(frame: Frame, op: Op) -> None:
    low, vector, layer = frame.low, frame.accelerator.vector_unit, op.layer
    tensor = frame.plan.tensors[op.writes]
    rows = op.band.rows if op.band is not None else tensor.rows
    fields: Record = {}
    for number, (key, _) in enumerate(op.reads if not isinstance(layer, PoolLayer) else ()):
        shift = layer.prepended_rows if isinstance(layer, EmbedLayer) and frame.plan.batch == 1 else 0
        row = by_row(frame, key, op, rows, shift)
        fields |= {f"dep{number}": row["task"], f"dep{number}_base": row["base"], f"dep{number}_step": row["step"]}
    if isinstance(layer, PoolLayer):
        fields |= _window(frame, op, layer)
    if layer.parameter_bytes:
        fields["chunk"] = _parameters(frame, op)
    fields |= place_is_free(frame, op)
    passes = max(1, passes_of(frame, layer)) if isinstance(layer, ClipLayer) else passes_of(frame, layer)
    pieces = [frame.plan.tensors[key].width * frame.plan.tensors[key].bits // 8 for key in (op.writes, *(key for key, _ in op.reads))]
    if isinstance(layer, PoolLayer):
        pieces = [pieces[0], *[pieces[1] * layer.taps[1]] * layer.taps[0]]
    task = low.task(
        kind=compute_state.ROW, ordinal=len(low.row_tasks), units=rows, rows=rows, width=tensor.width,
        passes=passes, latency=vector.latency, accesses=low.vector_accesses(pieces, vector.row_cycles(tensor.width, passes)),
        layer=frame.layer_index[layer.name], **fields,
    )  # fmt: skip
    low.row_tasks.append(task)
    frame.task_of[op.index] = task
    frame.writers.setdefault(op.writes, []).append(task)
    build = low.layers[frame.layer_index[layer.name]]
    if op.band is not None:
        build.notes.append(f"{op.band.count} bands of rows")
    build.vector_cycles += rows * vector.row_cycles(tensor.width, passes)
    build.bounds["vector"] += rows * vector.row_cycles(tensor.width, passes)


def _window(frame: Frame, op: Op, layer: PoolLayer) -> Record:
    """Which line of the image, or of the lines of it that are here, a window waits for: its last, as far as there are lines."""
    key = op.reads[0][0]
    task, _ = provider(frame, key, op)
    record = frame.low.tasks[task]
    tensor = frame.plan.tensors[key]
    base = (record["units"] // record["rows"] - 1) * record["rows"]  # a drain puts out column by column of tiles: the last one's
    if frame.plan.batch > 1 or len(tensor.producers) > 1:
        return {"dep0": task, "dep0_base": record["units"] - 1, "dep0_step": 0}
    row0 = op.band.first_row if op.band is not None else 0
    reach = layer.taps[0] - 1 - layer.padding[0] + row0 // layer.positions[1] * layer.strides[0] - tensor.first_row // layer.image[1]
    return {
        "dep0": task, "dep0_base": base, "dep0_step": 0, "dep_ox": layer.positions[1], "dep_stride": layer.strides[0],
        "dep_reach": reach, "dep_ix": layer.image[1], "dep_rows": tensor.rows,
    }  # fmt: skip


def _parameters(frame: Frame, op: Op) -> int:
    """Fetch what a row function reads besides its rows, once for all bands; the transfer that ends it."""
    low, layer = frame.low, op.layer
    if op.band is not None and op.band.index:
        return frame.parameters[layer.name]
    key = (frame.trace.name, f"{layer.name}/parameters")
    if key in low.pinned:
        frame.parameters[layer.name] = low.pinned[key][0] + low.pinned[key][1] - 1
        return frame.parameters[layer.name]
    index = frame.layer_index[layer.name]
    gate = low.tiles if frame.accelerator.control.overlap != "prefetch" else 0
    stream = Stream(index, layer.parameter_bytes, 1, 0, (0,), (gate,), False)
    chunk0, count, bus = low.streams.add(stream, f"layer {layer.name!r}")
    bits = low.layers[index].bits
    bits["parameters", low.weight_memory, False] += 8 * layer.parameter_bytes
    if bus > layer.parameter_bytes:
        bits["burst_rounding", low.weight_memory, False] += 8 * (bus - layer.parameter_bytes)
    if frame.accelerator.weight_buffer.residency == "pinned":
        low.pinned[key] = (chunk0, count, 0)
    frame.parameters[layer.name] = chunk0 + count - 1
    return chunk0 + count - 1

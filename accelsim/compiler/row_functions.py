"""Row functions of the vector unit: softmax, layernorm and what could not be fused."""

from __future__ import annotations

from accelsim.compiler.frame import Frame, Record, by_row, passes_of, place_is_free
from accelsim.compiler.plan import Op
from accelsim.compiler.streams import Stream
from accelsim.kernels import compute_state
from accelsim.trace.layers import EmbedLayer


def lower_row_function(frame: Frame, op: Op) -> None:
    low, vector, layer = frame.low, frame.accelerator.vector_unit, op.layer
    tensor = frame.plan.tensors[op.writes]
    fields: Record = {}
    for number, (key, _) in enumerate(op.reads):
        shift = layer.prepended_rows if isinstance(layer, EmbedLayer) and frame.plan.batch == 1 else 0
        row = by_row(frame, key, op, tensor.rows, shift)
        fields |= {f"dep{number}": row["task"], f"dep{number}_base": row["base"], f"dep{number}_step": row["step"]}
    if layer.parameter_bytes:
        fields["chunk"] = _parameters(frame, op)
    fields |= place_is_free(frame, op)
    passes = passes_of(frame, layer)
    pieces = [frame.plan.tensors[key].width * frame.plan.tensors[key].bits // 8 for key in (op.writes, *(key for key, _ in op.reads))]
    task = low.task(
        kind=compute_state.ROW, ordinal=len(low.row_tasks), units=tensor.rows, rows=tensor.rows, width=tensor.width,
        passes=passes, latency=vector.latency, accesses=low.vector_accesses(pieces, vector.row_cycles(tensor.width, passes)), **fields,
    )  # fmt: skip
    low.row_tasks.append(task)
    frame.task_of[op.index] = task
    frame.writers.setdefault(op.writes, []).append(task)
    build = low.layers[frame.layer_index[layer.name]]
    build.vector_cycles += tensor.rows * vector.row_cycles(tensor.width, passes)
    build.bounds["vector"] += tensor.rows * vector.row_cycles(tensor.width, passes)


def _parameters(frame: Frame, op: Op) -> int:
    """Fetch what a row function reads besides its rows; the transfer that ends it."""
    low, layer = frame.low, op.layer
    key = (frame.trace.name, f"{layer.name}/parameters")
    if key in low.pinned:
        return low.pinned[key][0] + low.pinned[key][1] - 1
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
    return chunk0 + count - 1

"""Activations that cross the memory: model inputs and outputs, spills and their return."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.inference import Inference
from accelsim.compiler.live_slots import LiveRange
from accelsim.compiler.plan import Op, Tensor
from accelsim.errors import CompileError
from accelsim.kernels import compute_state
from accelsim.program import ActivationJob, Slot


def load_tensor(inference: Inference, live_range: LiveRange, op: Op) -> None:
    """Lower a live range that begins with a read from DRAM: a load task, and the job that fills it."""
    low, tensor = inference.low, inference.plan.tensors[live_range.tensor]
    if inference.target.placement.activations == "none" and not tensor.is_input:
        raise CompileError(f"layer {op.layer.name!r}: {tensor.id.name!r} would be read back, but placement.activations = 'none'")
    row_bytes = max(1, tensor.bytes // tensor.rows)
    writes = tuple(inference.stores[key] for key in (tensor.sources or (tensor.id,)) if key in inference.stores)
    reader = inference.plan.ops[live_range.readers[0]] if live_range.readers else op
    layer = inference.layer_index[reader.layer.name]
    task = low.task(kind=compute_state.LOAD, ordinal=low.loads, units=tensor.rows, rows=tensor.rows, layer=layer)
    latest = (low.drains[inference.first_drain :][-1:], low.row_tasks[inference.first_row :][-1:])
    after = (*latest[0], *latest[1]) or tuple(task for task in inference.before if task >= 0)
    for index in after:
        low.tasks[index]["notify"] = 1
    operand = "activations_in" if tensor.is_input else "kv_read" if tensor.cache is not None else "spill_in"
    pieces, pitch = pieces_of(tensor)
    address = -1  # without a memory for activations the host puts the input into the buffer, as soon as its slot is free
    memory = inference.target.placement.activations
    if memory != "none":
        address = dram_address(inference, tensor)
        book_traffic(inference, reader.layer.name, operand, memory, False, tensor.bytes // pieces, address, pieces, pitch)
    low.jobs.append(
        ActivationJob(
            write=False, address=address, size=tensor.bytes, row_bytes=row_bytes, rows=tensor.rows, load=low.loads, after=after,
            after_jobs=writes, operand=operand, layer=layer, pieces=pieces, pitch=pitch, shared=_awaited(inference, tensor),
        )
    )  # fmt: skip
    inference.loaded[live_range.tensor, live_range.first] = task
    low.loads += 1


def store_results(inference: Inference, op: Op) -> None:
    """Jobs that write what `op` completed to DRAM: spills, and the outputs of the model."""
    low = inference.low
    tensor = inference.plan.tensors[op.writes]
    if op.index != tensor.producers[-1] or inference.target.placement.activations == "none":
        return
    live_range = inference.allocation.of(op.writes)[0]
    if not live_range.stored:
        return
    address = dram_address(inference, tensor)
    last = inference.task_of[op.index]
    low.tasks[last]["notify"] = 1
    operand = "kv_write" if tensor.cache is not None else "activations_out" if tensor.is_output else "spill_out"
    layer = inference.layer_index[op.layer.name]
    token = low.task(kind=compute_state.LOAD, ordinal=low.loads, units=1, rows=1, layer=layer)
    pieces, pitch = pieces_of(tensor)
    pitch *= pieces > 1
    size = stored_bytes(tensor)
    shared = _shared(inference, tensor)
    low.jobs.append(ActivationJob(True, address, size, size, 1, low.loads, (last,), (), operand, layer, pieces, pitch, shared))
    low.loads += 1
    inference.stores[op.writes] = len(low.jobs) - 1
    inference.tokens.append((live_range, token))
    memory = inference.target.placement.activations
    book_traffic(inference, op.layer.name, operand, memory, True, size // pieces, address, pieces, pitch)


def _awaited(inference: Inference, tensor: Tensor) -> int:
    """The same of a read that waits until all parts are written."""
    return _shared(inference, tensor) if inference.target.control.core_sync == "awaited" else -1


def _shared(inference: Inference, tensor: Tensor) -> int:
    """The number of the tensor that passes from core to core with this part of it; -1 for any other."""
    return inference.memory.number(tensor.whole.id) if tensor.whole is not None and tensor.passes else -1


def stored_bytes(tensor: Tensor) -> int:
    """Bytes of a tensor in DRAM: as in the activation buffer, or as its cache holds them."""
    if tensor.cache is None:
        return tensor.bytes
    return tensor.cache.bytes(tensor.rows, tensor.width // tensor.cache.head_width)


def slots_of(inference: Inference) -> list[Slot]:
    """The slot of each tensor of the lowered inference, with the tasks that write and read it."""
    out: list[Slot] = []
    tokens = dict(inference.tokens)
    for live_range in inference.allocation.residencies:
        tensor = inference.plan.tensors[live_range.tensor]
        producers = tensor.producers
        part = f"[{live_range.tensor.part}]" if live_range.tensor.part >= 0 else ""
        if tensor.partial:
            part = "[accumulated]"
        if tensor.whole is not None:
            part = f"[rows {tensor.first_row} to {tensor.first_row + tensor.rows // tensor.planes - 1}]"
            if tensor.width < tensor.whole.width:
                part = f"{part[:-1]}, columns {tensor.first_column} to {tensor.first_column + tensor.width - 1}]"
        out.append(
            Slot(
                tensor=f"{live_range.tensor.name}{part}",
                offset=live_range.offset,
                size=live_range.bytes,
                load=inference.loaded[live_range.tensor, live_range.first] if live_range.loaded else -1,
                writers=()
                if live_range.loaded
                else tuple(inference.task_of[op] for op in producers if live_range.first <= op <= live_range.last),
                readers=tuple(inference.task_of[op] for op in live_range.readers),
                stored=tokens.get(live_range, -1),
            )
        )
    return out


def pieces_of(tensor: Tensor) -> tuple[int, int]:
    """(equal pieces in which a tensor lies in DRAM, bytes from one to the next): planes of an image, or rows of some columns.

    Where columns lie in blocks, rows of each block.
    """
    whole = tensor.whole or tensor
    if whole.block_columns:
        blocks = tensor.width // whole.block_columns
        return (1, 0) if tensor.rows == whole.rows else (blocks, whole.rows * whole.block_columns * whole.bits // 8)
    if tensor.width < whole.width:
        return tensor.rows, whole.width * whole.bits // 8
    return tensor.planes, whole.bytes // tensor.planes


def dram_address(inference: Inference, tensor: Tensor) -> int:
    """Byte address of a tensor, or of a part of one, within the activations in DRAM."""
    whole = tensor.whole or tensor
    first = inference.memory.activation(whole.id, whole.bytes)
    if whole.block_columns:
        return first + (tensor.first_column * whole.rows + tensor.first_row * whole.block_columns) * whole.bits // 8
    return first + (tensor.first_row * whole.width + tensor.first_column) * whole.bits // 8


def book_traffic(
    inference: Inference, layer: str, operand: str, memory: str, write: bool, size: int, address: int, pieces: int, pitch: int
) -> None:
    """Book `pieces` of `size` useful bytes from `address` on, `pitch` bytes apart, and what whole bursts add to each of their transfers."""
    burst, transfer = inference.low.burst_bytes[memory], inference.target.dma.transfer
    offsets = np.arange(0, size, transfer)
    starts = address + pitch * np.arange(pieces)[:, None] + offsets
    ends = starts + np.minimum(transfer, size - offsets)
    bus = int((-(-ends // burst) - starts // burst).sum()) * burst
    bits = inference.low.layers[inference.layer_index[layer]].bits
    bits[operand, memory, write] += 8 * size * pieces
    if bus > size * pieces:
        bits["burst_rounding", memory, write] += 8 * (bus - size * pieces)

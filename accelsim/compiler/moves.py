"""Activations that cross the memory: model inputs and outputs, spills and their return."""

from __future__ import annotations

from accelsim.compiler.frame import Frame
from accelsim.compiler.placement import Residency
from accelsim.compiler.plan import Op, Tensor
from accelsim.errors import CompileError
from accelsim.kernels import compute_state
from accelsim.program import ActivationJob, Stay


def load_tensor(frame: Frame, stay: Residency, op: Op) -> None:
    """A stay that begins with a read from DRAM: a load task, and the job that fills it."""
    low, tensor = frame.low, frame.plan.tensors[stay.tensor]
    if frame.accelerator.placement.activations == "none" and not tensor.is_input:
        raise CompileError(f"layer {op.layer.name!r}: {tensor.id.name!r} would be read back, but placement.activations = 'none'")
    row_bytes = max(1, tensor.bytes // tensor.rows)
    writes = tuple(frame.stores[key] for key in (tensor.sources or (tensor.id,)) if key in frame.stores)
    reader = frame.plan.ops[stay.readers[0]] if stay.readers else op
    layer = frame.layer_index[reader.layer.name]
    task = low.task(kind=compute_state.LOAD, ordinal=low.loads, units=tensor.rows, rows=tensor.rows, layer=layer)
    before = [item for item in frame.plan.ops[: stay.first] if item.index in frame.task_of]
    after = tuple(
        frame.task_of[max(item.index for item in before if item.on_array is kind)]
        for kind in (True, False)
        if any(item.on_array is kind for item in before)
    ) or tuple(task for task in frame.before if task >= 0)
    for index in after:
        low.tasks[index]["notify"] = 1
    operand = "activations_in" if tensor.is_input else "spill_in"
    pieces, pitch = tensor.planes, (tensor.whole or tensor).bytes // tensor.planes
    address = -1  # without a memory for activations the host puts the input into the buffer, as soon as its place is free
    if frame.accelerator.placement.activations == "dram":
        address = dram_address(frame, tensor)
        for piece in range(pieces):
            book_traffic(frame, reader.layer.name, operand, "dram", False, tensor.bytes // pieces, address + piece * pitch)
    low.jobs.append(
        ActivationJob(
            write=False, address=address, size=tensor.bytes, row_bytes=row_bytes, rows=tensor.rows, load=low.loads, after=after,
            after_jobs=writes, operand=operand, layer=layer, pieces=pieces, pitch=pitch,
        )
    )  # fmt: skip
    frame.loaded[stay.tensor, stay.first] = task
    low.loads += 1


def store_results(frame: Frame, op: Op) -> None:
    """Jobs that write what `op` completed to DRAM: spills, and the outputs of the model."""
    low = frame.low
    tensor = frame.plan.tensors[op.writes]
    if op.index != tensor.producers[-1] or frame.accelerator.placement.activations == "none":
        return
    stay = frame.allocation.of(op.writes)[0]
    if not stay.stored:
        return
    address = dram_address(frame, tensor)
    last = frame.task_of[op.index]
    low.tasks[last]["notify"] = 1
    operand = "activations_out" if tensor.is_output else "spill_out"
    layer = frame.layer_index[op.layer.name]
    token = low.task(kind=compute_state.LOAD, ordinal=low.loads, units=1, rows=1, layer=layer)
    low.jobs.append(ActivationJob(True, address, tensor.bytes, tensor.bytes, 1, low.loads, (last,), (), operand, layer))
    low.loads += 1
    frame.stores[op.writes] = len(low.jobs) - 1
    frame.tokens.append((stay, token))
    book_traffic(frame, op.layer.name, operand, "dram", True, tensor.bytes, address)


def stays_of(frame: Frame) -> list[Stay]:
    """Where each tensor of the lowered frame stays, by the tasks that write and read it."""
    out: list[Stay] = []
    tokens = dict(frame.tokens)
    for stay in frame.allocation.residencies:
        tensor = frame.plan.tensors[stay.tensor]
        producers = tensor.producers
        part = f"[{stay.tensor.part}]" if stay.tensor.part >= 0 else ""
        if tensor.whole is not None:
            part = f"[rows {tensor.first_row} to {tensor.first_row + tensor.rows // tensor.planes - 1}]"
        out.append(
            Stay(
                tensor=f"{stay.tensor.name}{part}",
                offset=stay.offset,
                size=stay.bytes,
                load=frame.loaded[stay.tensor, stay.first] if stay.loaded else -1,
                writers=() if stay.loaded else tuple(frame.task_of[op] for op in producers if stay.first <= op <= stay.last),
                readers=tuple(frame.task_of[op] for op in stay.readers),
                stored=tokens.get(stay, -1),
            )
        )
    return out


def dram_address(frame: Frame, tensor: Tensor) -> int:
    """Byte address of a tensor, or of the rows of one, within the activations in DRAM."""
    whole = tensor.whole or tensor
    if whole.id not in frame.address_of:
        frame.address_of[whole.id] = frame.low.activation_address
        frame.low.activation_address += -(-whole.bytes // 4096) * 4096
    return frame.address_of[whole.id] + tensor.first_row * whole.width * whole.bits // 8


def book_traffic(frame: Frame, layer: str, operand: str, memory: str, write: bool, size: int, address: int) -> None:
    """Book `size` useful bytes at `address`, and what whole bursts add to each of their transfers."""
    burst, transfer = frame.low.burst_bytes[memory], frame.accelerator.dma.transfer
    ends = [min(first + transfer, address + size) for first in range(address, address + size, transfer)]
    bus = sum(-(-end // burst) - first // burst for first, end in zip((address, *ends), ends, strict=False)) * burst
    bits = frame.low.layers[frame.layer_index[layer]].bits
    bits[operand, memory, write] += 8 * size
    if bus > size:
        bits["burst_rounding", memory, write] += 8 * (bus - size)

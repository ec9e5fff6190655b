"""The allocation of activations to slots of the activation buffer, with spills to DRAM when they do not fit.

A tensor's slot is free again only for operations that cannot start before its last reader has ended. Where that does not fit,
the slot is free with the last reader, and the next tenant's writer gets a barrier. When that does not fit either, the outputs of the model
leave as soon as they are written to DRAM, and its inputs arrive just before their first reader; and where that is not enough, the tensor
that idles longest across the fullest operation is written out after its last use before the gap and read back before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from accelsim.compiler.live_slots import LiveRange, LiveSlots
from accelsim.compiler.placement import ALIGNMENT, place, sharing_hosts, tightest
from accelsim.compiler.plan import Plan, Tensor, TensorId
from accelsim.compiler.precedence import Precedence
from accelsim.errors import CompileError
from accelsim.quantities import human_bytes

IN_ROW_TILES = ", in row tiles"


class ActivationsTooLarge(CompileError):
    """The activation buffer is short by `short_bytes` during operation `at`."""

    def __init__(self, message: str, short_bytes: int, at: int = -1) -> None:
        super().__init__(message)
        self.short_bytes = short_bytes
        self.at = at


@dataclass(frozen=True)
class Allocation:
    """All live ranges with their addresses, and the most bytes in use at once; `find_barriers` is called when these are first asked for."""

    residencies: tuple[LiveRange, ...]
    peak_bytes: int
    spilled: tuple[TensorId, ...]
    find_barriers: Callable[[], Mapping[int, tuple[int, ...]]] = dict

    @cached_property
    def barriers(self) -> Mapping[int, tuple[int, ...]]:
        """Operation -> earlier readers that it must wait for before it writes, because it reuses their operands' slots."""
        return self.find_barriers()

    @cached_property
    def moved_bytes(self) -> int:
        """Bytes that are loaded from DRAM and stored there."""
        return sum(live_range.bytes * (live_range.loaded + live_range.stored) for live_range in self.residencies)

    def of(self, tensor: TensorId) -> list[LiveRange]:
        """Live ranges of a tensor, in time order."""
        return self._by_tensor.get(tensor, [])

    @cached_property
    def _by_tensor(self) -> dict[TensorId, list[LiveRange]]:
        out: dict[TensorId, list[LiveRange]] = {}
        for item in self.residencies:
            out.setdefault(item.tensor, []).append(item)
        return out


Shortage = Callable[[], ActivationsTooLarge]  # a fresh error each time; it is found by a search, which most shortages do not need


def allocate(plan: Plan, capacity_bytes: int, may_spill: bool, always_spill: bool = False) -> Allocation | Shortage:
    """Place every tensor of `plan` in a buffer of `capacity_bytes`.

    Returns
    -------
    If it does not fit, the error that names the operation, the tensors live there, and the bytes missing.
    """
    order = Precedence(plan)
    hosts = {} if always_spill else sharing_hosts(plan, order)
    operations = len(plan.ops)
    live_ranges = [whole_range(tensor, order, False) for tensor in plan.tensors.values()]
    if not always_spill:
        found = place(LiveSlots(live_ranges, hosts, operations), capacity_bytes)
        if found is not None:
            return Allocation(tuple(found[0]), found[1], ())
        tight = LiveSlots([whole_range(tensor, order, True) for tensor in plan.tensors.values()], hosts, operations)
        found = place(tight, capacity_bytes)
        if found is not None:
            return Allocation(tuple(found[0]), found[1], (), partial(barriers, plan, found[0], order))
        if not may_spill:
            return partial(too_small, plan, tight, hosts, capacity_bytes, " and placement.activations = 'none' allows no spill")
        live_ranges = [passing(plan.tensors[live_range.tensor], live_range, order) for live_range in live_ranges]
    else:
        live_ranges = [piece for live_range in live_ranges for piece in _one_per_use(plan.tensors[live_range.tensor], live_range, order)]
    spilled: list[TensorId] = [live_range.tensor for live_range in live_ranges if live_range.stored] if always_spill else []
    live = LiveSlots(live_ranges, hosts, operations)
    while True:
        found = place(live, capacity_bytes)
        if found is not None:
            return Allocation(tuple(found[0]), found[1], tuple(spilled))
        at = tightest(live, capacity_bytes).at
        victim = idlest(live.during(at), at, plan)
        if victim is None:
            return partial(too_small, plan, live, hosts, capacity_bytes, "")
        live.replace(victim, split_range(plan.tensors[victim.tensor], victim, at, order))
        spilled.append(victim.tensor)


def too_small(plan: Plan, live: LiveSlots, hosts: Mapping[TensorId, TensorId], capacity_bytes: int, why: str) -> ActivationsTooLarge:
    """The error for the tightest point: the live tensors, and the bytes that are missing."""
    needed_bytes, at = tightest(live, capacity_bytes)
    there: dict[TensorId, tuple[TensorId, int]] = {}
    for live_range in sorted(live.during(at), key=lambda item: item.first):
        there.setdefault(hosts.get(live_range.tensor, live_range.tensor), (live_range.tensor, live_range.bytes))
    return short_of_room(plan.ops[at].layer.name, needed_bytes - capacity_bytes, capacity_bytes, why, dict(there.values()), at)


def short_of_room(
    layer: str, short_bytes: int, capacity_bytes: int, why: str, live: Mapping[TensorId, int], at: int
) -> ActivationsTooLarge:
    """The buffer is `short_bytes` too small for the bytes of the tensors that are live during `layer`."""
    largest = sorted(live.items(), key=lambda item: -item[1])[:6]
    return ActivationsTooLarge(
        f"layer {layer!r}: activation_buffer.capacity = {capacity_bytes} B is short by {short_bytes} B{why}; "
        f"live there: {', '.join(f'{_name(tensor)} {human_bytes(size)}' for tensor, size in largest)}",
        short_bytes,
        at,
    )


def _name(tensor: TensorId) -> str:
    return tensor.name if tensor.part < 0 else f"{tensor.name}[{tensor.part}]"


def barriers(plan: Plan, live_ranges: Sequence[LiveRange], order: Precedence) -> dict[int, tuple[int, ...]]:
    """Operation -> readers of the slot's earlier tensors that could still be reading when it writes: the newest of each unit.

    Operations of a unit end in order, so the newest is the last.
    """
    users = [(*live_range.readers, *plan.tensors[live_range.tensor].producers) for live_range in live_ranges]
    last, offset, end = (np.array(column) for column in zip(*((s.last, s.offset, s.offset + s.bytes) for s in live_ranges), strict=True))
    safe_from = np.array([order.safe_from(each) if each else 0 for each in users])
    user, tenant = np.array([(each, tenant) for tenant, those in enumerate(users) for each in those], np.int64).reshape(-1, 2).T
    out: dict[int, tuple[int, ...]] = {}
    for live_range in live_ranges:
        producers = plan.tensors[live_range.tensor].producers
        if live_range.loaded or not producers:
            continue
        earlier = (last < live_range.first) & (safe_from > producers[0])
        tenants = earlier & (offset < live_range.offset + live_range.bytes) & (end > live_range.offset)
        before = user[tenants[tenant]]
        for writer in producers if before.size else ():
            readers = order.newest_unsafe(before, writer)
            if readers:
                out[writer] = readers
    return out


def whole_range(tensor: Tensor, order: Precedence, tight: bool) -> LiveRange:
    """The live range of a tensor that is never spilled; a tight one ends with its last reader, whose end the next tenant must await."""
    first = tensor.producers[0] if tensor.producers else 0
    end = len(order.plan.ops) - 1
    uses = [*tensor.readers, *tensor.producers]
    last = end if tensor.is_output or not tensor.readers else max(uses) if tight else min(end, order.free_from(uses) - 1)
    return LiveRange(
        tensor.id, first, last, tuple(tensor.readers), tensor.is_input, tensor.is_output or tensor.cache is not None, aligned(tensor.bytes)
    )


def passing(tensor: Tensor, live_range: LiveRange, order: Precedence) -> LiveRange:
    """The live range of a tensor that is in the buffer only while it is used: what crosses the memory anyhow need not wait there."""
    first, last = live_range.first, live_range.last
    if live_range.loaded and live_range.readers:
        first = max(first, live_range.readers[0] - 1)
    if live_range.stored and tensor.producers:
        last = min(last, order.free_from([*live_range.readers, *tensor.producers]) - 1)
    return live_range._replace(first=first, last=last)


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def split_range(tensor: Tensor, live_range: LiveRange, at: int, order: Precedence) -> list[LiveRange]:
    """`live_range` split in two: up to the last use before operation `at`, and from shortly before the next use."""
    before = tuple(op for op in live_range.readers if op < at)
    after = tuple(op for op in live_range.readers if op > at)
    used = [*before, *(op for op in tensor.producers if live_range.first <= op < at), live_range.first]
    out_last = min(order.free_from(used) - 1, at - 1)
    stored = tensor.whole is None or not live_range.loaded  # a part that was loaded is in DRAM still
    return [
        LiveRange(live_range.tensor, live_range.first, max(out_last, max(used)), before, live_range.loaded, stored, live_range.bytes),
        LiveRange(
            live_range.tensor,
            max(at + 1, after[0] - 1),
            live_range.last,
            after,
            True,
            live_range.stored and tensor.is_output,
            live_range.bytes,
        ),
    ]


def _one_per_use(tensor: Tensor, live_range: LiveRange, order: Precedence) -> list[LiveRange]:
    """`live_range` split into one for its producers and one for each reader: every tensor goes through DRAM."""
    out: list[LiveRange] = []
    if tensor.producers:
        last = min(order.free_from(tensor.producers) - 1, len(order.plan.ops) - 1)
        out.append(LiveRange(live_range.tensor, live_range.first, last, (), False, True, live_range.bytes))
    for reader in live_range.readers:
        last = min(order.free_from([reader]) - 1, len(order.plan.ops) - 1)
        out.append(LiveRange(live_range.tensor, reader, last, (reader,), True, False, live_range.bytes))
    return out


def idlest(live_ranges: Sequence[LiveRange], at: int, plan: Plan) -> LiveRange | None:
    """The live range that spans `at` without a use there, and for the longest time; None if all are used."""
    best: LiveRange | None = None
    longest = 1
    for live_range in live_ranges:
        if not live_range.first < at <= live_range.last:
            continue
        producers = plan.tensors[live_range.tensor].producers
        uses = {*live_range.readers, *(op for op in producers if live_range.first <= op <= live_range.last), live_range.first}
        if at in uses:
            continue
        before = max(op for op in uses if op < at)
        after = min((op for op in uses if op > at), default=None)
        if after is None or any(op > at for op in producers):
            continue
        gap = after - before
        if gap > longest or (gap == longest and best is not None and live_range.bytes > best.bytes):
            best, longest = live_range, gap
    return best

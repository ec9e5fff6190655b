"""Addresses for live ranges in a buffer: greedy, at the lowest address that is free while a tensor lives, in several orders until one fits.

Results that may overwrite an operand share its address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from accelsim.compiler.plan import Plan, TensorId
from accelsim.compiler.precedence import Precedence
from accelsim.kernels.slots import lowest_offsets
from accelsim.program import Int64

ALIGNMENT = 64  # bytes: no two tensors share a burst or a word
_TRIES = 9  # in each order: what finds no room goes first in the next try


class LiveRange(NamedTuple):
    """One live range of a tensor in the buffer.

    Attributes
    ----------
    first, last : operations between which it is live; the first writes it (or begins its read from DRAM)
    readers : operations that read it during this live range
    loaded : it comes from DRAM; stored : it goes there when it is complete
    offset : byte address in the buffer
    """

    tensor: TensorId
    first: int
    last: int
    readers: tuple[int, ...]
    loaded: bool
    stored: bool
    bytes: int
    offset: int = 0


class Lifetime(NamedTuple):
    """Bytes occupied from operation `first` to operation `last`."""

    first: int
    last: int
    bytes: int


def place(live_ranges: Sequence[LiveRange], hosts: Mapping[TensorId, TensorId], capacity_bytes: int) -> tuple[list[LiveRange], int] | None:
    """The first of several greedy placements that fits, results over their hosts: live ranges with offsets in time order, bytes used.

    None if none fits. Tensors of nearly the same size leave gaps that none of them fits, so slots are first tried in steps of 1/128 of
    the buffer.
    """
    members, groups = shared_slots(live_ranges, hosts)
    if most_live_bytes(groups) > capacity_bytes:
        return None
    highest = np.array([capacity_bytes - group.bytes for group in groups], np.int64)
    for sized, order in _attempts(groups, capacity_bytes):
        for _ in range(_TRIES):
            offsets, stuck = _greedy(sized, order, highest)
            if stuck is None:
                out = [live_range._replace(offset=offset) for each, offset in zip(members, offsets, strict=True) for live_range in each]
                return sorted(out, key=lambda live_range: (live_range.first, live_range.offset)), _peak(offsets, groups)[0]
            order = np.append(stuck, order[order != stuck])
    return None


class Tightest(NamedTuple):
    """The tightest of the placements that `place` tries.

    Attributes
    ----------
    bytes : that it needs; where no placement could fit, the most bytes live at once
    at : the operation with the most live bytes during the life of its topmost tensor; where none could fit, of all operations
    """

    bytes: int
    at: int


def tightest(live_ranges: Sequence[LiveRange], hosts: Mapping[TensorId, TensorId], capacity_bytes: int) -> Tightest:
    """The tightest placement, and where its gaps are in the way."""
    _, groups = shared_slots(live_ranges, hosts)
    live = _live_bytes(groups)
    if max(live) > capacity_bytes:
        return Tightest(max(live), live.index(max(live)))
    anywhere = np.full(len(groups), 1 << 62, np.int64)
    tries = (_greedy(sized, order, anywhere) for sized, order in _attempts(groups, capacity_bytes))
    peak, top = min(_peak(offsets, groups) for offsets, _ in tries)
    return Tightest(peak, max(range(groups[top].first, groups[top].last + 1), key=live.__getitem__))


def _peak(offsets: Sequence[int], groups: Sequence[Lifetime]) -> tuple[int, int]:
    """(where the topmost slot ends, its index)."""
    return max(((offset + group.bytes, index) for index, (offset, group) in enumerate(zip(offsets, groups, strict=True))), default=(0, 0))


def _attempts(groups: Sequence[Lifetime], capacity_bytes: int) -> Iterator[tuple[Int64, Int64]]:
    """(first and last operation of each group, and its bytes in steps of a size; order in which they are placed) of each attempt."""
    spans = np.array([tuple(group) for group in groups], np.int64).reshape(-1, 3)
    first, last = spans[:, 0], spans[:, 1]
    for step in (max(ALIGNMENT, capacity_bytes // 128 // ALIGNMENT * ALIGNMENT), ALIGNMENT):
        sized = spans.copy()
        sized[:, 2] = size = -(-spans[:, 2] // step) * step
        for keys in ((first, -size), (-size, first - last), (first - last, first)):  # largest first, longest first, as they come
            yield sized, np.lexsort(keys)


def shared_slots(live_ranges: Sequence[LiveRange], hosts: Mapping[TensorId, TensorId]) -> tuple[list[list[LiveRange]], list[Lifetime]]:
    """(live ranges that share a slot, lifetime and size of each slot).

    What is read back into the buffer has a slot of its own, which the results written over it from then on share.
    """
    pieces = Counter(live_range.tensor for live_range in live_ranges)
    chains: dict[TensorId, list[int]] = {}
    for index, live_range in enumerate(live_ranges):
        chains.setdefault(hosts.get(live_range.tensor, live_range.tensor), []).append(index)
    slots: list[list[int]] = []
    for chain in chains.values():
        fresh = True
        for index in sorted(chain, key=lambda index: (live_ranges[index].first, not live_ranges[index].loaded)):
            if fresh or (live_ranges[index].loaded and pieces[live_ranges[index].tensor] > 1):
                slots.append([])
            slots[-1].append(index)
            fresh = False
    members = [[live_ranges[index] for index in slot] for slot in sorted(slots, key=min)]
    return members, [Lifetime(min(s.first for s in each), max(s.last for s in each), each[0].bytes) for each in members]


def most_live_bytes(groups: Sequence[Lifetime]) -> int:
    """Most bytes live at once: no placement uses less."""
    return max(_live_bytes(groups))


def _live_bytes(groups: Sequence[Lifetime]) -> list[int]:
    """Bytes live during each operation, from the first to the last that has any."""
    change: Counter[int] = Counter()
    for first, last, size in groups:
        change[first] += size
        change[last + 1] -= size
    return list(accumulate(change[op] for op in range(max(change, default=0) + 1)))


def _greedy(spans: Int64, order: Int64, highest: Int64) -> tuple[list[int], int | None]:
    """Offset of each lifetime: in `order`, each at the lowest address that is free while it lives; the first beyond its `highest`."""
    offsets = np.zeros(len(spans), np.int64)
    stuck = int(lowest_offsets(spans, order, highest, offsets))
    return offsets.tolist(), stuck if stuck >= 0 else None


def sharing_hosts(plan: Plan, order: Precedence, apart: Set[TensorId] = frozenset()) -> dict[TensorId, TensorId]:
    """Result -> the tensor whose slot it reuses: an operand of its own size with no later reader. Those `apart` share none."""
    host: dict[TensorId, TensorId] = {}
    tried: set[tuple[TensorId, TensorId]] = set()  # the tiles of a layer ask the same again
    for op in plan.ops:
        result = plan.tensors[op.writes]
        for key, role in op.reads:
            if role != "operand" or op.writes in host or (key, op.writes) in tried or not apart.isdisjoint((key, op.writes)):
                continue
            tried.add((key, op.writes))
            operand = plan.tensors[key]
            alone = (len(result.producers) == 1 or plan.in_row_tiles(result)) and operand.whole is result.whole is None
            alone = alone and not (operand.is_input or operand.is_output or result.is_output)
            if not alone or operand.bytes != result.bytes or op.window_of(role) is not None:  # windows overlap
                continue
            others = set(operand.readers) - set(result.producers)
            if not order.unsafe(others, result.producers[0]):
                host[op.writes] = host.get(key, key)
    return host

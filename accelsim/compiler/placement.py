"""Addresses for live ranges in a buffer: greedy, at the lowest address that is free while a tensor lives, in several orders until one fits.

Results that may overwrite an operand share its address.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import NamedTuple

import numpy as np

from accelsim.compiler.live_slots import LiveRange, LiveSlots
from accelsim.compiler.plan import Plan, TensorId
from accelsim.compiler.precedence import Precedence
from accelsim.kernels.slots import lowest_offsets
from accelsim.program import Int64

ALIGNMENT = 64  # bytes: no two tensors share a burst or a word
_TRIES = 9  # in each order: what finds no room goes first in the next try


def place(live: LiveSlots, capacity_bytes: int) -> tuple[list[LiveRange], int] | None:
    """The first of several greedy placements that fits, results over their hosts: live ranges with offsets in time order, bytes used.

    None if none fits. Tensors of nearly the same size leave gaps that none of them fits, so slots are first tried in steps of 1/128 of
    the buffer.
    """
    if live.bytes.max(initial=0) > capacity_bytes:
        return None
    spans = live.spans
    highest = capacity_bytes - spans[:, 2]
    for sized, order in _attempts(spans, capacity_bytes):
        for _ in range(_TRIES):
            offsets, stuck = _greedy(sized, order, highest)
            if stuck is None:
                slots = zip(live.members, offsets.tolist(), strict=True)
                out = [live_range._replace(offset=offset) for each, offset in slots for live_range in each]
                return sorted(out, key=lambda live_range: (live_range.first, live_range.offset)), _peak(offsets, spans)[0]
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


def tightest(live: LiveSlots, capacity_bytes: int) -> Tightest:
    """The tightest placement, and where its gaps are in the way."""
    most, fullest = int(live.bytes.max()), int(live.bytes.argmax())
    if most > capacity_bytes:
        return Tightest(most, fullest)
    spans = live.spans
    anywhere = np.full(len(spans), 1 << 62, np.int64)
    peak, top = min(_peak(_greedy(sized, order, anywhere)[0], spans) for sized, order in _attempts(spans, capacity_bytes))
    first, last, _ = spans[top].tolist()
    return Tightest(peak, first + int(live.bytes[first : last + 1].argmax()))


def _peak(offsets: Int64, spans: Int64) -> tuple[int, int]:
    """(where the topmost slot ends, its index; of several the last)."""
    ends = offsets + spans[:, 2]
    if not ends.size:
        return 0, 0
    top = ends.size - 1 - int(ends[::-1].argmax())
    return int(ends[top]), top


def _attempts(spans: Int64, capacity_bytes: int) -> Iterator[tuple[Int64, Int64]]:
    """(spans with their bytes in steps of a size; order in which they are placed) of each attempt."""
    first, last = spans[:, 0], spans[:, 1]
    for step in (max(ALIGNMENT, capacity_bytes // 128 // ALIGNMENT * ALIGNMENT), ALIGNMENT):
        sized = spans.copy()
        sized[:, 2] = size = -(-spans[:, 2] // step) * step
        for keys in ((first, -size), (-size, first - last), (first - last, first)):  # largest first, longest first, as they come
            yield sized, np.lexsort(keys)


def _greedy(spans: Int64, order: Int64, highest: Int64) -> tuple[Int64, int | None]:
    """Offset of each lifetime: in `order`, each at the lowest address that is free while it lives; the first beyond its `highest`."""
    offsets = np.zeros(len(spans), np.int64)
    stuck = int(lowest_offsets(spans, order, highest, offsets))
    return offsets, stuck if stuck >= 0 else None


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
            if order.all_safe(others, result.producers[0]):
                host[op.writes] = host.get(key, key)
    return host

"""The slots of a core's tensors: parts that pass through the memory are in its buffer while it uses them, all others as on one core."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from accelsim.compiler.allocation import IN_ROW_TILES, Allocation, Shortage, aligned, barriers, too_small, whole_range
from accelsim.compiler.core_plans import CorePlan
from accelsim.compiler.live_slots import LiveRange, LiveSlots
from accelsim.compiler.placement import place, sharing_hosts
from accelsim.compiler.plan import Tensor
from accelsim.compiler.precedence import Precedence
from accelsim.compiler.row_tile_placement import place_ranges

_OF_EACH = ", of each core"


def allocate_core(part: CorePlan, capacity_bytes: int, early: bool) -> Allocation | Shortage:
    """Place every tensor of a core's plan; if they do not fit, the error.

    Parameters
    ----------
    early : parts are read under the operation before their first reader, and written under the one behind their last writer
    """
    if not part.plan.ops:
        return Allocation((), 0, ())
    order = Precedence(part.plan)
    hosts = sharing_hosts(part.plan, order)
    live_ranges = [_live_range(part, tensor, order, early) for tensor in part.plan.tensors.values()]
    live = LiveSlots(live_ranges, hosts, len(part.plan.ops))
    found = place(live, capacity_bytes)
    if found is not None:
        return Allocation(tuple(found[0]), found[1], (), partial(barriers, part.plan, found[0], order))
    return lambda: too_small(part.plan, live, hosts, capacity_bytes, _OF_EACH)


def allocate_core_in_tiles(part: CorePlan, capacity_bytes: int, may_reload: bool) -> Allocation:
    """Place every tensor of a core's plan in tiles: see `place_row_tiles`.

    Raises
    ------
    ActivationsTooLarge
        They do not fit, even if each part is moved at its turn.
    """
    if not part.plan.ops:
        return Allocation((), 0, ())
    order = Precedence(part.plan)
    live_ranges = [_live_range(part, tensor, order, True) for tensor in part.plan.tensors.values()]
    found = place_ranges(part.plan, order, live_ranges, capacity_bytes, may_reload, IN_ROW_TILES + _OF_EACH)
    in_turn = sorted(found.residencies, key=lambda item: (item.first, *item.readers[:1]))  # a cut tile is smaller than the next
    return replace(found, residencies=tuple(in_turn))


def _live_range(part: CorePlan, tensor: Tensor, order: Precedence, early: bool) -> LiveRange:
    if not tensor.passes:
        return whole_range(tensor, order, True)
    size = aligned(tensor.bytes)
    if tensor.readers:
        first = max(part.ready[tensor.id], tensor.readers[0] - early, 0)
        return LiveRange(tensor.id, first, tensor.readers[-1], tuple(tensor.readers), True, False, size)
    last = min(tensor.producers[-1] + early, len(part.plan.ops) - 1)
    return LiveRange(tensor.id, tensor.producers[0], last, (), False, True, size)

"""The slots of a plan in row tiles: rows early and late where there is room, else at their turn, and spills of what idles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import partial

from accelsim.compiler.allocation import (
    IN_ROW_TILES,
    Allocation,
    aligned,
    barriers,
    idlest,
    passing,
    split_range,
    too_small,
    whole_range,
)
from accelsim.compiler.live_slots import LiveRange, LiveSlots
from accelsim.compiler.placement import place, sharing_hosts, tightest
from accelsim.compiler.plan import Plan, Tensor, TensorId
from accelsim.compiler.precedence import Precedence

_PATIENCE = 48  # rounds in which single parts make room for gaps; from then on twice as many in each as in the one before


def place_row_tiles(plan: Plan, capacity_bytes: int, may_reload: bool) -> Allocation:
    """Place the tensors of a plan with row tiles: rows early and late where there is room, whole tensors as in `allocate`.

    With `may_reload` keys and values of a head may leave between its row bands, to be read again.
    """
    order = Precedence(plan)
    live_ranges = [
        whole_range(tensor, order, True) if tensor.whole is None else _rows_range(plan, tensor) for tensor in plan.tensors.values()
    ]
    return place_ranges(plan, order, live_ranges, capacity_bytes, may_reload)


def place_ranges(
    plan: Plan, order: Precedence, live_ranges: list[LiveRange], capacity_bytes: int, may_reload: bool, where: str = IN_ROW_TILES
) -> Allocation:
    """Place live ranges; parts that are moved under another row tile, and tensors that idle, give way. `where` is for the error."""
    hosts = sharing_hosts(plan, order)
    live = LiveSlots(live_ranges, hosts, len(plan.ops))
    spilled: list[TensorId] = []
    rounds = 0  # in which gaps were in the way
    while True:
        if live.bytes.max(initial=0) > capacity_bytes:
            relief = _relief(plan, live, int(live.bytes.argmax()), order, may_reload)
        else:
            found = place(live, capacity_bytes)
            if found is not None:
                return Allocation(tuple(found[0]), found[1], tuple(spilled), partial(barriers, plan, found[0], order))
            at = tightest(live, capacity_bytes).at
            relief = _relief_of_gaps(plan, live, at)
            if relief is not None:
                rounds += 1
                for alike in _in_the_way_too(plan, live, relief[0], 1 << rounds >> _PATIENCE):
                    live.replace(alike, [_moved_later(alike)])
            else:
                relief = _relief(plan, live, at, order, may_reload)
        if relief is None:
            raise too_small(plan, live, hosts, capacity_bytes, where)
        live_range, pieces = relief
        live.replace(live_range, pieces)
        if len(pieces) > 1:
            spilled.append(live_range.tensor)


def _relief(plan: Plan, live: LiveSlots, at: int, order: Precedence, may_reload: bool) -> tuple[LiveRange, list[LiveRange]] | None:
    """(a live range during `at`, its smaller replacement): what waits, rows sooner or later, else a spill; None if all are used."""
    during = live.during(at)
    waiting = [(item, shorter) for item in during if (shorter := _only_while_used(plan, item, at, order)) is not None]
    if waiting:
        live_range, shorter = max(waiting, key=lambda pair: pair[0].bytes)
        return live_range, [shorter]
    edge = [live_range for live_range in during if at in (live_range.first, live_range.last)]
    eager = [live_range for live_range in edge if _is_early_or_late(plan, live_range, at)]
    if eager:
        live_range = max(eager, key=lambda item: item.bytes)
        return live_range, [live_range._replace(first=at + 1) if live_range.loaded else live_range._replace(last=at - 1)]
    victim = idlest([item for item in during if not _is_held(plan, item, at, may_reload)], at, plan)
    if victim is not None:
        return victim, split_range(plan.tensors[victim.tensor], victim, at, order)
    early = [live_range for live_range in edge if live_range.loaded and live_range.first == at < min(live_range.readers, default=at)]
    if early:
        return early[0], [early[0]._replace(first=at + 1)]
    lingering = [live_range for live_range in edge if at == live_range.last > _last_use(plan, live_range)]
    return (lingering[0], [lingering[0]._replace(last=at - 1)]) if lingering else None


def _last_use(plan: Plan, live_range: LiveRange) -> int:
    """The operation that reads or writes a live range last: from then on its slot is free for what waits for that one's end."""
    return max(
        (*live_range.readers, *(op for op in plan.tensors[live_range.tensor].producers if op <= live_range.last)), default=live_range.last
    )


def _only_while_used(plan: Plan, live_range: LiveRange, at: int, order: Precedence) -> LiveRange | None:
    """A whole tensor that waits during `at` to arrive or to leave, as it crosses the memory anyhow: its range while in use; else None."""
    tensor = plan.tensors[live_range.tensor]
    if tensor.whole is not None or not (live_range.loaded or live_range.stored):
        return None
    shorter = passing(tensor, live_range, order)
    return None if shorter.first <= at <= shorter.last else shorter


def _is_held(plan: Plan, live_range: LiveRange, at: int, may_reload: bool) -> bool:
    """True if an attention uses a tensor before operation `at` and after it: it would leave again for each head."""
    if not live_range.first < at < live_range.last:
        return False
    tensor = plan.tensors[live_range.tensor]
    if tensor.whole is not None and may_reload:
        return False
    uses = sorted((*live_range.readers, *tensor.producers))
    after = bisect_left(uses, at)
    if not 0 < after < len(uses):
        return False
    around = [plan.attention_of.get(plan.ops[use].layer.name) for use in uses[after - 1 : after + 1]]
    return around[0] is not None and around[0] is around[1]


def _relief_of_gaps(plan: Plan, live: LiveSlots, at: int) -> tuple[LiveRange, list[LiveRange]] | None:
    """(the most rows in the buffer during `at` that are moved under another row tile, the same for one operation less); None if none are.

    Here there is room for all, but not in one piece: what keeps it apart may be in the way before `at`, or after.
    """
    apart = [live_range for live_range in live.during(at) if _is_moved_apart(plan, live_range)]
    if not apart:
        return None
    live_range = max(apart, key=lambda item: item.bytes)
    return live_range, [_moved_later(live_range)]


def _moved_later(live_range: LiveRange) -> LiveRange:
    """Rows that are loaded an operation later, or stored one earlier."""
    if live_range.loaded:
        return live_range._replace(first=live_range.first + 1)
    return live_range._replace(last=live_range.last - 1)


def _in_the_way_too(plan: Plan, live: LiveSlots, live_range: LiveRange, most: int) -> list[LiveRange]:
    """The same parts of other heads, and of attentions as large, as what is in the way of one is in the way of all; and the `most` largest.

    Each of them is moved under another row tile.
    """

    def moved(items: Iterable[LiveRange]) -> list[LiveRange]:
        return [item for item in items if item is not live_range and _is_moved_apart(plan, item)]

    kind = _kind_of(plan, live_range)
    alike = [item for item in moved(live.as_large(live_range) if kind is not None else ()) if _kind_of(plan, item) == kind]
    largest = sorted(moved(live.all), key=lambda item: -item.bytes)[:most] if most else []
    return list(dict.fromkeys((*alike, *largest)))


def _kind_of(plan: Plan, live_range: LiveRange) -> tuple[object, ...] | None:
    """Size, use and operation of an attention's part of a tensor in DRAM; None for any other."""
    tensor = plan.tensors[live_range.tensor]
    op = plan.ops[(tensor.readers or tensor.producers)[0]]
    if tensor.whole is None or op.head < 0:
        return None
    return live_range.bytes, live_range.loaded, live_range.last - live_range.first, op.layer.op, op.m, op.k, op.n


def _rows_range(plan: Plan, tensor: Tensor) -> LiveRange:
    """The live range of a row tile: loaded under the operation before if its rows are in DRAM by then, stored under the next row tile."""
    size = aligned(tensor.bytes)
    if tensor.readers:
        reader, last = tensor.readers[0], tensor.readers[-1]
        written = max((producer for key in tensor.sources for producer in plan.tensors[key].producers), default=-1)
        early = reader - 1 if plan.ops[reader].column_tile is None else reader  # what serves several column tiles is read under none before
        return LiveRange(tensor.id, max(early, written + 1, 0), last, tuple(tensor.readers), True, False, size)
    (writer,) = tensor.producers
    op = plan.ops[writer]
    more = any(tile is not None and tile.index + 1 < tile.count for tile in (op.row_tile, op.column_tile))
    more |= op.head >= 0 and writer + 1 < len(plan.ops)
    return LiveRange(tensor.id, writer, writer + more, (), False, True, size)


def _is_early_or_late(plan: Plan, live_range: LiveRange, at: int) -> bool:
    """True if these rows are in the buffer during `at` only to be moved under another row tile."""
    return _is_moved_apart(plan, live_range) and at == (live_range.first if live_range.loaded else live_range.last)


def _is_moved_apart(plan: Plan, live_range: LiveRange) -> bool:
    """True if these rows are loaded under another row tile than the first that reads them, or stored under another than writes them."""
    written = min(live_range.readers, default=live_range.first) if live_range.loaded else live_range.last
    moved = live_range.loaded or live_range.stored
    return moved and live_range.first < written and plan.tensors[live_range.tensor].whole is not None

"""A network on several cores: its plan, how each operation is split, and a plan and an allocation for each core.

Where a core's part of an operation does not fit its buffer, the cores share the tiles in which one core alone would run. Where they do not
fit either, as a core reads or keeps more than its share, they share those for less of the buffer; then no tensor is kept between its uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from typing import NamedTuple

from accelsim.compiler.allocation import ActivationsTooLarge, Allocation, Shortage
from accelsim.compiler.caches import Caches, Spill
from accelsim.compiler.column_tiles import least_tiles, wide_layers
from accelsim.compiler.core_allocation import allocate_core, allocate_core_in_tiles
from accelsim.compiler.core_plans import SharedPlan, core_plan
from accelsim.compiler.core_shares import CoreShares
from accelsim.compiler.core_splits import Split
from accelsim.compiler.feasibility import check_heads, check_planes
from accelsim.compiler.head_ranking import ranked_head_orders
from accelsim.compiler.heads import HeadOrder
from accelsim.compiler.inference import PlacedNetwork
from accelsim.compiler.networks_on_cores import on_own_core
from accelsim.compiler.place_on_one_core import place_on_one_core
from accelsim.compiler.plan import Plan
from accelsim.compiler.planner import plan
from accelsim.compiler.split_plan import split_plan
from accelsim.compiler.target import Target
from accelsim.compiler.weights_read_again import bytes_read_again, weights_read_again
from accelsim.errors import CompileError
from accelsim.progress import Progress, unseen
from accelsim.quantities import human_bytes
from accelsim.trace.trace import Trace

_WAYS = tuple((reuse, early) for reuse in (True, False) for early in (True, False))
_WAYS_FROM_MEMORY = ((False, True), (False, False))  # each reader loads what it reads
_EIGHTHS_OF_BUFFER = (8, 7, 6, 5, 4, 2, 1)  # for which the tiles are planned, in turn
_IN_TILES: tuple[Spill, ...] = ("row tiles", "row tiles, reloads")


class _Fit(NamedTuple):
    plan: Plan
    allocation: Allocation


@dataclass(frozen=True)
class _OnCores:
    """The plan of all cores, their shares, each one's part, and why the heads have their order."""

    plan: Plan
    shares: CoreShares
    fits: Sequence[_Fit]
    why: str


def place_on_cores(target: Target, trace: Trace, batch: int, caches: Caches, progress: Progress) -> tuple[PlacedNetwork, ...]:
    """Each core's part of a network, in the head order with the least cost among those that fit; or all of it on the first core.

    Raises
    ------
    CompileError
        A core's part of an operation does not fit its activation buffer, nor do its tiles.
    """
    found, why = _cheapest(target, trace, batch, caches, progress)
    if isinstance(found, PlacedNetwork):
        return tuple(replace(part, split=part.split and f"{part.split}{why}") for part in on_own_core(target, found, 0))
    split = ", ".join(
        f"{count} layers on one core" if how == "one core" else f"{count} over {how}" for how, count in found.shares.counts().items()
    )
    return tuple(
        PlacedNetwork(trace, item.plan, item.allocation, found.why, found.plan.layers, parts=found.shares.parts(), split=f"{split}{why}")
        for item in found.fits
    )


def splits_of(target: Target, trace: Trace) -> Mapping[str, Split]:
    """Layer -> how the cores share it; of an attention, its first head; empty where one core has all. CompileError as `place_on_cores`."""
    found, _ = _cheapest(target, trace, 1, Caches(), unseen)
    if isinstance(found, PlacedNetwork):
        return {}
    return {op.layer.name: split for op, split in zip(reversed(found.plan.ops), reversed(found.shares.splits), strict=True)}


def _cheapest(target: Target, trace: Trace, batch: int, caches: Caches, progress: Progress) -> tuple[_OnCores | PlacedNetwork, str]:
    """(the network on all cores, or on one if that has the lower estimate or is all that fits; a remark on the estimates)."""
    if not target.ranks_shares:
        return _share_out(target, trace, batch, caches), ""
    try:
        alone = place_on_one_core(target, trace, batch, caches, progress)
    except CompileError:
        return _share_out(target, trace, batch, caches), " (one core does not hold the network)"
    try:
        shared = _share_out(target, trace, batch, caches)
    except CompileError:
        return alone, " (shares do not fit their activation buffers)"
    if shared.shares.on_one_core:
        return alone, " (no other share has a lower estimate)"
    spilled = {key._replace(at=-1) for key in (*alone.plan.in_dram, *alone.allocation.spilled)}
    of_one, of_all = ceil(shared.shares.estimate_alone(spilled)), ceil(shared.shares.estimate)
    if of_one <= of_all:
        return alone, f" (estimated {of_one:,} cycles, {of_all:,} if shared)"
    return shared, f" (estimated {of_all:,} cycles, {of_one:,} on one core)"


def _share_out(target: Target, trace: Trace, batch: int, caches: Caches) -> _OnCores:
    """The first head order that fits, else the one that moves the fewest bytes in tiles."""
    shortages: list[Shortage] = []
    ranked = ranked_head_orders(target.ranking, trace)
    may_stay = target.activation_buffer.residency == "buffer"
    for order in ranked:
        whole = plan(trace, batch, order)
        for alone in (True, False)[: 1 + target.ranks_shares]:  # what fits less in one buffer may fit in those of all cores
            leaving = frozenset() if may_stay else frozenset(whole.tensors)
            shares = CoreShares(target, whole, leaving, alone)
            shared = SharedPlan(whole, shares.splits, _with_headers_that_fit(target, trace, whole), leaving)
            found = [_fit(target, shared, core) for core in range(target.cores)]
            fits = [item for item in found if isinstance(item, _Fit)]
            if len(fits) == target.cores:
                return _OnCores(whole, shares, fits, f"{order}: least estimated cost of the orders that fit")
            shortages += [item for item in found if not isinstance(item, _Fit)]
    if not may_stay:
        raise _least(shortages)
    return _share_tiles(target, trace, batch, ranked, caches, shortages)


def _with_headers_that_fit(target: Target, trace: Trace, whole: Plan) -> Plan:
    """A plan with the column tiles that scales and biases need."""
    wide = dict(wide_layers(target, trace))
    tiled = least_tiles(whole, wide)
    return split_plan(whole, frozenset(), tiled, wide)[0] if tiled else whole


def _fit(target: Target, shared: SharedPlan, core: int) -> _Fit | Shortage:
    """The core's plan and allocation with the fewest reads and the earliest loads that fit; the last shortage if none does."""
    shortages: list[Shortage] = []
    may_stay = target.activation_buffer.residency == "buffer"
    for reuse, early in _WAYS if may_stay else _WAYS_FROM_MEMORY:
        part = core_plan(shared, core, reuse)
        found = allocate_core(part, target.activation_buffer.capacity, early)
        if isinstance(found, Allocation):
            return _Fit(part.plan, found)
        shortages.append(found)
    return shortages[-1]


def _share_tiles(
    target: Target, trace: Trace, batch: int, ranked: Sequence[HeadOrder], caches: Caches, shortages: list[Shortage]
) -> _OnCores:
    """The head order that moves the fewest bytes, weights that tiles read again included, in the largest tiles that fit."""
    check_planes(trace, batch, target.activation_buffer.capacity)
    check_heads(trace, target.activation_buffer.capacity)
    again = weights_read_again(target, trace)
    for may_stay, eighths in product((True, False), _EIGHTHS_OF_BUFFER):
        for how in _IN_TILES:
            fitting: list[tuple[int, _OnCores]] = []
            for shared, shares in _tiled_plans(target, trace, batch, ranked, caches, how, eighths, may_stay, shortages):
                fits: list[_Fit] = []
                try:
                    for core in range(target.cores):
                        part = core_plan(shared, core, reuse=False)
                        fits.append(_Fit(part.plan, allocate_core_in_tiles(part, target.activation_buffer.capacity, how != "row tiles")))
                except ActivationsTooLarge as error:
                    shortages.append(_again(error))
                    continue
                moved = sum(fit.allocation.moved_bytes + bytes_read_again(fit.plan, again) for fit in fits)
                why = f"{shared.plan.head_order}: of {len(ranked)} orders in row tiles the one that moves least ({human_bytes(moved)})"
                fitting.append((moved, _OnCores(shared.plan, shares, fits, why)))
            if fitting:
                return min(fitting, key=lambda item: item[0])[1]
    raise _least(shortages)


def _tiled_plans(
    target: Target,
    trace: Trace,
    batch: int,
    ranked: Sequence[HeadOrder],
    caches: Caches,
    how: Spill,
    eighths: int,
    may_stay: bool,
    shortages: list[Shortage],
) -> Iterator[tuple[SharedPlan, CoreShares]]:
    """The plan of one core in each head order that fits a part of its buffer in tiles, shared out."""
    again, wide, capacity = weights_read_again(target, trace), wide_layers(target, trace), target.activation_buffer.capacity
    for order in ranked:
        found = caches.place(trace, batch, order, capacity * eighths // 8, how, wide, again, target.array.max_m)
        if not isinstance(found, tuple):
            if eighths == 8:  # the messages of others would name a buffer that the chip has not
                shortages.append(found)
            continue
        tiles, allocation = found
        bands = {attention.scores.name: attention.bands for attention in tiles.attentions if attention.bands > 1}
        whole = plan(trace, batch, order, bands)
        leaving = frozenset(key._replace(at=-1) for key in allocation.spilled) if may_stay else frozenset(whole.tensors)
        shares = CoreShares(target, whole, leaving | {*tiles.in_dram})
        yield SharedPlan(whole, shares.splits, tiles, leaving), shares


def _least(shortages: Sequence[Shortage]) -> ActivationsTooLarge:
    """The error of what lacks least."""
    return min((shortage() for shortage in shortages), key=lambda error: error.short_bytes)


def _again(error: ActivationsTooLarge) -> Shortage:
    """A shortage without the frames that its error passed."""
    text, short_bytes = str(error), error.short_bytes
    return lambda: ActivationsTooLarge(text, short_bytes)

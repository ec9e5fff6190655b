"""A network on several cores: how each operation is split, and a plan and an allocation for each core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from accelsim.compiler.allocation import Allocation, Shortage
from accelsim.compiler.core_allocation import allocate_core
from accelsim.compiler.core_plans import core_plan
from accelsim.compiler.core_shares import CoreShares, Split
from accelsim.compiler.head_ranking import ranked_head_orders
from accelsim.compiler.inference import PlacedNetwork
from accelsim.compiler.plan import Plan
from accelsim.compiler.planner import plan
from accelsim.compiler.target import Target
from accelsim.trace.trace import Trace

_WAYS = tuple((reuse, early) for reuse in (True, False) for early in (True, False))


class _Fit(NamedTuple):
    plan: Plan
    allocation: Allocation


def place_on_cores(target: Target, trace: Trace, batch: int) -> tuple[PlacedNetwork, ...]:
    """Each core's part of a network, in the head order with the least cost among those that fit.

    Raises
    ------
    CompileError
        A core's part of an operation does not fit its activation buffer.
    """
    whole, shares, fits = _share_out(target, trace, batch)
    why = f"{whole.head_order}: least estimated cost of the orders that fit"
    split = ", ".join(
        f"{count} layers on one core" if how == "one core" else f"{count} over {how}" for how, count in shares.counts().items()
    )
    return tuple(PlacedNetwork(trace, item.plan, item.allocation, why, whole.layers, parts=shares.parts(), split=split) for item in fits)


def splits_of(target: Target, trace: Trace) -> Mapping[str, Split]:
    """Layer -> how the cores share it; of an attention, its first head. CompileError as `place_on_cores`."""
    whole, shares, _ = _share_out(target, trace, 1)
    return {op.layer.name: split for op, split in zip(reversed(whole.ops), reversed(shares.splits), strict=True)}


def _share_out(target: Target, trace: Trace, batch: int) -> tuple[Plan, CoreShares, list[_Fit]]:
    """(plan, shares, each core's part) of the first head order that fits."""
    shortages: list[Shortage] = []
    for order in ranked_head_orders(target.ranking, trace):
        whole = plan(trace, batch, order)
        shares = CoreShares(target, whole)
        found = [_fit(target, whole, shares.splits, core) for core in range(target.cores)]
        fits = [item for item in found if isinstance(item, _Fit)]
        if len(fits) == target.cores:
            return whole, shares, fits
        shortages += [item for item in found if not isinstance(item, _Fit)]
    raise min((shortage() for shortage in shortages), key=lambda error: error.short_bytes)


def _fit(target: Target, whole: Plan, splits: tuple[Split, ...], core: int) -> _Fit | Shortage:
    """The core's plan and allocation with the fewest reads and the earliest loads that fit; the last shortage if none does."""
    shortages: list[Shortage] = []
    for reuse, early in _WAYS:
        part = core_plan(whole, splits, core, reuse)
        found = allocate_core(part, target.activation_buffer.capacity, early)
        if isinstance(found, Allocation):
            return _Fit(part.plan, found)
        shortages.append(found)
    return shortages[-1]

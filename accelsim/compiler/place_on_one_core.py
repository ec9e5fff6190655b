"""A network on one core: its plan and the place of each tensor, in the head order with the least cost among those that fit best."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.compiler.allocation import Allocation, Shortage
from accelsim.compiler.caches import Caches, Spill
from accelsim.compiler.column_tiles import WideLayers, wide_layers
from accelsim.compiler.feasibility import check_heads, check_planes
from accelsim.compiler.head_ranking import ranked_head_orders
from accelsim.compiler.heads import HeadOrder
from accelsim.compiler.inference import PlacedNetwork
from accelsim.compiler.plan import Plan
from accelsim.compiler.target import Target
from accelsim.compiler.weights_read_again import bytes_read_again, weights_read_again
from accelsim.progress import Progress
from accelsim.quantities import human_bytes
from accelsim.trace.trace import Trace


def place_on_one_core(target: Target, trace: Trace, batch: int, caches: Caches, progress: Progress) -> PlacedNetwork:
    """A network in the head order with the least cost among those that fit best."""
    buffer = target.activation_buffer
    spill: Spill = "always" if buffer.residency == "dram" else "never" if target.placement.activations == "none" else "if needed"
    check_planes(trace, batch, buffer.capacity)
    if spill == "if needed":
        check_heads(trace, buffer.capacity)
    ranked = ranked_head_orders(target.ranking, trace)
    wide = wide_layers(target, trace)
    fitting: list[tuple[tuple[int, int, int], Plan, Allocation]] = []
    shortages: list[Shortage] = []
    for rank, order in enumerate(ranked):
        progress("plan", rank, len(ranked))
        found = caches.place(trace, batch, order, buffer.capacity, spill, wide)
        if not isinstance(found, tuple):
            shortages.append(found)
            continue
        candidate, allocation = found
        if not allocation.spilled and not allocation.barriers:
            why = f"{order}: least estimated cost of the orders that fit without a spill"
            return PlacedNetwork(trace, candidate, allocation, why, candidate.layers)
        spilled = sum(candidate.tensors[item].bytes for item in allocation.spilled)
        fitting.append(((spilled, len(allocation.barriers), rank), candidate, allocation))
    if spill == "if needed" and not fitting:
        return _in_row_tiles(target, trace, batch, ranked, wide, caches, progress)
    if not fitting:
        raise min((shortage() for shortage in shortages), key=lambda error: error.short_bytes)
    (spilled, barriers, _), candidate, allocation = min(fitting, key=lambda item: item[0])
    why = f"{candidate.head_order}: of {len(ranked)} orders the one with least spills ({human_bytes(spilled)}) and barriers ({barriers})"
    return PlacedNetwork(trace, candidate, allocation, why, candidate.layers)


def _in_row_tiles(
    target: Target, trace: Trace, batch: int, ranked: Sequence[HeadOrder], wide: WideLayers, caches: Caches, progress: Progress
) -> PlacedNetwork:
    """A network in the head order that moves the fewest bytes in row tiles, the weights that they read again included."""
    again = weights_read_again(target, trace)
    fitting: list[tuple[tuple[int, int], Plan, Allocation]] = []
    shortages: list[Shortage] = []
    how: Spill
    for how in ("row tiles", "row tiles, reloads"):
        for rank, order in enumerate(ranked):
            progress("plan in row tiles", rank, len(ranked))
            found = caches.place(trace, batch, order, target.activation_buffer.capacity, how, wide, again, target.array.max_m)
            if isinstance(found, tuple):
                fitting.append(((found[1].moved_bytes + bytes_read_again(found[0], again), rank), *found))
            else:
                shortages.append(found)
        if fitting:
            break
    if not fitting:
        raise min((shortage() for shortage in shortages), key=lambda error: error.short_bytes)
    (moved, _), candidate, allocation = min(fitting, key=lambda item: item[0])
    why = f"{candidate.head_order}: of {len(ranked)} orders in row tiles the one that moves least ({human_bytes(moved)})"
    return PlacedNetwork(trace, candidate, allocation, why, candidate.layers)

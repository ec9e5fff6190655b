"""Programs, plans, allocations, bank conflicts and spreads of code lengths of earlier compilations.

Each is computed from its key and nothing else, so an equal key has an equal value: a program from a target, traces and options; a
plan from a trace, a batch and a head order; an allocation from a plan, the buffer's capacity, how it may spill, the layers that may run in
column tiles and those whose weights row tiles read again; for bank conflicts see `bank_conflicts`, for spreads `code_lengths`.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from accelsim.compiler import code_lengths
from accelsim.compiler.allocation import ActivationsTooLarge, Allocation, Shortage, allocate
from accelsim.compiler.bank_conflicts import KNOWN_LAYERS, Known
from accelsim.compiler.column_tiles import WideLayers, least_tiles
from accelsim.compiler.heads import HeadOrder
from accelsim.compiler.lru_cache import LruCache
from accelsim.compiler.plan import Plan
from accelsim.compiler.planner import WHOLE_HEADS, Bands, plan
from accelsim.compiler.row_tile_allocation import allocate_in_row_tiles
from accelsim.compiler.split_plan import split_plan
from accelsim.compiler.target import Target
from accelsim.compiler.weights_read_again import WeightsReadAgain
from accelsim.program import Program
from accelsim.trace.trace import Trace

Spill = Literal["never", "if needed", "always", "row tiles", "row tiles, reloads"]
Placed = tuple[Plan, Allocation]


class Caches:
    """An LRU cache for each of them; `programs`, `conflicts` and `code_lengths` are filled by their makers."""

    def __init__(self) -> None:
        self.programs: LruCache[tuple[Target, str, int, int, int], Program] = LruCache(256)
        self.conflicts: Known = LruCache(KNOWN_LAYERS)
        self.code_lengths: code_lengths.Known = LruCache(KNOWN_LAYERS)
        self._plans: LruCache[tuple[str, int, HeadOrder], Plan] = LruCache(64)
        self._placed: LruCache[tuple[str, int, HeadOrder, int, Spill, WideLayers, WeightsReadAgain, int], Placed | Shortage] = LruCache(256)

    def place(
        self,
        trace: Trace,
        batch: int,
        order: HeadOrder,
        capacity_bytes: int,
        spill: Spill,
        wide: WideLayers = (),
        again: WeightsReadAgain = (),
        load_rows: int = 1,
    ) -> Placed | Shortage:
        """The plan and its allocation, or the error that they do not fit: see `allocate`, and for "row tiles" `allocate_in_row_tiles`."""

        def planned(bands: Bands) -> Plan:
            if bands:
                return plan(trace, batch, order, bands)
            return self._plans.of((trace.sha256, batch, order), lambda: plan(trace, batch, order))

        def make() -> Placed | Shortage:
            whole = planned(WHOLE_HEADS)
            if not spill.startswith("row tiles"):
                tiled = least_tiles(whole, dict(wide))
                if tiled:
                    whole = split_plan(whole, frozenset(), tiled, dict(wide))[0]
                found = allocate(whole, capacity_bytes, spill != "never", spill == "always")
                return (whole, found) if isinstance(found, Allocation) else found
            try:
                return allocate_in_row_tiles(planned, capacity_bytes, wide, again, load_rows, spill != "row tiles")
            except ActivationsTooLarge as error:  # without the frames it passed
                return partial(ActivationsTooLarge, str(error), error.short_bytes)

        return self._placed.of((trace.sha256, batch, order, capacity_bytes, spill, wide, again, load_rows), make)

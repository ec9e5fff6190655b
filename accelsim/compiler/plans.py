"""Plans, allocations and bank conflicts that were made before: what depends on the trace and little else is computed once.

A plan is made from a trace, a batch and a head order; an allocation from a plan, the buffer's capacity and whether it may, or must,
spill; of bank conflicts see `bank_conflicts`. Nothing else is passed to any of them, so an equal question has an equal answer.
"""

from __future__ import annotations

from accelsim.compiler.allocation import ActivationsTooLarge, Allocation, allocate
from accelsim.compiler.bank_conflicts import KNOWN_LAYERS, Known
from accelsim.compiler.heads import HeadOrder
from accelsim.compiler.plan import Plan
from accelsim.compiler.planner import plan
from accelsim.compiler.recent import Recent
from accelsim.compiler.row_tile_allocation import allocate_in_row_tiles
from accelsim.trace.trace import Trace


class Plans:
    """Makes plans and allocations, and keeps the last of them; `conflicts` is for who finds bank conflicts."""

    def __init__(self) -> None:
        self.conflicts: Known = Recent(KNOWN_LAYERS)
        self._plans: Recent[tuple[str, int, HeadOrder], Plan] = Recent(64)
        self._allocations: Recent[tuple[str, int, HeadOrder, int, bool, bool], Allocation | ActivationsTooLarge] = Recent(256)
        self._in_row_tiles: Recent[tuple[str, int, HeadOrder, int], tuple[Plan, Allocation] | ActivationsTooLarge] = Recent(64)

    def plan(self, trace: Trace, batch: int, order: HeadOrder) -> Plan:
        """As `plan`."""
        return self._plans.of((trace.sha256, batch, order), lambda: plan(trace, batch, order))

    def allocate(
        self, trace: Trace, batch: int, order: HeadOrder, capacity_bytes: int, may_spill: bool, always_spill: bool
    ) -> tuple[Plan, Allocation]:
        """The plan, and as `allocate`; raises as that."""
        chosen = self.plan(trace, batch, order)

        def make() -> Allocation | ActivationsTooLarge:
            try:
                return allocate(chosen, capacity_bytes, may_spill, always_spill)
            except ActivationsTooLarge as error:
                return ActivationsTooLarge(str(error), error.short_bytes)  # without the frames that an exception holds on to

        key = (trace.sha256, batch, order, capacity_bytes, may_spill, always_spill)
        answer = self._allocations.of(key, make)
        if isinstance(answer, ActivationsTooLarge):
            raise ActivationsTooLarge(str(answer), answer.short_bytes)
        return chosen, answer

    def allocate_in_row_tiles(self, trace: Trace, batch: int, order: HeadOrder, capacity_bytes: int) -> tuple[Plan, Allocation]:
        """As `allocate_in_row_tiles`; raises as that."""

        def make() -> tuple[Plan, Allocation] | ActivationsTooLarge:
            try:
                return allocate_in_row_tiles(self.plan(trace, batch, order), capacity_bytes)
            except ActivationsTooLarge as error:
                return ActivationsTooLarge(str(error), error.short_bytes)

        answer = self._in_row_tiles.of((trace.sha256, batch, order, capacity_bytes), make)
        if isinstance(answer, ActivationsTooLarge):
            raise ActivationsTooLarge(str(answer), answer.short_bytes)
        return answer

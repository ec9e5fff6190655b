"""The compute cluster as a cycle engine: core, accumulators and vector unit, on the core clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import simpy

from accelsim.hw.cluster_state import FIELD_AT, IN_L2, NEVER, UNWRITTEN, ClusterState, StateRecord
from accelsim.hw.engine import CycleEngine
from accelsim.kernels import compute, compute_state
from accelsim.program import Program

LOOK_AHEAD = 2048  # cycles: limit of a prediction that may be discarded


_AT = FIELD_AT
_CYCLE, _STARVED, _FREED, _TILES, _FINISH = _AT["cycle"], _AT["starved"], _AT["freed"], _AT["tiles_done"], _AT["finish"]


class ComputeCluster(ClusterState, CycleEngine):
    """Runs a program's products and vector tasks, by itself or, once it has joined others, with them.

    Listeners are set by the system: `on_room` when the freed bytes or finished tiles that the DMA waits for are reached,
    `on_task` when a task ends that a job waits for.
    """

    def __init__(self, env: simpy.Environment, clock_hz: int, program: Program) -> None:
        ClusterState.__init__(self, program)
        CycleEngine.__init__(self, env, clock_hz)
        self._look = StateRecord()
        self._reason = compute_state.REACHED
        self.valid = False
        self._landed: list[int] = []
        self._filled: list[tuple[int, int, int]] = []
        self._reached: list[int] = []
        self._reached_units: list[tuple[int, int, int, int]] = []
        self.stop_freed = NEVER
        self.stop_tiles = NEVER
        self._new_stops = False
        self._stepper: CycleEngine = self
        self.on_room: Callable[[], None] = _nothing
        self.on_task: Callable[[int, int], None] = _nothing_of_task

    # -- several clusters that are stepped together

    def join(self, stepper: CycleEngine, state: StateRecord, look: StateRecord) -> None:
        """Before the run: leave all steps to an engine that has several clusters, with the states that it holds for this one."""
        self._stepper, self._state, self._look = stepper, state, look

    def poke(self) -> None:
        if self._stepper is self:
            super().poke()
        else:
            self._stepper.poke()

    @property
    def awake(self) -> bool:
        return super().awake if self._stepper is self else self._stepper.awake

    # -- inputs

    def land(self, transfer: int) -> None:
        """A weight-side transfer is in its buffer."""
        self._landed.append(transfer)
        if self._stepper is self and self.unaware():
            self.take_landed()
        else:
            self.poke()

    def fill(self, load: int, offset: int, units: int) -> None:
        """The first `units` units of a load task (units from `offset` in the unit arrays) are in the activation buffer."""
        self._filled.append((load, offset, units))
        self.poke()

    def reach(self, transfer: int) -> None:
        """A weight-side transfer is in the shared level, and waits for its port."""
        self._reached.append(transfer)
        self.poke()

    def reach_units(self, load: int, offset: int, units: int) -> None:
        """The first `units` units of a load task are in the shared level at least, and wait for its port where they have not filled it."""
        self._reached_units.append((load, offset, units, IN_L2))
        self.poke()

    def await_writes(self, offset: int, units: int) -> None:
        """Before the run: the units from `offset` on, of a load task, wait for other cores to write what they are loaded from."""
        self._fin[offset : offset + units] = UNWRITTEN

    def written(self, load: int, offset: int, units: int) -> None:
        """Note that the source of a load task's units is in memory; they wait for it as for any other load."""
        self._reached_units.append((load, offset, units, NEVER))
        self.poke()

    def wait_for(self, freed: int, tiles: int) -> None:
        """Ask for `on_room` once that many stream bytes are free or that many tiles are done."""
        if (freed, tiles) != (self.stop_freed, self.stop_tiles):
            self.stop_freed, self.stop_tiles = freed, tiles
            self._new_stops = True
            self.poke()

    def freed_and_tiles(self) -> tuple[int, int]:
        """(stream bytes that are free, tiles done) now."""
        self._stepper.commit(self.now_cycle)
        return int(self._state.ints[_FREED]), int(self._state.ints[_TILES])

    # -- the engine

    def must_repredict(self) -> bool:
        if self.done_cycle is not None:
            return False
        if self.unaware():
            self.take_landed()
            return False
        return True

    def unaware(self) -> bool:
        """Whether the look-ahead is still good: nothing but landings came since, and it never missed what landed."""
        return self.valid and not self._new_stops and not self._filled and self._look.ints[_STARVED] >= NEVER

    def take_landed(self) -> None:
        """Take in what has landed, or reached the shared level."""
        cycle = self.now_cycle
        for transfer in self._reached:
            self._land[transfer] = IN_L2
        for load, offset, units, state in self._reached_units:
            self._fin[offset + self._loaded[load] : offset + units] = state
        self._reached.clear()
        self._reached_units.clear()
        for transfer in self._landed:
            self._land[transfer] = cycle
        self._landed.clear()

    def commit(self, cycle: int) -> None:
        if self._state.ints[_CYCLE] < cycle and self.done_cycle is None:
            self._advance(self._state, cycle, NEVER, NEVER, 0)

    def absorb(self) -> None:
        self.take_landed()
        cycle = self.now_cycle
        for load, offset, units in self._filled:
            self._fin[offset + self._loaded[load] : offset + units] = cycle
            self._loaded[load] = units
        self._filled.clear()
        self._new_stops = False

    def predict(self) -> int | None:
        np.copyto(self._look.ints, self._state.ints)
        self._look.ints[_STARVED] = NEVER
        start = int(self._state.ints[_CYCLE])
        self._reason = self._advance(self._look, start + LOOK_AHEAD, self.stop_freed, self.stop_tiles, 1)
        self.valid = True
        if self._reason == compute_state.BLOCKED:
            return None
        return int(self._look.ints[_CYCLE])

    def adopt(self) -> None:
        self._state, self._look = self._look, self._state
        self.valid = False

    def publish(self) -> None:
        if self._state.ints[_FINISH] > 0:
            self.done_cycle = int(self._state.ints[_FINISH])
        for task, cycle in self._ended_tasks():
            self.on_task(task, cycle)
        state = self._state.ints
        if state[_FREED] >= self.stop_freed or state[_TILES] >= self.stop_tiles:  # also in the cycle in which a task's end is settled
            self.on_room()

    def _advance(self, state: StateRecord, until: int, freed: int, tiles: int, look_ahead: int) -> int:
        return int(compute.advance(state.record, *self._arrays, until, freed, tiles, look_ahead))


def _nothing() -> None:
    return None


def _nothing_of_task(task: int, cycle: int) -> None:
    del task, cycle

"""The compute cluster as a cycle engine: core, accumulators and vector unit, on the core clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import simpy

from accelsim.hw.engine import CycleEngine
from accelsim.kernels import compute, compute_state
from accelsim.program import Program

NEVER = int(compute_state.NEVER)
LOOK_AHEAD = 2048  # cycles: limit of a prediction that may be discarded


_FIELDS: Mapping[str, tuple[Any, ...]] = compute_state.STATE.fields or {}
_AT = {name: field[1] // 8 for name, field in _FIELDS.items()}  # place of each field in a state that is seen as int64
_CYCLE, _STARVED, _FREED, _TILES = _AT["cycle"], _AT["starved"], _AT["freed"], _AT["tiles_done"]
_NOTIFIED, _DRAINS, _ROWS, _FINISH = _AT["notified"], _AT["d_task"], _AT["r_task"], _AT["finish"]


class _State:
    """A state record of the kernel, and the same bytes as int64: reading one field of a structured array costs microseconds."""

    def __init__(self) -> None:
        self.record = compute_state.new_state()
        self.ints = self.record.view(np.int64)


class ComputeCluster(CycleEngine):
    """Runs a program's products and vector tasks.

    Listeners are set by the system: `on_room` when the freed bytes or finished tiles that the DMA waits for are reached,
    `on_task` when a task ends that a job waits for.
    """

    def __init__(self, env: simpy.Environment, clock_hz: int, program: Program) -> None:
        super().__init__(env, clock_hz)
        count = program.transfers.address.size
        self._program = program
        self._state = _State()
        self._look = _State()
        self._land = np.full(count, NEVER, np.int64)
        self._loaded = np.zeros(max(1, program.loads), np.int64)
        self._avail = np.zeros(program.units, np.int64)
        self._due = np.zeros(program.units, np.int64)
        self._fin = np.full(program.units, NEVER, np.int64)
        self.results = np.zeros((program.runs.size, len(compute_state.RUN_RESULTS)), np.int64)
        transfers = program.transfers
        self._arrays = (
            program.machine, program.runs, program.tasks, program.drains, program.row_tasks, program.cb_runs, program.cb_words,
            program.group_cost, self._land, transfers.visible, transfers.end, transfers.need, self._loaded, self._avail, self._due,
            self._fin, self.results,
        )  # fmt: skip
        self._awaited_drains, self._awaited_rows = _awaited(program, program.drains), _awaited(program, program.row_tasks)
        self._reason = compute_state.REACHED
        self._valid = False
        self._landed: list[int] = []
        self._filled: list[tuple[int, int, int]] = []
        self.stop_freed = NEVER
        self.stop_tiles = NEVER
        self._new_stops = False
        self.done_cycle: int | None = None
        self.on_room: Callable[[], None] = _nothing
        self.on_task: Callable[[int, int], None] = _nothing_of_task

    # -- inputs

    def land(self, transfer: int) -> None:
        """A weight-side transfer is in its buffer."""
        self._landed.append(transfer)
        if self._unaware():
            self._take_landed()
        else:
            self.poke()

    def fill(self, load: int, offset: int, units: int) -> None:
        """The first `units` units of a load task (units from `offset` in the unit arrays) are in the activation buffer."""
        self._filled.append((load, offset, units))
        self.poke()

    def wait_for(self, freed: int, tiles: int) -> None:
        """Ask for `on_room` once that many stream bytes are free or that many tiles are done."""
        if (freed, tiles) != (self.stop_freed, self.stop_tiles):
            self.stop_freed, self.stop_tiles = freed, tiles
            self._new_stops = True
            self.poke()

    def freed_and_tiles(self) -> tuple[int, int]:
        """(stream bytes that are free, tiles done) now."""
        self.commit(self.now_cycle)
        return int(self._state.ints[_FREED]), int(self._state.ints[_TILES])

    # -- the engine

    def must_repredict(self) -> bool:
        if self.done_cycle is not None:
            return False
        if self._unaware():
            self._take_landed()
            return False
        return True

    def _unaware(self) -> bool:
        """Whether the look-ahead is still good: nothing but landings came since, and it never missed what landed."""
        return self._valid and not self._new_stops and not self._filled and self._look.ints[_STARVED] >= NEVER

    def _take_landed(self) -> None:
        cycle = self.now_cycle
        for transfer in self._landed:
            self._land[transfer] = cycle
        self._landed.clear()

    def commit(self, cycle: int) -> None:
        if self._state.ints[_CYCLE] < cycle and self.done_cycle is None:
            self._advance(self._state, cycle, NEVER, NEVER, 0)

    def absorb(self) -> None:
        self._take_landed()
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
        self._valid = True
        if self._reason == compute_state.BLOCKED:
            return None
        return int(self._look.ints[_CYCLE])

    def adopt(self) -> None:
        self._state, self._look = self._look, self._state
        self._valid = False

    def publish(self) -> None:
        state = self._state.ints
        if self._reason == compute_state.DONE:
            self.done_cycle = int(state[_FINISH])
        if state[_NOTIFIED]:
            state[_NOTIFIED] = 0
            for awaited, done in ((self._awaited_drains, state[_DRAINS]), (self._awaited_rows, state[_ROWS])):
                while awaited and awaited[0][0] < done:
                    _, task, last_unit = awaited.popleft()
                    self.on_task(task, int(self._fin[last_unit]))
        if self._reason in (compute_state.FREED, compute_state.TILES):
            self.on_room()

    def _advance(self, state: _State, until: int, freed: int, tiles: int, look_ahead: int) -> int:
        return int(compute.advance(state.record, *self._arrays, until, freed, tiles, look_ahead))

    # -- waiting

    def waiting(self) -> str:
        """Describe the cluster's pending work, for a deadlock's message."""
        names = ("cycle", "a_run", "a_tile", "l_run", "l_tile", "pushed", "d_task", "r_task")
        s = {name: int(self._state.ints[_AT[name]]) for name in names}
        runs = self._program.runs
        layer = self._program.layers[int(runs[min(s["a_run"], runs.size - 1)]["layer"])].name
        return (
            f"core at cycle {s['cycle']}: run {s['a_run']} of {runs.size} (layer {layer!r}) at tile {s['a_tile']}, loader at "
            f"run {s['l_run']} tile {s['l_tile']} after {s['pushed']} words; vector unit: drain {s['d_task']}, row function {s['r_task']}"
        )

    @property
    def taken_bytes(self) -> int:
        """Stream bytes that the loader has read and given free."""
        return int(self._state.ints[_FREED])

    @property
    def run_index(self) -> int:
        """Run that the array is at."""
        return int(self._state.ints[_AT["a_run"]])

    @property
    def vector_busy_cycles(self) -> int:
        return int(self._state.ints[_AT["v_busy"]])


def _awaited(program: Program, queue: np.ndarray) -> deque[tuple[int, int, int]]:
    """(place in its queue, task, last of its units in the unit arrays) of each task of a queue whose end a job waits for, in order."""
    tasks = program.tasks[queue]
    ends = tasks["offset"] + tasks["units"] - 1
    return deque((place, int(queue[place]), int(ends[place])) for place in np.flatnonzero(tasks["notify"]).tolist())


def _nothing() -> None:
    return None


def _nothing_of_task(task: int, cycle: int) -> None:
    del task, cycle

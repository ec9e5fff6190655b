"""The compute cluster's arrays, and what can be read from them: shared by the engine of events and by the cluster that runs ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from accelsim.kernels import compute_state
from accelsim.program import Program, Structured

NEVER = int(compute_state.NEVER)
IN_L2 = int(compute_state.IN_L2)
UNWRITTEN = int(compute_state.UNWRITTEN)

_FIELDS: Mapping[str, tuple[Any, ...]] = compute_state.STATE.fields or {}
FIELD_AT = {name: field[1] // 8 for name, field in _FIELDS.items()}  # place of each field in a state that is seen as int64


class StateRecord:
    """A state record of the kernel, and the same bytes as int64: reading one field of a structured array costs microseconds."""

    def __init__(self, record: Structured | None = None) -> None:
        self.record = compute_state.new_state() if record is None else record
        self.ints = self.record.view(np.int64)


class ClusterArrays(NamedTuple):
    """Arrays that the kernel takes between a state and the cycle to stop before, as `compute.advance` describes them."""

    machine: np.ndarray
    runs: np.ndarray
    tasks: np.ndarray
    drains: np.ndarray
    row_tasks: np.ndarray
    cb_runs: np.ndarray
    cb_words: np.ndarray
    group_cost: np.ndarray
    land: np.ndarray
    visible: np.ndarray
    chunk_end: np.ndarray
    chunk_need: np.ndarray
    loaded: np.ndarray
    avail: np.ndarray
    due: np.ndarray
    held: np.ndarray
    fin: np.ndarray
    results: np.ndarray


class ClusterState:
    """State and arrays of the cluster that runs a program.

    Attributes
    ----------
    results : int64 (runs, len(RUN_RESULTS))
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._state = StateRecord()
        self.place(new_arrays(program))
        self._awaited = (_awaited(program, program.drains), _awaited(program, program.row_tasks))
        self.done_cycle: int | None = None

    @property
    def arrays(self) -> ClusterArrays:
        """Its arrays."""
        return self._arrays

    def place(self, arrays: ClusterArrays) -> None:
        """Take these arrays: new ones, or parts of those of several clusters with the same contents as its own."""
        self._arrays = arrays
        self._land, self._loaded, self._fin, self.results = arrays.land, arrays.loaded, arrays.fin, arrays.results

    def _ended_tasks(self) -> list[tuple[int, int]]:
        """(task, cycle of its end) of each awaited task whose end was settled since the last call."""
        state = self._state.ints
        ended = []
        if state[FIELD_AT["notified"]]:
            state[FIELD_AT["notified"]] = 0
            for awaited, field in zip(self._awaited, ("d_task", "r_task"), strict=True):
                while awaited and awaited[0][0] < state[FIELD_AT[field]]:
                    _, task, last_unit = awaited.popleft()
                    ended.append((task, int(self._fin[last_unit])))
        return ended

    def waiting(self) -> str:
        """Describe the cluster's pending work, for a deadlock's message."""
        names = ("cycle", "a_run", "a_tile", "l_run", "l_tile", "pushed", "d_task", "r_task")
        s = {name: int(self._state.ints[FIELD_AT[name]]) for name in names}
        runs = self._program.runs
        layer = self._program.layers[int(runs[min(s["a_run"], runs.size - 1)]["layer"])].name
        return (
            f"core at cycle {s['cycle']}: run {s['a_run']} of {runs.size} (layer {layer!r}) at tile {s['a_tile']}, loader at "
            f"run {s['l_run']} tile {s['l_tile']} after {s['pushed']} words; vector unit: drain {s['d_task']}, row function {s['r_task']}"
        )

    @property
    def taken_bytes(self) -> int:
        """Stream bytes that the loader has read and given free."""
        return int(self._state.ints[FIELD_AT["freed"]])

    @property
    def run_index(self) -> int:
        """Run that the array is at."""
        return int(self._state.ints[FIELD_AT["a_run"]])

    @property
    def vector_busy_cycles(self) -> int:
        return int(self._state.ints[FIELD_AT["v_busy"]])


def new_arrays(program: Program) -> ClusterArrays:
    """A program's arrays, and those of a cluster that has not begun."""
    transfers, units = program.transfers, program.units
    return ClusterArrays(
        program.machine, program.runs, program.tasks, program.drains, program.row_tasks, program.cb_runs, program.cb_words,
        program.group_cost, np.full(transfers.address.size, NEVER, np.int64), transfers.visible, transfers.end, transfers.need,
        np.zeros(max(1, program.loads), np.int64), np.zeros(units, np.int64), np.zeros(units, np.int64), np.zeros((2, units), np.int64),
        np.full(units, NEVER, np.int64), np.zeros((program.runs.size, len(compute_state.RUN_RESULTS)), np.int64),
    )  # fmt: skip


def _awaited(program: Program, queue: np.ndarray) -> deque[tuple[int, int, int]]:
    """(place in its queue, task, last of its units in the unit arrays) of each task of a queue whose end a job waits for, in order."""
    tasks = program.tasks[queue]
    ends = tasks["offset"] + tasks["units"] - 1
    return deque((place, int(queue[place]), int(ends[place])) for place in np.flatnonzero(tasks["notify"]).tolist())

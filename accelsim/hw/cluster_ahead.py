"""The compute cluster as one of two sides that exchange promises: it runs ahead until it needs a landing not yet reported."""

from __future__ import annotations

import numpy as np

from accelsim.hw.cluster_state import FIELD_AT, NEVER, ClusterState, StateRecord
from accelsim.kernels import compute_state, dma_state, run_ahead
from accelsim.program import Program
from accelsim.quantities import edge_ps

STRETCH = 512  # most cycles beyond the promises that are rolled back

_CYCLE, _FINISH = FIELD_AT["cycle"], FIELD_AT["finish"]


class ClusterAhead(ClusterState):
    """Runs a program's products and vector tasks.

    Attributes
    ----------
    land : int64 (transfers,): core cycle from which each transfer can be read, NEVER while it is not known; written by the memory side
    promises, room, opened : as `run_ahead` writes them
    task_end : int64 (tasks,): ps at which each awaited task has ended, NEVER while it is not known
    """

    def __init__(self, clock_hz: int, program: Program) -> None:
        super().__init__(program)
        self._clock_hz = clock_hz
        count = program.transfers.address.size
        self._saved = StateRecord()
        self.land = self._land
        self.promises = np.zeros(run_ahead.PROMISES, np.int64)
        self.room = np.full(count, NEVER, np.int64)
        self.opened = np.full(count, NEVER, np.int64)
        self.task_end = np.full(program.tasks.size, NEVER, np.int64)
        self._rows = rows_of_runs(program)
        self._ends = 0
        self._fills = np.zeros((0, dma_state.FILL_WIDTH), np.int64)  # that are told, in time order; the first may count already

    @property
    def cycle(self) -> int:
        """First cycle that was not run; NEVER when the program has ended."""
        return NEVER if self.done else int(self._state.ints[_CYCLE])

    @property
    def done(self) -> bool:
        """Whether the program has ended."""
        return self.done_cycle is not None

    @property
    def told(self) -> int:
        """Rooms, gates and ends that have been told."""
        return int(self.promises[run_ahead.ROOMS]) + int(self.promises[run_ahead.GATES]) + self._ends

    def fill(self, fills: np.ndarray) -> None:
        """Take fills of tensors, in time order: int64 (n, FILL_WIDTH)."""
        self._fills = np.concatenate((self._fills[self.promises[run_ahead.FILLS] :], fills))
        self.promises[run_ahead.FILLS] = 0

    def advance(self, known: int) -> None:
        """Run as far as it goes when all that lands up to cycle `known` has been told."""
        while not self.done and self._run(known, 0) != compute_state.BLOCKED:
            pass

    def advance_until_told(self) -> None:
        """Run to the next thing to tell, when nothing lands before; not at all if there will be none."""
        if not self.done:
            self._run(NEVER, 1)

    def _run(self, known: int, until_told: int) -> int:
        """One call of the kernel; why it stopped."""
        reason = run_ahead.run_ahead(
            self._state.record, *self._arrays, self._program.transfers.gate, self._saved.record, self.promises, self.room, self.opened,
            self._rows, self._fills, known, STRETCH, until_told,
        )  # fmt: skip
        if reason == compute_state.DONE:
            self.done_cycle = int(self._state.ints[_FINISH])
        for task, end in self._ended_tasks():
            self.task_end[task] = edge_ps(max(end, int(self._state.ints[_CYCLE])), self._clock_hz)
            self._ends += 1
        return int(reason)


def rows_of_runs(program: Program) -> np.ndarray:
    """Rows that the array issues, at most one per cycle: int64 (runs + 1, ROW_COLUMNS), the last row behind all runs.

    Before a run, in it, and in a fold of it: what is on its way may be issued already. Runs that are not mapped tile by tile count
    none, and neither does an array that is imagined faster.
    """
    runs = program.runs
    by_tiles = (runs["gemv_groups"] == 0) & (runs["os_line"] == 0) & (runs["turned"] == 0) & (runs["vector_path"] == 0)
    by_tiles &= program.machine["rows_per_cycle"][0] == 1
    out = np.zeros((runs.size + 1, run_ahead.ROW_COLUMNS), np.int64)
    out[:-1, run_ahead.ROWS] = np.where(by_tiles, runs["steps"], 0)
    out[:-1, run_ahead.TILE_ROWS] = runs["m"] * np.maximum(1, runs["file"])
    out[1:, run_ahead.ROWS_BEFORE] = np.cumsum(out[:-1, run_ahead.ROWS])
    return out

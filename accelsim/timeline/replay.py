"""Replay of a recorded run of the compute cluster, one cycle at a time.

The cluster gets the same inputs in the same cycles as in the run, so it behaves the same; at the end its results are compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from accelsim.errors import ConservationError
from accelsim.hw.cluster_state import IN_L2, NEVER, UNWRITTEN, new_arrays
from accelsim.kernels import compute_state
from accelsim.kernels.cycle_samples import CARRY, SAMPLE, sample_cycles
from accelsim.program import Int64
from accelsim.simulation import RecordedRun

CHUNK = 1 << 15  # cycles that are held at once


@dataclass(frozen=True)
class Samples:
    """Samples of consecutive cycles: row i of `values` (int64, columns of SAMPLE) is cycle `first` + i."""

    first: int
    values: Int64

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def end(self) -> int:
        return self.first + len(self)

    def of(self, *names: str) -> Int64:
        """(cycles, len(names)) values of these columns."""
        return self.values[:, [SAMPLE.index(name) for name in names]]

    def column(self, name: str) -> Int64:
        """(cycles,) values of one column."""
        return self.values[:, SAMPLE.index(name)]


class ClusterReplay:
    """The cluster of a recorded run, at its beginning.

    Attributes
    ----------
    finished : int64 (units,): once the replay is over, the cycle in which each unit of each task was done
    """

    def __init__(self, run: RecordedRun) -> None:
        self._run = run
        program = run.program
        self._state = compute_state.new_state()
        self._arrays = new_arrays(program)
        self._land, self._loaded, self.finished = self._arrays.land, self._arrays.loaded, self._arrays.fin
        self._before = np.zeros(len(compute_state.CATEGORIES), np.int64)
        self._carry = np.array([-1, -1, 0], np.int64)
        assert len(CARRY) == self._carry.size
        notes = run.notes
        for offset, units in notes.awaited:
            self.finished[offset : offset + units] = UNWRITTEN
        landings = [
            *((cycle, transfer, -1, 0, IN_L2) for cycle, transfer in notes.reached),
            *((*item, IN_L2) for item in notes.reached_units),
            *((*item, NEVER) for item in notes.written),
            *((cycle, transfer, -1, 0, cycle) for cycle, transfer in notes.landed),
            *((*item, item[0]) for item in notes.filled),
        ]
        self._denied = deque(notes.denied)
        self._inputs = sorted(landings, key=lambda item: item[0])
        self._taken = 0

    @property
    def cycles(self) -> int:
        """Core cycles of the cluster: all but the wait for the last writes."""
        return self._run.outcome.cycles - self._run.outcome.tail_cycles

    def samples(self) -> Iterator[Samples]:
        """All cycles of the cluster, in pieces; at the end it is compared with the run.

        Raises
        ------
        ConservationError
            The replay differs from the run.
        """
        while not self._carry[2]:
            first = self.cycle
            buffer = np.zeros((CHUNK, len(SAMPLE)), np.int64)
            filled = 0
            while filled < CHUNK and not self._carry[2]:
                filled += self._step(buffer[filled:])
            yield Samples(first, buffer[:filled])
        if self.cycle != self.cycles or not np.array_equal(self._arrays.results, self._run.outcome.run_results):
            raise ConservationError(
                f"the recorded run cannot be reproduced: the replay ends in cycle {self.cycle}, the run in {self.cycles}; or runs differ"
            )

    @property
    def cycle(self) -> int:
        return int(self._state[0]["cycle"])

    def _next_input(self) -> int:
        """Deliver due inputs to the cluster; the cycle of the next one."""
        now = self.cycle
        while self._taken < len(self._inputs) and self._inputs[self._taken][0] <= now:
            _, what, offset, units, at = self._inputs[self._taken]
            if offset < 0:
                self._land[what] = at
            else:
                self.finished[offset + self._loaded[what] : offset + units] = at
                self._loaded[what] = units if at < NEVER else self._loaded[what]
            self._taken += 1
        while self._denied and self._denied[0] <= now:
            self._state["denied"] = self._denied.popleft()
        following = self._inputs[self._taken][0] if self._taken < len(self._inputs) else NEVER
        return min(following, self._denied[0] if self._denied else NEVER)

    def _step(self, buffer: Int64) -> int:
        """Step to the next input or until `buffer` is full; cycles stepped."""
        return int(sample_cycles(self._state, *self._arrays, self._next_input(), self._before, self._carry, buffer))

"""Runs of the machine's twin whose activations stay in the PEs; the machine has the clock, the loader and the array.

Written from the rules for input stationary runs: tiles of weights go into two banks, out of which an output's weights enter per cycle; the
activations of the next tile are read row by row of A into a column of shadow registers each, when the wave of the last swap has passed it.
The PEs of a column are looked at one by one, each copying its register when the wave comes to it.
"""

from __future__ import annotations

from tests.naive_drains import Row
from tests.naive_vector_path_runs import NaiveVectorPathRuns


class NaiveInputStationaryRuns(NaiveVectorPathRuns):
    """The part of `NaiveMachine` that knows activations that stay in the PEs."""

    left: list[tuple[int, int] | None]
    loaded: int
    load_start: int | None
    first_tile: bool

    def start_input_stationary(self) -> None:
        """Two banks without weights, and no activations in the PEs."""
        self.banks: list[int] = []  # cycle from which the weights of each tile may enter, oldest first
        self.entered = 0  # outputs of the oldest of these that have entered
        self.hold_run = self.hold_kt = self.hold_column = self.hold_ports = 0
        self.may_hold = False
        self.hold_why: str | None = None  # why no tile of activations is there; None: the loader knows
        self._skip_others()

    def keep_tile(self, run: int, last_pop: int) -> None:
        """A tile is whole in the shadow registers, as if its last group had been popped in cycle `last_pop`."""
        raise NotImplementedError

    def shadow_room(self) -> bool:
        """Whether a set of shadow registers is free."""
        raise NotImplementedError

    def _skip_others(self) -> None:
        while self.hold_run < len(self.runs) and not self.runs[self.hold_run]["turned"]:
            self.hold_run += 1

    def sees_loader(self) -> None:
        """Note whether the loader has had a cycle at the run."""
        begun = self.load_start is not None and self.t > self.load_start
        self.may_hold = self.load_run > self.hold_run or (self.load_run == self.hold_run and begun)

    def weights_wait(self) -> str | None:
        """'' if the next output's weights may enter; why not, or None if the loader knows."""
        if not self.banks:
            return None
        return "decode" if self.banks[0] > self.t else ""

    def enter(self, run: Row) -> None:
        """An output's weights enter, those of output `row` of the run."""
        if not self.entered:
            self.debts = {"dram": 0, "l2": 0}
        self.entered += 1
        if self.entered == self.cols or self.row + 1 == run["columns"]:
            self.banks.pop(0)
            self.entered = 0

    def hold(self, left: int) -> int:
        """Load what can be loaded of the next tile in this cycle; the ports that are left."""
        self.hold_why = None
        if self.hold_run == len(self.runs) or not self.may_hold:
            return left
        run = self.runs[self.hold_run]
        self.hold_why = "decode"
        while self.shadow_room():
            vacated = self.left[self.loaded % len(self.left)]
            column = self.cols - run["m"] + self.hold_column
            if vacated is not None:
                swap, lag = vacated
                copied = max(swap + row + (column if lag > 1 else 0) for row in range(self.rows))  # at the end of these cycles
                if self.t <= swap or self.t + 1 < copied:
                    self.hold_why = "swap"
                    return left
            source = self.source_of(run, self.hold_kt, self.hold_column)
            if source is not None and self.source_ready(source) > self.t:
                self.hold_why = self.unit_waits(*source)
                return left
            if self.hold_ports + left < run["row_accesses"]:
                self.hold_ports += left
                self.hold_why = "port"
                return 0
            left -= run["row_accesses"] - self.hold_ports
            self.hold_ports = 0
            self.hold_column += 1
            if self.hold_column < run["m"]:
                continue
            self.hold_column = 0
            self.keep_tile(self.hold_run, self.t + 1 - self.machine["codebook_latency"])
            self.hold_kt += 1
            if self.hold_kt == run["kt_count"]:
                self.hold_kt = 0
                self.hold_run += 1
                self._skip_others()
                return left
        return left

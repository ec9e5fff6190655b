"""Runs of the machine's twin whose sums stay in the PEs; the machine has the clock and the loader.

Written from the rules for output stationary runs: a step takes a line of the queue of decoded weights; a fold's first step (one bank of
sums), or its last one (two), waits until the sums of the fold before make room for it as they leave by the lanes. The order in which
sums stand in the PEs is kept: of each fold, when each of its sums leaves each row of PEs, so that a sum that comes too early is found.
"""

from __future__ import annotations

from tests.naive_accumulators import DESKEW, WrongSum
from tests.naive_drains import Row, Unit, ceil_div, folds
from tests.naive_gemv_runs import NaiveGemvRuns


class NaiveStationaryRuns(NaiveGemvRuns):
    """The part of `NaiveMachine` that knows sums that stay in the PEs."""

    def start_stationary(self) -> None:
        """An empty queue, and PEs without sums."""
        self.queue: list[tuple[int, int]] = []  # (weights, cycle from which they are there) of each group, oldest first
        self.taken = 0  # weights of the oldest groups that were taken
        self.from_pes: set[Unit] = set()
        self.newest_fold: tuple[int, int, int] | None = None  # (drain, first unit, rows) of the newest fold
        self.leaving: list[tuple[Unit, int]] = []  # last row of a fold, and the cycle of the step that relied on its drain

    def queued(self) -> int:
        """Weights in the queue."""
        return sum(count for count, _ in self.queue) - self.taken

    def has_room(self, run: Row) -> bool:
        """Whether the queue takes another group."""
        return self.queued() + run["ports"] * run["d"] <= run["os_queue"]

    def enqueue(self, weights: int, there: int) -> None:
        """A group was popped; its weights can be taken from cycle `there` on."""
        self.queue.append((weights, there))

    def lines_there(self) -> int:
        """Weights that can be taken in this cycle: up to the first group that cannot."""
        found = -self.taken
        for count, there in self.queue:
            if there > self.t:
                break
            found += count
        return found

    def stationary(self, run: Row, left: int, used: int) -> tuple[str | None, int]:
        """The category of this cycle, or None if it waits for the loader; and the ports that are left. A tile has `used` steps."""
        kt = folds(run)[self.fold].kt
        if self.lines_there() < run["os_line"]:
            return self.codebook_wait if self.queued() >= run["os_line"] else None, left
        wait = self._step_waits(run, kt, used)
        if wait:
            return wait, left
        tile = min(self.rows, run["k"])
        every = run["m"] * run["row_accesses"]
        self.got_ports += left
        if self.got_ports < ceil_div((self.row + 1) * every, tile) - ceil_div(self.row * every, tile):
            return "port", 0
        left = min(left, self.got_ports - (ceil_div((self.row + 1) * every, tile) - ceil_div(self.row * every, tile)))
        self._take_step(run, kt, used)
        return "busy", left

    def _decides(self, run: Row, kt: int, used: int) -> bool:
        """Whether the next step is the one that the sums of the fold before hold up."""
        if self.machine["accumulator_banks"] == 1:
            return kt == 0 and self.row == 0
        return kt == run["kt_count"] - 1 and self.row == used - 1

    def _flight(self) -> int:
        return self.machine["codebook_latency"] + self.rows + self.machine["drain_stages"] + self.cols

    def _step_waits(self, run: Row, kt: int, used: int) -> str:
        if self._decides(run, kt, used) and self.newest_fold is not None:
            task, first, rows = self.newest_fold
            last = task, first + rows - 1
            if last not in self.left_vector:
                known = self.starts_known(last) and self.machine["accumulator_rule"] == 0
                if not known or self.t < self.expected[last] - self._flight():
                    return "accumulator"
        ends = kt == run["kt_count"] - 1 and self.row == used - 1
        if self.machine["accumulator_read"] == DESKEW and ends and self.operands_at(run["out_task"], run["m0"] + run["m"] - 1) > self.t:
            return "vector"
        if self.row == 0:
            for row in range(run["m"]):
                source = self.source_of(run, kt, row)
                if source is not None and self.source_ready(source) > self.t:
                    return self.unit_waits(*source)
        return ""

    def _take_step(self, run: Row, kt: int, used: int) -> None:
        self.got_ports = 0
        self.debts = {"dram": 0, "l2": 0}
        if self._decides(run, kt, used) and self.newest_fold is not None:
            task, first, rows = self.newest_fold
            last = task, first + rows - 1
            self.leaving.append((last, self.t))
            if last not in self.left_vector:
                self._reserve_up_to(last)
        self.row += 1
        if run["axis"] == 0 or self.row % run["d"] == 0 or self.row == used:
            self._take_line(run["os_line"])
        self.drained_at = self.t + 1 + self._flight()
        if self.row < used:
            return
        self.row = 0
        self.tiles_done += 1
        first = folds(run)[self.fold].nt * run["out_rows"] + run["m0"]
        self.fold += 1
        if kt < run["kt_count"] - 1:
            return
        for row in range(run["m"]):
            unit = run["out_task"], first + row
            self.put_out[unit] = self.drained_at + self.rows - run["m"] + row
            self.expect(*unit)
            self.from_pes.add(unit)
        self.newest_fold = run["out_task"], first, run["m"]
        if self.machine["accumulator_read"] == DESKEW:
            self.reserved_for = run["out_task"], first + run["m"] - 1

    def _reserve_up_to(self, unit: Unit) -> None:
        """No row function may delay the drains up to a unit, nor up to one behind it that is reserved already."""
        on_their_way = list(self.expected)
        if self.reserved_for in on_their_way and on_their_way.index(self.reserved_for) > on_their_way.index(unit):
            return
        self.reserved_for = unit

    def _take_line(self, weights: int) -> None:
        self.taken += weights
        while self.queue and self.taken >= self.queue[0][0]:
            self.taken -= self.queue.pop(0)[0]

    def begins(self, unit: Unit) -> None:
        """The drain of a unit begins in this cycle: a step that relied on it may not have been earlier than that allows."""
        for last, step in [item for item in self.leaving if item[0] == unit]:
            self.leaving.remove((last, step))
            if self.t > step + self._flight():
                raise WrongSum(f"cycle {self.t}: a step in {step} replaces sums of {unit}, which begin to leave only now")

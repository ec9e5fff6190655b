"""Runs of the machine's twin that the lanes of the vector unit compute; the machine has the clock and the loader.

Written from the rules for the vector path: the weights of a stripe go into one of two sets of registers, and may as soon as the lanes are
done with the stripe that had it before; the sequencer gives a stripe with all of its weights and operands to the lanes, in a cycle of its
own. The sets hold the numbers of stripes: lanes that begin a row with weights of another stripe, or before these are there, are found.
"""

from __future__ import annotations

from tests.naive_accumulators import DESKEW, WrongSum
from tests.naive_drains import Row, Unit, folds
from tests.naive_stationary_runs import NaiveStationaryRuns


class NaiveVectorPathRuns(NaiveStationaryRuns):
    """The part of `NaiveMachine` that knows runs on the vector unit."""

    def start_vector_path(self) -> None:
        """Two sets without weights."""
        self.sets: list[int | None] = [None, None]  # the stripe whose weights, perhaps not all of them, a set holds
        self.complete: list[int] = []  # cycle from which each stripe's weights are all there, oldest first
        self.given: list[tuple[int, int, int]] = []  # (drain, first unit, rows) of the stripes that the lanes were given
        self.of_lanes: dict[Unit, tuple[int, int]] = {}  # unit of a drain -> its stripe, and the cycle from which the lanes may begin

    def set_is_free(self) -> bool:
        """Whether the lanes need nothing more of the set that the stripe which loads now goes to."""
        before = len(self.complete) - 2
        if before < 0:
            return True
        if before >= len(self.given):
            return False
        task, first, rows = self.given[before]
        return all(self.left_vector.get((task, unit), self.t + 1) <= self.t for unit in range(first, first + rows))

    def to_lanes(self, run: Row, kt: int, ends_tile: bool, there: int) -> None:
        """A group was popped whose codewords are there from cycle `there` on; perhaps it ends its tile."""
        stripe = len(self.complete)
        self.sets[stripe % 2] = stripe
        if ends_tile and kt == run["kt_count"] - 1:
            self.complete.append(there)

    def on_lanes(self, run: Row, left: int) -> tuple[str | None, int]:
        """The category of this cycle ('given': the lanes get a stripe), or None if it waits for the loader; and the ports that are left."""
        stripe = len(self.given)
        if stripe >= len(self.complete):
            return None, left
        if self.complete[stripe] > self.t:
            return self.codebook_wait, left
        last = run["m"] - 1
        if self.machine["accumulator_read"] == DESKEW and self.operands_at(run["out_task"], run["m0"] + last) > self.t:
            return "vector", left
        source = self.source_of(run, run["kt_count"] - 1, last)
        if source is not None and self.source_ready(source) > self.t:
            return self.unit_waits(*source), left
        first = folds(run)[self.fold].nt * run["out_rows"] + run["m0"]
        for unit in range(first, first + run["m"]):
            self.put_out[run["out_task"], unit] = self.t + self.machine["codebook_latency"]
            self.expect(run["out_task"], unit)
            self.of_lanes[run["out_task"], unit] = stripe, self.complete[stripe] + self.machine["codebook_latency"]
        self.given.append((run["out_task"], first, run["m"]))
        self.debts = {"dram": 0, "l2": 0}
        self.tiles_done += run["kt_count"]
        self.fold += run["kt_count"]
        self.drained_at = max(self.drained_at, self.t + 1)
        return "given", left

    def multiply(self, unit: Unit) -> None:
        """The lanes begin a unit in this cycle."""
        stripe, there = self.of_lanes.pop(unit)
        if self.sets[stripe % 2] != stripe or self.t < there:
            raise WrongSum(f"cycle {self.t}: {unit} meets weights of stripe {self.sets[stripe % 2]}, not of {stripe}, from {there} on")

"""The drains of the machine's twin: when each should begin, and which rows of the array may be issued because of that.

Written from the specification of the cluster, rules for accumulators that are used again and for sums that leave by a port of their own,
by the adders or by the only port. Nothing here finds a start by a formula where asking every column and every drain will do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from tests.naive_accumulators import DESKEW, STALL, NaiveAccumulators

Row = Mapping[str, int]
Unit = tuple[int, int]  # task, unit of it


class Fold(NamedTuple):
    """A K-tile of neighbouring N-tiles, whose weights the PEs hold together: the first of them, and their number."""

    kt: int
    nt: int
    held: int


class NaiveDrains:
    """The part of `NaiveMachine` that knows accumulators and lanes; the machine has the clock and the array's place."""

    machine: Row
    tasks: list[Row]
    drain_units: list[Unit]
    t: int
    foot: int  # cycles that a sum of the array's run takes down its column
    lag: int  # columns by which its wave lags behind: all, or 1 where each column has a feed and all sums of a row come together
    rows: int
    cols: int
    fold: int
    row: int  # of the fold: row m of A meets the tiles of the fold in rows m * held, m * held + 1, ...
    vector_free: int

    def operands_at(self, task: int, row: int) -> int:
        """Cycle from which a row of a vector task has its other operands, as far as it is known."""
        raise NotImplementedError

    def drain_cycles(self, task: int, unit: int) -> int:
        """Cycles of the lanes for a unit of a drain."""
        raise NotImplementedError

    def start_drains(self) -> None:
        """Accumulators without sums, and no drain on its way."""
        self.read = self.machine["accumulator_read"]
        self.sums = NaiveAccumulators(self.rows + self.machine["drain_stages"], self.cols, self.machine["lanes"], self.read)
        self.place: dict[tuple[int, int], tuple[int, int, list[int]]] = {}  # (task, unit) -> bank, row, whole sums
        self.expected: dict[tuple[int, int], int] = {}  # drains on their way, in order -> cycle in which they should begin
        self.unfinished: list[tuple[int, int, int]] = []  # (task, unit, cycle from which it is whole) of a stripe that reads the only port
        self.postponed: dict[tuple[int, int], int] = {}  # (task, unit) -> cycles by which the port postpones its drain
        self.reserved_for: tuple[int, int] | None = None  # newest drain that a row relies on which is issued into its accumulators
        self.stripes: list[tuple[int, int, int]] = []  # (drain, first unit, rows) of the finished N-stripes, newest last
        self.left_vector: dict[Unit, int] = {}  # cycle after the lanes were done with it
        self.put_out: dict[Unit, int] = {}  # cycle from which a drain may read the sums

    def row_of(self, task: int, unit: int) -> int:
        """The row of the result that a unit of a drain belongs to."""
        return units_in_order(self.tasks[task])[unit][1]

    def drained_columns(self, task: int, unit: int) -> int:
        """Columns that a unit of a drain holds: a whole tile's, or what the last stripe of a group of a grouped convolution has left."""
        record = self.tasks[task]
        stripe = units_in_order(record)[unit][0]
        while stripe * record["tile_cols"] >= record["width"]:  # the group before
            stripe -= ceil_div(record["width"], record["tile_cols"])
        return min(record["tile_cols"], record["width"] - stripe * record["tile_cols"])

    def lane_cycles(self, task: int, width: int) -> int:
        """Cycles of passes over `width` elements, stretched where accesses of the activation buffer take several cycles a pass."""
        lanes, record = self.machine["lanes"], self.tasks[task]
        if not lanes:
            return 0
        return record["passes"] * ceil_div(width, lanes) * max(1, ceil_div(record["accesses"], self.machine["port_accesses"]))

    def not_sure_to_be_taken(self, run: Row) -> str:
        """Why the lanes might not take the next row in the cycle in which the registers at the adders hold it whole; '' if they will."""
        out = self.t + 1 + self.foot + self.lag
        if self.operands_at(run["out_task"], run["m0"] + self.row // folds(run)[self.fold].held) > out:
            return "vector"
        return "accumulator_read" if self.lanes_free() > out else ""

    def port_free(self) -> bool:
        """Whether no drain of the bank's stripe before is in the way of a row that reads it from cycle t + 1 + R on."""
        banks = self.machine["accumulator_banks"]
        if len(self.stripes) < banks:
            return True
        task, first, rows = self.stripes[-banks]
        last = task, first + rows - 1
        if last in self.left_vector:
            return self.lag > 1 or self.last_read(last, self.begun_in(last)) < self.t + 1 + self.foot
        read = self.last_read(last, self.expected[last]) if self.starts_known(last) else None
        return read is not None and self.machine["accumulator_rule"] == 0 and read < self.t + 1 + self.foot

    def begun_in(self, unit: Unit) -> int:
        """Cycle in which the drain of a unit has begun."""
        task, place = unit
        return self.left_vector[unit] - self.lane_cycles(task, self.drained_columns(task, place))

    def last_read(self, unit: Unit, start: int) -> int:
        """Cycle in which a drain that begins in `start` reads the last of what the next row writes with column 0: all, or it alone."""
        lanes = self.machine["lanes"]
        return max(start + (column // lanes if lanes else 0) for column in range(self.drained_columns(*unit) if self.lag == 1 else 1))

    def accumulator_wait(self) -> str:
        """The read port's wait, if without it the next row could be issued in this cycle."""
        target = self.overwritten()
        assert target is not None  # something is waited for
        if self.read != STALL or (target not in self.left_vector and not self.starts_known(target)):
            return "accumulator"
        simple = self.machine["accumulator_rule"] == 1
        if target in self.left_vector:
            free = self.last_read(target, self.begun_in(target)) - 1 - self.foot
        else:
            start = self.expected[target]
            free = max(self.t + 1, start) if simple else self.last_read(target, start) - 1 - self.foot
        return "accumulator_read" if free - self.postponed.get(target, 0) <= self.t else "accumulator"

    def overwritten(self) -> Unit | None:
        """(drain, unit) of the last stripe's sums where the next row of a first K-tile goes."""
        banks = self.machine["accumulator_banks"]
        if len(self.stripes) < banks:
            return None
        task, first, rows = self.stripes[-banks]
        return None if self.row >= rows else (task, first + self.row)

    def undrained(self) -> tuple[int, int] | None:
        """(drain, unit) of the last stripe's sums where the next row of a first K-tile goes, if their drain has not begun.

        Older stripes of the bank are not asked: the sums tell whether that is right.
        """
        banks = self.machine["accumulator_banks"]
        if len(self.stripes) < banks:
            return None
        task, first, rows = self.stripes[-banks]
        return None if self.row >= rows or (task, first + self.row) in self.left_vector else (task, first + self.row)

    def accumulators_free(self) -> bool:
        """Whether the drain of what the next row overwrites begins by cycle t + 1 + R, in which column 0 is written."""
        written = self.t + 1 + self.foot
        target = self.undrained()
        if target is None:
            begun = self.overwritten()  # perhaps not read to its last column
            return begun is None or begun not in self.left_vector or self.lag > 1 or self.last_read(begun, self.begun_in(begun)) <= written
        if not self.starts_known(target):
            return False
        if self.machine["accumulator_rule"] == 0:
            return self.last_read(target, self.expected[target]) <= written
        if self.read == STALL:
            return False
        on_their_way = list(self.expected)
        ahead = self.drains_up_to(target)
        row_a_cycle = all(self.lane_cycles(task, self.tasks[task]["tile_cols"]) <= 1 for task in ahead)
        row_a_cycle = row_a_cycle and not any(self.tasks[task]["packed"] == 1 and self.tasks[task]["rows"] > 1 for task in ahead)
        row_a_cycle = row_a_cycle and not any(self.tasks[task]["packed"] == 2 for task in ahead)
        nothing_waits = self.put_out[on_their_way[0]] > self.t and self.vector_free <= self.t + 1
        return row_a_cycle and nothing_waits and written >= self.put_out[target]

    def drains_up_to(self, target: tuple[int, int]) -> set[int]:
        """Tasks of the drains on their way up to a unit."""
        on_their_way = list(self.expected)
        return {task for task, _ in on_their_way[: on_their_way.index(target) + 1]}

    def starts_known(self, target: tuple[int, int]) -> bool:
        """Whether no drain up to that of `target` may have to wait for operands."""
        return all(self.operands_at(task, self.tasks[task]["rows"] - 1) <= self.t for task in self.drains_up_to(target))

    def expect(self, task: int, unit: int) -> None:
        """The drain begins when the row is out and the lanes are done with the drains before it."""
        self.expected[task, unit] = max(self.put_out[task, unit], self.lanes_free())

    def lanes_free(self) -> int:
        """Cycle in which the lanes are done with what they do and with the drains on their way."""
        if not self.expected:
            return self.vector_free
        (before, last), start = list(self.expected.items())[-1]
        return start + self.drain_cycles(before, last)

    def hand_over(self) -> None:
        """The stripe that reads the only port is issued: a drain that began earlier would read a column in the cycle of the last row."""
        rows, self.unfinished = self.unfinished, []
        without_port = self.lanes_free()
        for task, unit, out in rows:
            columns, lanes = self.drained_columns(task, unit), self.machine["lanes"]
            skew = int(self.lag > 1)
            too_early = max(self.t + 1 + self.foot + skew * column - (column // lanes if lanes else 0) for column in range(columns))
            self.put_out[task, unit] = max(out, too_early + 1)
            without_port = max(out, without_port)
            self.expect(task, unit)
            self.postponed[task, unit] = self.expected[task, unit] - without_port
            without_port += self.lane_cycles(task, columns)

    def reserve(self, kt: int) -> None:
        """The row that is issued relies on the drain that it overwrites, or on all that would read the bank's only port with it."""
        banks = self.machine["accumulator_banks"]
        if self.read == DESKEW:
            return
        if kt == 0:
            self.reserved_for = self.undrained() or self.reserved_for
        elif self.read == STALL and len(self.stripes) >= banks:
            task, first, rows = self.stripes[-banks]
            if (task, first + rows - 1) not in self.left_vector:
                self.reserved_for = task, first + rows - 1

    def delay_drains(self, lanes_free: int) -> None:
        """All drains on their way begin later by as much as the next one does, if the lanes are free for it from `lanes_free` on."""
        if self.expected:
            late = max(0, lanes_free - next(iter(self.expected.values())))
            self.expected = {drain: start + late for drain, start in self.expected.items()}

    def reserved(self, end: int) -> bool:
        """Whether a row function that ends in cycle `end` would delay a drain that somebody relies on."""
        if self.reserved_for is None or self.reserved_for in self.left_vector:
            return False
        return end > self.put_out[self.drain_units[0]]


def folds(run: Row) -> list[Fold]:
    """The folds of a run in order: of as many N-tiles as a PE holds weights, or are left, each K-tile."""
    return _folds(run["nt0"], run["nt_count"], run["kt_count"], max(1, run["file"]))


@cache
def _folds(nt0: int, nt_count: int, kt_count: int, file: int) -> list[Fold]:
    stripes = [list(range(nt0, nt0 + nt_count))[first : first + file] for first in range(0, nt_count, file)]
    return [Fold(kt, tiles[0], len(tiles)) for tiles in stripes for kt in range(kt_count)]


def units_in_order(drain: Row) -> list[tuple[int, int]]:
    """(N-tile, counted through all groups; row) of each unit of a drain, as the array puts them out."""
    tiles = ceil_div(drain["width"], drain["tile_cols"])
    if drain["turned"]:
        return _turned_units(drain["units"], drain["rows"], tiles, drain["turned"])
    return _units(drain["units"], drain["rows"], tiles, max(1, drain["file"]))


@cache
def _units(units: int, rows: int, tiles: int, file: int) -> list[tuple[int, int]]:
    found = []
    for group in range(units // (rows * tiles)):
        stripes = [list(range(tiles))[first : first + file] for first in range(0, tiles, file)]
        found += [(group * tiles + tile, row) for held in stripes for row in range(rows) for tile in held]
    return found


@cache
def _turned_units(units: int, outputs: int, tiles: int, fold: int) -> list[tuple[int, int]]:
    """Where weights pass: for each fold of outputs, each tile of rows, output after output."""
    found = []
    for group in range(units // (outputs * tiles)):
        folds_of_group = [range(outputs)[first : first + fold] for first in range(0, outputs, fold)]
        found += [(group * tiles + tile, output) for held in folds_of_group for tile in range(tiles) for output in held]
    return found


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)

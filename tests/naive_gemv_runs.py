"""Runs of the machine's twin whose groups meet their rows as they leave the decoder; the machine has the clock and the loader.

Written from the rules for few rows: a run begins behind the last row of the one before; a group is popped when the bank of its stripe is
drained and its K-tile's rows and scales are there, and meets a row a cycle; scales are popped ahead, bits permitting. All sums of a
stripe are whole at once, and leave by the lanes without a gap between rows. The banks hold numbers: a sum that is drained before it is
whole, or replaced before it is drained, is a wrong one.
"""

from __future__ import annotations

from collections import defaultdict

from tests.naive_accumulators import DESKEW, WrongSum
from tests.naive_drains import NaiveDrains, Row, Unit, ceil_div, folds

Place = tuple[int, int]  # bank, row


class NaiveGemvRuns(NaiveDrains):
    """The part of `NaiveMachine` that knows runs of few rows."""

    runs: list[Row]
    run: int
    rows: int
    tiles_done: int
    got_ports: int
    drained_at: int
    busy_until: int
    held_bits: int
    books_done: int
    load_run: int
    load_group: int
    load_waits: str
    port: bool
    vector_ports: int
    debts: dict[str, int]

    def start_gemv(self) -> None:
        """Two banks without sums."""
        self.wanted_pop = ""  # what the array says to the loader in this cycle: '', 'asked' or 'granted'
        self.codewords_at = 0  # cycle from which all codewords of the group are out of their banks
        self.ends_tile = False
        self.direct_stripes: list[tuple[int, int, int]] = []  # (drain, first unit, rows), newest last
        self.bank_sums: dict[Place, int] = {}
        self.bank_adds: dict[int, list[tuple[Place, int, bool]]] = defaultdict(list)  # cycle at whose end they are added
        self.bank_reads: dict[int, list[tuple[Place, int]]] = defaultdict(list)
        self.whole: dict[Unit, tuple[Place, int]] = {}  # unit of a drain -> where its sum stands, and what it should be
        self.so_far: dict[int, int] = defaultdict(int)  # row -> what was issued for its sum

    # -- what the machine tells

    def unit_waits(self, task: int, unit: int) -> str:
        raise NotImplementedError

    def source_ready(self, source: tuple[int, int] | None) -> int:
        raise NotImplementedError

    def source_of(self, run: Row, kt: int, row: int) -> tuple[int, int] | None:
        raise NotImplementedError

    def groups_of_tile(self, run: Row, kt: int) -> int:
        raise NotImplementedError

    def conflict_cycles(self, run: Row) -> int:
        raise NotImplementedError

    def scales_left(self, run: Row) -> bool:
        raise NotImplementedError

    def needed_bits(self, run: Row) -> int:
        raise NotImplementedError

    @property
    def codebook_wait(self) -> str:
        raise NotImplementedError

    # -- the array's part

    def few_rows(self, run: Row, left: int) -> tuple[str | None, int]:
        """The category of this cycle, or None if it waits for the loader; and the ports that are left."""
        kt = folds(run)[self.fold].kt
        if self.row:
            if self.t < self.codewords_at:
                return self.codebook_wait, left
        else:
            if not self._loader_runs() or self.busy_until > self.t or self.scales_left(run):
                return None, left
            wait = self._pop_waits(run, kt)
            if wait:
                return wait, left
            if self.held_bits < self.needed_bits(run) or run["codebook_load"] >= self.books_done or not self.port:
                self.wanted_pop = "asked"
                return None, left
        self.got_ports += left
        if self.got_ports < run["row_accesses"]:
            return "port", 0
        left = min(left, self.got_ports - run["row_accesses"])
        if not self.row:
            self.wanted_pop = "granted"
            self.debts = {"dram": 0, "l2": 0}
            self.codewords_at = self.t + self.conflict_cycles(run)
            self.ends_tile = self.load_group + 1 == self.groups_of_tile(run, kt)
        self._meet(run, kt)
        return "busy", left

    def asks_for_group(self, run: Row) -> bool:
        """Whether the next group is popped in this cycle if the codebook has ports for it."""
        if self.row or not self._loader_runs() or self.busy_until > self.t or self.scales_left(run):
            return False
        if self._pop_waits(run, folds(run)[self.fold].kt):
            return False
        if self.held_bits < self.needed_bits(run) or run["codebook_load"] >= self.books_done:
            return False
        taken = self.vector_ports if self.vector_free > self.t else 0
        return self.got_ports + self.machine["port_accesses"] - taken >= run["row_accesses"]

    def _loader_runs(self) -> bool:
        """Whether the loader is at its run in this cycle: neither launching nor issuing it."""
        return not self.load_waits

    def _pop_waits(self, run: Row, kt: int) -> str:
        """Why the first group of a K-tile may not be popped; '' if it may."""
        if self.load_group:
            return ""
        if kt == 0 and len(self.direct_stripes) > 1:
            task, first, rows = self.direct_stripes[-2]
            if self.left_vector.get((task, first + rows - 1), self.t + 1) > self.t:
                return "accumulator"
        deskewed = self.machine["accumulator_read"] == DESKEW and kt == run["kt_count"] - 1
        if deskewed and self.operands_at(run["out_task"], run["m0"] + run["m"] - 1) > self.t:
            return "vector"
        for row in range(run["m"]):
            source = self.source_of(run, kt, row)
            if source is not None and self.source_ready(source) > self.t:
                return self.unit_waits(*source)
        return ""

    def _meet(self, run: Row, kt: int) -> None:
        """Row `row` of the run is on its way to the group."""
        self.got_ports = 0
        bank = len(self.direct_stripes) % 2
        codewords = max(self.t, self.codewords_at - 1) if self.row == 0 else self.t
        added = codewords + self.machine["codebook_latency"] + 2
        value = hash((len(self.direct_stripes), self.fold, self.load_group, self.row)) % 65_521
        self.bank_adds[added].append(((bank, self.row), value, not self.so_far[self.row]))
        self.so_far[self.row] += value
        self.row += 1
        if self.row < run["m"]:
            return
        self.row = 0
        self.drained_at = added + 1
        if not self.ends_tile:
            return
        self.tiles_done += 1
        first = folds(run)[self.fold].nt * run["out_rows"] + run["m0"]
        self.fold += 1
        if kt < run["kt_count"] - 1:
            return
        for row in range(run["m"]):
            unit = run["out_task"], first + row
            self.put_out[unit] = self.drained_at
            self.expect(*unit)
            self.whole[unit] = (bank, row), self.so_far[row]
        self.so_far.clear()
        self.direct_stripes.append((run["out_task"], first, run["m"]))

    # -- the lanes' part

    def drain_cycles(self, task: int, unit: int) -> int:
        """Cycles of the lanes for a unit: where rows follow without a gap, those that it takes beyond the rows before it."""
        columns, record = self.drained_columns(task, unit), self.tasks[task]
        if record["packed"] != 1:
            return self.lane_cycles(task, columns)
        rows = unit % record["rows"]
        return self.lane_cycles(task, columns * (rows + 1)) - self.lane_cycles(task, columns * rows)

    def take_whole(self, task: int, unit: int, cycles: int) -> None:
        """The drain of a unit begins in this cycle."""
        read = self.whole.pop((task, unit))
        for at in {self.t, self.t + max(0, cycles - 1)}:
            self.bank_reads[at].append(read)

    def clock_banks(self, t: int) -> None:
        """Cycle t: what is read is what stood there before this cycle's additions."""
        for place, wanted in self.bank_reads.pop(t, []):
            if self.bank_sums.get(place) != wanted:
                raise WrongSum(f"cycle {t}: (bank, row) {place} holds {self.bank_sums.get(place)}, the drain wants {wanted}")
        for place, value, first in self.bank_adds.pop(t, []):
            self.bank_sums[place] = value + (0 if first else self.bank_sums[place])


def tile_groups(run: Row, used_rows: int, cols: int) -> int:
    """Groups of a tile: its records over the ports."""
    records = used_rows * (cols // run["d"]) if run["axis"] == 0 else ceil_div(used_rows, run["d"]) * cols
    return ceil_div(records, run["ports"])

"""A slow twin of the compute side of the machine: one core cycle after the other, every rule asked anew in each of them.

It takes a program and the cycles in which what comes from outside has landed, and gives the cycles of each run by category.
Written from the specification of the core (unpack buffer, loader, swap, wave), the machine's mechanisms (runs that chain,
accumulator banks, requantization lanes, codebook sets, ports) and the table of where a cycle goes. Nothing is shared with the package but
the fields of a Program. The accumulators hold numbers: a row that is overwritten before it was drained is a wrong sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accelsim.program import Program
from tests.naive_accumulators import DESKEW, STALL
from tests.naive_drains import Row, ceil_div, folds, units_in_order
from tests.naive_gemv_runs import tile_groups
from tests.naive_input_stationary_runs import NaiveInputStationaryRuns

DRAIN, ROW, LOAD = range(3)  # kinds of tasks, as the dtype's comment lists them
FOREVER = 10**12


@dataclass(frozen=True)
class Landings:
    """What came from outside: transfer -> core cycle, (load task's ordinal, unit) -> core cycle; `shared_`: when each was in the L2.

    `written`: when every core had written what a unit is loaded from; from the start, where that is not said.
    """

    transfers: Mapping[int, int]
    units: Mapping[tuple[int, int], int]
    shared_transfers: Mapping[int, int] = field(default_factory=dict)
    shared_units: Mapping[tuple[int, int], int] = field(default_factory=dict)
    written: Mapping[tuple[int, int], int] = field(default_factory=dict)


@dataclass
class Tile:
    """A fold in the shadow registers: a tile, or one for each weight of a PE's file."""

    run: int
    last_pop: int


@dataclass
class NaiveMachine(NaiveInputStationaryRuns):
    """Registers of the cluster; `cycle` advances all units by one clock."""

    program: Program
    landings: Landings
    t: int = 0
    done: dict[tuple[int, int], int] = field(default_factory=dict)  # (task, unit) -> cycle from which its result may be used

    def __post_init__(self) -> None:
        p = self.program
        self.machine: Row = records(p.machine)[0]
        self.runs, self.tasks = records(p.runs), records(p.tasks)
        self.drain_units = [(int(task), unit) for task in p.drains for unit in range(self.tasks[int(task)]["units"])]
        self.row_units = [(int(task), unit) for task in p.row_tasks for unit in range(self.tasks[int(task)]["units"])]
        self.rows, self.cols = self.machine["rows"], self.machine["cols"]
        self.vector_free = 0
        self.vector_ports = 0
        # loader
        self.load_run, self.load_fold, self.load_tile, self.load_group, self.groups_of_run = 0, 0, 0, 0, 0
        self.load_scales = 0  # pops of scales of this tile
        self.load_start: int | None = None  # first cycle in which the run may load
        self.launching = 0  # cycles that the launch of the run has taken
        self.held_bits = self.pushed = 0
        self.busy_until = 0  # banks that serve a group
        self.first_tile = True
        self.shadow: list[Tile] = []  # tiles that wait for their swap, oldest first
        self.loaded = self.swapped = 0  # tiles that were ever loaded, swapped in
        self.left: list[tuple[int, int] | None] = [None] * self.machine[
            "shadow_sets"
        ]  # swap and lag of the tile that was in the set before
        self.debts = {"dram": 0, "l2": 0}
        self.freed = 0
        self.start_drains()
        self.start_gemv()
        self.start_stationary()
        self.start_vector_path()
        self.start_input_stationary()
        self.load_waits = ""  # why the loader does nothing in this cycle
        self.port = True  # whether the codebook serves this core in this cycle
        # array
        self.array_waits = False  # for the codebook's ports
        self.array_did: str | None = None
        self.ports_left = self.booked = 0
        self.run, self.fold, self.row, self.active = 0, 0, 0, False
        self.position = 0  # input positions of the line that the columns' windows have taken in
        self.entered_bits = 0  # of the row that enters
        self.got_ports = self.tiles_done = 0
        self.drained_at = 0  # first cycle after the last issued row has left the array
        # codebook
        self.books_started = self.books_done = self.books_released = 0
        self.book_until: int | None = None
        self.count = [Counter[str]() for _ in self.runs]

    @property
    def foot(self) -> int:  # type: ignore[override]  # of the array's run
        run = self.runs[self.run]
        return (run["feed_rows"] if run["feed"] else self.rows) + self.machine["drain_stages"]

    @property
    def lag(self) -> int:  # type: ignore[override]  # of the array's run
        return 1 if self.runs[self.run]["feed"] else self.cols

    # -- what may be used

    def known_at(self, task: int, unit: int) -> int:
        """Cycle from which a unit may be used, as far as it is known in this cycle."""
        if self.tasks[task]["kind"] == LOAD:
            at = self.landings.units.get((self.tasks[task]["ordinal"], unit), FOREVER)
            return at if at <= self.t else FOREVER
        return self.done.get((task, unit), FOREVER)

    def usable(self, task: int, unit: int) -> bool:
        return self.known_at(task, unit) <= self.t

    def landed(self, transfer: int) -> bool:
        return self.landings.transfers.get(int(self.program.transfers.visible[transfer]), FOREVER) <= self.t

    def operands_usable(self, task: int, row: int) -> bool:
        return self.operands_at(task, row) <= self.t

    def operands_at(self, task: int, row: int) -> int:
        """Cycle from which a row of a vector task has its other operands, as far as it is known."""
        return max((self.known_at(needed, unit) for needed, unit in self.operands_of(task, row)), default=0)

    def operands_of(self, task: int, row: int) -> list[tuple[int, int]]:
        """(task, unit) of each thing that a row of a vector task waits for."""
        record, needed = self.tasks[task], []
        for name in ("dep0", "dep1"):
            unit = record[f"{name}_base"] + record[f"{name}_step"] * row
            if name == "dep0" and record["dep_ox"]:  # a window: everything up to the end of its last line, as far as there are lines
                last_line = record["dep_reach"] + record["dep_stride"] * (row // record["dep_ox"])
                row_needed = min((last_line + 1) * record["dep_ix"], record["dep_rows"]) - 1
                unit = record["dep0_base"] + record["dep0_step"] * row_needed
            if record[name] >= 0 and unit >= 0:
                needed.append((record[name], unit))
        awaited = [record[name] for name in ("after0", "after1", "after2") if record[name] >= 0]
        return needed + [(task, self.tasks[task]["units"] - 1) for task in awaited]

    # -- vector unit: one job at a time, the drain of the accumulators first

    def vector(self) -> None:
        while self.vector_free <= self.t:
            self.vector_ports = 0
            if self.drain_units:
                task, unit = self.drain_units[0]
                if self.put_out.get((task, unit), FOREVER) <= self.t and self.operands_usable(task, self.row_of(task, unit)):
                    self.delay_drains(self.t)
                    columns, cycles = self.drained_columns(task, unit), self.drain_cycles(task, unit)
                    self.work(task, unit, cycles)
                    self.drain_units.pop(0)
                    del self.expected[task, unit]
                    if (task, unit) in self.from_pes:
                        self.begins((task, unit))
                        continue
                    if (task, unit) in self.of_lanes:
                        self.multiply((task, unit))
                        continue
                    if (task, unit) in self.whole:
                        self.take_whole(task, unit, cycles)
                        continue
                    bank, row, sums = self.place[task, unit]
                    self.sums.take(self.t, bank, row, sums[:columns])
                    continue
            if self.row_units:
                task, unit = self.row_units[0]
                chunk = self.tasks[task]["chunk"]
                cycles = self.lane_cycles(task, self.tasks[task]["width"])
                if self.operands_usable(task, unit) and (chunk < 0 or self.landed(chunk)) and not self.reserved(self.t + cycles):
                    self.delay_drains(self.t + cycles)
                    self.work(task, unit, cycles)
                    self.row_units.pop(0)
                    continue
            return

    def lanes_wait_for_others(self) -> bool:
        """Whether the lanes idle because what comes next, the oldest sums or else a row function, waits for what other cores write."""
        if self.vector_free > self.t:
            return False
        drains = [(task, self.row_of(task, unit)) for task, unit in self.drain_units[:1] if (task, unit) in self.put_out]
        return any(self.unwritten(task, row) for task, row in (drains or self.row_units)[:1])

    def unwritten(self, task: int, row: int) -> bool:
        """Whether another core has yet to write an operand of a row of a vector task."""
        return any(
            self.tasks[needed]["kind"] == LOAD and self.landings.written.get((self.tasks[needed]["ordinal"], unit), 0) > self.t
            for needed, unit in self.operands_of(task, row)
        )

    def work(self, task: int, unit: int, cycles: int) -> None:
        self.vector_free = self.left_vector[task, unit] = self.t + cycles
        self.done[task, unit] = self.t + cycles + (self.tasks[task]["latency"] if self.machine["lanes"] else 0)
        self.vector_ports = min(self.tasks[task]["accesses"], self.machine["port_accesses"])  # the rest takes the cycles that follow

    # -- codebook: filled one codeword per cycle, as soon as its bytes and a free set are there

    def codebook(self) -> None:
        if self.book_until is not None and self.t >= self.book_until:
            self.books_done += 1
            self.book_until = None
        waiting = self.books_started < len(self.program.cb_runs)
        if self.book_until is not None or not waiting or self.books_started - self.books_released >= self.machine["codebook_sets"]:
            return
        run = self.runs[int(self.program.cb_runs[self.books_started])]
        if run["chunk0"] >= 0:
            ends = self.program.transfers.end[run["chunk0"] : run["chunk0"] + run["chunk_count"]]
            holder = next(index for index, end in enumerate(ends) if end >= run["header_bytes"])
            if not self.landed(run["chunk0"] + holder):
                return
        self.book_until = self.t + int(self.program.cb_words[self.books_started])
        self.books_started += 1

    # -- array: the category of this cycle, or None if it waits for the loader; and the ports that are left

    def array(self) -> tuple[str | None, int]:
        left = self.machine["port_accesses"] - (self.vector_ports if self.vector_free > self.t else 0)
        if self.finished(self.run):
            if self.t < self.drained_at:
                return "fill_drain", left
            if self.run + 1 == len(self.runs):
                return "vector", left
            self.turn()
        run = self.runs[self.run]
        if run["gemv_groups"]:
            return self.few_rows(run, left)
        if run["os_line"]:
            return self.stationary(run, left, len(tile_span(run, folds(run)[self.fold].kt, self.rows)))
        if run["vector_path"]:
            return self.on_lanes(run, left)
        if not self.active:
            if not self.shadow:
                return "holder" if run["turned"] else None, left
            if self.t < self.shadow[0].last_pop + 1 + self.machine["codebook_latency"]:
                return "decode", left
            if self.t + 1 + self.foot + self.lag <= self.drained_at:
                return "fill_drain", left  # a row may not come out with, or before, the last one of another run
        if run["turned"] and self.weights_wait() != "":
            return self.weights_wait(), left
        wait = self.row_waits(run)
        if wait:
            return wait, left
        held = folds(run)[self.fold].held
        needed = 0 if run["turned"] or self.row % held else run["row_accesses"]  # a row that is held for the fold's tiles is read once
        if run["feed"]:
            self.swap()
            if self.fold >= len(folds(run)) - run["kt_count"]:
                needed = run["last_accesses"]
        self.got_ports += left
        if self.got_ports < needed:
            return "port", 0
        left = min(left, self.got_ports - needed)
        self.swap()
        if run["line"]:
            self.got_ports = 0
            self.position += 1
            if self.position < self.last_position(run):
                return "busy", left
        self.entered_bits += 8
        if self.entered_bits < 8 * run["row_passes"]:
            self.got_ports = 0
            return "busy", left
        self.entered_bits = 0
        self.issue(run)
        return "busy", left

    def swap(self) -> None:
        if not self.active:
            self.active, self.debts, self.position = True, {"dram": 0, "l2": 0}, 0
            self.shadow.pop(0)
            self.left[self.swapped % len(self.left)] = self.t, self.lag
            self.swapped += 1

    def last_position(self, run: Row) -> int:
        """Positions that the windows have taken in when they hold the next row, from the first of its line that this run computes on."""
        line_starts = (run["m0"] + self.row) // run["line"] * run["line"]
        return run["line_shifts"] + run["row_shifts"] * (run["m0"] + self.row - max(line_starts, run["m0"]))

    def finished(self, index: int) -> bool:
        return self.fold == len(folds(self.runs[index]))

    def turn(self) -> None:
        self.run, self.fold, self.row = self.run + 1, 0, 0

    def chains_to(self, index: int) -> bool:
        """Whether a run follows the one before without waiting for it to leave the array."""
        return bool(self.machine["chained"]) and (index == len(self.runs) or not self.runs[index]["launch"])

    def row_waits(self, run: Row) -> str:
        """Why the next row may not be issued: its accumulators first, then its operand; '' if it may."""
        kt, _, held = folds(run)[self.fold]
        if self.read == DESKEW:
            wait = self.not_sure_to_be_taken(run) if kt == run["kt_count"] - 1 else ""
        elif kt == 0:
            wait = "" if self.accumulators_free() else self.accumulator_wait()
        else:
            wait = "accumulator_read" if self.read == STALL and not self.port_free() else ""
        if wait:
            return wait
        source = None if run["turned"] else row_source(run, kt, self.row // held, self.rows, self.tasks)
        if source is None or self.source_ready(source) <= self.t:
            return ""
        return self.unit_waits(*source)

    def unit_waits(self, task: int, unit: int) -> str:
        """Why a unit may not be used: of a load, whether it was written, and has come as far as the shared level."""
        if self.tasks[task]["kind"] != LOAD:
            return "vector"
        if self.landings.written.get((self.tasks[task]["ordinal"], unit), 0) > self.t:
            return "dependency"
        shared = self.landings.shared_units.get((self.tasks[task]["ordinal"], unit), FOREVER)
        return "l2" if shared <= self.t else "dram_activation"

    def source_ready(self, source: tuple[int, int] | None) -> int:
        """Cycle from which a row's operand may be used, as far as it is known in this cycle."""
        if source is None:
            return 0
        return self.known_at(*source)

    def source_of(self, run: Row, kt: int, row: int) -> tuple[int, int] | None:
        """(task, unit) that a row needs in a K-tile."""
        return row_source(run, kt, row, self.rows, self.tasks)

    def issue(self, run: Row) -> None:
        self.got_ports = 0
        kt, stripe, held = folds(run)[self.fold]
        first = run["unit0"] if run["turned"] else stripe * run["out_rows"] + run["m0"] * held
        steps = run["columns"] if run["turned"] else run["m"] * held
        self.reserve(kt)
        bank, stripe_sums = len(self.stripes) % self.machine["accumulator_banks"], [self.partial_sums(tile) for tile in range(kt + 1)]
        self.sums.add(
            self.t,
            bank,
            self.row,
            stripe_sums[kt],
            first=kt == 0,
            last=kt == run["kt_count"] - 1,
            foot=self.foot,
            together=bool(run["feed"]),
        )
        if kt == run["kt_count"] - 1:
            unit = run["out_task"], first + self.row
            out = self.t + 1 + self.foot + self.lag
            if self.read == DESKEW:
                self.reserved_for = unit
            if self.read == STALL and kt > 0:
                self.unfinished.append((*unit, out))
            else:
                self.put_out[unit] = out
                self.expect(*unit)
            if self.row + 1 == steps:
                self.hand_over()
            self.place[unit] = bank, self.row, [sum(column) for column in zip(*stripe_sums, strict=True)]
        if run["turned"]:
            self.enter(run)
        self.row += 1
        if run["line"] and (run["m0"] + self.row) % run["line"] == 0:
            self.position = 0
        if self.row < steps:
            return
        self.active, self.row = False, 0
        self.tiles_done += run["turned"] or held
        self.drained_at = self.t + 1 + self.foot + self.lag
        self.fold += 1
        if kt == run["kt_count"] - 1:
            self.stripes.append((run["out_task"], first, steps))

    def partial_sums(self, kt: int) -> list[int]:
        """Any numbers that differ: what K-tile kt of this stripe adds to the row."""
        stripe = len(self.stripes)
        return [hash((stripe, kt, self.row, column)) % 65_521 for column in range(self.cols)]

    # -- loader: push a word, pop a group; why the array waits if it waits for this

    def loader_begins(self) -> str:
        """Why the loader does nothing in this cycle; '' if its run is under way."""
        if self.load_run == len(self.runs):
            return "dependency"
        if self.load_start is None:
            if self.run < self.load_run:
                return "dependency"
            self.first_tile = True
            if self.launching < self.runs[self.load_run]["launch"]:
                self.launching += 1
                if self.launching == self.runs[self.load_run]["launch"]:
                    self.tiles_done += 1
                return "launch"
            self.load_start = self.t + self.machine["issue_overhead"]
        return "issue" if self.t < self.load_start else ""

    def loader(self, left: int) -> tuple[str, bool]:
        """(reason, whether the loader is short of bits)."""
        if self.load_waits:
            return self.load_waits, False
        run = self.runs[self.load_run]
        room = self.held_bits <= run["buffer_bits"] - run["word_bits"]
        missing = self.missing_word(run, left) if self.pushed < run["words"] else ""
        push = self.pushed < run["words"] and room and not missing
        why, short, pop = self.next_group(run, missing) if self.port else ("codebook_port", False, False)
        if push:
            self.held_bits += run["word_bits"]
            self.pushed += 1
            for _ in range(run["words_per_cycle"] - 1):  # those that follow at once, if they are there; the pop makes room after them
                fits = self.held_bits + run["word_bits"] <= run["buffer_bits"]
                if self.pushed < run["words"] and fits and not self.missing_word(run, left):
                    self.held_bits += run["word_bits"]
                    self.pushed += 1
            if run["frees"]:
                self.freed = run["base_bytes"] + run["header_bytes"] + self.pushed * run["word_bits"] // 8
        if pop:
            self.pop(run)
        return why, short

    def next_group(self, run: Row, missing: str) -> tuple[str, bool, bool]:
        """(why the next group is not popped in this cycle, whether bits are short, whether it is popped)."""
        why, short, pop = "decode", False, False
        vacated = None if self.first_tile else self.left[self.loaded % len(self.left)]
        if self.busy_until > self.t:
            why = self.codebook_wait
        elif run["gemv_groups"] and self.scales_left(run):
            if self.held_bits < self.needed_bits(run):
                why, short = missing or "buffer_width", True
            else:
                pop = self.run == self.load_run
        elif run["gemv_groups"]:
            pop = self.wanted_pop == "granted"
            if self.wanted_pop == "asked" and self.held_bits < self.needed_bits(run):
                why, short = missing or "buffer_width", True
            elif self.wanted_pop == "asked":
                why = "codebook_load"
        elif run["os_line"]:
            if self.has_room(run) and self.held_bits < self.needed_bits(run):
                why, short = missing or "buffer_width", True
            elif self.has_room(run) and run["codebook_load"] >= self.books_done:
                why = "codebook_load"
            else:
                pop = self.has_room(run)
        elif run["turned"]:
            if len(self.banks) < 2 and self.held_bits < self.needed_bits(run):
                why, short = missing or "buffer_width", True
            elif len(self.banks) < 2 and run["codebook_load"] >= self.books_done:
                why = "codebook_load"
            else:
                pop = len(self.banks) < 2
        elif run["vector_path"]:
            if not self.set_is_free():
                why = "vector"
            elif self.held_bits < self.needed_bits(run):
                why, short = missing or "buffer_width", True
            elif run["codebook_load"] >= self.books_done:
                why = "codebook_load"
            else:
                pop = True
        elif self.hold_run < self.load_run:
            why = "swap"
        elif len(self.shadow) < len(self.left) and (vacated is None or self.t > vacated[0]):
            ahead = self.scales_left(run)  # into registers of their own, which no wave passes
            if vacated is not None and not ahead and self.t < vacated[0] + self.lowest_row(run) + vacated[1] - 2:
                why = "swap"
            elif self.held_bits < self.needed_bits(run):
                why, short = missing or "buffer_width", True
            elif not ahead and run["codebook_load"] >= self.books_done:
                why = "codebook_load"
            else:
                pop = True
        return why, short, pop

    def asks(self) -> bool:
        """Whether a group of lookups is popped in this cycle if the codebook has ports for it; `begin` was called, `end` was not."""
        if self.load_waits or not self.runs[self.load_run]["lookups"]:
            return False
        run = self.runs[self.load_run]
        if run["gemv_groups"]:
            return self.array_waits and self.asks_for_group(run)
        return self.next_group(run, "")[2] and not self.scales_left(run)

    def missing_word(self, run: Row, left: int) -> str:
        """Why the next word cannot be read; '' if it can."""
        if run["from_activations"]:
            if run["w_task"] >= 0 and not self.usable(run["w_task"], run["w_unit"]):
                return self.unit_waits(run["w_task"], run["w_unit"])
            return "port" if left < min(self.machine["loader_accesses"], self.machine["port_accesses"]) else ""
        if run["chunk0"] < 0:
            return ""
        transfers = self.program.transfers
        needed = run["header_bytes"] * 8 + (self.pushed + 1) * run["word_bits"]
        for chunk in range(run["chunk0"], run["chunk0"] + run["chunk_count"]):
            if not self.landed(chunk):
                if self.freed < int(transfers.need[chunk]):
                    return "buffer_full"
                return "l2" if self.landings.shared_transfers.get(int(transfers.visible[chunk]), FOREVER) <= self.t else "dram"
            if int(transfers.end[chunk]) * 8 >= needed:
                return ""
        return ""

    def lowest_row(self, run: Row) -> int:
        """Of the groups of the image that the pop takes: each has its own bound, as if it were popped alone."""
        at_once = max(1, run["groups"])
        records = run["ports"] // at_once  # of a group
        rows = len(tile_span(run, folds(run)[self.load_fold].kt, self.rows))
        held = rows * (self.cols // run["d"]) if run["axis"] == 0 else ceil_div(rows, run["d"]) * self.cols
        own = range(self.load_group * at_once, min((self.load_group + 1) * at_once, ceil_div(held, records)))
        return max(self.lowest_row_of(run, records, group) for group in own)

    def lowest_row_of(self, run: Row, records: int, group: int) -> int:
        """Of a group of so many records."""
        if run["feed"]:  # a record writes rows of the taps alone
            record = group * records + records - 1
            row = record // (self.cols // run["d"]) if run["axis"] == 0 else record // self.cols * run["d"] + run["d"] - 1
            return min(row, run["feed_rows"] - 1)
        last = min(group * records + records - 1, self.rows * self.cols // run["d"] - 1)
        return last // (self.cols // run["d"]) if run["axis"] == 0 else last // self.cols * run["d"] + run["d"] - 1

    def scale_bits(self, run: Row) -> int:
        """Bits of the scales of groups that begin in the tile."""
        bits = 0
        for row in tile_span(run, folds(run)[self.load_fold].kt, self.rows):
            for level in ("fine", "coarse"):
                if run[f"{level}_group"] and row % run[f"{level}_group"] == 0:
                    bits += run[f"{level}_bits"]
        return bits

    def scales_left(self, run: Row) -> bool:
        """Whether some of them are still to be popped."""
        return self.load_scales < ceil_div(self.scale_bits(run), run["pop_bits"])

    def needed_bits(self, run: Row) -> int:
        """Bits of the groups of the image that the next pop takes: of scales, or of records, as many as a cycle takes or as are left."""
        at_once = max(1, run["groups"])
        bits, records = run["pop_bits"] // at_once, run["ports"] // at_once  # of a group
        if self.scales_left(run):
            left = ceil_div(self.scale_bits(run), bits) - self.load_scales * at_once
        else:
            rows = len(tile_span(run, folds(run)[self.load_fold].kt, self.rows))
            held = rows * (self.cols // run["d"]) if run["axis"] == 0 else ceil_div(rows, run["d"]) * self.cols
            left = ceil_div(held, records) - self.load_group * at_once
        return min(left, at_once) * bits

    def pop(self, run: Row) -> None:
        self.held_bits -= self.needed_bits(run)
        if self.scales_left(run):
            self.load_scales += 1
            return
        if self.conflict_cycles(run) > 1:
            self.busy_until = self.t + self.conflict_cycles(run)
        kt, _, held = folds(run)[self.load_fold]
        if run["os_line"]:
            rows = len(tile_span(run, kt, self.rows))
            records = rows * (self.cols // run["d"]) if run["axis"] == 0 else ceil_div(rows, run["d"]) * self.cols
            own = min(run["ports"], records - self.load_group * run["ports"])
            self.enqueue(own * run["d"], self.t + self.conflict_cycles(run))
        if run["vector_path"]:
            self.to_lanes(run, kt, self.load_group + 1 == self.groups_of_tile(run, kt), self.t + self.conflict_cycles(run))
        self.groups_of_run += 1
        self.load_group += 1
        if self.load_group < self.groups_of_tile(run, kt):
            return
        self.load_group = self.load_scales = 0
        self.load_tile += 1
        last = max(self.t, self.busy_until - 1)
        if run["turned"]:
            self.banks.append(last + 1 + self.machine["codebook_latency"])
        if self.load_tile < (run["turned"] or held):
            return
        if not run["gemv_groups"] and not run["os_line"] and not run["vector_path"] and not run["turned"]:
            self.keep_tile(self.load_run, last)
        self.load_tile = 0
        self.load_fold += 1
        if self.load_fold < len(folds(run)):
            return
        if run["codebook_release"] >= 0:
            self.books_released = run["codebook_release"] + 1
        if run["frees"]:
            self.freed = run["base_bytes"] + run["stream_bytes"]
        self.load_run += 1
        self.load_fold = self.groups_of_run = self.held_bits = self.pushed = self.launching = 0
        self.load_start = self.t + 1 + self.machine["issue_overhead"] if self.chains_to(self.load_run) else None

    def keep_tile(self, run: int, last_pop: int) -> None:
        self.shadow.append(Tile(run, last_pop))
        self.loaded += 1
        self.first_tile = False

    def shadow_room(self) -> bool:
        return len(self.shadow) < len(self.left)

    def groups_of_tile(self, run: Row, kt: int) -> int:
        """Groups of a K-tile."""
        return tile_groups(run, len(tile_span(run, kt, self.rows)), self.cols)

    def conflict_cycles(self, run: Row) -> int:
        """Cycles that the banks of the codebook, or the ports that cores share, take for the loader's next group."""
        if run["cost0"] >= 0:
            return int(self.program.group_cost[run["cost0"] + self.groups_of_run])
        return max(1, self.machine["rom_cycles"]) if run["lookups"] else 1

    @property
    def codebook_wait(self) -> str:
        return "codebook_port" if self.machine["rom_cycles"] > 1 else "bank_conflict"

    # -- the clock

    def simulate(self, limit: int = 10**6, outside: Callable[[], None] = lambda: None) -> tuple[int, list[dict[str, int]]]:
        """(cycles until the last result, category -> cycles of each run); `outside` is called at the beginning of each cycle."""
        while self.t < limit:
            outside()
            if self.step():
                return self.t, self.counts
        raise AssertionError(f"the twin does not end within {limit} cycles: run {self.run} fold {self.fold} of {len(self.runs)} runs")

    @property
    def counts(self) -> list[dict[str, int]]:
        """Category -> cycles of each run."""
        return [dict(count) for count in self.count]

    def step(self) -> bool:
        """One clock of all units; True in the cycle in which the last result is there, which is not counted."""
        if self.begin():
            return True
        self.end()
        return False

    def few_rows_next(self) -> bool:
        """Whether the array's run meets its groups as the loader pops them, so that it waits for ports as the loader does."""
        if self.finished(self.run):
            if self.t < self.drained_at or self.run + 1 == len(self.runs):
                return False
            self.turn()
        return self.run == self.load_run and bool(self.runs[self.run]["gemv_groups"])

    def begin(self) -> bool:
        """All of a clock that needs no ports of the codebook; True as `step`."""
        self.vector()
        pending = self.drain_units or self.row_units
        last_result = max(self.done.values(), default=0)
        last_run = self.run + 1 == len(self.runs) and self.finished(self.run)
        if last_run and not pending and self.t >= max(last_result, self.drained_at):
            self.sums.clock(self.t)
            self.clock_banks(self.t)
            return True
        self.codebook()
        self.wanted_pop, self.port = "", True
        self.array_waits = self.few_rows_next()
        if not self.array_waits:
            self.clock_array()
        self.sees_loader()
        self.load_waits = self.loader_begins()
        return False

    def clock_array(self) -> None:
        """The array's part of a clock, and the run that it is booked to."""
        self.array_did, self.ports_left = self.array()
        self.booked = self.run
        more = self.run + 1 < len(self.runs) and self.chains_to(self.run + 1)
        if self.array_did in ("busy", "given") and self.finished(self.run) and more:
            self.turn()  # the next run's cycles begin behind the last row

    def end(self, port: bool = True) -> None:
        """The rest of the clock; `port`: the codebook serves this core."""
        self.port = port
        if self.array_waits:
            self.clock_array()
        reason, booked = self.array_did, self.booked
        self.ports_left = self.hold(self.ports_left)
        if reason == "holder":
            reason = self.hold_why
        why, short = self.loader(self.ports_left)
        if reason in ("busy", "given"):
            if short and why in self.debts:
                self.debts[why] += 1
            reason = "vector" if reason == "given" else reason  # the array's sequencer works for the lanes
        else:
            reason = reason or why
            if reason == "vector" and self.lanes_wait_for_others():
                reason = "dependency"
            owed = next((name for name, cycles in self.debts.items() if cycles), "")
            if reason == "decode" and owed:
                self.debts[owed] -= 1  # memory had kept this tile waiting while the array was busy
                reason = owed
        self.count[booked][reason] += 1
        self.sums.clock(self.t)
        self.clock_banks(self.t)
        self.t += 1
        return False


def tile_span(run: Row, kt: int, rows: int) -> range:
    """Rows of the reduction in a K-tile: blocks one after the other, each in tiles of R rows, the last tile of a block trimmed."""
    tiles = [
        range(first, min(first + rows, start + run["block"], run["k"]))
        for start in range(0, run["k"], run["block"])
        for first in range(start, min(start + run["block"], run["k"]), rows)
    ]
    return [tile for tile in tiles for _ in range(max(1, run["passes"]))][kt]


def row_source(run: Row, kt: int, row: int, rows: int, tasks: Sequence[Row] = ()) -> tuple[int, int] | None:
    """(task, unit) that a row of A needs in K-tile `kt`; None where it is there from the start."""
    if run["in_task"] < 0:
        return None
    if run["in_fixed"] >= 0:
        return run["in_task"], run["in_fixed"]
    position = run["m0"] + row
    if run["in_ox"]:
        last_line = position // run["in_ox"] * run["in_stride"] + run["in_reach"]
        position = min(run["in_rows"], (last_line + 1) * run["in_ix"]) - 1
    position += run["in_row0"]
    if not run["in_tile_cols"]:
        return run["in_task"], position
    last_column = run["in_cols"] if run["in_ox"] else min(run["in_cols"], tile_span(run, kt, rows).stop)
    column = run["in_col0"] + last_column - 1
    task = run["in_task"]
    if run["in_task_cols"]:
        task, column = task + column // run["in_task_cols"], column % run["in_task_cols"]
    tile = column // run["in_tile_cols"]
    if tasks and tasks[task]["file"] > 1:
        return task, units_in_order(tasks[task]).index((tile, position))
    return task, tile * run["in_rows"] + position


def records(array: np.ndarray[Any, Any]) -> list[Row]:
    return [dict(zip(array.dtype.names or (), (int(value) for value in item), strict=True)) for item in array.tolist()]

"""A slow twin of several cores before one ideal memory, in lock-step on the core clock: no core is ahead of another.

In each cycle everything lands that lands in it, on all cores; then the DMAs issue what they may, in the order of the cores; then every core
advances by one clock, in which those that look codewords up in a ROM that all share are served in turn. A tensor that passes from core to
core may be read from the cycle on in which its last part has been written. Weights that several cores read as one are issued by the first
of them once all have said that they have room, and have a place in flight; then these go on in the same cycle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from accelsim.program import Program
from tests.naive_dma import NaiveDma
from tests.naive_machine import FOREVER, Landings, NaiveMachine
from tests.naive_rom import NaiveRom


@dataclass
class SharedSide:
    """What the cores share: the memory's time, and the parts of each tensor that are not written yet."""

    memory_free: int = 0
    missing: Counter[int] = field(default_factory=Counter)
    takers: dict[int, dict[int, int]] = field(default_factory=dict)  # broadcast read -> core -> transfer
    cores: dict[int, CoreDma] = field(default_factory=dict)
    turns: set[int] = field(default_factory=set)  # cores that may have something to issue in this cycle


@dataclass
class CoreDma(NaiveDma):
    """One core's side."""

    shared: SharedSide = field(default_factory=SharedSide)
    written: dict[tuple[int, int], int] = field(default_factory=dict)
    last: int = 0
    cycles: int = 0
    ended: bool = False
    number: int = 0
    ready: int = -1  # the broadcast read that has room here

    def __post_init__(self) -> None:
        super().__post_init__()
        self.machine = NaiveMachine(self.program, Landings(self.transfers, self.units, written=self.written))

    @property
    def idle(self) -> bool:
        return not self.landing and self.next_job == len(self.program.jobs) and self.next_weight == self.program.transfers.size.size

    def take_in(self) -> None:
        """Everything that lands in this cycle."""
        t = self.machine.t
        for item in [item for item in self.landing if item[0] <= t]:
            self.landing.remove(item)
            self.last = t
            self.land(item[1], item[2])
            job = self.program.jobs[-1 - item[1]] if item[1] < 0 else None
            if job is not None and job.write and job.shared >= 0 and self.landed[-1 - item[1]] == job.size:
                self.shared.missing[job.shared] -= 1

    def note_written(self) -> None:
        """Which loads wait no more for other cores."""
        for job in self.program.jobs:
            if not job.write:
                complete = job.shared < 0 or self.shared.missing[job.shared] == 0
                for unit in range(job.rows):
                    if complete:
                        self.written[job.load, unit] = min(self.written.get((job.load, unit), FOREVER), self.machine.t)
                    else:
                        self.written[job.load, unit] = FOREVER

    def issue(self) -> None:
        self.served = [cycle for cycle in self.served if cycle > self.machine.t]
        while len(self.served) < self.places and (self.issue_job() or self.issue_weight()):
            pass

    def issue_job(self) -> bool:
        for job in self.program.jobs[self.next_job : self.next_job + 1]:
            if not job.write and job.shared >= 0 and self.shared.missing[job.shared]:
                return False
        return super().issue_job()

    def issue_weight(self) -> bool:
        index, transfers = self.next_weight, self.program.transfers
        read = int(transfers.broadcast[index]) if index < transfers.size.size else -1
        if read < 0:
            return super().issue_weight()
        if transfers.need[index] > self.machine.freed or transfers.gate[index] > self.machine.tiles_done:
            return False
        self.ready = read
        takers = self.shared.takers[read]
        cores = [self.shared.cores[core] for core in takers]
        if self.number != min(takers):
            self.shared.turns.add(min(takers))
            return False
        if not all(core.ready == read and len(core.served) < core.places for core in cores):
            return False
        self.serve(index, int(transfers.size[index]))
        self.next_weight += 1
        for core in cores[1:]:
            core.served.append(self.served[-1])
            core.landing.append((self.landing[-1][0], takers[core.number], int(transfers.size[index])))
            core.next_weight += 1
            self.shared.turns.add(core.number)
        return True

    def serve(self, what: int, size: int) -> None:
        self.memory_free = self.shared.memory_free
        super().serve(what, size)
        self.shared.memory_free = self.memory_free


def simulate_cores(
    program: Program, transfer: int, places: int, memory_latency: int, bytes_per_cycle: int, fabric_latency: int
) -> list[tuple[int, int, list[dict[str, int]]]]:
    """Of each core: (cycles of the machine, cycle of its last landing, category -> cycles of each run); of one without runs zeros."""
    shared = SharedSide()
    shared.missing.update(job.shared for core in program.cores for job in core.jobs if job.write and job.shared >= 0)
    known = (transfer, places, memory_latency, bytes_per_cycle, fabric_latency)
    sides = [CoreDma(core, *known, shared=shared, number=number) if core.runs.size else None for number, core in enumerate(program.cores)]
    cores = [side for side in sides if side is not None]
    for core in cores:
        shared.cores[core.number] = core
        for transfer, read in enumerate(core.program.transfers.broadcast.tolist()):
            shared.takers.setdefault(read, {})[core.number] = transfer
    machine = cores[0].machine.machine
    rom = NaiveRom(machine["rom_groups"], machine["rom_cycles"]) if machine["rom_groups"] else None
    for t in range(10**6):
        for core in cores:
            core.machine.t = t
            core.take_in()
        for core in cores:
            core.note_written()
        shared.turns.update(core.number for core in cores)
        for core in cores:
            core.served = [cycle for cycle in core.served if cycle > t]
        take_turns(shared)
        advance(t, cores, rom)
        if all(core.ended and core.idle for core in cores):
            return [(side.cycles, side.last, side.machine.counts) if side is not None else (0, 0, []) for side in sides]
    raise AssertionError("the twin does not end")


def take_turns(shared: SharedSide) -> None:
    """The DMAs that may, issue in the order of the cores; what one frees may let another issue again."""
    while shared.turns:
        turn = min(shared.turns)
        shared.turns.remove(turn)
        shared.cores[turn].issue()


def advance(t: int, cores: Sequence[CoreDma], rom: NaiveRom | None) -> None:
    """A clock of all cores, which ask the shared ROM, if there is one, for their groups."""
    for core in cores:
        if not core.ended and core.machine.begin():
            core.ended, core.cycles = True, t
    asking = [number for number, core in enumerate(cores) if not core.ended and core.machine.asks()]
    served = asking if rom is None else rom.serve(t, asking, len(cores))
    for number, core in enumerate(cores):
        if not core.ended:
            core.machine.end(number in served or number not in asking)

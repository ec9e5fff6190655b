"""A slow twin of several cores before a shared level, in lock-step on the core clock, around the port of `naive_l2`.

In a cycle the burst that is over ends first, then what the memory and the fabric deliver arrives, on all cores; then the DMAs issue what
they may, in the order of the cores; then the port, if it is free, takes the next burst, and every core advances by one clock. A transfer
keeps its place in flight until it has left the level; a broadcast keeps one on each core that takes it, and crosses the port once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from accelsim.program import ActivationJob, Program
from tests.naive_cores import CoreDma, SharedSide
from tests.naive_l2 import NaivePort
from tests.naive_machine import Landings, NaiveMachine
from tests.naive_rom import NaiveRom


@dataclass
class Level(SharedSide):
    """What the cores share: the memory, the level's port, and what is on its way at a known cycle."""

    port: NaivePort = field(default_factory=NaivePort)
    here: tuple[str, ...] = ()
    around: str = ""
    due: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    t: int = 0

    def later(self, cycle: int, then: Callable[[], None]) -> None:
        """In a cycle ahead, or at once."""
        if cycle <= self.t:
            then()
        else:
            self.due.append((cycle, then))

    def deliver(self) -> None:
        """What arrives in this cycle."""
        for item in [item for item in self.due if item[0] <= self.t]:
            self.due.remove(item)
            item[1]()


@dataclass
class L2CoreDma(CoreDma):
    """One core's side."""

    level: Level = field(default_factory=Level)
    flights: int = 0
    in_flight: int = 0
    flying: int = 0  # that have not landed
    shared_transfers: dict[int, int] = field(default_factory=dict)
    shared_units: dict[tuple[int, int], int] = field(default_factory=dict)
    in_level: list[int] = field(default_factory=list)  # bytes of each job that came to the level
    told: set[int] = field(default_factory=set)  # jobs whose tensor other cores have completed in the level

    def __post_init__(self) -> None:
        super().__post_init__()
        landings = Landings(self.transfers, self.units, self.shared_transfers, self.shared_units, self.written)
        self.machine = NaiveMachine(self.program, landings)
        self.in_level = [0] * len(self.program.jobs)
        if "weights" in self.level.here:
            self.shared_transfers |= dict.fromkeys(range(self.program.transfers.size.size), 0)

    @property
    def idle(self) -> bool:
        return not self.flying and self.next_job == len(self.program.jobs) and self.next_weight == self.program.transfers.size.size

    def note_written(self) -> None:
        super().note_written()
        if "activations" not in self.level.here:
            return
        for number, job in enumerate(self.program.jobs):
            if number not in self.told and (job.shared < 0 or (not job.write and not self.shared.missing[job.shared])):
                self.told.add(number)
                self.come(-1 - number, job.size)

    def issue(self) -> None:
        while self.in_flight < self.places and (self.issue_job() or self.issue_weight()):
            pass

    def issue_weight(self) -> bool:
        index, transfers = self.next_weight, self.program.transfers
        if index == transfers.size.size or transfers.need[index] > self.machine.freed or transfers.gate[index] > self.machine.tiles_done:
            return False
        read = int(transfers.broadcast[index])
        takers = self.shared.takers[read] if read >= 0 else {self.number: index}
        self.ready = read
        if self.number != min(takers):
            self.shared.turns.add(min(takers))
            return False
        sides = [side for core in takers if isinstance(side := self.shared.cores[core], L2CoreDma)]
        if not all(side is self or (side.ready == read and side.in_flight < side.places) for side in sides):
            return False
        for side in sides:
            side.next_weight += 1
            self.shared.turns.add(side.number)
        self.move(index, int(transfers.size[index]), [(side, takers[side.number]) for side in sides])
        return True

    def serve(self, what: int, size: int) -> None:
        self.move(what, size, [(self, what)])

    def move(self, what: int, size: int, takers: list[tuple[L2CoreDma, int]]) -> None:
        """Send a transfer on its way, to each (core, its transfer)."""
        level, order = self.level, self.flights * len(self.shared.cores) + self.number
        self.flights += 1
        for side, _ in takers:
            side.in_flight += 1
            side.flying += 1
        group = "weights" if what >= 0 else "activations"
        write = what < 0 and self.program.jobs[-1 - what].write
        client = "weights" if what >= 0 else "activation writes" if write else "activation reads"

        def free() -> None:
            for side, _ in takers:
                side.in_flight -= 1

        def land() -> None:
            for side, number in takers:
                side.take(number, size)

        def leave() -> None:
            free()
            land()

        def come() -> None:
            for side, number in takers:
                side.come(number, size)
            level.port.ask(client, order, size, leave)

        def done() -> None:
            if write or group == level.around:
                free()
                level.later(level.t + self.fabric_latency, land)
            else:
                level.later(level.t + self.fabric_latency, lambda: level.port.ask("memory", order, size, come))

        def memory() -> None:
            level.memory_free = max(level.memory_free, level.t) + (size // self.bytes_per_cycle if self.bytes_per_cycle else 0)
            level.later((level.memory_free if self.bytes_per_cycle else level.t) + self.memory_latency, done)

        if group in level.here:
            level.port.ask(client, order, size, leave)
        elif write and group != level.around:
            level.port.ask(client, order, size, lambda: level.port.ask("memory", order, size, memory))
        else:
            memory()

    def come(self, what: int, size: int) -> None:
        """Bytes are in the level."""
        if what >= 0:
            self.shared_transfers[what] = self.level.t
            return
        job = self.program.jobs[-1 - what]
        self.in_level[-1 - what] += size
        for unit in range(units_of(job, self.in_level[-1 - what])):
            self.shared_units.setdefault((job.load, unit), self.level.t)

    def take(self, what: int, size: int) -> None:
        """Bytes are where they were to go."""
        self.flying -= 1
        self.last = self.level.t
        self.land(what, size)
        job = self.program.jobs[-1 - what] if what < 0 else None
        if job is not None and job.write and job.shared >= 0 and self.landed[-1 - what] == job.size:
            self.shared.missing[job.shared] -= 1


def units_of(job: ActivationJob, size: int) -> int:
    """Units of a job whose first `size` bytes are there."""
    return int(size == job.size) if job.write else min(job.rows, size // job.row_bytes)


def simulate_cores_with_level(
    program: Program, level: Level, transfer: int, places: int, memory_latency: int, bytes_per_cycle: int, fabric_latency: int
) -> list[tuple[int, int, list[dict[str, int]]]]:
    """Of each core: (cycles of the machine, cycle of its last landing, category -> cycles of each run); of one without runs zeros."""
    level.missing.update(job.shared for core in program.cores for job in core.jobs if job.write and job.shared >= 0)
    known = (transfer, places, memory_latency, bytes_per_cycle, fabric_latency)
    sides = [
        L2CoreDma(core, *known, shared=level, number=n, level=level) if core.runs.size else None for n, core in enumerate(program.cores)
    ]
    cores = [side for side in sides if side is not None]
    for core in cores:
        level.cores[core.number] = core
        for number, read in enumerate(core.program.transfers.broadcast.tolist()):
            level.takers.setdefault(read, {})[core.number] = number
    machine = cores[0].machine.machine
    rom = NaiveRom(machine["rom_groups"], machine["rom_cycles"]) if machine["rom_groups"] else None
    for t in range(10**6):
        level.t = t
        for core in cores:
            core.machine.t = t
        level.port.end(t)
        level.deliver()
        for core in cores:
            core.note_written()
        level.turns.update(core.number for core in cores)
        while level.turns:
            turn = min(level.turns)
            level.turns.remove(turn)
            level.cores[turn].issue()
        level.port.hold(t)
        for core in cores:
            if not core.ended and core.machine.begin():
                core.ended, core.cycles = True, t
        asking = [number for number, core in enumerate(cores) if not core.ended and core.machine.asks()]
        served = asking if rom is None else rom.serve(t, asking, len(cores))
        for number, core in enumerate(cores):
            if not core.ended:
                core.machine.end(number in served or number not in asking)
        if all(core.ended and core.idle for core in cores):
            return [(side.cycles, side.last, side.machine.counts) if side is not None else (0, 0, []) for side in sides]
    raise AssertionError("the twin does not end")

"""A slow twin of several cores before a shared level, edge by edge of two clocks, around the port of `naive_l2`.

In an instant the burst that is over ends first, then what the memory and the fabric deliver arrives, on all cores; then the DMAs issue what
they may, in the order of the cores; then the port, at an edge of its clock and if it is free, takes the next burst, and at an edge of
theirs all cores advance by one clock. What arrives between two edges of a core is there from the next one on; a DMA issues at once, into
the room that was there at the last edge. A transfer keeps its place in flight until it has left the level; a broadcast keeps one on each
core that takes it, and crosses the port once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from accelsim.program import ActivationJob, Program
from tests.naive_cores import CoreDma, SharedSide, advance, take_turns
from tests.naive_l2 import NaivePort
from tests.naive_machine import Landings, NaiveMachine
from tests.naive_rom import NaiveRom


@dataclass
class Level(SharedSide):
    """What the cores share: the memory, the level's port, and what is on its way at a known time, in ps.

    `t` is the first cycle of the cores that begins now or later, `begun` the last one that has begun.
    """

    port: NaivePort = field(default_factory=NaivePort)
    here: tuple[str, ...] = ()
    around: str = ""
    core_hz: int = 10**9
    port_hz: int = 10**9
    due: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    now: int = 0
    t: int = 0
    begun: int = 0
    port_cycle: int = 0

    def later(self, time: int, then: Callable[[], None]) -> None:
        """At a time ahead, or at once."""
        if time <= self.now:
            then()
        else:
            self.due.append((time, then))

    def deliver(self) -> None:
        """What arrives now."""
        for item in [item for item in self.due if item[0] <= self.now]:
            self.due.remove(item)
            item[1]()

    def next_instant(self) -> None:
        """Go to the next edge of a clock, or the next arrival."""
        core, port = edge(self.begun + 1, self.core_hz), edge(self.port_cycle + 1, self.port_hz)
        self.now = min([core, port, *(time for time, _ in self.due)])
        self.begun += self.now == core
        self.port_cycle += self.now == port
        self.t = self.begun + (edge(self.begun, self.core_hz) < self.now)

    @property
    def at_core_edge(self) -> bool:
        return self.t == self.begun

    @property
    def at_port_edge(self) -> bool:
        return edge(self.port_cycle, self.port_hz) == self.now


def edge(cycle: int, clock_hz: int) -> int:
    """The first whole ps in which a cycle of a clock has begun."""
    whole, rest = divmod(cycle * 10**12, clock_hz)
    return whole + (rest > 0)


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
    room: tuple[int, int] = (0, 0)  # bytes freed and tiles done at the core's last edge
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
        self.machine.t = self.level.begun
        while self.in_flight < self.places and (self.issue_job() or self.issue_weight()):
            pass

    def issue_weight(self) -> bool:
        index, transfers = self.next_weight, self.program.transfers
        if index == transfers.size.size or transfers.need[index] > self.room[0] or transfers.gate[index] > self.room[1]:
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
                level.later(level.now + self.fabric_latency, land)
            else:
                level.later(level.now + self.fabric_latency, lambda: level.port.ask("memory", order, size, come))

        def memory() -> None:
            level.memory_free = max(level.memory_free, level.now) + (1000 * size // self.bytes_per_cycle if self.bytes_per_cycle else 0)
            level.later((level.memory_free if self.bytes_per_cycle else level.now) + self.memory_latency, done)

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
        self.last = self.machine.t = self.level.t
        self.land(what, size)
        self.machine.t = self.level.begun
        job = self.program.jobs[-1 - what] if what < 0 else None
        if job is not None and job.write and job.shared >= 0 and self.landed[-1 - what] == job.size:
            self.shared.missing[job.shared] -= 1


def units_of(job: ActivationJob, size: int) -> int:
    """Units of a job whose first `size` bytes are there."""
    return int(size == job.size) if job.write else min(job.rows, size // job.row_bytes)


def simulate_cores_with_level(
    program: Program, level: Level, transfer: int, places: int, memory_latency: int, bytes_per_ns: int, fabric_latency: int
) -> list[tuple[int, int, list[dict[str, int]]]]:
    """Of each core: (cycles of the machine, cycle of its last landing, category -> cycles of each run); of one without runs zeros.

    Latencies in ps; `bytes_per_ns` 0: infinite.
    """
    level.missing.update(job.shared for core in program.cores for job in core.jobs if job.write and job.shared >= 0)
    known = (transfer, places, memory_latency, bytes_per_ns, fabric_latency)
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
    while level.begun < 10**6:
        for core in cores:
            core.machine.t = level.t
        if level.at_port_edge:
            level.port.end(level.port_cycle)
        level.deliver()
        for core in cores:
            core.machine.t = level.t
            core.note_written()
            if level.at_core_edge:
                core.room = core.machine.freed, core.machine.tiles_done
        level.turns.update(core.number for core in cores)
        take_turns(level)
        if level.at_port_edge:
            level.port.hold(level.port_cycle)
        else:
            level.port.take_in()
        if level.at_core_edge:
            for core in cores:
                core.machine.t = level.t
            advance(level.t, cores, rom)
        if all(core.ended and core.idle for core in cores):
            return [(side.cycles, side.last, side.machine.counts) if side is not None else (0, 0, []) for side in sides]
        level.next_instant()
    raise AssertionError("the twin does not end")

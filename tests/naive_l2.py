"""A slow twin of the DMA of a chip with a shared level, on the core clock, around `NaiveMachine`: the port is held burst by burst.

In a cycle, the burst that is over ends first, then what the memory and the fabric deliver arrives, then the DMA issues; at last the port,
if it is free, takes the next burst. On a slower clock, one edge per `period` cycles of the core, the port does both at its edges alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.naive_dma import NaiveDma
from tests.naive_machine import Landings, NaiveMachine

CLIENTS = ("activation reads", "activation writes", "weights", "memory")  # the first goes first


@dataclass
class Asked:
    """A request: bytes left, and what follows."""

    left: int
    then: Callable[[], None]


@dataclass
class NaivePort:
    """The level's port, held burst by burst. Of the requests of a client that come in a cycle, the one of lowest `order` is first."""

    width: int = 1
    burst: int = 1
    in_turn: bool = False
    period: int = 1
    arrived: list[tuple[int, str, Asked]] = field(default_factory=list)
    queues: dict[str, list[Asked]] = field(default_factory=lambda: {client: [] for client in CLIENTS})
    turn: list[str] = field(default_factory=lambda: list(CLIENTS))
    holder: str = ""
    held_until: int = 0
    busy: int = 0

    def ask(self, client: str, order: int, size: int, then: Callable[[], None]) -> None:
        self.arrived.append((order, client, Asked(size, then)))

    def end(self, t: int) -> None:
        """The burst that is over ends."""
        if self.holder and self.held_until == t:
            client, self.holder = self.holder, ""
            if not self.queues[client][0].left:
                self.queues[client].pop(0).then()

    def take_in(self) -> None:
        """What was asked in an instant waits behind what was asked before."""
        for _, client, asked in sorted(self.arrived, key=lambda item: item[0]):
            self.queues[client].append(asked)
        self.arrived.clear()

    def hold(self, t: int) -> None:
        """The next burst begins, if the port is free."""
        self.take_in()
        ready = [client for client in self.turn if self.queues[client]]
        if self.holder or not ready or t % self.period:
            return
        client = ready[0]
        moved = min(self.burst, self.queues[client][0].left)
        self.queues[client][0].left -= moved
        cycles = -(-moved // self.width)
        self.holder, self.held_until = client, t + cycles * self.period
        self.busy += cycles
        if self.in_turn:
            place = self.turn.index(client)
            self.turn = self.turn[place + 1 :] + self.turn[: place + 1]


@dataclass
class NaiveL2Dma(NaiveDma):
    """`here`: classes of tensors that lie in the level; `around`: the class that passes around it."""

    port: NaivePort = field(default_factory=NaivePort)
    here: tuple[str, ...] = ()
    around: str = ""
    flights: int = 0
    in_flight: int = 0
    due: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    last: int = 0  # landing
    shared_transfers: dict[int, int] = field(default_factory=dict)
    shared_units: dict[tuple[int, int], int] = field(default_factory=dict)
    shared: list[int] = field(default_factory=list)  # bytes of each job that came to the level

    def __post_init__(self) -> None:
        super().__post_init__()
        self.machine = NaiveMachine(self.program, Landings(self.transfers, self.units, self.shared_transfers, self.shared_units))
        self.shared = [0] * len(self.program.jobs)
        if "weights" in self.here:
            self.shared_transfers |= dict.fromkeys(range(self.program.transfers.size.size), 0)
        for number in range(len(self.program.jobs) if "activations" in self.here else 0):
            self.come(-1 - number, self.program.jobs[number].size)

    def simulate(self) -> tuple[int, int, list[dict[str, int]]]:
        cycles, runs = self.machine.simulate(outside=self.cycle)
        while self.next_job < len(self.program.jobs) or self.in_flight or self.due:
            self.cycle()
            self.machine.t += 1
        return cycles, self.last, runs

    def cycle(self) -> None:
        t = self.machine.t
        self.port.end(t)
        for item in [item for item in self.due if item[0] <= t]:
            self.due.remove(item)
            item[1]()
        while self.in_flight < self.places and (self.issue_job() or self.issue_weight()):
            pass
        self.port.hold(t)

    def later(self, cycle: int, then: Callable[[], None]) -> None:
        """In a cycle ahead, or at once."""
        if cycle <= self.machine.t:
            then()
        else:
            self.due.append((cycle, then))

    # -- the ways of a transfer

    def serve(self, what: int, size: int) -> None:
        self.in_flight += 1
        flight, self.flights = self.flights, self.flights + 1
        group = "weights" if what >= 0 else "activations"
        write = what < 0 and self.program.jobs[-1 - what].write
        client = "weights" if what >= 0 else "activation writes" if write else "activation reads"

        def free() -> None:
            self.in_flight -= 1

        def leave() -> None:
            free()
            self.land(what, size)

        def done() -> None:
            if write or group == self.around:
                free()
                self.later(self.machine.t + self.fabric_latency, lambda: self.land(what, size))
            else:
                self.later(self.machine.t + self.fabric_latency, lambda: self.port.ask("memory", flight, size, come))

        def come() -> None:
            self.come(what, size)
            self.port.ask(client, flight, size, leave)

        def memory() -> None:
            t = self.machine.t
            self.memory_free = max(self.memory_free, t) + (size // self.bytes_per_cycle if self.bytes_per_cycle else 0)
            self.later((self.memory_free if self.bytes_per_cycle else t) + self.memory_latency, done)

        if group in self.here:
            self.port.ask(client, flight, size, leave)
        elif write and group != self.around:
            self.port.ask(client, flight, size, lambda: self.port.ask("memory", flight, size, memory))
        else:
            memory()

    def come(self, what: int, size: int) -> None:
        """Bytes are in the level."""
        t = self.machine.t
        if what >= 0:
            self.shared_transfers[what] = t
            return
        job = self.program.jobs[-1 - what]
        self.shared[-1 - what] += size
        whole = self.shared[-1 - what]
        for unit in range(int(whole == job.size) if job.write else min(job.rows, whole // job.row_bytes)):
            self.shared_units.setdefault((job.load, unit), t)

    def land(self, what: int, size: int) -> None:
        super().land(what, size)
        self.last = self.machine.t

"""A slow twin of the DMA before an ideal memory, on the core clock: what arrives in a cycle is taken in, then all that may be issued is.

It closes the loop around `NaiveMachine`: the machine's freed bytes, finished tiles and ended tasks give the DMA room, and what the DMA
lands gives the machine words. Times are whole core cycles: the memory's latency and rate and the fabric's latency must be so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.program import Program
from tests.naive_machine import Landings, NaiveMachine


@dataclass
class NaiveDma:
    """`bytes_per_cycle` 0: infinite."""

    program: Program
    transfer: int
    places: int
    memory_latency: int
    bytes_per_cycle: int
    fabric_latency: int
    transfers: dict[int, int] = field(default_factory=dict)
    units: dict[tuple[int, int], int] = field(default_factory=dict)
    served: list[int] = field(default_factory=list)  # cycles in which a place becomes free
    landing: list[tuple[int, int, int]] = field(default_factory=list)  # (cycle, weight transfer or -1 - job, bytes)
    memory_free: int = 0
    next_weight: int = 0
    next_job: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self.machine = NaiveMachine(self.program, Landings(self.transfers, self.units))
        self.landed = [0] * len(self.program.jobs)

    def simulate(self) -> tuple[int, int, list[dict[str, int]]]:
        """(cycles of the machine, cycle of the last landing, category -> cycles of each run)."""
        cycles, runs = self.machine.simulate(outside=self.cycle)
        last = 0
        while self.landing or self.next_job < len(self.program.jobs):
            self.cycle()
            last = self.machine.t
            self.machine.t += 1
        return cycles, last, runs

    def cycle(self) -> None:
        t = self.machine.t
        for item in [item for item in self.landing if item[0] <= t]:
            self.landing.remove(item)
            self.land(item[1], item[2])
        self.served = [cycle for cycle in self.served if cycle > t]
        while len(self.served) < self.places and (self.issue_job() or self.issue_weight()):
            pass

    def land(self, what: int, size: int) -> None:
        t = self.machine.t
        if what >= 0:
            self.transfers[what] = t
            return
        job = self.program.jobs[-1 - what]
        self.landed[-1 - what] += size
        whole = self.landed[-1 - what]
        units = int(whole == job.size) if job.write else min(job.rows, whole // job.row_bytes)
        for unit in range(units):
            self.units.setdefault((job.load, unit), t)

    def issue_job(self) -> bool:
        jobs = self.program.jobs
        if self.next_job == len(jobs):
            return False
        job = jobs[self.next_job]
        if not all(self.machine.usable(task, self.machine.tasks[task]["units"] - 1) for task in job.after):
            return False
        if any(self.landed[write] < jobs[write].size for write in job.after_jobs):
            return False
        piece = job.size // job.pieces
        size = min(self.transfer, piece - self.sent % piece)
        self.serve(-1 - self.next_job, size)
        self.sent += size
        if self.sent == job.size:
            self.next_job, self.sent = self.next_job + 1, 0
        return True

    def issue_weight(self) -> bool:
        index, transfers = self.next_weight, self.program.transfers
        if index == transfers.size.size or transfers.need[index] > self.machine.freed or transfers.gate[index] > self.machine.tiles_done:
            return False
        self.serve(index, int(transfers.size[index]))
        self.next_weight += 1
        return True

    def serve(self, what: int, size: int) -> None:
        t = self.machine.t
        self.memory_free = max(self.memory_free, t) + (size // self.bytes_per_cycle if self.bytes_per_cycle else 0)
        done = self.memory_free + self.memory_latency if self.bytes_per_cycle else t + self.memory_latency
        self.served.append(done)
        self.landing.append((done + self.fabric_latency, what, size))

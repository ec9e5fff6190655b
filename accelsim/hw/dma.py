"""The DMA engine: cuts streams into transfers and keeps a bounded number of them, and of their bursts, in flight.

Disputable assumptions: a transfer lands as a whole; the fabric adds the same latency to every read; streams are served
in the order of their ports (activations before weights) whenever a place in flight is free. The next transfer is chosen once per
instant, after all that happens in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import simpy
from pydantic import Field

from accelsim.hw.cluster_state import NEVER
from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.engine import at_time, dma_decides
from accelsim.hw.l2 import L2
from accelsim.hw.memory import Channel, Complete
from accelsim.hw.shared_memory import SharedTensors
from accelsim.hw.weight_broadcast import WeightBroadcasts
from accelsim.kernels.compute_state import LOAD
from accelsim.program import ActivationJob, Program
from accelsim.quantities import Bytes, Picoseconds, edge_ps, unit
from accelsim.records import Record


class DmaSpec(Record):
    """Sizes of the engine and of the path to memory."""

    transfer: Bytes = Field(gt=0, le=2**24, description="size of one transfer; the last of a stream may be shorter")
    max_transfers: Annotated[int, unit("transfers")] = Field(default=4, ge=1, le=64, description="transfers in flight")
    max_outstanding_bursts: Annotated[int, unit("bursts")] = Field(
        default=64, ge=1, le=4096, description="read bursts in flight at one channel"
    )
    fabric_latency: Picoseconds = Field(default=100_000, ge=0, le=10**9, description="from data at the channel to data in the buffer")


def memories_of(program: Program, weights: str, activations: str) -> list[str]:
    """The memories outside the chip that the cores of a program use, when its weights and activations lie in these."""
    jobs = (job for core in program.cores for job in core.jobs)
    names = {weights} | ({activations} if any(job.address >= 0 for job in jobs) else set())
    return sorted(names - {L2})


@dataclass(frozen=True)
class Issue:
    """A transfer that was issued: its number, content (a weight-side transfer of the program, or -1 - job), memory and ps.

    `core` is the one that issued it: another one, where its read of weights lands here as well.
    """

    number: int
    what: int
    memory: str
    address: int
    size: int
    write: bool
    time_ps: int
    core: int = 0


class Arrivals:
    """Bytes of jobs that came to a place, from the start of each without a gap: memories answer out of order.

    Attributes
    ----------
    whole : of each job
    """

    def __init__(self, jobs: int) -> None:
        self.whole = [0] * jobs
        self._ahead: dict[tuple[int, int], int] = {}  # (job, offset) -> bytes behind a gap

    def add(self, job: int, offset: int, size: int) -> int:
        """Take bytes in; those without a gap now."""
        self._ahead[job, offset] = size
        while (job, self.whole[job]) in self._ahead:
            self.whole[job] += self._ahead.pop((job, self.whole[job]))
        return self.whole[job]


class Dma:
    """Issues the weight-side transfers of a program in order and its activation jobs in order, as far as room and gates allow.

    A listener may set `on_issue`: it is called for each transfer before its memory gets it.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: DmaSpec,
        program: Program,
        cluster: ComputeCluster,
        weight_memory: str,
        open_memory: Callable[[str, Complete], Channel],
        activation_memory: str = "dram",
        core: int = 0,
        tensors: SharedTensors | None = None,
        broadcasts: WeightBroadcasts[Dma] | None = None,
    ) -> None:
        self._core = core
        self._broadcasts = WeightBroadcasts[Dma](()) if broadcasts is None else broadcasts
        self._broadcasts.join(core, self)
        self._decides = dma_decides(core)
        self._tensors = SharedTensors((program,)) if tensors is None else tensors
        self._env, self._spec, self._program, self._cluster = env, spec, program, cluster
        transfers = program.transfers
        columns = (transfers.address, transfers.size, transfers.need, transfers.gate, transfers.broadcast)
        self._issues = list(zip(*(column.tolist() for column in columns), strict=True))
        self._next_weight = 0
        self._next_job = 0
        self._job_sent = 0  # bytes of the current job that are issued
        self._landed = Arrivals(len(program.jobs))
        self._ended_tasks: set[int] = set()
        self._in_flight = 0
        self._flights: dict[int, tuple[int, int, int, bool]] = {}  # id -> (weight transfer or -1 - job, offset in it, bytes, write)
        self._next_id = 0
        self._takers: dict[int, list[tuple[Dma, int]]] = {}  # id of a broadcast -> (DMA, its transfer) of the other cores that take it
        self._ready = -1  # weight transfer that has room, and waits for the other cores that take it
        self._freed = self._tiles = 0
        self._deciding = False
        self._blocked = False  # the next weight transfer waits for the cluster, which will call
        self.received_bytes = 0
        self.sent_bytes = 0
        self.last_landing_ps = 0
        self._weight_memory, self._activation_memory = weight_memory, activation_memory
        memories = memories_of(program, weight_memory, activation_memory)
        self.channels = {name: open_memory(name, self._complete) for name in memories}
        self.on_issue: Callable[[Issue], None] = _nothing
        cluster.on_room = self._room
        cluster.on_task = self._task_ended
        self._tensors.listen(self._tensor_complete)
        for job in program.jobs:
            if not job.write and not self._tensors.is_complete(job.shared):
                cluster.await_writes(self._load_offset(job.load), job.rows)

    @property
    def idle(self) -> bool:
        """Whether everything was moved."""
        return not self._flights and self._next_weight == len(self._issues) and self._next_job == len(self._program.jobs)

    @property
    def busy(self) -> bool:
        """Whether a transfer is on its way, or about to be."""
        return bool(self._flights) or self._deciding

    def pump(self) -> None:
        """Signal a change: issue pending transfers once this instant's events are over."""
        if not self._deciding:
            self._deciding = True
            at_time(self._env, int(self._env.now), self._decide, self._decides)

    def _decide(self, _: simpy.Event) -> None:
        self._deciding = False
        while self._in_flight < self._spec.max_transfers and (self._issue_job() or self._issue_weight()):
            pass

    def _room(self) -> None:
        self._blocked = False
        self.pump()

    def _issue_job(self) -> bool:
        if self._next_job == len(self._program.jobs):
            return False
        job = self._program.jobs[self._next_job]
        if not self._ended_tasks.issuperset(job.after):
            return False
        if not job.write and not self._tensors.is_complete(job.shared):
            return False
        if any(self._landed.whole[write] < self._program.jobs[write].size for write in job.after_jobs):
            return False
        if job.address < 0:  # the host has put it there
            self._landed.add(self._next_job, 0, job.size)
            self._cluster.fill(job.load, self._load_offset(job.load), job.rows)
            self._next_job += 1
            return True
        piece_bytes = job.size // job.pieces
        piece, offset = divmod(self._job_sent, piece_bytes)
        size = min(self._spec.transfer, piece_bytes - offset)
        address = job.address + piece * job.pitch + offset
        self._submit(self._activation_memory, -1 - self._next_job, address, self._job_sent, size, job.write)
        self._job_sent += size
        if self._job_sent == job.size:
            self._next_job += 1
            self._job_sent = 0
        return True

    def _issue_weight(self) -> bool:
        index = self._next_weight
        if self._blocked or index == len(self._issues):
            return False
        address, size, need, gate, read = self._issues[index]
        if need > self._freed or gate > self._tiles:
            self._freed, self._tiles = self._cluster.freed_and_tiles()
            if need > self._freed or gate > self._tiles:
                self._cluster.wait_for(need if need > self._freed else NEVER, gate if gate > self._tiles else NEVER)
                self._blocked = True
                return False
        self._cluster.wait_for(NEVER, NEVER)
        if read >= 0:
            self._ready = index
            reader, takers = self._broadcasts.reader(read), self._broadcasts.takers(read)
            if reader is not self:
                reader.pump()
                return False
            if not all(dma.can_take(transfer) for dma, transfer in takers):
                return False
            self._takers[self._next_id] = takers
        self._submit(self._weight_memory, index, address, 0, size, False)
        self._next_weight += 1
        return True

    def can_take(self, transfer: int) -> bool:
        """Whether a weight transfer is the next one, has room, and finds a place in flight."""
        return self._ready == transfer == self._next_weight and self._in_flight < self._spec.max_transfers

    def _take(self, issue: Issue, transfer: int) -> None:
        """Another core has issued a read that lands here as well."""
        self._in_flight += 1
        self._next_weight += 1
        self.on_issue(replace(issue, what=transfer))
        self.pump()

    def _submit(self, memory: str, what: int, address: int, offset: int, size: int, write: bool) -> None:
        self._in_flight += 1
        self._flights[self._next_id] = (what, offset, size, write)
        issue = Issue(self._next_id, what, memory, address, size, write, int(self._env.now), self._core)
        self.on_issue(issue)
        for dma, transfer in self._takers.get(self._next_id, ()):
            dma._take(issue, transfer)
        self._start(self._next_id, memory, address)
        self._next_id += 1

    def _start(self, flight: int, memory: str, address: int) -> None:
        """Send a transfer on its way."""
        _, _, size, write = self._flights[flight]
        self.channels[memory].submit(flight, address, size, write)

    def _complete(self, flight: int) -> None:
        """The memory is done with a transfer: its place is free, its data is still in the fabric."""
        at_time(self._env, int(self._env.now) + self._spec.fabric_latency, lambda _: self._land(flight))
        self._free_place(flight)

    def _free_place(self, flight: int) -> None:
        """A transfer needs its place no more, on any core that takes it."""
        for dma in (self, *(dma for dma, _ in self._takers.get(flight, ()))):
            dma._in_flight -= 1
            dma.pump()
            if dma._ready == dma._next_weight:  # a place is what the core that issues its next read may have waited for
                dma._broadcasts.reader(dma._issues[dma._ready][-1]).pump()

    def _land(self, flight: int) -> None:
        what, offset, size, write = self._flights.pop(flight)
        self.last_landing_ps = int(self._env.now)
        if write:
            self.sent_bytes += size
        else:
            self.received_bytes += size
        if what >= 0:
            self._cluster.land(what)
            for dma, transfer in self._takers.pop(flight, ()):
                dma.last_landing_ps = int(self._env.now)
                dma.received_bytes += size
                dma._cluster.land(transfer)
            return
        job = self._program.jobs[-1 - what]
        landed = self._landed.add(-1 - what, offset, size)
        if job.write:
            if landed == job.size:
                self._cluster.fill(job.load, self._load_offset(job.load), 1)
                if job.shared >= 0:
                    self._tensors.written(job.shared)
                self.pump()
        else:
            self._cluster.fill(job.load, self._load_offset(job.load), min(job.rows, landed // job.row_bytes))

    def _tensor_complete(self, number: int) -> None:
        """A tensor that passes from core to core is complete in memory."""
        for job in self._readers.get(number, ()):
            self._tell_written(job)
        self.pump()

    def _tell_written(self, job: ActivationJob) -> None:
        """Tell the cluster that the source of a job is in memory."""
        self._cluster.written(job.load, self._load_offset(job.load), job.rows)

    @cached_property
    def _readers(self) -> dict[int, list[ActivationJob]]:
        """Tensor that passes from core to core -> this program's jobs that read it."""
        out: dict[int, list[ActivationJob]] = {}
        for job in self._program.jobs:
            if job.shared >= 0 and not job.write:
                out.setdefault(job.shared, []).append(job)
        return out

    def _load_offset(self, load: int) -> int:
        return self._offsets[load]

    @cached_property
    def _offsets(self) -> dict[int, int]:
        """Ordinal of a load task -> first of its units."""
        tasks = self._program.tasks
        return {int(task["ordinal"]): int(task["offset"]) for task in tasks[tasks["kind"] == LOAD]}

    def _task_ended(self, task: int, cycle: int) -> None:
        def end(_: simpy.Event) -> None:
            self._ended_tasks.add(task)
            self.pump()

        at_time(self._env, max(int(self._env.now), edge_ps(cycle, self._cluster.clock_hz)), end)

    def counters(self) -> dict[str, int]:
        """Named totals of what lies between the DMA and the buffers: nothing."""
        return {}

    def waiting(self) -> str:
        """Describe the engine's pending work, for a deadlock's message."""
        return (
            f"DMA: weight transfer {self._next_weight} of {len(self._issues)}, activation job {self._next_job} of "
            f"{len(self._program.jobs)}, {len(self._flights)} transfers on their way"
        )


def _nothing(issue: Issue) -> None:
    del issue

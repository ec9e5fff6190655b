"""The DMA of a chip with a shared level: every transfer crosses the level's port, once or twice, unless it passes around.

Disputable assumptions: a read keeps its place in flight until it has left the level, so no more than the places' bytes pass through at
once; the fabric's latency lies between memory and level; a transfer leaves the level when all of it is there.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.dma import Arrivals, Dma, DmaSpec
from accelsim.hw.engine import at_time
from accelsim.hw.l2 import L2, Bypass, crossings
from accelsim.hw.l2_port import ACTIVATION_READ, ACTIVATION_WRITE, MEMORY, WEIGHT_READ, L2Port
from accelsim.hw.memory import Channel, Complete
from accelsim.hw.shared_memory import SharedTensors
from accelsim.hw.weight_broadcast import WeightBroadcasts
from accelsim.program import ActivationJob, Program

Then = Callable[[int], None]


class L2Dma(Dma):
    """Issues transfers as `Dma` does, and tells the cluster also what has come to the level.

    A listener may set `on_cross`: it is called with the number of a transfer, the core that issued it, the client, the ps in which it asked
    and that in which it had crossed.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: DmaSpec,
        program: Program,
        cluster: ComputeCluster,
        weight_memory: str,
        open_memory: Callable[[str, Complete], Channel],
        activation_memory: str,
        core: int,
        tensors: SharedTensors,
        broadcasts: WeightBroadcasts[Dma],
        port: L2Port,
        bypass: Bypass,
    ) -> None:
        super().__init__(env, spec, program, cluster, weight_memory, open_memory, activation_memory, core, tensors, broadcasts)
        self._port, self._bypass = port, bypass
        self._crossed_bytes = dict.fromkeys((ACTIVATION_READ, ACTIVATION_WRITE, WEIGHT_READ), 0)
        self._in_level = Arrivals(len(program.jobs))
        self._memory_bytes = {"fill": 0, "drain": 0}
        self.on_cross: Callable[[int, int, str, int, int], None] = _nothing
        if weight_memory == L2:
            for transfer in range(program.transfers.address.size):
                cluster.reach(transfer)
        if activation_memory == L2:
            for job in program.jobs:
                if job.address >= 0 and tensors.is_complete(job.shared):
                    self._tell_units(job, job.size)

    def counters(self) -> dict[str, int]:
        """Bytes that crossed the port: to and from the buffers by client, from memory and to it."""
        return {
            **{f"l2_{client}_bytes": size for client, size in self._crossed_bytes.items()},
            **{f"l2_{name}_bytes": size for name, size in self._memory_bytes.items()},
        }

    def waiting(self) -> str:
        return f"{super().waiting()}; L2: {self._port.pending} requests pending"

    def _start(self, flight: int, memory: str, address: int) -> None:
        what, _, _, write = self._flights[flight]
        start = super()._start
        if memory == L2:
            self._cross(flight, _client(what, write), self._arrive)
        elif write and self._passes(memory, what):
            self._cross(flight, ACTIVATION_WRITE, lambda _: self._cross(flight, MEMORY, lambda _: start(flight, memory, address)))
        else:
            start(flight, memory, address)

    def _passes(self, memory: str, what: int) -> bool:
        """Whether a transfer to or from a memory passes through the level."""
        return crossings(self._bypass, memory, what >= 0) > 0

    def _complete(self, flight: int) -> None:
        what, _, _, write = self._flights[flight]
        if write or not self._passes(self._weight_memory if what >= 0 else self._activation_memory, what):
            super()._complete(flight)
            return
        at_time(self._env, int(self._env.now) + self._spec.fabric_latency, lambda _: self._cross(flight, MEMORY, self._reach))

    def _cross(self, flight: int, client: str, then: Then) -> None:
        """Let a transfer cross the port, then call `then` with it."""
        _, _, size, write = self._flights[flight]
        asked = int(self._env.now)
        if client == MEMORY:
            self._memory_bytes["drain" if write else "fill"] += size
        else:
            self._crossed_bytes[client] += size

        def crossed() -> None:
            for dma in (self, *(dma for dma, _ in self._takers.get(flight, ()) if isinstance(dma, L2Dma))):
                dma.on_cross(flight, self._core, client, asked, int(self._env.now))
            then(flight)

        self._port.request(client, self._port.order(flight, self._core), size, crossed)

    def _reach(self, flight: int) -> None:
        """A read is in the level."""
        what, offset, size, write = self._flights[flight]
        if what >= 0:
            self._cluster.reach(what)
            for dma, transfer in self._takers.get(flight, ()):
                dma._cluster.reach(transfer)
        else:
            self._tell_units(self._program.jobs[-1 - what], self._in_level.add(-1 - what, offset, size))
        self._cross(flight, _client(what, write), self._arrive)

    def _tell_written(self, job: ActivationJob) -> None:
        if self._activation_memory == L2:
            self._tell_units(job, job.size)
        else:
            super()._tell_written(job)

    def _tell_units(self, job: ActivationJob, size: int) -> None:
        """The first `size` bytes of a job are in the level."""
        self._cluster.reach_units(job.load, self._load_offset(job.load), 1 if job.write else min(job.rows, size // job.row_bytes))

    def _arrive(self, flight: int) -> None:
        """A transfer has crossed the port for the last time."""
        self._free_place(flight)
        self._land(flight)


def _client(what: int, write: bool) -> str:
    """Whose transfer it is, on the side of the buffers."""
    return WEIGHT_READ if what >= 0 else ACTIVATION_WRITE if write else ACTIVATION_READ


def _nothing(flight: int, core: int, client: str, asked_ps: int, crossed_ps: int) -> None:
    del flight, core, client, asked_ps, crossed_ps

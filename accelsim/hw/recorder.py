"""Recorder of the traffic between the units of a machine in one run: enough to replay each unit alone.

Only public inputs are recorded (a transfer that is issued, completes or lands, a tensor that is filled), so a unit does not know that it
is watched. A unit's internal activity is recovered by replaying it on these inputs, which gives the same run to the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import simpy

from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.dma import Issue
from accelsim.hw.l2 import L2Spec
from accelsim.hw.l2_port import Ended, L2Port
from accelsim.hw.memory import Channel, Complete
from accelsim.program import Program


@dataclass(frozen=True)
class Request:
    """A transfer that a memory took: its number there, byte address, bytes, direction and the ps of its arrival."""

    number: int
    address: int
    size: int
    write: bool
    arrival_ps: int


@dataclass(frozen=True)
class Crossing:
    """A transfer that crossed the port of the shared level: its number, the client, the ps in which it asked and that of its last byte."""

    flight: int
    client: str
    asked_ps: int
    crossed_ps: int


@dataclass(frozen=True)
class PortRequest:
    """A request that the port of the shared level took: its transfer's number in the memories, the client, the port's cycle, bytes."""

    transfer: int
    client: str
    cycle: int
    size: int


@dataclass
class RunRecorder:
    """Records of one run, in time order.

    Attributes
    ----------
    landed : (core cycle, weight-side transfer) of each that is in its buffer
    filled : (core cycle, load, first unit in the unit arrays, units) of each fill of a load task
    reached, reached_units : as `landed` and `filled`, of what came to the shared level
    awaited : (first unit in the unit arrays, units) of each load task that waits for other cores to write what it loads
    written : as `filled`, of each of these once all is written
    denied : cycles in which the codebook ROM that several cores share served others
    issues : transfers of the DMA
    crossings : transfers that crossed the port of the shared level, each as often as it did, in the order of their ends
    port : requests of all cores to the port of the shared level, in the order in which it took them
    cores : of a chip with several, the records of each; they have `requests`, `completed_ps` and `port` together
    requests : memory -> transfers it accepted; completed_ps : memory -> number of a transfer -> when the memory was done with it
    """

    landed: list[tuple[int, int]] = field(default_factory=list)
    filled: list[tuple[int, int, int, int]] = field(default_factory=list)
    reached: list[tuple[int, int]] = field(default_factory=list)
    reached_units: list[tuple[int, int, int, int]] = field(default_factory=list)
    awaited: list[tuple[int, int]] = field(default_factory=list)
    written: list[tuple[int, int, int, int]] = field(default_factory=list)
    denied: list[int] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    requests: dict[str, list[Request]] = field(default_factory=dict)
    completed_ps: dict[str, dict[int, int]] = field(default_factory=dict)
    crossings: list[Crossing] = field(default_factory=list)
    port: list[PortRequest] = field(default_factory=list)
    cores: dict[int, RunRecorder] = field(default_factory=dict)

    def of_core(self, core: int, cores: int) -> RunRecorder:
        """The recorder of one core: this one, if there is no other."""
        if cores == 1:
            return self
        return self.cores.setdefault(core, RunRecorder(requests=self.requests, completed_ps=self.completed_ps, port=self.port))

    def cross(self, flight: int, client: str, asked_ps: int, crossed_ps: int) -> None:
        self.crossings.append(Crossing(flight, client, asked_ps, crossed_ps))


class RecordedCluster(ComputeCluster):
    """A cluster whose landings and fills are recorded."""

    def __init__(self, env: simpy.Environment, clock_hz: int, program: Program, recorder: RunRecorder) -> None:
        super().__init__(env, clock_hz, program)
        self._recorder = recorder

    def land(self, transfer: int) -> None:
        self._recorder.landed.append((self.now_cycle, transfer))
        super().land(transfer)

    def fill(self, load: int, offset: int, units: int) -> None:
        self._recorder.filled.append((self.now_cycle, load, offset, units))
        super().fill(load, offset, units)

    def reach(self, transfer: int) -> None:
        self._recorder.reached.append((self.now_cycle, transfer))
        super().reach(transfer)

    def reach_units(self, load: int, offset: int, units: int) -> None:
        self._recorder.reached_units.append((self.now_cycle, load, offset, units))
        super().reach_units(load, offset, units)

    def await_writes(self, offset: int, units: int) -> None:
        self._recorder.awaited.append((offset, units))
        super().await_writes(offset, units)

    def written(self, load: int, offset: int, units: int) -> None:
        self._recorder.written.append((self.now_cycle, load, offset, units))
        super().written(load, offset, units)


class RecordedPort(L2Port):
    """The port of the shared level, whose requests are recorded."""

    def __init__(self, env: simpy.Environment, clock_hz: int, spec: L2Spec, cores: int, recorder: RunRecorder) -> None:
        super().__init__(env, clock_hz, spec, cores)
        self._recorder = recorder

    def take(self, order: int, client: str, cycle: int, size: int, ended: Ended) -> None:
        self._recorder.port.append(PortRequest(order, client, cycle, size))
        super().take(order, client, cycle, size, ended)


class RecordedChannel:
    """A memory channel whose transfers are recorded; created before the channel, which needs its `complete`."""

    def __init__(self, env: simpy.Environment, name: str, complete: Complete, recorder: RunRecorder) -> None:
        self._env, self._ended = env, complete
        self._requests = recorder.requests.setdefault(name, [])
        self._completed = recorder.completed_ps.setdefault(name, {})
        self.channel: Channel

    def complete(self, transfer: int) -> None:
        self._completed[transfer] = int(self._env.now)
        self._ended(transfer)

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        self._requests.append(Request(transfer, address, size, write, int(self._env.now)))
        self.channel.submit(transfer, address, size, write)

    def counters(self) -> dict[str, int]:
        return self.channel.counters()

    def waiting(self) -> str:
        return self.channel.waiting()

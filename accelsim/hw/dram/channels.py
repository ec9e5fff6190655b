"""The DRAM channels of a machine: each a cycle engine on the memory clock; a transfer is spread over them by address.

Disputable assumption: a place in flight is taken until the data has crossed the fabric, so the slot of a read is released one
cycle and the fabric's latency after its last beat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import simpy

from accelsim.hw.background import FIRST_ID
from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import ControllerPolicy, load_policy
from accelsim.hw.dram.device import DramDevice, load_device
from accelsim.hw.engine import CycleEngine
from accelsim.hw.memory import Complete, MemorySpec
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at
from accelsim.quantities import PS_PER_S

MAX_TRANSFERS = 64  # submitted and incomplete in one channel; more wait outside, in order
_NO_LOG = np.zeros((0, at.LOG_WIDTH), np.int64)
_NO_SAMPLES = np.zeros(0, np.int64)


class DramChannels:
    """All channels of one device type, interleaved."""

    def __init__(
        self, env: simpy.Environment, spec: MemorySpec, max_outstanding_bursts: int, fabric_latency_ps: int, complete: Complete
    ) -> None:
        device = load_device(spec.device)
        params = channel_parameters(spec, max_outstanding_bursts, fabric_latency_ps)
        self._spec = spec
        self._burst_bytes = device.burst_bytes
        self._complete = complete
        self._parts: dict[int, int] = {}  # transfer -> pieces that are not complete
        self._engines = [_Channel(env, device.clock_hz, params, self._piece_ends) for _ in range(spec.channels)]
        self._bytes = {"read": 0, "write": 0, "background": 0}

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        """Take a transfer that arrives now; pieces of it go to the channels that hold them."""
        burst = self._burst_bytes
        first, end = address // burst, -(-(address + size) // burst)
        who = "background" if transfer >= FIRST_ID else "write" if write else "read"
        self._bytes[who] += (end - first) * burst
        pieces = channel_pieces(self._spec, self._burst_bytes, first, end)
        self._parts[transfer] = len(pieces)
        for channel, local, count in pieces:
            self._engines[channel].submit(transfer, local, count, write)

    def _piece_ends(self, transfer: int) -> None:
        self._parts[transfer] -= 1
        if not self._parts[transfer]:
            del self._parts[transfer]
            self._complete(transfer)

    def counters(self) -> dict[str, int]:
        """Totals over the channels: bytes by client, and commands."""
        totals = {
            "bus_bytes": self._bytes["read"] + self._bytes["write"],
            "read_bytes": self._bytes["read"],
            "write_bytes": self._bytes["write"],
            "background_bytes": self._bytes["background"],
        }
        return totals | command_counters([engine.state for engine in self._engines])

    def waiting(self) -> str:
        """Describe the pending transfers."""
        return f"DRAM: {len(self._parts)} transfers pending"


def command_counters(states: Iterable[at.Ints]) -> dict[str, int]:
    """Totals of the commands of channels, and of what became of their bursts."""
    names = {
        "activates": at.ACTIVATES, "precharges": at.PRECHARGES, "refreshes": at.REFRESHES, "reads": at.READS, "writes": at.WRITES,
        "conflicts": at.CONFLICTS, "turnarounds": at.TURNAROUNDS, "merged": at.MERGED, "forwarded_reads": at.FORWARDED_READS,
    }  # fmt: skip
    channels = list(states)
    return {name: sum(int(state[place]) for state in channels) for name, place in names.items()}


def interleaved_bursts(spec: MemorySpec, burst_bytes: int) -> int:
    """Consecutive bursts that lie in one channel."""
    return max(1, spec.interleave // burst_bytes)


def channel_pieces(spec: MemorySpec, burst_bytes: int, first: int, end: int) -> list[tuple[int, int, int]]:
    """(channel, its first burst, bursts) of bursts first..end-1, by the interleaving."""
    channels, unit = spec.channels, interleaved_bursts(spec, burst_bytes)
    if channels == 1:
        return [(0, first, end - first)]
    pieces: dict[int, tuple[int, int]] = {}
    for block in range(first // unit, (end - 1) // unit + 1):
        channel, row = block % channels, block // channels
        low, high = max(first, block * unit) - block * unit, min(end, (block + 1) * unit) - block * unit
        start, count = pieces.get(channel, (row * unit + low, 0))
        pieces[channel] = (start, count + high - low)  # consecutive blocks of a channel touch
    return [(channel, *piece) for channel, piece in sorted(pieces.items())]


def channel_parameters(spec: MemorySpec, max_outstanding_bursts: int, fabric_latency_ps: int) -> at.Ints:
    """Kernel parameters of each channel of a memory."""
    device = load_device(spec.device)
    release = 1 + -(-fabric_latency_ps * device.clock_hz // PS_PER_S)
    return _parameters(device, load_policy(spec.policy), spec.mapping, max_outstanding_bursts, release)


@cache
def _parameters(device: DramDevice, policy: ControllerPolicy, mapping: str, max_outstanding_bursts: int, release: int) -> at.Ints:
    return parameters(device, policy, mapping, max_outstanding_bursts, release, MAX_TRANSFERS)


class _Channel(CycleEngine):
    def __init__(self, env: simpy.Environment, clock_hz: int, params: at.Ints, ended: Callable[[int], None]) -> None:
        super().__init__(env, clock_hz)
        self._params = params
        self._state = dram.new_state(params)
        self._look = self._state.copy()
        self._ended = ended
        self._arrived: deque[tuple[int, int, int, int, int]] = deque()
        self._report = slice(int(params[at.P_AT_REPORT]), int(params[at.P_AT_REPORT]) + MAX_TRANSFERS * at.DONE_WIDTH)
        self._valid = False

    def submit(self, transfer: int, first_burst: int, bursts: int, write: bool) -> None:
        self._arrived.append((transfer, self.now_cycle, int(write), first_burst, bursts))
        self.poke()

    @property
    def state(self) -> at.Ints:
        return self._state

    def must_repredict(self) -> bool:
        return bool(self._arrived) or not self._valid

    def commit(self, cycle: int) -> None:
        if self._state[at.NOW] < cycle and self._state[at.INCOMPLETE]:
            dram.advance(self._state, self._params, cycle, _NO_LOG, _NO_SAMPLES)

    def absorb(self) -> None:
        while self._arrived and dram.submit(self._state, self._params, *self._arrived[0]):
            self._arrived.popleft()

    def predict(self) -> int | None:
        if not self._state[at.INCOMPLETE]:
            return None
        np.copyto(self._look, self._state)
        self._valid = True
        return int(dram.advance(self._look, self._params, at.NEVER, _NO_LOG, _NO_SAMPLES))

    def adopt(self) -> None:
        self._state, self._look = self._look, self._state
        self._valid = False

    def publish(self) -> None:
        count = int(self._state[at.REPORTED])
        done = self._state[self._report][1 : 2 * count : at.DONE_WIDTH].tolist()
        for transfer in sorted(done):
            self._ended(transfer)

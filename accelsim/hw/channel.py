"""Memory channels: the interface of each kind of memory to the DMA, and the engines behind it.

A channel takes transfers (id, address, bytes, direction) in the order of their arrival and calls back when each is complete.
"""

from __future__ import annotations

from fractions import Fraction

import simpy

from accelsim.hw.background import FIRST_ID
from accelsim.hw.dma import DmaSpec
from accelsim.hw.dram.channels import DramChannels
from accelsim.hw.dram.device import FS_PER_S, load_device
from accelsim.hw.engine import at_time
from accelsim.hw.flash import FlashSpec, FlashTiming
from accelsim.hw.memory import IDEAL, Channel, Complete, IdealTiming, MemorySpec


class IdealChannel:
    """A device with a latency and a bandwidth."""

    def __init__(self, env: simpy.Environment, spec: MemorySpec, complete: Complete) -> None:
        self._env, self._complete = env, complete
        self._timing = IdealTiming(spec.latency, spec.bandwidth)
        self._pending = 0
        self._bytes = {"read": 0, "write": 0, "background": 0}

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        del address
        self._pending += 1
        self._bytes["background" if transfer >= FIRST_ID else "write" if write else "read"] += size
        at_time(self._env, self._timing.serve(int(self._env.now), size), lambda _: self._end(transfer))

    def _end(self, transfer: int) -> None:
        self._pending -= 1
        self._complete(transfer)

    def counters(self) -> dict[str, int]:
        return {
            "bus_bytes": self._bytes["read"] + self._bytes["write"],
            "read_bytes": self._bytes["read"],
            "write_bytes": self._bytes["write"],
            "background_bytes": self._bytes["background"],
        }

    def waiting(self) -> str:
        return f"ideal memory: {self._pending} transfers pending"


class FlashChannel:
    """A serial flash: one transfer after the other."""

    def __init__(self, env: simpy.Environment, spec: FlashSpec, complete: Complete) -> None:
        self._env, self._complete = env, complete
        self._timing = FlashTiming(spec)
        self._pending = 0
        self._bytes = 0

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        del write  # the compiler places nothing that is written here
        self._pending += 1
        self._bytes += size
        at_time(self._env, self._timing.serve(int(self._env.now), address, size), lambda _: self._end(transfer))

    def _end(self, transfer: int) -> None:
        self._pending -= 1
        self._complete(transfer)

    def counters(self) -> dict[str, int]:
        return {"bus_bytes": self._bytes, "read_bytes": self._bytes, "write_bytes": 0, "commands": self._timing.commands}

    def waiting(self) -> str:
        return f"flash: {self._pending} transfers pending"


def open_channel(env: simpy.Environment, spec: MemorySpec | FlashSpec, dma: DmaSpec, complete: Complete) -> Channel:
    """The engine of a memory."""
    if isinstance(spec, FlashSpec):
        return FlashChannel(env, spec, complete)
    if spec.device == IDEAL:
        return IdealChannel(env, spec, complete)
    return DramChannels(env, spec, dma.max_outstanding_bursts, dma.fabric_latency, complete)


def burst_bytes(spec: MemorySpec | FlashSpec | None) -> int:
    """Bytes that a memory moves at least; 1 for a flash, an ideal device or none."""
    if not isinstance(spec, MemorySpec) or spec.device == IDEAL:
        return 1
    return load_device(spec.device).burst_bytes


def capacity_bytes(spec: MemorySpec | FlashSpec | None) -> int | None:
    """Bytes that a memory holds; None for one that is absent or unbounded."""
    if isinstance(spec, FlashSpec):
        return spec.capacity
    if spec is None or spec.device == IDEAL:
        return None
    return load_device(spec.device).capacity_bytes * spec.channels


def peak_bytes_per_s(spec: MemorySpec | FlashSpec | None) -> Fraction | None:
    """Peak bytes per second; None where that is infinite or the memory is absent."""
    if isinstance(spec, FlashSpec):
        return Fraction(spec.bandwidth)
    if spec is None:
        return None
    if spec.device == IDEAL:
        return Fraction(spec.bandwidth) if spec.bandwidth else None
    device = load_device(spec.device)
    return Fraction(device.burst_bytes * spec.channels * FS_PER_S, device.n_burst * device.t_ck_fs)


def read_latency_ps(spec: MemorySpec) -> int:
    """From a read's arrival at an idle channel to its last data, in ps: of a DRAM with its row open."""
    if spec.device == IDEAL:
        return spec.latency
    device = load_device(spec.device)
    return (1 + device.n_cl + device.n_burst) * device.t_ck_fs // 1000

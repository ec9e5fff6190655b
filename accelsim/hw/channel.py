"""Memory channels: what each kind of memory promises to the DMA, and the engines that keep the promise.

A channel takes transfers (id, address, bytes, direction) in the order of their arrival and calls back when each is complete.
"""

from __future__ import annotations

from fractions import Fraction

import simpy

from accelsim.accelerator import Accelerator
from accelsim.hw.dram.channels import DramChannels
from accelsim.hw.dram.device import load_device
from accelsim.hw.engine import at_time
from accelsim.hw.flash import FlashSpec, FlashTiming
from accelsim.hw.memory import IDEAL, Channel, Complete, IdealTiming, MemorySpec


class IdealChannel:
    """A device with a latency and a bandwidth."""

    def __init__(self, env: simpy.Environment, spec: MemorySpec, complete: Complete) -> None:
        self._env, self._complete = env, complete
        self._timing = IdealTiming(spec.latency, spec.bandwidth)
        self._pending = 0
        self._bytes = {False: 0, True: 0}

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        del address
        self._pending += 1
        self._bytes[write] += size
        at_time(self._env, self._timing.serve(int(self._env.now), size), lambda _: self._end(transfer))

    def _end(self, transfer: int) -> None:
        self._pending -= 1
        self._complete(transfer)

    def counters(self) -> dict[str, int]:
        return {"bus_bytes": sum(self._bytes.values()), "read_bytes": self._bytes[False], "write_bytes": self._bytes[True]}

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


def open_channel(env: simpy.Environment, accelerator: Accelerator, memory: str, complete: Complete) -> Channel:
    """The engine of `memory` ('dram' or 'flash')."""
    if memory == "flash":
        assert accelerator.flash is not None  # the accelerator's own check: a placement names a memory that is there
        return FlashChannel(env, accelerator.flash, complete)
    assert accelerator.dram is not None
    if accelerator.dram.device == IDEAL:
        return IdealChannel(env, accelerator.dram, complete)
    return DramChannels(env, accelerator.dram, accelerator.dma.max_outstanding_bursts, accelerator.dma.fabric_latency, complete)


def burst_bytes(accelerator: Accelerator, memory: str) -> int:
    """Bytes that a memory moves at least; 1 for a flash or an ideal device."""
    if memory == "flash" or accelerator.dram is None or accelerator.dram.device == IDEAL:
        return 1
    return load_device(accelerator.dram.device).burst_bytes


def capacity_bytes(accelerator: Accelerator, memory: str) -> int | None:
    """Bytes that a memory holds; None for one that is absent or unbounded."""
    if memory == "flash":
        return accelerator.flash.capacity if accelerator.flash else None
    if accelerator.dram is None or accelerator.dram.device == IDEAL:
        return None
    return load_device(accelerator.dram.device).capacity_bytes * accelerator.dram.channels


def peak_bytes_per_cycle(accelerator: Accelerator, memory: str) -> Fraction | None:
    """Peak bytes a core cycle; None where it is infinite or the memory is absent."""
    if memory == "flash":
        return Fraction(accelerator.flash.bandwidth, accelerator.clock) if accelerator.flash else None
    if accelerator.dram is None:
        return None
    if accelerator.dram.device == IDEAL:
        return Fraction(accelerator.dram.bandwidth, accelerator.clock) if accelerator.dram.bandwidth else None
    device = load_device(accelerator.dram.device)
    per_burst = Fraction(device.n_burst * device.t_ck_fs, 10**15)  # seconds
    return device.burst_bytes * accelerator.dram.channels / per_burst / accelerator.clock


def peak_bytes_per_s(accelerator: Accelerator, memory: str) -> Fraction | None:
    """Peak bytes a second, as above."""
    rate = peak_bytes_per_cycle(accelerator, memory)
    return rate * accelerator.clock if rate is not None else None



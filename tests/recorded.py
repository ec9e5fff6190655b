"""What passes between the units of a machine in a run, recorded at their public inputs.

`run_recorded` gives what the compute cluster got from outside, in core cycles; `run_logged` every transfer that was issued, landed
or filled a tensor, in picoseconds, sorted (within one instant the order of the units is not part of the contract, and of several fills of a
tensor only the last counts). Both simulate
events; `sides_logged` gives the same log of a machine that is run as two sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from accelsim.accelerator import Accelerator
from accelsim.hw.channel import FlashChannel, IdealChannel
from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.dram.channels import DramChannels
from accelsim.hw.two_sides import run_sides
from accelsim.kernels import dma_state
from accelsim.program import Program
from accelsim.system import Outcome, run_program
from accelsim.timing import timing_of
from tests.naive_machine import Landings

Log = list[tuple[int, str, tuple[int, ...]]]


def run_recorded(accelerator: Accelerator, program: Program) -> tuple[Outcome, Landings]:
    """Run a program and note the core cycle of each landing and fill, and of what came to the shared level."""
    transfers: dict[int, int] = {}
    units: dict[tuple[int, int], int] = {}

    def note_land(cluster: ComputeCluster, transfer: int) -> None:
        transfers[transfer] = cluster.now_cycle

    def note_fill(cluster: ComputeCluster, load: int, offset: int, count: int) -> None:
        for unit in range(count):
            units.setdefault((load, unit), cluster.now_cycle)

    shared_transfers: dict[int, int] = {}
    shared_units: dict[tuple[int, int], int] = {}

    def note_reach(cluster: ComputeCluster, transfer: int) -> None:
        shared_transfers[transfer] = cluster.now_cycle

    def note_units(cluster: ComputeCluster, load: int, offset: int, count: int) -> None:
        for unit in range(count):
            shared_units.setdefault((load, unit), cluster.now_cycle)

    with pytest.MonkeyPatch.context() as patch:
        _before(patch, ComputeCluster, "land", note_land)
        _before(patch, ComputeCluster, "fill", note_fill)
        _before(patch, ComputeCluster, "reach", note_reach)
        _before(patch, ComputeCluster, "reach_units", note_units)
        outcome = run_program(accelerator, program, by_events=True)
    return outcome, Landings(transfers, units, shared_transfers, shared_units)


def run_logged(accelerator: Accelerator, program: Program) -> tuple[Outcome, Log]:
    """Run a program; every issue and landing of a transfer, fill of a tensor and end of a task that a job waits for, with its time."""
    log: Log = []

    def note(what: str) -> Callable[..., None]:
        def append(unit: Any, *args: int) -> None:
            env = unit.env if isinstance(unit, ComputeCluster) else unit._env
            log.append((int(env.now), what, args))

        return append

    with pytest.MonkeyPatch.context() as patch:
        for unit, method in ((ComputeCluster, "land"), (ComputeCluster, "fill")):
            _before(patch, unit, method, note(method))
        for channel in (IdealChannel, FlashChannel):
            _before(patch, channel, "submit", note("submit"))
        keep_time = DramChannels.__init__

        def with_env(channels: Any, env: Any, *args: Any) -> None:
            channels._env = env
            keep_time(channels, env, *args)

        patch.setattr(DramChannels, "__init__", with_env)
        _before(patch, DramChannels, "submit", note("submit"))
        outcome = run_program(accelerator, program, by_events=True)
    return outcome, _settled(log)


def sides_logged(accelerator: Accelerator, program: Program) -> Log:
    """Run a program as two sides; the log that `run_logged` gives of the events."""
    timing = timing_of(accelerator, program)
    events = np.zeros((1 << 16, dma_state.EVENT_WIDTH), np.int64)
    _, memory = run_sides(timing.clock_hz, timing.dma, program, timing.memories, timing.weight_memory, events=events)
    assert memory.logged < len(events)
    kinds = {dma_state.LOG_SUBMIT: ("submit", 4), dma_state.LOG_LAND: ("land", 1), dma_state.LOG_FILL: ("fill", 3)}
    log: Log = []
    for time, kind, *numbers in events[: memory.logged].tolist():
        what, count = kinds[kind]
        log.append((time, what, tuple(numbers[:count])))
    return _settled(log)


def _settled(log: Log) -> Log:
    """A log in order; of the fills of a tensor in one instant the one of the most units."""
    fills: dict[tuple[int, int, int], int] = {}
    for time, what, numbers in log:
        if what == "fill":
            load, offset, units = numbers
            fills[time, load, offset] = max(units, fills.get((time, load, offset), 0))
    others = [entry for entry in log if entry[1] != "fill"]
    return sorted([*others, *((time, "fill", (load, offset, units)) for (time, load, offset), units in fills.items())])


def _before(patch: pytest.MonkeyPatch, unit: type, method: str, note: Callable[..., None]) -> None:
    """Let `note` see every call of a method before it is done."""
    done = getattr(unit, method)

    def noted(self: Any, *args: Any) -> Any:
        note(self, *args)
        return done(self, *args)

    patch.setattr(unit, method, noted)

"""The machine: clusters, their DMAs and the memories wired together, run to the end of a program and checked.

The sums of every run are checked here: each cycle in one category, each byte received, each MAC once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import simpy

from accelsim.accelerator import Accelerator
from accelsim.errors import ConservationError, DeadlockError
from accelsim.hw.background import FIRST_ID, REGION_BYTES, BackgroundClient
from accelsim.hw.channel import capacity_bytes, open_channel
from accelsim.hw.clusters_together import ClustersTogether
from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.dma import Dma
from accelsim.hw.flash import FlashSpec
from accelsim.hw.l2 import L2, L2Spec
from accelsim.hw.l2_dma import L2Dma
from accelsim.hw.l2_port import L2Port
from accelsim.hw.memory import Channel, Complete, MemorySpec
from accelsim.hw.memory_side import can_run
from accelsim.hw.recorder import RecordedChannel, RecordedCluster, RecordedPort, RunRecorder
from accelsim.hw.shared_memory import SharedMemories, SharedTensors
from accelsim.hw.two_sides import run_sides
from accelsim.hw.weight_broadcast import WeightBroadcasts
from accelsim.kernels.compute_state import RUN_RESULTS
from accelsim.program import Program
from accelsim.progress import Progress
from accelsim.quantities import cycle_at
from accelsim.timing import Timing, timing_of

SERVED = 0.98  # share of a background client's rate below which the result says so
L2_TRAFFIC = ("activation_read", "activation_write", "weight_read", "fill", "drain")  # in the names of its counters
_COLUMN = {name: index for index, name in enumerate(RUN_RESULTS)}


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run of the machine.

    Attributes
    ----------
    cycles : core cycles until the last result reached its destination
    tail_cycles : of these, cycles after the cluster had ended, until the last write landed
    run_results : int64 (runs, columns of RUN_RESULTS)
    counters : named totals of the units
    warnings : caveats of this run
    cores : of several cores the outcome of each, up to its own end, with its own counters; cycles and results are then those of the core
        that ended last, counters those of all and of what they share
    last_core : the core that ended last
    """

    cycles: int
    tail_cycles: int
    run_results: np.ndarray
    counters: dict[str, int]
    warnings: tuple[str, ...] = ()
    cores: tuple[Outcome, ...] = ()
    last_core: int = 0

    @property
    def of_cores(self) -> tuple[Outcome, ...]:
        """The outcome of each core, in the order of the program's."""
        return self.cores or (self,)


def run_program(
    accelerator: Accelerator,
    program: Program,
    progress: Progress | None = None,
    recorder: RunRecorder | None = None,
    outcomes: MutableMapping[str, Outcome] | None = None,
    by_events: bool = False,
) -> Outcome:
    """Run a program to its end, and check that everything adds up.

    Parameters
    ----------
    recorder : records the traffic between the units; the run is the same without
    by_events : simulate events where the machine could be run as two sides; the same outcome, later
    outcomes : cache of earlier outcomes by `Timing.key`; read and extended unless there is a recorder

    Raises
    ------
    DeadlockError
        Every unit waits; the message names the event each one waits for.
    ConservationError
        Cycles or bytes do not add up.
    """
    timing = timing_of(accelerator, program)
    if outcomes is None or recorder is not None:
        outcome = _run(timing, progress, recorder, by_events)
    else:
        if timing.key not in outcomes:
            outcomes[timing.key] = _run(timing, progress, None, by_events)
        outcome = outcomes[timing.key]
    check_outcome(program, outcome)
    return outcome


def _run(timing: Timing, progress: Progress | None, recorder: RunRecorder | None, by_events: bool) -> Outcome:
    """Run the machine itself, without cache or checks."""
    memories = timing.memories
    alone = timing.l2 is None and not timing.program.others and not timing.program.shares_rom
    if recorder is None and not by_events and alone and can_run(memories.values()):
        return _run_sides(timing, memories, progress)
    return _run_events(timing, memories, progress, recorder)


def _run_sides(timing: Timing, memories: Mapping[str, MemorySpec | FlashSpec], progress: Progress | None) -> Outcome:
    """Run it as two sides that exchange promises."""
    cluster, memory = run_sides(timing.clock_hz, timing.dma, timing.program, memories, timing.weight_memory, progress)
    assert cluster.done_cycle is not None
    end = max(cluster.done_cycle, cycle_at(memory.last_landing_ps, timing.clock_hz))
    counters = memory.counters() | {"weight_buffer_taken_bytes": cluster.taken_bytes, "vector_busy_cycles": cluster.vector_busy_cycles}
    return Outcome(end, end - cluster.done_cycle, cluster.results, counters)


@dataclass(frozen=True)
class _Core:
    """A core that has work: its cluster, and its DMA."""

    cluster: ComputeCluster
    dma: Dma

    @property
    def busy(self) -> bool:
        """Whether something of it is about to happen."""
        return self.cluster.awake or self.dma.busy

    @property
    def ended(self) -> bool:
        """Whether its program has ended, and everything was moved."""
        return self.cluster.done_cycle is not None and self.dma.idle

    def outcome(self, clock_hz: int) -> Outcome:
        """Its outcome, up to its own end."""
        cluster, dma = self.cluster, self.dma
        assert cluster.done_cycle is not None
        end = max(cluster.done_cycle, cycle_at(dma.last_landing_ps, clock_hz))
        counters = dma.counters() | {
            "dma_received_bytes": dma.received_bytes,
            "dma_sent_bytes": dma.sent_bytes,
            "weight_buffer_taken_bytes": cluster.taken_bytes,
            "vector_busy_cycles": cluster.vector_busy_cycles,
        }
        return Outcome(end, end - cluster.done_cycle, cluster.results, counters)


def _run_events(
    timing: Timing, memories: Mapping[str, MemorySpec | FlashSpec], progress: Progress | None, recorder: RunRecorder | None
) -> Outcome:
    """Run it as a simulation of events."""
    env = simpy.Environment()
    programs = timing.program.cores
    others: list[BackgroundClient] = []

    def open_memory(name: str, complete: Complete) -> Channel:
        spec = memories[name]

        def ended(transfer: int) -> None:
            if transfer >= FIRST_ID:
                others[0].ended()
            else:
                complete(transfer)

        if recorder is None:
            return open_channel(env, spec, timing.dma, ended)
        watched = RecordedChannel(env, name, ended, recorder)
        watched.channel = open_channel(env, spec, timing.dma, watched.complete)
        return watched

    shared = SharedMemories(list(memories), len(programs), open_memory)
    port = None if timing.l2 is None else _open_port(env, timing.l2, timing.clock_hz, len(programs), recorder)
    tensors, broadcasts = SharedTensors(programs), WeightBroadcasts[Dma](programs)
    cores = {
        number: _open_core(env, timing, number, shared, tensors, broadcasts, port, recorder)
        for number, program in enumerate(programs)
        if program.runs.size
    }
    if timing.program.shares_rom:
        _share_rom(env, timing.clock_hz, cores, None if recorder is None else [recorder.of_core(core, len(programs)) for core in cores])
    for core in cores.values():
        core.cluster.poke()
        core.dma.pump()
    if timing.dram is not None and timing.dram.background is not None and "dram" in shared.channels:
        end = capacity_bytes(timing.dram) or REGION_BYTES

        def active() -> bool:
            return any(core.busy for core in cores.values())

        others.append(BackgroundClient(env, timing.dram.background, shared.channels["dram"], end, active))
    steps = 0
    first = next(iter(cores.values())).cluster
    while not all(core.ended for core in cores.values()):
        try:
            env.step()
        except simpy.core.EmptySchedule:
            units = [text for core in cores.values() for text in (core.cluster.waiting(), core.dma.waiting())]
            waiting = "; ".join([*units, *(channel.waiting() for channel in shared.channels.values())])
            raise DeadlockError(f"every unit waits. {waiting}") from None
        steps += 1
        if progress is not None and steps % 4096 == 0:
            progress("simulate", first.run_index, int(programs[0].runs.size))
    outcomes = tuple(cores[number].outcome(timing.clock_hz) if number in cores else _no_work() for number in range(len(programs)))
    last = max(range(len(outcomes)), key=lambda number: outcomes[number].cycles)
    counters: Counter[str] = Counter()
    for name, channel in shared.channels.items():
        counters.update({f"{name}_{key}": value for key, value in channel.counters().items()})
    if port is not None:
        counters["l2_busy_cycles"] = port.busy_cycles
    for outcome in outcomes:
        counters.update(outcome.counters)
    late = [client.served_share for client in others if client.served_share < SERVED]
    warnings = tuple(f"the background client got {100 * share:.0f} % of its requested bandwidth" for share in late)
    return replace(outcomes[last], counters=dict(counters), warnings=warnings, cores=outcomes if len(outcomes) > 1 else (), last_core=last)


def _no_work() -> Outcome:
    """The outcome of a core that has nothing to do."""
    counters = dict.fromkeys(("dma_received_bytes", "dma_sent_bytes", "weight_buffer_taken_bytes", "vector_busy_cycles"), 0)
    return Outcome(0, 0, np.zeros((0, len(RUN_RESULTS)), np.int64), counters)


def _open_port(env: simpy.Environment, spec: L2Spec, core_clock_hz: int, cores: int, recorder: RunRecorder | None) -> L2Port:
    """The port of the shared level, recorded if there is a recorder."""
    clock = spec.clock or core_clock_hz
    return L2Port(env, clock, spec, cores) if recorder is None else RecordedPort(env, clock, spec, cores, recorder)


def _open_core(
    env: simpy.Environment,
    timing: Timing,
    number: int,
    memories: SharedMemories,
    tensors: SharedTensors,
    broadcasts: WeightBroadcasts[Dma],
    port: L2Port | None,
    recorder: RunRecorder | None,
) -> _Core:
    """A core with its DMA; on a chip with a shared level, the DMA that crosses it."""
    program, clock = timing.program.cores[number], timing.clock_hz
    notes = None if recorder is None else recorder.of_core(number, memories.cores)
    cluster = ComputeCluster(env, clock, program) if notes is None else RecordedCluster(env, clock, program, notes)
    memory = memories.port(number)
    parts = (env, timing.dma, program, cluster, timing.weight_memory, memory, timing.activation_memory, number, tensors, broadcasts)
    dma = Dma(*parts) if port is None or timing.l2 is None else L2Dma(*parts, port, timing.l2.bypass)
    if notes is not None:
        _listen(dma, notes, memories.number)
    return _Core(cluster, dma)


def _share_rom(env: simpy.Environment, clock_hz: int, cores: Mapping[int, _Core], notes: Sequence[RunRecorder] | None) -> None:
    """Have the ports of one codebook ROM arbitrated between the cores."""
    together = ClustersTogether(env, clock_hz, [core.cluster for core in cores.values()])
    if notes is not None:
        together.on_denied = lambda core, cycle: notes[core].denied.append(cycle)


def _listen(dma: Dma, notes: RunRecorder, number: Callable[[int, int], int]) -> None:
    """Have the transfers of a DMA recorded, with the numbers that the memories know them by."""

    def cross(flight: int, core: int, client: str, asked_ps: int, crossed_ps: int) -> None:
        notes.cross(number(flight, core), client, asked_ps, crossed_ps)

    dma.on_issue = lambda issue: notes.issues.append(replace(issue, number=number(issue.number, issue.core)))
    if isinstance(dma, L2Dma):
        dma.on_cross = cross


def check_outcome(program: Program, outcome: Outcome) -> None:
    """The sums that hold in every run.

    Raises
    ------
    ConservationError
        A cycle in no category or in two, a byte lost or duplicated, a row the array did not see exactly once.
    """
    for core, own in zip(program.cores, outcome.of_cores, strict=True):
        _check_cycles(own)
        _check_rows(core, own)
        _check_macs(core)
        _check_loads(core, own)
        _check_traffic(core, own)
        _check_l2(core, own)
    _check_bus(program, outcome)


def _check_cycles(outcome: Outcome) -> None:
    """Every cycle falls in exactly one category, run by run and in total."""
    results, categories = outcome.run_results, _COLUMN["start"]
    booked = int(results[:, :categories].sum())
    clock = outcome.cycles - outcome.tail_cycles
    if booked != clock:
        raise ConservationError(f"categories of all runs sum to {booked} cycles, the clock counted {clock}")
    sums, spans = results[:, :categories].sum(axis=1), results[:, _COLUMN["end"]] - results[:, _COLUMN["start"]]
    if not np.array_equal(sums, spans):
        index = int(np.flatnonzero(sums != spans)[0])
        raise ConservationError(f"run {index}: categories sum to {int(sums[index])}, its span is {int(spans[index])} cycles")


def _check_rows(program: Program, outcome: Outcome) -> None:
    """The array sees each row of each tile once, or each group that leaves the decoder sees each row."""
    issued = outcome.run_results[:, _COLUMN["cp_rows"]]
    runs = program.runs
    if not np.array_equal(issued, runs["steps"]):
        index = int(np.flatnonzero(issued != runs["steps"])[0])
        raise ConservationError(f"run {index}: the array saw {int(issued[index])} rows, the program has {int(runs['steps'][index])}")


def _check_macs(program: Program) -> None:
    """The runs multiply each weight of a layer with each row once, and a reduction has as many K-tiles as it takes."""
    runs, macs = program.runs, np.zeros(len(program.layers), np.int64)
    np.add.at(macs, runs["layer"], runs["m"] * runs["k"] * runs["columns"] // runs["merged"])
    for layer_plan, found in zip(program.layers, macs.tolist(), strict=True):
        if found != layer_plan.macs:
            raise ConservationError(f"layer {layer_plan.name!r}: its runs have {found} MACs, the layer has {layer_plan.macs}")
    blocks, rest = np.divmod(program.runs["k"], program.runs["block"])
    rows = program.machine["rows"]
    tiles = (blocks * -(-program.runs["block"] // rows) + -(-rest // rows)) * np.maximum(1, program.runs["passes"])
    if not np.array_equal(tiles, program.runs["kt_count"]):
        index = int(np.flatnonzero(tiles != program.runs["kt_count"])[0])
        raise ConservationError(f"run {index}: {int(program.runs['kt_count'][index])} K-tiles, its reduction takes {int(tiles[index])}")


def _check_loads(program: Program, outcome: Outcome) -> None:
    """The loader reads each stream to its end, and frees all that was fetched."""
    words = outcome.run_results[:, _COLUMN["pushed"]]
    if not np.array_equal(words, program.runs["words"]):
        index = int(np.flatnonzero(words != program.runs["words"])[0])
        have = int(program.runs["words"][index])
        raise ConservationError(f"run {index}: the loader read {int(words[index])} words, its stream has {have}")
    streams = program.runs[program.runs["frees"] == 1]
    fetched = int((streams["base_bytes"] + streams["stream_bytes"]).max()) if streams.size else 0
    if outcome.counters["weight_buffer_taken_bytes"] != fetched:
        raise ConservationError(
            f"the weight buffer gave {outcome.counters['weight_buffer_taken_bytes']} bytes to the loader, its streams have {fetched}"
        )


def _check_traffic(program: Program, outcome: Outcome) -> None:
    """Bits booked to operands are those that the DMA moved."""
    planned = {True: 0, False: 0}
    for layer in program.layers:
        for (operand, _, write), bits in layer.bits.items():
            if operand != "burst_rounding":
                planned[write] += bits
        planned[False] += layer.figures.get("broadcast_bits", 0)
    for write, name in ((False, "dma_received_bytes"), (True, "dma_sent_bytes")):
        if planned[write] != 8 * outcome.counters[name]:
            raise ConservationError(f"operands of all layers sum to {planned[write]} bits, {name} is {outcome.counters[name]} bytes")


def _check_bus(program: Program, outcome: Outcome) -> None:
    """Bits of all cores, with burst rounding, are those that the memories outside the chip moved."""
    layers = [layer for core in program.cores for layer in core.layers]
    bus = sum(bits for layer in layers for (_, memory, _), bits in layer.bits.items() if memory != L2)
    sent = sum(value for key, value in outcome.counters.items() if key.endswith("_bus_bytes"))
    if bus != 8 * sent:
        raise ConservationError(f"operands and rounding of all layers sum to {bus} bits, the memories moved {sent} bytes")


def _check_l2(program: Program, outcome: Outcome) -> None:
    """Bytes into the shared level are those out of it: reads came from memory or lie there; writes stay, or go on to memory."""
    here = {True: 0, False: 0}
    for layer in program.layers:
        for (_, memory, write), bits in layer.bits.items():
            here[write] += bits if memory == L2 else 0
    moved = {name: outcome.counters.get(f"l2_{name}_bytes", 0) for name in L2_TRAFFIC}
    read, written = moved["activation_read"] + moved["weight_read"], moved["activation_write"]
    if 8 * (read - moved["fill"]) != here[False]:
        raise ConservationError(
            f"the buffers read {read} bytes from the L2, {moved['fill']} came from memory; {here[False]} bits lie there to be read"
        )
    if 8 * (written - moved["drain"]) != here[True]:
        raise ConservationError(
            f"the buffers wrote {written} bytes to the L2, {moved['drain']} went on to memory; {here[True]} bits were to stay"
        )

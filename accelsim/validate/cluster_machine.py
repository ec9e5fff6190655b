"""The compute cluster of a run, alone behind a memory that delivers by a schedule: products in a chain, requantized by the lanes.

The program is a `Program` like the compiler's, and `ComputeCluster` and `Dma` run it. Disputable assumption: the memory answers in
order, each transfer no earlier than its scheduled cycle and a fixed latency after it was issued.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from accelsim.errors import DeadlockError
from accelsim.hw.compute_cluster import ComputeCluster
from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.dma import Dma, DmaSpec
from accelsim.hw.engine import at_time
from accelsim.hw.lane_cycles import with_lane_cycles
from accelsim.hw.memory import Complete
from accelsim.kernels import compute_state
from accelsim.program import LayerPlan, Program, Transfers
from accelsim.quantities import PS_PER_S, cycle_at, edge_ps

CLOCK_HZ = PS_PER_S // 1000  # any: only cycles are reported
MAX_TRANSFERS = 64  # in flight: more than the weight buffer of any reference takes


@dataclass(frozen=True)
class ChainedRun:
    """One product: `m` rows, reduction `k`, `n` outputs, in the records of `geometry`.

    Attributes
    ----------
    source : number of the run whose requantized outputs are its rows; -1: the rows are there from the start
    """

    geometry: CoreGeometry
    m: int
    k: int
    n: int
    source: int

    @property
    def stripes(self) -> int:
        """N-stripes."""
        return -(-self.n // self.geometry.cols)

    @property
    def stream_bytes(self) -> int:
        """Bytes of its words of weights."""
        return self.geometry.words(self.k, self.stripes) * self.geometry.word_bits // 8


@dataclass(frozen=True)
class Supply:
    """How weights arrive: transfers of `transfer` bytes into a ring of `capacity` bytes.

    Attributes
    ----------
    latency : cycles from a transfer's issue to its landing, at the least
    earliest : cycle before which each transfer does not land
    """

    transfer: int
    capacity: int
    latency: int
    earliest: tuple[int, ...]


@dataclass(frozen=True)
class ClusterMachine:
    """A cluster and its program.

    Attributes
    ----------
    lanes, latency : of the vector unit: columns requantized per cycle, cycles from a row's last columns to its result
    accumulator_banks : 1 or 2
    runs : in the order in which the array takes them; all have one array and one number of shadow sets
    supply : None: all words are there from cycle 0
    """

    lanes: int
    latency: int
    accumulator_banks: int
    runs: tuple[ChainedRun, ...]
    supply: Supply | None

    def pieces(self) -> list[tuple[int, int, int]]:
        """(run, first byte, end) of each transfer, bytes counted within the run's stream; no transfer crosses a run."""
        if self.supply is None:
            return []
        step = self.supply.transfer
        return [
            (number, start, min(start + step, run.stream_bytes))
            for number, run in enumerate(self.runs)
            for start in range(0, run.stream_bytes, step)
        ]


@dataclass(frozen=True)
class ClusterOutcome:
    """Cycles of the program, the figures of each run by their names in RUN_RESULTS, and the landing of each transfer."""

    cycles: int
    runs: tuple[Mapping[str, int], ...]
    landings: tuple[int, ...]


def run_cluster(machine: ClusterMachine, accumulator_rule: int, accumulator_read: int = compute_state.SECOND_PORT) -> ClusterOutcome:
    """Run the program under an accumulator rule, PREDICTED or SIMPLE of `compute_state`, and one of its ACCUMULATOR_READS.

    Raises
    ------
    DeadlockError
        Transfers do not fit their ring.
    """
    return run_alone(chain_program(machine, accumulator_rule, accumulator_read), machine.supply)


def run_alone(program: Program, supply: Supply | None) -> ClusterOutcome:
    """Run a program that needs no more memory than its supply of weights.

    Raises
    ------
    DeadlockError
        See `run_cluster`.
    """
    env = simpy.Environment()
    cluster = ComputeCluster(env, CLOCK_HZ, program)
    spec = DmaSpec(transfer=supply.transfer if supply is not None else 1, max_transfers=MAX_TRANSFERS, fabric_latency=0)
    memories: list[_ScheduledMemory] = []

    def open_memory(_: str, complete: Complete) -> _ScheduledMemory:
        memories.append(_ScheduledMemory(env, supply, complete))
        return memories[-1]

    dma = Dma(env, spec, program, cluster, "dram", open_memory)
    cluster.poke()
    dma.pump()
    while cluster.done_cycle is None:
        try:
            env.step()
        except simpy.core.EmptySchedule:
            raise DeadlockError(f"every unit waits. {cluster.waiting()}; {dma.waiting()}") from None
    figures = [dict(zip(compute_state.RUN_RESULTS, row, strict=True)) for row in cluster.results.tolist()]
    return ClusterOutcome(cluster.done_cycle, tuple(figures), tuple(memories[0].landings))


class _ScheduledMemory:
    """Delivers transfers in order, each at the latest of its schedule, its latency and the landing before."""

    def __init__(self, env: simpy.Environment, supply: Supply | None, complete: Complete) -> None:
        self._env, self._supply, self._complete = env, supply, complete
        self.landings: list[int] = []

    def submit(self, transfer: int, address: int, size: int, write: bool) -> None:
        del address, size, write
        assert self._supply is not None  # a program without supply has no transfers
        issued = cycle_at(int(self._env.now), CLOCK_HZ)
        before = self.landings[-1] if self.landings else 0
        landing = max(issued + self._supply.latency, self._supply.earliest[len(self.landings)], before)
        self.landings.append(landing)
        at_time(self._env, edge_ps(landing, CLOCK_HZ), lambda _: self._complete(transfer))

    def counters(self) -> dict[str, int]:
        return {"bus_bytes": 0}

    def waiting(self) -> str:
        return f"{len(self.landings)} transfers scheduled"


def chain_program(machine: ClusterMachine, accumulator_rule: int, accumulator_read: int = compute_state.SECOND_PORT) -> Program:
    """The program that the machine runs."""
    core = machine.runs[0].geometry
    fields = dict.fromkeys(("codebook_latency", "codebook_sets", "chained", "port_accesses", "rows_per_cycle"), 1) | {
        "rows": core.rows,
        "cols": core.cols,
        "lanes": machine.lanes,
        "accumulator_banks": machine.accumulator_banks,
        "shadow_sets": core.shadow_sets,
        "drain_stages": core.drain_stages,
        "accumulator_rule": accumulator_rule,
        "accumulator_read": accumulator_read,
    }
    pieces = machine.pieces()
    bases = np.cumsum([0, *(run.stream_bytes for run in machine.runs)]).tolist()
    first_unit = np.cumsum([0, *(run.m * run.stripes for run in machine.runs)]).tolist()
    runs, tasks = [], []
    for number, run in enumerate(machine.runs):
        mine = [index for index, piece in enumerate(pieces) if piece[0] == number]
        runs.append(_run_fields(machine, number, bases[number], mine))
        tasks.append(_drain_fields(run, number, first_unit[number], machine.latency))
    capacity = machine.supply.capacity if machine.supply is not None else 0
    order = np.arange(len(tasks), dtype=np.int64)
    nothing = np.zeros(0, np.int64)
    machines = _as_array([fields], compute_state.MACHINE)
    return Program(
        machine=machines,
        runs=_as_array(runs, compute_state.RUN),
        tasks=with_lane_cycles(_as_array(tasks, compute_state.TASK), machines),
        drains=order,
        row_tasks=nothing,
        cb_runs=nothing,
        cb_words=nothing,
        group_cost=np.zeros(0, np.uint8),
        transfers=Transfers(
            address=np.array([bases[number] + start for number, start, _ in pieces], np.int64),
            size=np.array([end - start for _, start, end in pieces], np.int64),
            need=np.array([bases[number] + end - capacity for number, _, end in pieces], np.int64),
            gate=np.zeros(len(pieces), np.int64),
            visible=np.arange(len(pieces), dtype=np.int64),
            end=np.array([end for _, _, end in pieces], np.int64),
            layer=np.array([number for number, _, _ in pieces], np.int64),
            broadcast=np.full(len(pieces), -1),
        ),
        jobs=(),
        slots=(),
        loads=0,
        units=first_unit[-1],
        layers=tuple(LayerPlan(0, "", f"run {number}", "gemm", "", 0, {}, 0, {}, "") for number in range(len(machine.runs))),
        choices={},
        warnings=(),
        batch=1,
        peak_activation_bytes=0,
    )


def _run_fields(machine: ClusterMachine, number: int, base_bytes: int, transfers: Sequence[int]) -> dict[str, int]:
    """A run as the kernel takes it; `transfers` bring its words, and none do where all words are there from the start."""
    run = machine.runs[number]
    core, fed = run.geometry, run.source >= 0
    return {
        **dict.fromkeys(("codebook_load", "codebook_release", "cost0", "w_task", "in_fixed"), -1),
        "layer": number,
        "m": run.m,
        "k": run.k,
        "nt_count": run.stripes,
        "columns": run.n,
        "kt_count": core.tile_count(run.k),
        **core.scale_fields(),
        "d": core.codeword_length,
        "axis": core.axis,
        "ports": core.ports,
        "pop_bits": core.pop_bits,
        "buffer_bits": core.buffer_bits,
        "word_bits": core.word_bits,
        "words": core.words(run.k, run.stripes),
        "chunk0": transfers[0] if transfers else -1,
        "chunk_count": len(transfers),
        "base_bytes": base_bytes,
        "stream_bytes": run.stream_bytes,
        "frees": int(machine.supply is not None),
        "in_task": run.source,
        "in_tile_cols": core.cols if fed else 0,
        "in_rows": machine.runs[run.source].m if fed else 0,
        "in_cols": run.k,
        "out_task": number,
        "out_rows": run.m,
    }


def _drain_fields(run: ChainedRun, number: int, offset: int, latency: int) -> dict[str, int]:
    """The requantization of a run's outputs as the kernel takes it."""
    return {
        **dict.fromkeys(("chunk", "dep0", "dep1", "after0", "after1", "after2"), -1),
        "kind": compute_state.DRAIN,
        "ordinal": number,
        "offset": offset,
        "units": run.m * run.stripes,
        "rows": run.m,
        "tile_cols": run.geometry.cols,
        "width": run.n,
        "passes": 1,
        "latency": latency,
    }


def _as_array(records: Sequence[Mapping[str, int]], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Records as one structured array; fields that a record leaves out are 0."""
    names = dtype.names or ()
    return np.array([tuple(record.get(name, 0) for name in names) for record in records], dtype)

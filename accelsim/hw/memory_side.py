"""The DMA and the memories behind it as one of two sides that exchange promises: they run as far as the cluster has told rooms and ends.

The engine of events (`accelsim.hw.dma`, `accelsim.hw.channel`) says the same for every machine. Here are those whose memories can be run
without looking ahead: DRAM, a serial flash, an ideal device, and no client of a memory but the DMA.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np

from accelsim.hw.cluster_ahead import ClusterAhead, rows_of_runs
from accelsim.hw.dma import DmaSpec
from accelsim.hw.dram.channels import channel_parameters, command_counters, interleaved_bursts
from accelsim.hw.dram.device import load_device
from accelsim.hw.flash import FlashSpec
from accelsim.hw.memory import IDEAL, MemorySpec
from accelsim.kernels import dma_state as at
from accelsim.kernels import dma_step, dram, memories, run_ahead, serial_memory
from accelsim.kernels.compute_state import DRAIN, LOAD, NEVER
from accelsim.program import Program
from accelsim.quantities import PS_PER_S, cycle_at

FILLS = 256  # that one call of the kernel tells
_NO_COMMANDS = np.zeros((0, 6), np.int64)
_NO_SAMPLES = np.zeros(0, np.int64)
NO_EVENTS = np.zeros((0, at.EVENT_WIDTH), np.int64)


def can_run(specs: Iterable[MemorySpec | FlashSpec]) -> bool:
    """Whether these memories can be run without looking ahead."""
    return all(isinstance(spec, FlashSpec) or spec.background is None for spec in specs)


class MemorySide:
    """Moves the transfers and jobs of a program.

    Parameters
    ----------
    specs : the memories by name
    weight_memory : name of the one that holds the weights; the jobs' is `dram`
    events : int64 (n, EVENT_WIDTH), takes what happens, as `dma_state` says
    """

    def __init__(
        self,
        clock_hz: int,
        spec: DmaSpec,
        program: Program,
        cluster: ClusterAhead,
        specs: Mapping[str, MemorySpec | FlashSpec],
        weight_memory: str,
        events: np.ndarray = NO_EVENTS,
    ) -> None:
        self._clock_hz, self._fabric_ps, self._cluster, self._program = clock_hz, spec.fabric_latency, cluster, program
        self._specs = {name: specs[name] for name in sorted(specs)}
        rows = _first_rows(self._specs)
        params = np.zeros(at.DMA_PARAMETERS, np.int64)
        params[at.D_PLACES], params[at.D_TRANSFER], params[at.D_FABRIC] = spec.max_transfers, spec.transfer, spec.fabric_latency
        params[at.D_CORE_HZ], params[at.D_WEIGHTS] = clock_hz, rows[weight_memory]
        params[at.D_ACTIVATIONS] = rows.get("dram", -1)
        self._dma = np.zeros(at.DMA_STATE, np.int64)
        self._dma[at.DECIDE_AT] = 0
        flights = np.zeros((spec.max_transfers, at.FLIGHT_WIDTH), np.int64)
        flights[:, at.F_WHAT] = at.FREE_PLACE
        self._jobs, after, parts = job_records(program, spec.transfer)
        self._fills = np.zeros((FILLS + spec.max_transfers, at.FILL_WIDTH), np.int64)
        self._rows = rows
        self._memories, self._states, memory_params = memory_records(list(self._specs.values()), spec)
        self._before = (params, program.transfers.address, program.transfers.size, cluster.promises, cluster.room, cluster.opened)
        self._behind = (
            self._jobs, after, parts, cluster.task_end, self._memories, self._states, memory_params, flights, cluster.land,
            self._fills, events, _NO_COMMANDS, _NO_SAMPLES,
        )  # fmt: skip
        host_jobs = np.flatnonzero(self._jobs[:, at.J_ADDRESS] < 0)
        self._last_host_job = params[at.D_LAST_HOST_JOB] = int(host_jobs[-1]) if host_jobs.size else -1

    def advance(self, known: int) -> int:
        """Run as far as it goes when rooms, gates and ends are told up to cycle `known`; the cycle up to which all landings are told."""
        while True:
            self._dma[at.FILLED] = 0
            time = int(dma_step.run_memory_side(self._dma, *self._before, known, *self._behind))
            filled = int(self._dma[at.FILLED])
            if filled:
                self._cluster.fill(self._fills[:filled])
            if filled < FILLS:
                break
        if time >= NEVER:
            return NEVER
        left = self._dma[at.NEXT_JOB] <= self._last_host_job
        return cycle_at(time if left else time + self._fabric_ps, self._clock_hz) - 1  # what the host puts there needs no fabric

    @property
    def moved(self) -> int:
        """A number that grows with everything that happens."""
        return int(self._dma[at.ISSUED] + self._dma[at.NEXT_JOB] + self._dma[at.RECEIVED] + self._dma[at.SENT])

    @property
    def quiet(self) -> bool:
        """Whether nothing lands until the cluster tells of a room, a gate or an end."""
        return bool(self._dma[at.QUIET])

    @property
    def logged(self) -> int:
        """Rows of `events` in use."""
        return int(self._dma[at.LOGGED])

    @property
    def idle(self) -> bool:
        """Whether everything was moved."""
        dma = self._dma
        return (
            not dma[at.IN_FLIGHT]
            and int(dma[at.NEXT_WEIGHT]) == self._program.transfers.address.size
            and int(dma[at.NEXT_JOB]) == len(self._program.jobs)
        )

    @property
    def last_landing_ps(self) -> int:
        return int(self._dma[at.LAST_LANDING])

    def counters(self) -> dict[str, int]:
        """Named totals of the DMA and of each memory."""
        totals = {"dma_received_bytes": int(self._dma[at.RECEIVED]), "dma_sent_bytes": int(self._dma[at.SENT])}
        for name, spec in self._specs.items():
            first = self._rows[name]
            states = self._states[first : first + _row_count(spec)]
            totals |= {f"{name}_{key}": value for key, value in self._memory_counters(spec, self._memories[first], states).items()}
        return totals

    @staticmethod
    def _memory_counters(spec: MemorySpec | FlashSpec, memory: np.ndarray, states: np.ndarray) -> dict[str, int]:
        read, written = int(memory[memories.READ_BYTES]), int(memory[memories.WRITTEN_BYTES])
        totals = {"bus_bytes": read + written, "read_bytes": read, "write_bytes": written}
        if isinstance(spec, FlashSpec):
            return totals | {"commands": int(states[0, serial_memory.COMMANDS])}
        totals["background_bytes"] = 0
        return totals if spec.device == IDEAL else totals | command_counters(states)

    def waiting(self) -> str:
        """Describe the pending work, for a deadlock's message."""
        dma = self._dma
        moving = int(dma[at.IN_FLIGHT])
        return (
            f"DMA: weight transfer {dma[at.NEXT_WEIGHT]} of {self._program.transfers.address.size}, activation job {dma[at.NEXT_JOB]} of "
            f"{len(self._program.jobs)}, {moving} transfers on their way; {', '.join(self._specs)}: {moving} transfers pending"
        )


def job_records(program: Program, transfer: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(jobs, the tasks and writes that each waits for, bytes that have landed of each of their transfers), as `dma_state` has them."""
    jobs = np.zeros((len(program.jobs), at.JOB_WIDTH), np.int64)
    tasks = program.tasks
    loads = tasks[tasks["kind"] == LOAD]
    offset = dict(zip(loads["ordinal"].tolist(), loads["offset"].tolist(), strict=True))
    last_weight, last_row = _last_weights(program), _last_rows(program)
    after: list[int] = []
    parts = 0
    for number, job in enumerate(program.jobs):
        piece = job.size // job.pieces
        row = jobs[number]
        row[at.J_WRITE], row[at.J_ADDRESS], row[at.J_SIZE] = job.write, job.address, job.size
        row[at.J_ROW_BYTES], row[at.J_ROWS], row[at.J_LOAD], row[at.J_OFFSET] = job.row_bytes, job.rows, job.load, offset[job.load]
        row[at.J_PIECE_BYTES], row[at.J_PITCH] = piece, job.pitch
        row[at.J_NEXT_PART] = parts
        row[at.J_AFTER], row[at.J_AFTER_JOBS] = len(after), len(after) + len(job.after)
        after += [*job.after, *job.after_jobs]
        row[at.J_AFTER_END] = len(after)
        row[at.J_LAST_WEIGHT] = max((last_weight[task] for task in job.after), default=-1)
        row[at.J_LAST_ROW] = max((last_row[task] for task in job.after), default=0)
        row[at.J_DONE] = NEVER
        parts += job.pieces * -(-piece // transfer) if job.address >= 0 else 0
    return jobs, np.array(after, np.int64), np.zeros(parts, np.int64)


def _last_weights(program: Program) -> list[int]:
    """Of each task, the last weight-side transfer that it needs by itself; -1: none."""
    last = program.tasks["chunk"].copy()
    last[program.tasks["kind"] == LOAD] = -1
    runs = program.runs[program.runs["chunk0"] >= 0]
    np.maximum.at(last, runs["out_task"], runs["chunk0"] + runs["chunk_count"] - 1)
    return _with_operands(program, last)


def _last_rows(program: Program) -> list[int]:
    """Of each task, how many rows the array issues up to the last of those that it needs by itself."""
    rows = rows_of_runs(program)[1:, run_ahead.ROWS_BEFORE]
    last = np.zeros(program.tasks.size, np.int64)
    np.maximum.at(last, program.runs["out_task"], rows)
    return _with_operands(program, last)


def _with_operands(program: Program, last: np.ndarray) -> list[int]:
    """The last that each task needs: of row functions also what their operands need."""
    tasks = program.tasks
    for dependency in ("dep0", "dep1"):
        rows = np.flatnonzero((tasks["kind"] != LOAD) & (tasks["kind"] != DRAIN))
        needed = tasks[dependency][rows]
        last[rows] = np.where(needed >= 0, np.maximum(last[rows], last[needed]), last[rows])
    return [int(value) for value in last]


def memory_records(specs: Sequence[MemorySpec | FlashSpec], dma: DmaSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(memories, states, parameters) of `accelsim.kernels.memories`, a row for each channel; narrower arrays are padded."""
    rows = np.zeros((sum(_row_count(spec) for spec in specs), memories.MEMORY_WIDTH), np.int64)
    params: list[np.ndarray] = []
    states: list[np.ndarray] = []
    for spec in specs:
        if isinstance(spec, FlashSpec) or spec.device == IDEAL:
            rows[len(params), memories.KIND] = memories.SERIAL
            params.append(serial_parameters(spec))
            states.append(np.zeros(serial_memory.SERIAL_STATE, np.int64))
            states[-1][serial_memory.NEXT_ADDRESS] = -1
            continue
        device = load_device(spec.device)
        for _ in range(spec.channels):
            row = rows[len(params)]
            row[memories.KIND], row[memories.CLOCK_HZ], row[memories.BURST_BYTES] = memories.DRAM, device.clock_hz, device.burst_bytes
            row[memories.CHANNELS], row[memories.BLOCK] = spec.channels, interleaved_bursts(spec, device.burst_bytes)
            params.append(channel_parameters(spec, dma.max_outstanding_bursts, dma.fabric_latency))
            states.append(dram.new_state(params[-1]))
    return rows, _padded(states), _padded(params)


def _row_count(spec: MemorySpec | FlashSpec) -> int:
    """Rows of a memory: one for each channel of a DRAM."""
    return 1 if isinstance(spec, FlashSpec) or spec.device == IDEAL else spec.channels


def _first_rows(specs: Mapping[str, MemorySpec | FlashSpec]) -> dict[str, int]:
    """The first row of each memory."""
    ends = accumulate((_row_count(spec) for spec in specs.values()), initial=0)
    return dict(zip(specs, ends, strict=False))


def serial_parameters(spec: MemorySpec | FlashSpec) -> np.ndarray:
    """Parameters of a memory that serves one transfer after the other."""
    params = np.zeros(serial_memory.SERIAL_PARAMETERS, np.int64)
    params[serial_memory.S_BANDWIDTH] = spec.bandwidth
    if isinstance(spec, FlashSpec):
        params[serial_memory.S_LATENCY] = -(-(spec.command_cycles + spec.dummy_cycles) * PS_PER_S // spec.clock)
    else:
        params[serial_memory.S_IDEAL], params[serial_memory.S_LATENCY] = 1, spec.latency
    return params


def _padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    out = np.zeros((len(arrays), max(array.size for array in arrays)), np.int64)
    for row, array in zip(out, arrays, strict=True):
        row[: array.size] = array
    return out

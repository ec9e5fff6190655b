"""Replay of a request trace on one channel; the figures carry their units in their names.

Disputable assumption: `cycles` ends with the last data on the bus, so a refresh after it does not count; writes are posted, so
only reads have a latency (from acceptance to the last data).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import ControllerPolicy
from accelsim.hw.dram.device import FS_PER_S, DramDevice
from accelsim.hw.dram.mapping import DEFAULT_MAPPING
from accelsim.hw.dram.memory_trace import MemoryTrace, transfers_of
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at
from accelsim.kernels.dram_state import Ints

TRANSFERS = 256  # submitted to the kernel at once, at least; twice the reads in flight is enough for any trace


@dataclass(frozen=True)
class ReplayResult:
    """Figures of one replay; cycles are of the memory clock."""

    device: str
    mapping: str
    policy: str
    max_outstanding_bursts: int
    reads: int  # bursts in the trace
    writes: int
    cycles: int  # to the end of the last data on the bus
    time_us: float
    bus_bytes: int
    bandwidth_gb_per_s: float  # 10^9 bytes per second
    peak_bandwidth_gb_per_s: float
    bus_busy_pct: float
    row_hits: int
    row_conflicts: int  # rows closed for a request to another row
    row_misses: int  # activations of a bank that was found closed
    hit_rate: float  # 1 - activates / (read and write commands)
    read_latency_mean_cycles: float
    read_latency_p50_cycles: int
    read_latency_p95_cycles: int
    read_latency_p99_cycles: int
    read_latency_max_cycles: int
    activate_commands: int
    precharge_commands: int
    read_commands: int
    write_commands: int
    refresh_commands: int
    turnarounds: int  # changes of the data bus's direction
    forwarded_reads: int  # answered from a queued write
    merged_bursts: int  # that shared the command of another one
    writes_left: int  # that the policy never drained

    def to_dict(self) -> dict[str, object]:
        """The fields by name, as plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class ReplayRun:
    """Outcome of a replay: the result, the final state, the command log int64 (n, 6) and the read latencies int64 (reads,)."""

    result: ReplayResult
    state: Ints
    log: Ints
    read_latency_cycles: Ints


def _percentile(ordered: Ints, percent: int) -> int:
    """The smallest value that at least `percent` of the values do not exceed; 0 of none."""
    return int(ordered[max(0, -(-len(ordered) * percent // 100) - 1)]) if len(ordered) else 0


def run_replay(
    trace: MemoryTrace,
    device: DramDevice,
    policy: ControllerPolicy,
    mapping: str = DEFAULT_MAPPING,
    max_outstanding_bursts: int = 32,
    log_commands: int = 0,
) -> ReplayRun:
    """`replay` with the state, the first `log_commands` commands and every read's latency.

    Raises
    ------
    ConfigError, ReferenceDataError
        For an unknown mapping, a number out of range, an address past the device.
    """
    params = parameters(device, policy, mapping, max_outstanding_bursts, max_transfers=max(TRANSFERS, 2 * max_outstanding_bursts))
    transfers = transfers_of(trace, device)
    log = np.zeros((log_commands, at.LOG_WIDTH), np.int64)
    samples = np.zeros(len(trace.cycle) - int(trace.is_write.sum()), np.int64)
    state = dram.new_state(params)
    dram.replay(state, params, *transfers, log, samples)
    return ReplayRun(_result(state, samples, device, policy, mapping, max_outstanding_bursts), state, log[: state[at.LOGGED]], samples)


def replay(
    trace: MemoryTrace,
    device: DramDevice,
    policy: ControllerPolicy,
    mapping: str = DEFAULT_MAPPING,
    max_outstanding_bursts: int = 32,
) -> ReplayResult:
    """Offer the bursts of `trace` in order, at most one per cycle and `max_outstanding_bursts` reads in flight, until all are served."""
    return run_replay(trace, device, policy, mapping, max_outstanding_bursts).result


def _result(
    state: Ints, samples: Ints, device: DramDevice, policy: ControllerPolicy, mapping: str, max_outstanding_bursts: int
) -> ReplayResult:
    count = {name: int(state[place]) for name, place in _COUNTERS.items()}
    columns = count["read_commands"] + count["write_commands"]
    cycles = int(state[at.END])
    seconds = cycles * device.t_ck_fs / FS_PER_S
    ordered = np.sort(samples)
    return ReplayResult(
        device=device.name,
        mapping=mapping,
        policy=policy.name,
        max_outstanding_bursts=max_outstanding_bursts,
        cycles=cycles,
        time_us=seconds * 1e6,
        bus_bytes=columns * device.burst_bytes,
        bandwidth_gb_per_s=columns * device.burst_bytes / seconds / 1e9 if cycles else 0.0,
        peak_bandwidth_gb_per_s=device.peak_bytes_per_s / 1e9,
        bus_busy_pct=100 * columns * device.n_burst / cycles if cycles else 0.0,
        row_hits=columns - count["activate_commands"],
        row_misses=count["activate_commands"] - count["row_conflicts"],
        hit_rate=1 - count["activate_commands"] / columns if columns else 0.0,
        read_latency_mean_cycles=float(state[at.LATENCY_SUM]) / len(samples) if len(samples) else 0.0,
        read_latency_p50_cycles=_percentile(ordered, 50),
        read_latency_p95_cycles=_percentile(ordered, 95),
        read_latency_p99_cycles=_percentile(ordered, 99),
        read_latency_max_cycles=int(state[at.LATENCY_MAX]),
        writes_left=int(state[at.QUEUED + 1]),
        **count,
    )


_COUNTERS = {
    "reads": at.READ_BURSTS,
    "writes": at.WRITE_BURSTS,
    "activate_commands": at.ACTIVATES,
    "precharge_commands": at.PRECHARGES_AT_END,
    "read_commands": at.READS,
    "write_commands": at.WRITES,
    "refresh_commands": at.REFRESHES_AT_END,
    "row_conflicts": at.CONFLICTS,
    "turnarounds": at.TURNAROUNDS,
    "forwarded_reads": at.FORWARDED_READS,
    "merged_bursts": at.MERGED,
}

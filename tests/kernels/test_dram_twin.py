"""The DRAM kernels issue the commands of the clock-by-clock twin, in the same cycles, on loads made to collide."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import POLICIES, ControllerPolicy
from accelsim.hw.dram.device import DramDevice, load_device
from accelsim.hw.dram.mapping import MAPPINGS
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at
from accelsim.presets import preset_names
from tests.naive_dram import NaiveDram, Transfer, violations

DEVICES = preset_names("dram")
CYCLES = 3500


def collisions(rng: np.random.Generator, device: DramDevice, mapping: str, writes: float) -> list[Transfer]:
    """Short transfers in three rows of every bank, in bursts of arrivals with idle time between: row conflicts, repeated addresses."""
    arrival = np.cumsum(rng.choice([0, 0, 0, 1, 3, 40, 300], size=50))
    row_step = device.bursts // device.rows
    rows, within = rng.integers(0, 3, 50), rng.integers(0, min(row_step, 8 * device.banks), 50)
    if mapping == "RoBaBgCo":
        within = rng.integers(0, device.banks, 50) * device.bursts_per_row + rng.integers(0, 4, 50)
    is_write = rng.random(50) < writes
    return [(int(arrival[i]), int(is_write[i]), int(rows[i] * row_step + within[i]), int(rng.integers(1, 6))) for i in range(50)]


def streams(rng: np.random.Generator, device: DramDevice, writes: float) -> list[Transfer]:
    """Long transfers, most of them where the one before ended: rows are read to their end, and every few of them another row collides."""
    out: list[Transfer] = []
    arrival = burst = 0
    while sum(transfer[3] for transfer in out) < 900:
        count = int(rng.choice([2, 16, 64, 130]))
        if rng.random() < 0.3:
            burst = int(rng.integers(0, device.bursts - 200))
        arrival += int(rng.choice([0, 0, 0, 5, 700]))
        out.append((arrival, int(rng.random() < writes), burst, count))
        burst = (burst + count) % (device.bursts - 200)
    return out


def kernel_run(
    device: DramDevice, policy: ControllerPolicy, mapping: str, mo: int, transfers: list[Transfer], release: int
) -> tuple[list[tuple[int, ...]], dict[int, int], list[int]]:
    params = parameters(device, policy, mapping, mo, release, max_transfers=100)
    state = dram.new_state(params)
    log, samples = np.zeros((5000, at.LOG_WIDTH), np.int64), np.zeros(2000, np.int64)
    for number, transfer in enumerate(transfers):
        assert dram.submit(state, params, number, *transfer)
    completed = {}
    while state[at.NOW] < CYCLES:
        dram.advance(state, params, CYCLES, log, samples)
        for cycle, number in at.report_of(state, params)[: state[at.REPORTED]].tolist():
            completed[number] = cycle
    commands = [tuple(entry) for entry in log[: state[at.LOGGED]].tolist()]
    return commands, completed, samples[: state[at.SAMPLED]].tolist()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("name", DEVICES)
def test_kernel_issues_the_commands_of_the_twin(name: str, mapping: str, policy: str) -> None:
    preset = POLICIES[policy]
    small = preset.with_fields(read_queue=6, write_queue=8, drain_above=5, drain_below=min(3, preset.drain_below))
    loads = ((1, 0.0, 4, 900, preset, 1), (2, 0.5, 32, 700, preset, 1), (3, 0.9, 3, 800, small, 30), (4, 0.3, 32, 1100, small, 1))
    for seed, writes, mo, refresh, chosen, release in loads:
        device = load_device(name).with_fields(n_refi=refresh)
        transfers = collisions(np.random.default_rng(seed), device, mapping, writes)
        twin = NaiveDram(device, chosen, mapping, mo, release)
        twin.run(transfers, CYCLES)
        commands, completed, latencies = kernel_run(device, chosen, mapping, mo, transfers, release)
        assert [entry for entry in commands if entry[0] < CYCLES] == [entry for entry in twin.log if entry[0] < CYCLES]
        assert completed == {number: cycle for number, cycle in twin.completed.items() if not twin.left[number] and cycle < CYCLES}
        assert latencies == twin.latencies
        assert violations(twin.log, device) == []


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("name", DEVICES)
def test_long_reads_of_open_rows_take_the_commands_of_the_twin(name: str, mapping: str, policy: str) -> None:
    loads = ((1, 0.0, 32, 900, 1), (2, 0.1, 64, 1700, 30), (3, 0.0, 7, 100_000, 1))
    for seed, writes, mo, refresh, release in loads:
        device = load_device(name).with_fields(n_refi=refresh)
        transfers = streams(np.random.default_rng(seed), device, writes)
        twin = NaiveDram(device, POLICIES[policy], mapping, mo, release)
        twin.run(transfers, CYCLES)
        commands, completed, latencies = kernel_run(device, POLICIES[policy], mapping, mo, transfers, release)
        assert [entry for entry in commands if entry[0] < CYCLES] == [entry for entry in twin.log if entry[0] < CYCLES]
        assert completed == {number: cycle for number, cycle in twin.completed.items() if not twin.left[number] and cycle < CYCLES}
        assert latencies == twin.latencies

"""A DRAM channel gives the same commands however its run is cut, copied or compiled: the contract of a cycle engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import POLICIES
from accelsim.hw.dram.device import load_device
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at
from accelsim.presets import preset_names
from tests.kernels.test_dram_twin import collisions

CYCLES = 4000
DEVICES = preset_names("dram")


class Channel:
    """A channel with its logs and its transfers, submitted when the run reaches their arrival."""

    def __init__(self, name: str, policy: str, seed: int = 5) -> None:
        device = load_device(name).with_fields(n_refi=800)
        self.params = parameters(device, POLICIES[policy], "RoBaBgCo", 8, 3, max_transfers=60)
        self.state = dram.new_state(self.params)
        self.log, self.samples = np.zeros((4000, at.LOG_WIDTH), np.int64), np.zeros(1000, np.int64)
        self.completed: list[tuple[int, int]] = []
        for number, transfer in enumerate(collisions(np.random.default_rng(seed), device, "RoBaBgCo", 0.4)):
            dram.submit(self.state, self.params, number, *transfer)

    def run(self, until: int) -> None:
        """Advance to `until`, over any number of completions."""
        while self.state[at.NOW] < until:
            dram.advance(self.state, self.params, until, self.log, self.samples)
            report = at.report_of(self.state, self.params)[: self.state[at.REPORTED]].tolist()
            self.completed += sorted((cycle, number) for cycle, number in report)

    def outcome(self) -> tuple[list[list[int]], list[tuple[int, int]], list[int], list[int]]:
        """Commands, completions, latencies, and the state but for what the last call reported."""
        state = self.state[: self.params[at.P_AT_REPORT]].copy()
        state[at.REPORTED] = 0
        return self.log[: state[at.LOGGED]].tolist(), self.completed, self.samples[: state[at.SAMPLED]].tolist(), state.tolist()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", DEVICES)
def test_one_go_equals_one_cycle_at_a_time_and_random_cuts(name: str, policy: str) -> None:
    whole, single, cut = Channel(name, policy), Channel(name, policy), Channel(name, policy)
    whole.run(CYCLES)
    for until in range(1, CYCLES + 1):
        single.run(until)
    for until in sorted(np.random.default_rng(6).integers(1, CYCLES, 300).tolist()):
        cut.run(until)
    cut.run(CYCLES)
    assert len(whole.completed) == 50
    assert single.outcome() == whole.outcome()
    assert cut.outcome() == whole.outcome()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_copy_that_ran_ahead_is_what_the_original_becomes(policy: str) -> None:
    straight, looked = Channel("lpddr5-6400-x16", policy), Channel("lpddr5-6400-x16", policy)
    straight.run(CYCLES)
    none, nothing = np.zeros((0, at.LOG_WIDTH), np.int64), np.zeros(0, np.int64)
    while looked.state[at.NOW] < CYCLES:
        ahead = looked.state.copy()
        until = int(dram.advance(ahead, looked.params, CYCLES, none, nothing))
        looked.run((int(looked.state[at.NOW]) + until + 1) // 2)
        looked.run(until)
        counted = slice(0, int(looked.params[at.P_AT_REPORT]))
        assert ahead[counted].tolist() == looked.state[counted].tolist()
    assert looked.outcome()[:3] == straight.outcome()[:3]


def test_advance_stops_after_the_first_cycle_with_a_completion() -> None:
    channel = Channel("ddr4-2400-x64", "frfcfs")
    end = dram.advance(channel.state, channel.params, at.NEVER, channel.log, channel.samples)
    report = at.report_of(channel.state, channel.params)[: channel.state[at.REPORTED]]
    assert len(report) >= 1
    assert set(report[:, at.DONE_CYCLE].tolist()) == {end - 1}
    assert channel.state[at.INCOMPLETE] == 50 - len(report)


def test_a_read_completes_with_its_last_data_and_a_write_when_its_last_burst_is_queued() -> None:
    device = load_device("lpddr4-3200-x32")
    params = parameters(device, POLICIES["frfcfs"], "RoBaBgCo", 32)
    none, nothing = np.zeros((0, at.LOG_WIDTH), np.int64), np.zeros(0, np.int64)
    state = dram.new_state(params)
    dram.submit(state, params, 7, 100, 0, 0, 4)
    # accepted at 100; ACT at 101, RD at 101 + 29 and every 8 cycles; data 28 + 8 cycles after the fourth
    assert dram.advance(state, params, at.NEVER, none, nothing) - 1 == 101 + 29 + 3 * 8 + 28 + 8
    dram.submit(state, params, 8, 1000, 1, 0, 4)
    assert dram.advance(state, params, at.NEVER, none, nothing) - 1 == 1003
    assert at.report_of(state, params)[0].tolist() == [1003, 8]


def test_submit_says_when_there_is_no_room() -> None:
    params = parameters(load_device("lpddr4-3200-x32"), POLICIES["frfcfs"], "RoBaBgCo", 32, max_transfers=2)
    state = dram.new_state(params)
    assert [dram.submit(state, params, number, 0, 0, 0, 1) for number in range(3)] == [True, True, False]


def test_idle_time_is_skipped_with_the_refreshes_of_a_run_that_ticks() -> None:
    skipped, ticked = Channel("lpddr4-3200-x16", "frfcfs"), Channel("lpddr4-3200-x16", "frfcfs")
    skipped.run(40_000)
    for until in range(CYCLES, 40_001, 7):
        ticked.run(until)
    ticked.run(40_000)
    assert skipped.outcome() == ticked.outcome()
    assert int(skipped.state[at.REFRESHES]) == 49  # 800, 1600, ... 39200; the one due at 40,000 is not simulated


SCRIPT = """
import hashlib
from accelsim.hw.dram.controller import POLICIES
from tests.engine.test_dram_horizon import Channel, DEVICES
digest = hashlib.sha256()
for name in DEVICES:
    for policy in POLICIES:
        channel = Channel(name, policy)
        channel.run(1500)
        digest.update(repr(channel.outcome()).encode())
print(digest.hexdigest())
"""


def test_the_kernels_do_without_the_compiler_what_they_do_with_it() -> None:
    root = Path(__file__).resolve().parents[2]
    digests = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=root,
            env=os.environ | {"NUMBA_DISABLE_JIT": flag},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flag in ("0", "1")
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", DEVICES)
def test_a_run_along_its_line_is_that_of_transfers_submitted_on_arrival(name: str, policy: str) -> None:
    """Beyond `until` a channel goes on while transfers stand in line: what arrives since then is submitted late and changes nothing."""
    device = load_device(name).with_fields(n_refi=800)
    for seed in range(5):
        transfers = collisions(np.random.default_rng(seed), device, "RoBaBgCo", 0.4)
        told, late = Channel(name, policy, seed), Channel(name, policy, seed)
        told.run(3 * CYCLES)
        late.state = dram.new_state(late.params)
        late_by = 0
        for number, transfer in enumerate(transfers):
            while late.state[at.REPORTED] or late.state[at.INCOMPLETE]:
                before = int(late.state[at.NOW])
                dram.advance_with_line(late.state, late.params, transfer[0], late.log, late.samples)
                late.completed += at.report_of(late.state, late.params)[: late.state[at.REPORTED]].tolist()
                if late.state[at.REPORTED] == 0 or before >= transfer[0]:
                    break
            late_by += int(late.state[at.NOW]) > transfer[0]
            dram.submit(late.state, late.params, number, *transfer)
        while late.state[at.NOW] < 3 * CYCLES:
            dram.advance(late.state, late.params, 3 * CYCLES, late.log, late.samples)
            late.completed += at.report_of(late.state, late.params)[: late.state[at.REPORTED]].tolist()
        assert late_by > 5
        assert late.log[: late.state[at.LOGGED]].tolist() == told.log[: told.state[at.LOGGED]].tolist()
        assert sorted((cycle, number) for cycle, number in late.completed) == told.completed


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("outstanding", [40, 64])
def test_a_write_behind_a_full_queue_of_reads_is_taken_wherever_the_run_is_cut(policy: str, outstanding: int) -> None:
    def channel() -> Channel:
        made = Channel.__new__(Channel)
        made.params = parameters(load_device("lpddr4-3200-x32"), POLICIES[policy], "RoBaBgCo", outstanding, 200, max_transfers=60)
        made.state, made.completed = dram.new_state(made.params), []
        made.log, made.samples = np.zeros((4000, at.LOG_WIDTH), np.int64), np.zeros(1000, np.int64)
        for number, (write, first, bursts) in enumerate([(0, 0, 36), (1, 300, 1), (0, 36, 4), (1, 301, 1), (0, 40, 2)]):
            dram.submit(made.state, made.params, number, 0, write, first, bursts)
        return made

    whole, single = channel(), channel()
    whole.run(CYCLES)
    for until in range(1, CYCLES + 1):
        single.run(until)
    assert sorted(number for _, number in whole.completed) == [0, 1, 2, 3, 4]
    assert single.outcome() == whole.outcome()

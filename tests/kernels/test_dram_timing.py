"""Each timing parameter binds where it should: tight gates on the kernel, and a checker that misses none of them."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import POLICIES
from accelsim.hw.dram.device import CONSTRAINTS, DramDevice, load_device
from accelsim.kernels import dram
from accelsim.kernels import dram_device as kernel
from accelsim.kernels import dram_state as at
from accelsim.presets import preset_names
from tests.kernels.test_dram_twin import collisions
from tests.naive_dram import ACT, PRE, RD, REF, WR, Entry, concerns, rules, violations

DEVICES = preset_names("dram")
START = 5000

# Parameters that cannot bind on a device when they alone are a cycle longer, and why.
CANNOT_BIND = {
    "ddr4-2400-x64": {},
    "lpddr4-3200-x16": {
        "n_rrd_s": "there is one bank group",
        "n_ccd_s": "there is one bank group",
        "n_wtr_s": "there is one bank group",
    },
    "lpddr5-6400-x16": {},
}
CANNOT_BIND["lpddr4-3200-x32"] = CANNOT_BIND["lpddr4-3200-x16"]
PARAMETERS = tuple(field for field in DramDevice.model_fields if field.startswith("n_") and field not in ("n_aad", "n_wck_post"))


def issued(device: DramDevice, command: int, b: int, state: at.Ints, params: at.Ints, now: int) -> None:
    log = np.zeros((0, at.LOG_WIDTH), np.int64)
    if command == ACT:
        kernel.issue_act(state, params, log, b, 0, now)
    elif command == PRE:
        kernel.issue_pre(state, params, log, b, now)
    elif command == REF:
        kernel.issue_ref(state, params, log, now)
    else:
        state[at.WCK_UNTIL] = at.NEVER  # the data clock runs: no CAS before the RD or WR
        kernel.issue_column(state, params, log, command, b, 0, now)


@pytest.mark.parametrize("name", DEVICES)
def test_a_command_is_blocked_a_cycle_before_its_constraint_ends_and_ready_when_it_does(name: str) -> None:
    device = load_device(name)
    params = parameters(device, POLICIES["frfcfs"], "RoBaBgCo", 32)
    banks = [(b // device.banks_per_group, b % device.banks_per_group) for b in range(device.banks)]
    for before in (ACT, PRE, RD, WR, REF):
        for b in range(device.banks):
            state = dram.new_state(params)
            issued(device, before, b, state, params, START)
            where = (-1, -1) if before == REF else banks[b]
            for after in (ACT, PRE, RD, WR):
                for other, place in enumerate(banks):
                    waits = [
                        cycles
                        for first, then, scope, cycles in rules(device)
                        if (first, then) == (before, after) and concerns(scope, where, place)
                    ]
                    earliest = kernel.ready(state, params, after, other)
                    assert max(earliest, START) == START + max(waits, default=0), (before, after, b, other)
        assert max(int(state[at.RANK_READY + at.REF]), START) == START + {PRE: device.n_rp, REF: device.n_rfc}.get(before, 0)


@pytest.mark.parametrize("name", DEVICES)
def test_a_fifth_activation_waits_for_the_window_of_four(name: str) -> None:
    device = load_device(name).with_fields(n_faw=500)
    params = parameters(device, POLICIES["frfcfs"], "RoBaBgCo", 32)
    state = dram.new_state(params)
    for number, b in enumerate((0, 1, 2, 3)):
        assert kernel.ready(state, params, ACT, b) <= START + 100 * number
        issued(device, ACT, b, state, params, START + 100 * number)
    assert kernel.ready(state, params, ACT, 4) == START + 500  # the first of the four leaves the window


def test_every_distance_of_the_references_is_a_row_of_the_table() -> None:
    scopes = {"same bank": {"bank"}, "same bank group": {"group"}, "rank": {"others", "rank"}}
    ours = {(row.before, row.after, scope) for row in CONSTRAINTS for scope in scopes[row.scope]}
    for before, after, scope, _ in rules(load_device("ddr4-2400-x64")):
        assert (before, after, scope) in ours, (before, after, scope)


@cache
def streams(name: str) -> tuple[list[Entry], ...]:
    """Command streams of the kernel that bring every constraint to its limit: collisions, and one bank or one direction at a time."""
    device = load_device(name).with_fields(n_refi=1500)
    column = device.bursts_per_row
    near = [(0, 0, i * column, 1) for i in range(device.banks)]
    one_bank = [(3000 * i, i % 2, i * column * device.banks, 1) for i in range(4)]
    conflicts = [(400 * i, 0, j * column * device.banks, 1) for i in range(4) for j in (2 * i, 2 * i + 1)]
    switch = [(400 * i, j % 2, k * column, 8) for i in range(6) for j, k in ((i, 0), (i + 1, i % 3 * device.bank_groups))]
    loads = [near, one_bank, conflicts, switch]
    loads += [
        collisions(np.random.default_rng(seed), device, "RoBaBgCo", writes) for seed, writes in ((1, 0.0), (2, 0.5), (3, 0.8), (4, 0.3))
    ]
    logs = []
    for transfers in loads:
        for policy in POLICIES.values():
            params = parameters(device, policy, "RoBaBgCo", 32, max_transfers=64)
            state = dram.new_state(params)
            log = np.zeros((3000, at.LOG_WIDTH), np.int64)
            columns = np.array(transfers, np.int64)
            dram.replay(state, params, *(np.ascontiguousarray(columns[:, i]) for i in range(4)), log, np.zeros(0, np.int64))
            logs.append([tuple(entry) for entry in log[: state[at.LOGGED]].tolist()])
    return tuple(logs)


@pytest.mark.parametrize("name", DEVICES)
def test_the_checker_finds_nothing_in_the_kernels_command_streams(name: str) -> None:
    device = load_device(name).with_fields(n_refi=1500)
    assert [found for log in streams(name) for found in violations(log, device)] == []


@pytest.mark.parametrize("field", PARAMETERS)
@pytest.mark.parametrize("name", DEVICES)
def test_the_checker_finds_a_violation_when_a_parameter_that_can_bind_is_a_cycle_longer(name: str, field: str) -> None:
    device = load_device(name).with_fields(n_refi=1500)
    # one parameter alone, as no device could have it (n_rp without n_rc), for the checker to read
    longer = SimpleNamespace(**{**device.model_dump(), field: getattr(device, field) + 1})
    found = any(violations(log, cast(DramDevice, longer)) for log in streams(name))
    assert found != (field in CANNOT_BIND[name]), CANNOT_BIND[name].get(field, "no stream brings it to its limit")

"""How fast the DRAM kernel is: bursts a CPU second of a sequential read, beside reads at random."""

from __future__ import annotations

import time
from collections.abc import Callable

import numba
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import POLICIES
from accelsim.hw.dram.device import load_device
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at

BURSTS = 1_000_000


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="targets are those of compiled kernels; `make test` runs this folder compiled")
def test_a_burst_of_a_stream_costs_a_third_of_a_burst_at_random_or_less(
    benchmark: BenchmarkFixture, show_target: Callable[[str, str, str], None]
) -> None:
    device = load_device("lpddr4-3200-x32")
    params = parameters(device, POLICIES["frfcfs"], "RoBaBgCo", 32)
    log, samples = np.zeros((0, at.LOG_WIDTH), np.int64), np.zeros(0, np.int64)

    def run(first: at.Ints, bursts: at.Ints) -> float:
        state = dram.new_state(params)
        start = time.process_time()
        dram.replay(state, params, first * 0, first * 0, first, bursts, log, samples)
        return time.process_time() - start

    one = np.ones(1, np.int64)
    addresses = np.random.default_rng(1).integers(0, device.bursts, BURSTS // 10)
    run(one, one)  # compiles
    benchmark.pedantic(run, (one * 0, one * BURSTS), rounds=3)
    stream = min(run(one * 0, one * BURSTS) for _ in range(3)) / BURSTS
    random = min(run(addresses, np.ones_like(addresses)) for _ in range(3)) / len(addresses)
    show_target("DRAM kernel, sequential bursts a CPU second", "10,000,000", f"{1 / stream:,.0f}")
    assert 3 * stream < random

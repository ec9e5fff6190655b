"""How fast the DRAM kernel is: bursts per CPU second of a sequential read, beside reads at random."""

from __future__ import annotations

import time

import numba
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import POLICIES
from accelsim.hw.dram.device import load_device
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at
from tests.benchmarks.speed import Speed


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="targets are those of compiled kernels; `make test` runs this folder compiled")
def test_a_burst_of_a_stream_costs_a_third_of_a_burst_at_random_or_less(benchmark: BenchmarkFixture, speed: Speed) -> None:
    count = speed.size(1_000_000, 10_000)
    device = load_device("lpddr4-3200-x32")
    params = parameters(device, POLICIES["frfcfs"], "RoBaBgCo", 32)
    log, samples = np.zeros((0, at.LOG_WIDTH), np.int64), np.zeros(0, np.int64)

    def run(first: at.Ints, bursts: at.Ints) -> None:
        dram.replay(dram.new_state(params), params, first * 0, first * 0, first, bursts, log, samples)

    one = np.ones(1, np.int64)
    addresses = np.random.default_rng(1).integers(0, device.bursts, count // 10)
    run(one, one)  # compiles
    benchmark.pedantic(run, (one * 0, one * count), rounds=3)
    stream, random = speed.seconds(
        lambda: run(one * 0, one * count), lambda: run(addresses, np.ones_like(addresses)), clock=time.process_time, turns=3, calls=1
    )
    speed.show("DRAM kernel, sequential bursts per CPU second", count / stream, at_least=10_000_000)
    speed.judge("DRAM kernel, sequential bursts, of the speed of random ones", random / len(addresses) * count / stream, at_least=3)

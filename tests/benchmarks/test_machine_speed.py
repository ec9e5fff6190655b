"""How long compiling and simulating take, as multiples of work that every machine has: float32 products, bare events, DRAM bursts.

A ratio of times of one run carries from one machine to another better than seconds do; what NumPy's product is worth still depends on
the vector units of the processor and on its BLAS library.
"""

from __future__ import annotations

import time
from functools import partial

import numba
import numpy as np
import pytest
import simpy
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from accelsim.accelerator import load_accelerator
from accelsim.compiler.compile import compile_trace
from accelsim.hw.dram.channel import parameters
from accelsim.hw.dram.controller import POLICIES
from accelsim.hw.dram.device import load_device
from accelsim.kernels import dram
from accelsim.kernels import dram_state as at
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.system import run_program
from accelsim.trace.trace import load_trace
from tests.benchmarks.speed import Speed

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="targets are those of compiled kernels; `make test` runs this folder compiled"
)
PRODUCTS = 100
EVENTS = 10_000
# accelerator, trace -> most hundreds of products that one simulation may take; compiling its program may take half of it
TARGETS = {
    ("edge-32x32", "deit_tiny_int8"): 2.5,
    ("edge-64x64-x16", "deit_tiny_ssvq_k16d8"): 1.2,
    ("mcu-16x16", "deit_tiny_int8"): 3.0,
}


def products(left: np.ndarray, right: np.ndarray) -> None:
    """A hundred float32 products."""
    for _ in range(PRODUCTS):
        left @ right


@pytest.mark.parametrize(("accelerator", "trace"), TARGETS)
def test_a_simulation_is_shown_as_a_multiple_of_a_hundred_products(
    accelerator: str, trace: str, benchmark: BenchmarkFixture, speed: Speed
) -> None:
    machine, network = load_accelerator(accelerator), load_trace(built_in().traces / trace)
    rng = np.random.default_rng(0)
    works = (
        partial(products, rng.random((197, 192), np.float32), rng.random((192, 576), np.float32)),
        partial(compile_trace, machine, network),
        partial(simulate, machine, network),
    )
    benchmark.pedantic(works[-1], rounds=1)
    with threadpool_limits(1):
        unit, compiling, whole = speed.seconds(*works, clock=time.process_time, turns=7, calls=1)
    target = TARGETS[accelerator, trace]
    what = f"{trace} on {accelerator}, hundreds of float32 products 197x192x576"
    speed.show(f"simulate {what}", whole / unit, at_most=target)
    speed.show(f"compile {what}", compiling / unit, at_most=target / 2)


@pytest.mark.parametrize(("accelerator", "trace"), TARGETS)
def test_a_simulation_of_events_is_shown_as_a_multiple_of_two_sides(
    accelerator: str, trace: str, benchmark: BenchmarkFixture, speed: Speed
) -> None:
    machine, network = load_accelerator(accelerator), load_trace(built_in().traces / trace)
    program = compile_trace(machine, network)
    rng = np.random.default_rng(0)
    unit = partial(products, rng.random((197, 192), np.float32), rng.random((192, 576), np.float32))
    works = (unit, partial(run_program, machine, program), partial(run_program, machine, program, by_events=True))
    benchmark.pedantic(works[-1], rounds=1)
    with threadpool_limits(1):
        hundred, sides, events = speed.seconds(*works, clock=time.process_time, calls=1)
    what = f"run {trace} on {accelerator}"
    speed.show(f"{what} as two sides, hundreds of float32 products 197x192x576", sides / hundred)
    speed.show(f"{what} by events, times as two sides", events / sides)


def test_a_transfer_is_shown_as_a_multiple_of_a_bare_timeout(benchmark: BenchmarkFixture, speed: Speed) -> None:
    machine, network = load_accelerator("edge-32x32"), load_trace(built_in().traces / "deit_tiny_int8")
    program = compile_trace(machine, network)

    def timeouts() -> None:
        env = simpy.Environment()
        for delay in range(EVENTS):
            env.timeout(delay)
        env.run()

    run = partial(run_program, machine, program)
    benchmark.pedantic(run, rounds=1)
    bare, whole = speed.seconds(timeouts, run, clock=time.process_time, calls=1)
    transfers = program.transfers.size.size + len(program.jobs)
    speed.show("a DMA transfer of int8 on edge-32x32 with all behind it, SimPy timeouts", whole / transfers / (bare / EVENTS))


def test_a_run_is_shown_as_a_multiple_of_its_bursts_in_the_dram_kernel(benchmark: BenchmarkFixture, speed: Speed) -> None:
    machine, network = load_accelerator("edge-64x64"), load_trace(built_in().traces / "deit_tiny_int8")
    program = compile_trace(machine, network)
    device = load_device("lpddr4-3200-x32")
    params = parameters(device, POLICIES["frfcfs"], "RoBaBgCo", 32)
    bursts = np.array([run_program(machine, program).counters["dram_bus_bytes"] // device.burst_bytes])
    log, samples, none = np.zeros((0, at.LOG_WIDTH), np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64)

    def alone() -> None:
        dram.replay(dram.new_state(params), params, none, none, none, bursts, log, samples)

    run = partial(run_program, machine, program)
    alone()  # compiles
    benchmark.pedantic(run, rounds=1)
    kernel, whole = speed.seconds(alone, run, clock=time.process_time, calls=1)
    speed.show("run int8 on edge-64x64, times its bursts in the DRAM kernel alone", whole / kernel)

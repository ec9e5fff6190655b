"""How fast the core's kernel is, beside its slow twin on the same run."""

from __future__ import annotations

import time

import numba
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.hw.decode_mac_core import CoreGeometry, WordSupply, run_stand_alone
from tests.benchmarks.speed import Speed
from tests.core_reference import rtl_rows
from tests.naive_core import simulate_core


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="targets are those of compiled kernels; `make test` runs this folder compiled")
def test_the_kernel_is_at_least_ten_times_as_fast_as_its_twin(benchmark: BenchmarkFixture, speed: Speed) -> None:
    rows = rtl_rows()
    parameters, expected = max(rows.values(), key=lambda row: row[1]["words"])
    r, c, d, kcb, p, w, decode, sign, axis, max_m, m, k, n, *supply = parameters
    geometry = CoreGeometry(r, c, d, kcb, p, w, bool(decode), bool(sign), axis, max_m)

    def run() -> object:
        return run_stand_alone(geometry, m, k, n, WordSupply(*supply))

    run()  # compiles
    benchmark(run)
    (compiled,) = speed.seconds(run, clock=time.process_time, turns=1)
    (naive,) = speed.seconds(lambda: simulate_core(*parameters), clock=time.process_time, turns=1, calls=1)
    speed.show("core kernel, cycles per CPU second", expected["cycles"] / compiled)
    speed.judge("core kernel, of its twin's speed", naive / compiled, at_least=10)

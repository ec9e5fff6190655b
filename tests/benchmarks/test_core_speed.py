"""How fast the core's kernel is, beside its slow twin on the same run."""

from __future__ import annotations

import time
from collections.abc import Callable

import numba
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.hw.decode_mac_core import CoreGeometry, WordSupply, run_stand_alone
from tests.core_reference import rtl_rows
from tests.naive_core import simulate_core


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="targets are those of compiled kernels; `make test` runs this folder compiled")
def test_the_kernel_is_at_least_ten_times_as_fast_as_its_twin(
    benchmark: BenchmarkFixture, show_target: Callable[[str, str, str], None]
) -> None:
    rows = rtl_rows()
    parameters, expected = max(rows.values(), key=lambda row: row[1]["words"])
    r, c, d, kcb, p, w, decode, sign, axis, max_m, m, k, n, *supply = parameters
    geometry = CoreGeometry(r, c, d, kcb, p, w, bool(decode), bool(sign), axis, max_m)

    def run() -> object:
        return run_stand_alone(geometry, m, k, n, WordSupply(*supply))

    run()  # compiles
    benchmark(run)
    compiled, naive = min(cpu_seconds(run) for _ in range(3)), cpu_seconds(lambda: simulate_core(*parameters))
    show_target("core kernel, cycles a CPU second", "10 x its twin", f"{expected['cycles'] / compiled:,.0f} ({naive / compiled:.0f} x)")
    assert naive >= 10 * compiled

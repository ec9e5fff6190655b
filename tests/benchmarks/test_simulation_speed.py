"""How fast a simulation of the whole DeiT-tiny is: in process, as a command, and as the first command ever; and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.simulate import simulate
from accelsim.trace.trace import load_trace

Show = Callable[[str, str, str], None]
TRACES = built_in().traces
MIB_LIMIT = 400


def _cpu_seconds(accelerator: str, traces: tuple[str, ...], rounds: int = 8) -> dict[str, float]:
    """Least CPU seconds of each trace; they take turns, so that a machine that slows down slows all of them."""
    machine, networks = load_accelerator(accelerator), {trace: load_trace(TRACES / trace) for trace in traces}
    best = dict.fromkeys(traces, float("inf"))
    for _ in range(rounds + 1):  # the first round loads the kernels
        for trace, network in networks.items():
            start = time.process_time()
            simulate(machine, network)
            best[trace] = min(best[trace], time.process_time() - start)
    return best


@pytest.mark.parametrize("accelerator", ["edge-32x32", "edge-64x64-x16", "mcu-16x16"])
def test_a_compressed_network_is_simulated_faster_than_the_int8_one(
    accelerator: str, benchmark: BenchmarkFixture, show_target: Show
) -> None:
    seconds = _cpu_seconds(accelerator, ("deit_tiny_int8", "deit_tiny_ssvq_k16d8"))
    for trace, value in seconds.items():
        show_target(f"simulate {trace} on {accelerator}, CPU s", "<= 0.13", f"{value:.3f}")
    benchmark.pedantic(_cpu_seconds, (accelerator, ("deit_tiny_ssvq_k16d8",), 1), rounds=1)
    assert seconds["deit_tiny_ssvq_k16d8"] < 1.1 * seconds["deit_tiny_int8"]  # a third of the transfers; 10 % for a noisy machine


# VmHWM is the process's own: the peak that getrusage tells is inherited from the process that forked it
_RUN_AND_TELL_PEAK = """
import sys
from accelsim.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


def _command(cache: Path) -> tuple[float, float]:
    """(wall seconds, peak resident MiB) of `accelsim run` in a process of its own."""
    command = [sys.executable, "-c", _RUN_AND_TELL_PEAK, "run", "edge-32x32", str(TRACES / "deit_tiny_ssvq_k16d8")]
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "ACCELSIM_CACHE_DIR": str(cache)})
    return time.perf_counter() - start, int(done.stderr.split()[-2]) / 1024


def test_a_warm_command_is_faster_than_the_first_one(tmp_path: Path, benchmark: BenchmarkFixture, show_target: Show) -> None:
    first, compiling_mib = _command(tmp_path)
    warm, running_mib = min(_command(tmp_path) for _ in range(3))
    peak_mib = max(compiling_mib, running_mib)
    show_target("accelsim run, first ever, wall s", "< 25", f"{first:.1f}")
    show_target("accelsim run, warm cache, wall s", "< 2", f"{warm:.2f}")
    show_target("accelsim run, peak resident MiB", f"< {MIB_LIMIT}", f"{peak_mib:.0f}")
    benchmark.pedantic(_command, (tmp_path,), rounds=1)
    assert warm < first
    assert peak_mib < MIB_LIMIT

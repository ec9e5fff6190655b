"""How fast a simulation of the whole DeiT-tiny is: in process, as a command, and as the first command ever; and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace
from tests.benchmarks.speed import Speed

TRACES = built_in().traces
MIB_LIMIT = 525


@pytest.mark.parametrize("accelerator", ["edge-32x32", "edge-64x64-x16", "mcu-16x16"])
def test_a_compressed_network_is_simulated_about_as_fast_as_the_int8_one(
    accelerator: str, benchmark: BenchmarkFixture, speed: Speed
) -> None:
    machine = load_accelerator(accelerator)
    runs = {name: partial(simulate, machine, load_trace(TRACES / name)) for name in ("deit_tiny_int8", "deit_tiny_ssvq_k16d8")}
    seconds = dict(zip(runs, speed.seconds(*runs.values(), clock=time.process_time, turns=9, calls=1), strict=True))
    for trace, value in seconds.items():
        speed.show(f"simulate {trace} on {accelerator}, CPU s", value, at_most=0.13)
    benchmark.pedantic(runs["deit_tiny_ssvq_k16d8"], rounds=1)
    ratio = seconds["deit_tiny_int8"] / seconds["deit_tiny_ssvq_k16d8"]  # a third of the transfers; a tenth for a noisy machine
    speed.judge(f"simulate SSVQ on {accelerator}, of the speed of int8", ratio, at_least=0.9)


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


def test_a_second_command_compiles_nothing_and_is_faster(tmp_path: Path, benchmark: BenchmarkFixture, speed: Speed) -> None:
    first, compiling_mib = _command(tmp_path)
    compiled = _written(tmp_path)
    warm, running_mib = min([benchmark.pedantic(_command, (tmp_path,), rounds=1), *(_command(tmp_path) for _ in range(speed.size(2, 0)))])
    peak_mib = max(compiling_mib, running_mib)
    speed.show("accelsim run, first ever, wall s", first, at_most=25)
    speed.show("accelsim run, warm cache, wall s", warm, at_most=2)
    speed.show("accelsim run, peak resident MiB", peak_mib, at_most=MIB_LIMIT)
    assert compiled
    assert _written(tmp_path) == compiled
    assert peak_mib < MIB_LIMIT
    speed.judge("accelsim run, warm cache, of the speed of the first ever", first / warm, at_least=1)


def _written(cache: Path) -> dict[str, int]:
    """Each file of a kernel cache, and when it was written."""
    return {str(path.relative_to(cache)): path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}

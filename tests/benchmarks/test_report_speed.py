"""How fast help, costs of a saved run, and questions to a large sweep are answered. Seconds are shown, not judged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.accelerator import load_accelerator
from accelsim.cost.recost import recost
from accelsim.cost.technology import load_technology
from accelsim.simulation import simulate
from accelsim.stored_result import load_result
from accelsim.sweeps.pareto import pareto_front
from accelsim.sweeps.store import open_store
from accelsim.trace.trace import load_trace
from tests.benchmarks.speed import Speed
from tests.sweep.test_store import row

ROOT = Path(__file__).resolve().parents[2]


def children_seconds() -> float:
    """Processor time of the commands that have ended, which other work on the machine does not stretch."""
    times = os.times()
    return times.children_user + times.children_system


def command(*words: str) -> None:
    """Run accelsim in a process of its own."""
    subprocess.run([sys.executable, "-m", "accelsim", *words], check=True, capture_output=True, cwd=ROOT)


def test_help_is_shown_beside_its_target(benchmark: BenchmarkFixture, speed: Speed) -> None:
    def run() -> None:
        command("run", "--help")

    benchmark.pedantic(run, rounds=1)
    speed.show("accelsim run --help, CPU s", *speed.seconds(run, clock=children_seconds), at_most=0.3)


def test_another_technology_of_a_saved_run_is_cheaper_than_the_run(tmp_path: Path, benchmark: BenchmarkFixture, speed: Speed) -> None:
    machine, trace, node = load_accelerator("edge-32x32"), load_trace(ROOT / "traces/deit_tiny_int8"), load_technology("range28")
    (tmp_path / "result.json").write_text(simulate(machine, trace).to_json())
    saved = load_result(tmp_path)
    benchmark(recost, saved, node)
    again, simulated = speed.seconds(lambda: recost(saved, node), lambda: simulate(machine, trace), clock=time.process_time)
    speed.show("a saved run in another technology, CPU s", again, at_most=1)
    speed.show(
        "accelsim report of a saved run, CPU s",
        *speed.seconds(lambda: command("report", str(tmp_path), "--technology", "range28"), clock=children_seconds),
        at_most=1.5,
    )
    speed.judge("a saved run in another technology, of the speed of simulating it", simulated / again, at_least=1)


def test_a_store_of_a_hundred_thousand_rows_is_shown_beside_its_target(tmp_path: Path, benchmark: BenchmarkFixture, speed: Speed) -> None:
    path, count = tmp_path / "s.sqlite", speed.size(100_000, 1_000)
    with open_store(path) as store:
        store.add_runs([row(number, trace=f"t{number % 10}") for number in range(count)])

    def run() -> None:
        with open_store(path) as store:
            assert sum(1 for _ in store.rows(["run_id", "total_cycles", "energy_uj", "area_mm2"], where={"trace": "t3"})) == count // 10
            assert sum(1 for _ in store.rows(["milliseconds", "energy_uj", "area_mm2"])) == count

    benchmark.pedantic(run, rounds=1)
    speed.show(
        "100,000 rows of a store, opened, filtered and read, CPU s", *speed.seconds(run, clock=time.process_time, calls=1), at_most=2
    )


def test_the_front_of_a_hundred_thousand_points_is_shown_beside_its_target(benchmark: BenchmarkFixture, speed: Speed) -> None:
    costs = np.random.default_rng(0).random((100_000, 3))
    costs[:, 2] = 1 - costs[:, 0] * costs[:, 1]  # a long front
    assert benchmark(pareto_front, costs).sum() > 1000
    speed.show("Pareto front of 100,000 points, CPU s", *speed.seconds(lambda: pareto_front(costs), clock=time.process_time), at_most=2)

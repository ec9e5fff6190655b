"""The engine's contract: how far a prediction looks, whether kernels are compiled, and in which order units were made change nothing.

Compared are whole event logs (every issue, landing and fill with its picosecond), the results of every run and every counter.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from accelsim.compiler.compile import compile_trace
from accelsim.hw import compute_cluster
from tests.engine.machines import machines
from tests.recorded import run_logged
from tests.tiny_machines import gemm_chain, tiny_accelerator

MACHINES = machines()
ROOT = Path(__file__).parents[2]


def story(name: str) -> str:
    """All that happens on a machine, as text."""
    accelerator, trace = MACHINES[name]
    outcome, log = run_logged(accelerator, compile_trace(accelerator, trace))
    return json.dumps([outcome.cycles, outcome.tail_cycles, outcome.run_results.tolist(), sorted(outcome.counters.items()), log])


def digest(name: str) -> str:
    return hashlib.sha256(story(name).encode()).hexdigest()


@pytest.mark.parametrize("name", MACHINES)
def test_predicting_far_is_one_cycle_at_a_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    far = story(name)
    for cycles in (1, 7, 512, 1 << 40):
        monkeypatch.setattr(compute_cluster, "LOOK_AHEAD", cycles)
        assert story(name) == far, f"LOOK_AHEAD = {cycles}"


def test_an_array_that_takes_several_rows_per_cycle_does_so_in_steady_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator = tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 64, "rows_per_cycle": 2}, vector_unit={"lanes": 0, "latency": 0})
    program = compile_trace(accelerator, gemm_chain(64, [16, 8], ["int8"], [""]))
    far = run_logged(accelerator, program)[0]
    monkeypatch.setattr(compute_cluster, "LOOK_AHEAD", 1)
    assert run_logged(accelerator, program)[0].cycles == far.cycles
    busy = far.run_results[:, list(compute_cluster.compute_state.CATEGORIES).index("busy")].sum()
    assert busy == 4 * 2 * 64 / 2  # K-tiles, N-tiles, rows


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compares with compiled kernels")
def test_plain_python_tells_the_same_story_in_another_process() -> None:
    script = (
        "import json, sys\n"
        "from tests.engine.test_engine_windows import digest\n"
        "print(json.dumps({name: digest(name) for name in json.loads(sys.argv[1])}))"
    )
    names = [name for name in MACHINES if "refreshes" not in name]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(names)], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {name: digest(name) for name in names}


def test_the_machines_above_do_collide() -> None:
    """The loads are worth their name: back-pressure, refreshes, conflicts, spills and both clients occur among them."""
    seen: dict[str, bool] = {}
    for name in MACHINES:
        accelerator, trace = MACHINES[name]
        program = compile_trace(accelerator, trace)
        outcome, log = run_logged(accelerator, program)
        totals = dict(zip(compute_cluster.compute_state.CATEGORIES, outcome.run_results.sum(axis=0).tolist(), strict=False))
        for category, cycles in totals.items():
            seen[category] = seen.get(category, False) or cycles > 0
        seen["refresh"] = seen.get("refresh", False) or outcome.counters.get("dram_refreshes", 0) > 0
        seen["background"] = seen.get("background", False) or outcome.counters.get("dram_background_bytes", 0) > 0
        seen["spill"] = seen.get("spill", False) or program.choices["spills"] != "none"
        seen["same instant"] = seen.get("same instant", False) or len({time for time, _, _ in log}) < len(log)
    never = {
        "dependency",  # on other cores: there are none
        "codebook_port",  # likewise
        "buffer_full",  # the compiler gives every transfer that the loader waits for room by then
    }
    assert {name for name, found in seen.items() if not found} == never

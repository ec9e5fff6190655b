"""A recorded run equals the run without a recorder, and stepping it again one cycle at a time finds the same cycles and results."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from accelsim.accelerator import Accelerator
from accelsim.errors import CompileError
from accelsim.kernels.compute_state import RUN_RESULTS
from accelsim.result import CATEGORIES
from accelsim.simulation import simulate, simulate_recorded
from accelsim.timeline.replay import ClusterReplay
from accelsim.trace.trace import Trace
from tests.engine.machines import machines
from tests.tiny_machines import accelerators, nets

MACHINES = machines()


def check(accelerator: Accelerator, trace: Trace, frames: int = 1) -> None:
    recorded = simulate_recorded(accelerator, trace, frames=frames)
    assert recorded.result == simulate(accelerator, trace, frames=frames)
    booked: Counter[tuple[int, str]] = Counter()
    short: Counter[int] = Counter()
    for piece in ClusterReplay(recorded).samples():
        for category, run, load_run, loader in piece.of("category", "run", "load_run", "loader").tolist():
            booked[run, CATEGORIES[category]] += 1
            short[load_run] += loader == 3
    for run, row in enumerate(recorded.outcome.run_results.tolist()):
        wanted = dict(zip(RUN_RESULTS, row, strict=True))
        assert {name: booked[run, name] for name in CATEGORIES} == {name: wanted[name] for name in CATEGORIES}
        assert short[run] == wanted["ld_bits"]


@pytest.mark.parametrize("name", MACHINES)
def test_each_cycle_of_a_machine_that_collides_is_found_again_in_its_run_and_category(name: str) -> None:
    check(*MACHINES[name])


@given(accelerators(), nets)
def test_random_machines_are_found_again(accelerator: Accelerator, trace: Trace) -> None:
    try:
        check(accelerator, trace, frames=2)
    except CompileError:
        return

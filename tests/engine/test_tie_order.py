"""What happens in one instant may come in any order: no result depends on who was created first or who asked first.

Ties of SimPy's queue (same time, same priority) are broken by a running number; here it is drawn at random instead, which shuffles
the order of creation of all units and of all their events of an instant.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import simpy

from accelsim.compiler.compile import compile_trace
from accelsim.system import run_program
from tests.engine.machines import machines


def _shuffled(seed: int) -> Iterator[int]:
    numbers = random.Random(seed)
    while True:
        yield numbers.getrandbits(60)


@pytest.mark.parametrize("name", list(machines()))
def test_events_of_one_instant_commute(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    accelerator, trace = machines()[name]
    program = compile_trace(accelerator, trace)
    expected = run_program(accelerator, program, by_events=True)
    original = simpy.Environment.__init__
    for seed in range(4):

        def shuffled(env: simpy.Environment, *args: object, seed: int = seed) -> None:
            original(env, *args)
            env._eid = _shuffled(seed)

        monkeypatch.setattr(simpy.Environment, "__init__", shuffled)
        outcome = run_program(accelerator, program, by_events=True)
        assert (outcome.cycles, outcome.tail_cycles, outcome.counters) == (expected.cycles, expected.tail_cycles, expected.counters)
        assert np.array_equal(outcome.run_results, expected.run_results)

"""Accumulators behind registers: stages between the last PE of a column and its accumulator, under every rule and way out.

`array.scale_taps` of two and more puts such registers there. The twin keeps the sums, so a stage that a rule forgets is a wrong number, a
macro that is read twice, or another cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings

from accelsim.kernels.compute_state import PREDICTED, SIMPLE
from accelsim.validate.cluster_machine import ChainedRun, ClusterMachine, chain_program, run_alone
from tests.cluster_reference import assert_equals_twin, by_category, twin_of
from tests.engine.test_accumulators import READS, chain, chains, outcome_of_twin, with_row_functions
from tests.mutation import KERNEL, mutant_alone
from tests.naive_machine import NaiveMachine

END = 2  # `vector` cycles once the last row is out: a cycle of the lanes and one of latency


def behind(stages: int, machine: ClusterMachine) -> ClusterMachine:
    """The machine with `stages` registers at the foot of each column."""
    runs = tuple(replace(run, geometry=replace(run.geometry, drain_stages=stages)) for run in machine.runs)
    return replace(machine, runs=runs)


@pytest.mark.parametrize("stages", [0, 1, 3])
@pytest.mark.parametrize(("read", "first_row", "cycles"), [("second_port", 24, 44), ("deskew", 24, 44), ("stall", 27, 53)])
def test_stages_delay_the_drain_and_not_the_rows_that_follow(read: str, first_row: int, cycles: int, stages: int) -> None:
    """4x4, four lanes, ten rows: a product of two K-tiles in rows of 4 to 23, then one of one K-tile (see `test_accumulators`).

    A stage delays each read of the bank, each write and each drain by one cycle. So the next product's rows are issued in the same
    cycles, and the last drain ends one cycle later per stage.
    """
    outcome = assert_equals_twin(behind(stages, chain((10, 8, 4), (10, 4, 4))), PREDICTED, READS[read])
    assert (outcome.runs[1]["ts_first"], outcome.cycles) == (first_row, cycles + stages)


# Rule -> way out and rule, shapes, lanes, stages, row function (rows, width; 0: none); the change that forgets the stage.
FORGOTTEN_STAGES = {
    "predicted: column 0 is written behind the stages": (
        ("second_port", PREDICTED, [(3, 4, 4), (3, 4, 4)], 1, 3, (0, 0)),
        ("return due[unit] + s.due_shift + behind, NEVER", "return due[unit] + s.due_shift + behind + machine.drain_stages, NEVER"),
    ),
    "simple: C cycles after the issue, whatever the stages": (
        ("second_port", SIMPLE, [(1, 4, 4)] * 6, 4, 3, (0, 0)),
        ("return avail[unit] + behind, next_out", "return avail[unit] + behind + machine.drain_stages, next_out"),
    ),
    "simple: no less than C cycles after the issue": (
        ("second_port", SIMPLE, [(1, 4, 4)] * 6, 4, 0, (0, 0)),
        ("return avail[unit] + behind, next_out", "return avail[unit] + behind - 1, next_out"),
    ),
    "stall: the last row reads its bank behind the stages": (
        ("stall", PREDICTED, [(10, 8, 4), (10, 4, 4)], 4, 3, (0, 0)),
        ("port = s.cycle + 2 + foot(run, machine) + ", "port = s.cycle + 2 + machine.rows + "),
    ),
    "deskew: a row comes out behind the stages": (
        ("deskew", PREDICTED, [(6, 4, 12), (3, 8, 8)], 4, 3, (3, 60)),
        ("flight = 1 + foot(run, machine) + lag(run, machine)", "flight = 1 + machine.rows + machine.cols"),
    ),
    "a row is whole behind the stages": (
        ("second_port", PREDICTED, [(3, 4, 4), (3, 4, 4)], 4, 3, (0, 0)),
        ("out = s.cycle + 1 + foot(run, machine) + lag(run, machine)", "out = s.cycle + 1 + machine.rows + machine.cols"),
    ),
}


@pytest.mark.parametrize("what", FORGOTTEN_STAGES)
def test_each_rule_counts_the_stages(what: str) -> None:
    (way, rule, shapes, lanes, stages, (units, width)), (old, new) = FORGOTTEN_STAGES[what]
    machine = behind(stages, chain(*shapes, lanes=lanes, shadow_sets=2, ports=16))
    read = READS[way]
    program = with_row_functions(machine, rule, units, width, False, read) if units else chain_program(machine, rule, read)
    expected = outcome_of_twin(program)
    right, wrong = run_alone(program, None), mutant_alone((KERNEL, old, new))(program, None)
    assert (right.cycles, [by_category(figures) for figures in right.runs]) == expected
    assert (wrong.cycles, [by_category(figures) for figures in wrong.runs]) != expected


class RemembersEveryStripe(NaiveMachine):
    """Asks every finished stripe of the bank, not the newest alone."""

    def undrained(self) -> tuple[int, int] | None:
        older = self.stripes[-self.machine["accumulator_banks"] :: -self.machine["accumulator_banks"]]
        here = ((task, first + self.row) for task, first, rows in older if self.row < rows)
        return next((unit for unit in here if unit not in self.left_vector), None)


@settings(max_examples=80)
@given(chains())
def test_a_gate_that_remembers_every_stripe_gives_the_cycles_of_one_that_remembers_two(machine: ClusterMachine) -> None:
    free = replace(machine, supply=None)
    for rule in (PREDICTED, SIMPLE):
        assert twin_of(free, rule, (), RemembersEveryStripe).simulate() == twin_of(free, rule, ()).simulate()


@pytest.mark.parametrize("read", ["second_port", "stall"])
def test_a_row_that_needs_a_result_waits_for_the_vector_unit_however_its_drain_is_postponed(read: str) -> None:
    """The rows of the second product are the results of the first, whose drains wait for the port under `stall`: booked as `vector`."""
    first, second = chain((10, 8, 4), (10, 4, 4)).runs
    fed: Mapping[str, int] = assert_equals_twin(
        ClusterMachine(4, 1, 2, (first, ChainedRun(second.geometry, 10, 4, 4, 0)), None), PREDICTED, READS[read]
    ).runs[1]
    assert fed["accumulator_read"] == fed["accumulator"] == 0
    # Row 0 of the second K-tile is issued in 14, out in 23, done in 25; with its drain behind the last row's reads, in 32 + 2.
    # The tile is ready in 24.
    assert (fed["ts_first"], fed["vector"] - END) == {"second_port": (25, 1), "stall": (34, 10)}[read]

"""Accumulators that are used again: right sums under both rules in every program, and the model's cycles are the twin's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.kernels.compute_state import PREDICTED, ROW, SIMPLE
from accelsim.program import Program
from accelsim.validate.cluster_machine import ChainedRun, ClusterMachine, Supply, chain_program, run_alone, run_cluster
from tests.cluster_reference import assert_equals_twin, by_category, rtl_programs, twin_of
from tests.mutation import KERNEL, mutant_alone
from tests.naive_accumulators import NaiveAccumulators, WrongSum
from tests.naive_machine import Landings, NaiveMachine

RULES = {"predicted": PREDICTED, "simple": SIMPLE}


def core(cols: int = 4, ports: int = 4, shadow_sets: int = 1, rows: int = 4) -> CoreGeometry:
    """A small core whose tiles load fast."""
    return CoreGeometry(rows, cols, 2, 4, ports, 64, decode=True, sign=False, axis=0, max_m=64, shadow_sets=shadow_sets)


def chain(*shapes: tuple[int, int, int], lanes: int = 4, banks: int = 1, latency: int = 1, **of_core: int) -> ClusterMachine:
    """Products (m, k, n) one after the other."""
    return ClusterMachine(lanes, latency, banks, tuple(ChainedRun(core(**of_core), m, k, n, -1) for m, k, n in shapes), None)


@pytest.mark.parametrize("rule", RULES)
def test_the_sums_of_every_carried_program_are_right(rule: str) -> None:
    for name, case in rtl_programs().items():
        outcome = run_cluster(case.machine, RULES[rule])
        cycles, _ = twin_of(case.machine, RULES[rule], outcome.landings).simulate()
        assert (name, cycles) == (name, outcome.cycles)


@st.composite
def chains(draw: st.DrawFn) -> ClusterMachine:
    """Random chains: fewer lanes than columns, two shadow sets, one or two banks, short runs, rows from an earlier run, late words."""
    rows, cols = draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from([2, 4, 8]))
    sets = draw(st.sampled_from([1, 2]))
    runs: list[ChainedRun] = []
    for number in range(draw(st.integers(1, 5))):
        geometry = CoreGeometry(
            rows, cols, 2, 4, draw(st.sampled_from([1, 3, 16])), draw(st.sampled_from([16, 64])), decode=draw(st.booleans()), sign=False,
            axis=draw(st.sampled_from([0, 1])), max_m=16, shadow_sets=sets,
        )  # fmt: skip
        source = draw(st.integers(-1, number - 1))
        m, k = (runs[source].m, runs[source].n) if source >= 0 else (draw(st.integers(1, 12)), draw(st.integers(1, 20)))
        runs.append(ChainedRun(geometry, m, k, draw(st.integers(1, 20)), source))
    machine = ClusterMachine(
        draw(st.sampled_from([0, 1, 3, 4, 16])), draw(st.integers(0, 5)), draw(st.sampled_from([1, 2])), tuple(runs), None
    )
    if draw(st.booleans()):
        return machine
    transfer = draw(st.sampled_from([8, 32]))
    supply = Supply(transfer, transfer * draw(st.integers(1, 4)), draw(st.integers(1, 20)), ())
    count = len(ClusterMachine(machine.lanes, machine.latency, 1, machine.runs, supply).pieces())
    late = sorted(draw(st.lists(st.integers(0, 200), min_size=count, max_size=count)))
    return ClusterMachine(
        machine.lanes,
        machine.latency,
        machine.accumulator_banks,
        machine.runs,
        Supply(transfer, supply.capacity, supply.latency, tuple(late)),
    )


@settings(max_examples=60)
@given(chains(), st.sampled_from(sorted(RULES)))
def test_random_chains_have_right_sums_and_the_cycles_of_the_twin(machine: ClusterMachine, rule: str) -> None:
    assert_equals_twin(machine, RULES[rule])


@settings(max_examples=40)
@given(chains())
def test_the_simple_rule_is_never_faster_where_rows_come_from_outside(machine: ClusterMachine) -> None:
    runs = tuple(ChainedRun(run.geometry, run.m, run.k, run.n, -1) for run in machine.runs)
    free = ClusterMachine(machine.lanes, machine.latency, machine.accumulator_banks, runs, None)
    assert run_cluster(free, SIMPLE).cycles >= run_cluster(free, PREDICTED).cycles


@pytest.mark.parametrize(("rule", "first_row", "waits"), [("predicted", 11, 3), ("simple", 13, 8)])
def test_rows_wait_for_the_start_of_the_drains_that_they_replace(rule: str, first_row: int, waits: int) -> None:
    """4x4, one lane, two products of one tile and three rows.

    The word is pushed in 0, groups are popped in 1 and 2, rows issued in 4, 5, 6; they are out in 13, 14, 15 and their drains take 4 cycles
    each: 13, 17, 21. The next tile's groups are popped in 4 + 1 + 2 and 4 + 3 + 2, so it is ready in 11. Its rows may be issued
    predicted: from start - 1 - R on, 8, 12, 16: in 11, 12, 16, a wait of three cycles;
    simple: once the drains have begun: in 13, 17, 21, a wait of 2 + 3 + 3.
    Either way the lanes are busy from 13 to 37, and one cycle of latency follows.
    """
    outcome = assert_equals_twin(chain((3, 4, 4), (3, 4, 4), lanes=1), RULES[rule])
    assert (outcome.runs[1]["ts_first"], outcome.runs[1]["accumulator"], outcome.cycles) == (first_row, waits, 38)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("banks", [1, 2])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_a_short_run_between_long_ones_hides_no_sums_of_the_run_before(lanes: int, banks: int, rule: str) -> None:
    """Rows 1 to 11 of the third product take the place of sums of the first, of which the model keeps no record: only the newest stripe of
    a bank is asked. Its row 0 is drained after all of the older stripe, and the new row 0 waits for it.
    """
    short = [(1, 4, 4)] * banks
    long = [(12, 4, 4)] * banks
    assert_equals_twin(chain(*long, *short, *long, *short, *long, lanes=lanes, banks=banks, shadow_sets=2, ports=16), RULES[rule])


def with_row_functions(machine: ClusterMachine, rule: int, units: int, width: int, awaited: bool) -> Program:
    """The chain beside a row function of `units` rows that may run at any time; with `awaited`, every drain needs its first row."""
    program = chain_program(machine, rule)
    row = program.tasks[:1].copy()
    row["kind"], row["ordinal"], row["offset"], row["units"], row["rows"], row["width"] = ROW, 0, program.units, units, units, width
    row["latency"] = 20
    tasks = np.concatenate([program.tasks, row])
    if awaited:
        tasks["dep0"][:-1] = len(tasks) - 1
    return replace(program, tasks=tasks, row_tasks=np.array([len(tasks) - 1], np.int64), units=program.units + units)


def outcome_of_twin(program: Program) -> tuple[int, list[dict[str, int]]]:
    """Cycles and the runs' categories by the twin, with right sums."""
    return NaiveMachine(program, Landings({}, {})).simulate()


@settings(max_examples=60)
@given(chains(), st.sampled_from(sorted(RULES)), st.integers(1, 30), st.integers(1, 40), st.booleans())
def test_row_functions_and_late_operands_leave_the_sums_right(
    machine: ClusterMachine, rule: str, units: int, width: int, awaited: bool
) -> None:
    program = with_row_functions(replace(machine, supply=None), RULES[rule], units, width, awaited)
    outcome = run_alone(program, None)
    assert (outcome.cycles, [by_category(figures) for figures in outcome.runs]) == outcome_of_twin(program)


# What protects a drain that a row relies on -> rule, units, width and whether the drains await them, lanes; the change that takes it away.
PROTECTIONS = {
    "lanes are reserved": (
        ("predicted", 30, 12, False, 4),
        (KERNEL, "    return end > avail[tasks[drains[s.d_task]].offset + s.d_unit]", "    return False"),
    ),
    "a row function that ends in time is no delay": (
        ("predicted", 60, 4, False, 4),
        (KERNEL, "    return end > avail[tasks[drains[s.d_task]].offset + s.d_unit]", "    return True"),
    ),
    "a row function delays what was predicted": (
        ("predicted", 3, 30, False, 4),
        (KERNEL, "    if drain_issued(s):\n        s.due_shift", "    if False:\n        s.due_shift"),
    ),
    "late operands make starts unknown": (
        ("predicted", 1, 4, True, 4),
        (KERNEL, "        if known > s.cycle:\n            return NEVER, known", "        if False:\n            return NEVER, known"),
    ),
    "lanes that a row function holds are not free": (
        ("simple", 3, 60, False, 4),
        (KERNEL, "    if s.v_until > s.cycle + 1:", "    if False:"),
    ),
}


@pytest.mark.parametrize("what", PROTECTIONS)
def test_each_protection_of_a_drain_is_needed(what: str) -> None:
    (rule, units, width, awaited, lanes), change = PROTECTIONS[what]
    machine = chain(*[(6, 4, 12), (3, 8, 8), (5, 4, 12)], lanes=lanes, shadow_sets=2, ports=16)
    program = with_row_functions(machine, RULES[rule], units, width, awaited)
    expected = outcome_of_twin(program)
    right, wrong = run_alone(program, None), mutant_alone(change)(program, None)
    assert (right.cycles, [by_category(figures) for figures in right.runs]) == expected
    assert (wrong.cycles, [by_category(figures) for figures in wrong.runs]) != expected


class OnlyIssuedLongAgo(NaiveMachine):
    """The simple rule without the distance of C cycles."""

    def accumulators_free(self) -> bool:
        target = self.undrained()
        waits = any(self.put_out.get(unit, self.t + 1) <= self.t for unit in self.drain_units)
        return target is None or (self.machine["lanes"] >= self.cols and self.put_out[target] > self.t and not waits)


def test_two_shadow_sets_without_the_distance_of_c_cycles_overwrite_sums() -> None:
    """M = 1 and tiles that load in one cycle: column 0 of the next stripe comes before column C - 1 of this one."""
    machine = chain(*[(1, 4, 4)] * 6, shadow_sets=2, ports=16)
    with pytest.raises(WrongSum):
        twin_of(machine, SIMPLE, (), OnlyIssuedLongAgo).simulate()
    assert_equals_twin(machine, SIMPLE)


def test_a_sum_is_read_before_the_write_of_the_same_cycle_and_not_after() -> None:
    """R = 4: a row that is issued in cycle 0 writes column 0 at the end of cycle 5."""
    for start, right in ((15, True), (16, False)):
        sums = NaiveAccumulators(rows=4, lanes=4)
        sums.add(0, 0, 0, [7], first=True)
        sums.add(10, 0, 0, [8], first=True)  # written at the end of cycle 15
        sums.take(start, 0, 0, [7])
        try:
            for cycle in range(20):
                sums.clock(cycle)
            assert right
        except WrongSum:
            assert not right

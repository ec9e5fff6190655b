"""Accumulators that are used again: right sums under both rules in every program, and the model's cycles are the twin's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.hw.decode_mac_core import CoreGeometry
from accelsim.hw.lane_cycles import with_lane_cycles
from accelsim.kernels.compute_state import DESKEW, PREDICTED, ROW, SECOND_PORT, SIMPLE, STALL
from accelsim.program import Program
from accelsim.validate.cluster_machine import ChainedRun, ClusterMachine, Supply, chain_program, run_alone, run_cluster
from tests.cluster_reference import assert_equals_twin, by_category, rtl_programs, twin_of
from tests.mutation import KERNEL, mutant_alone
from tests.naive_accumulators import NaiveAccumulators, PortConflict, WrongSum
from tests.naive_machine import Landings, NaiveMachine

RULES = {"predicted": PREDICTED, "simple": SIMPLE}
READS = {"second_port": SECOND_PORT, "deskew": DESKEW, "stall": STALL}


def core(cols: int = 4, ports: int = 4, shadow_sets: int = 1, rows: int = 4) -> CoreGeometry:
    """A small core whose tiles load fast."""
    return CoreGeometry(rows, cols, 2, 4, ports, 64, decode=True, sign=False, axis=0, max_m=64, shadow_sets=shadow_sets)


def chain(*shapes: tuple[int, int, int], lanes: int = 4, banks: int = 1, latency: int = 1, **of_core: int) -> ClusterMachine:
    """Products (m, k, n) one after the other."""
    return ClusterMachine(lanes, latency, banks, tuple(ChainedRun(core(**of_core), m, k, n, -1) for m, k, n in shapes), None)


@pytest.mark.parametrize("read", ["second_port", "stall"])
@pytest.mark.parametrize("rule", RULES)
def test_the_sums_of_every_carried_program_are_right(rule: str, read: str) -> None:
    for name, case in rtl_programs().items():
        outcome = run_cluster(case.machine, RULES[rule], READS[read])
        expected = twin_of(case.machine, RULES[rule], outcome.landings, read=READS[read]).simulate()
        assert (name, outcome.cycles, [by_category(figures) for figures in outcome.runs]) == (name, *expected)


def test_the_sums_of_every_carried_program_with_lanes_for_a_row_are_right_through_deskew_registers() -> None:
    cases = {name: case.machine for name, case in rtl_programs().items() if case.machine.lanes >= case.machine.runs[0].geometry.cols}
    assert len(cases) > 50
    for name, machine in cases.items():
        outcome = run_cluster(machine, PREDICTED, DESKEW)
        expected = twin_of(machine, PREDICTED, outcome.landings, read=DESKEW).simulate()
        assert (name, outcome.cycles, [by_category(figures) for figures in outcome.runs]) == (name, *expected)


@st.composite
def chains(draw: st.DrawFn) -> ClusterMachine:
    """Random chains: fewer lanes than columns, two shadow sets, scale stages, one or two banks, short runs, fed rows, late words."""
    rows, cols = draw(st.sampled_from([2, 4, 8])), draw(st.sampled_from([2, 4, 8]))
    sets, stages = draw(st.sampled_from([1, 2])), draw(st.sampled_from([0, 1, 3]))
    runs: list[ChainedRun] = []
    for number in range(draw(st.integers(1, 5))):
        geometry = CoreGeometry(
            rows, cols, 2, 4, draw(st.sampled_from([1, 3, 16])), draw(st.sampled_from([16, 64])), decode=draw(st.booleans()), sign=False,
            axis=draw(st.sampled_from([0, 1])), max_m=16, shadow_sets=sets, drain_stages=stages,
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


@st.composite
def chains_and_reads(draw: st.DrawFn) -> tuple[ClusterMachine, int]:
    """Random chains, and a way out of the accumulators that their lanes allow."""
    machine = draw(chains())
    whole_row = machine.lanes == 0 or machine.lanes >= machine.runs[0].geometry.cols
    return machine, draw(st.sampled_from([SECOND_PORT, STALL, DESKEW] if whole_row else [SECOND_PORT, STALL]))


@settings(max_examples=150)
@given(chains_and_reads(), st.sampled_from(sorted(RULES)))
def test_random_chains_have_right_sums_and_the_cycles_of_the_twin(case: tuple[ClusterMachine, int], rule: str) -> None:
    machine, read = case
    assert_equals_twin(machine, RULES[rule], read)


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


def with_row_functions(machine: ClusterMachine, rule: int, units: int, width: int, awaited: bool, read: int = SECOND_PORT) -> Program:
    """The chain beside a row function of `units` rows that may run at any time; with `awaited`, every drain needs its first row."""
    program = chain_program(machine, rule, read)
    row = program.tasks[:1].copy()
    row["kind"], row["ordinal"], row["offset"], row["units"], row["rows"], row["width"] = ROW, 0, program.units, units, units, width
    row["latency"] = 20
    tasks = np.concatenate([program.tasks, row])
    if awaited:
        tasks["dep0"][:-1] = len(tasks) - 1
    timed, order = with_lane_cycles(tasks, program.machine), np.array([len(tasks) - 1], np.int64)
    return replace(program, tasks=timed, row_tasks=order, units=program.units + units)


def outcome_of_twin(program: Program) -> tuple[int, list[dict[str, int]]]:
    """Cycles and the runs' categories by the twin, with right sums."""
    return NaiveMachine(program, Landings({}, {})).simulate()


@settings(max_examples=150)
@given(chains_and_reads(), st.sampled_from(sorted(RULES)), st.integers(1, 30), st.integers(1, 40), st.booleans())
def test_row_functions_and_late_operands_leave_the_sums_right(
    case: tuple[ClusterMachine, int], rule: str, units: int, width: int, awaited: bool
) -> None:
    machine, read = case
    program = with_row_functions(replace(machine, supply=None), RULES[rule], units, width, awaited, read)
    outcome = run_alone(program, None)
    assert (outcome.cycles, [by_category(figures) for figures in outcome.runs]) == outcome_of_twin(program)


# What protects a drain that a row relies on -> rule, units, width and whether the drains await them, lanes; the change that takes it away.
PROTECTIONS = {
    "lanes are reserved": (
        ("predicted", 30, 12, False, 4),
        (KERNEL, "    return end > max(avail[unit], held[0, unit])", "    return False"),
    ),
    "a row function that ends in time is no delay": (
        ("predicted", 60, 4, False, 4),
        (KERNEL, "    return end > max(avail[unit], held[0, unit])", "    return True"),
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
        sums = NaiveAccumulators(rows=4, cols=4, lanes=4)
        sums.add(0, 0, 0, [7], first=True)
        sums.add(10, 0, 0, [8], first=True)  # written at the end of cycle 15
        sums.take(start, 0, 0, [7])
        try:
            for cycle in range(20):
                sums.clock(cycle)
            assert right
        except WrongSum:
            assert not right


@pytest.mark.parametrize(
    ("read", "first_row", "waits", "cycles"), [("second_port", 24, 0, 44), ("deskew", 24, 0, 44), ("stall", 27, 3, 53)]
)
def test_the_drain_of_a_stripe_that_reads_the_only_port_begins_behind_its_last_row(
    read: str, first_row: int, waits: int, cycles: int
) -> None:
    """4x4, four lanes, ten rows: a product of two K-tiles, then one of one.

    Rows of the K-tiles are issued in 4 to 13 and 14 to 23. Those of the second are out in 23 to 32, where their drains
    begin one after the other, and the next product's rows follow in 24 to 33 without a wait; its drains begin in 33 to 42 and end in 44.
    stall: the row of 23 reads column 3 in 23 + 1 + R + 3 = 31, in which a drain would read it too: drains begin in 32 to 41. So the next
    row is issued in 32 - 1 - R = 27, a wait of C - 1. Its drains begin after the ten before, in 42 to 51, and end in 53.
    """
    outcome = assert_equals_twin(chain((10, 8, 4), (10, 4, 4)), PREDICTED, READS[read])
    assert (outcome.runs[1]["ts_first"], outcome.runs[1]["accumulator_read"], outcome.cycles) == (first_row, waits, cycles)
    assert outcome.runs[1]["accumulator"] == 0


@pytest.mark.parametrize(("read", "cycles"), [("second_port", 34), ("stall", 34), ("deskew", 30)])
def test_sums_that_leave_by_the_adders_free_their_row_at_once(read: str, cycles: int) -> None:
    """4x4, one row, two shadow sets, a tile per cycle: tile i can be loaded 5 cycles after the issue of tile i - 2, and issued 2 later.

    deskew: rows are issued in 3, 5, 10, 12, 17, 19; the last is out in 28, and done after a cycle of the lanes and one of latency.
    Else a row waits for the start of the drain before, R + 1 cycles ahead: 3, 7, 11, 15, 19, 23. There is one K-tile, so no row reads.
    """
    assert assert_equals_twin(chain(*[(1, 4, 4)] * 6, shadow_sets=2, ports=16), PREDICTED, READS[read]).cycles == cycles


def test_without_lanes_that_are_sure_a_row_at_the_deskew_registers_is_lost() -> None:
    machine = chain((6, 4, 12), (3, 8, 8), shadow_sets=2, ports=16)
    program = with_row_functions(machine, PREDICTED, 3, 60, False, DESKEW)
    with pytest.raises(WrongSum):
        AlwaysSure(program, Landings({}, {})).simulate()
    outcome = run_alone(program, None)
    assert (outcome.cycles, [by_category(figures) for figures in outcome.runs]) == outcome_of_twin(program)
    assert sum(figures["accumulator_read"] for figures in outcome.runs) > 0


class AlwaysSure(NaiveMachine):
    """Deskew registers without a look at the lanes."""

    def not_sure_to_be_taken(self, run: Mapping[str, int]) -> str:
        return ""


class EagerDrains(NaiveMachine):
    """One read port, and drains that begin as each row is out."""

    def hand_over(self) -> None:
        for task, unit, out in self.unfinished:
            self.put_out[task, unit] = out
            self.expect(task, unit)
        self.unfinished = []


@pytest.mark.parametrize("banks", [1, 2])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_drains_that_do_not_wait_read_a_macro_with_the_array(lanes: int, banks: int) -> None:
    """With one bank and with two: the rest of the same K-tile is still added up."""
    machine = chain((10, 8, 4), (10, 8, 8), lanes=lanes, banks=banks)
    with pytest.raises(PortConflict):
        twin_of(machine, PREDICTED, (), EagerDrains, STALL).simulate()
    assert_equals_twin(machine, PREDICTED, STALL)


# Rule of the ways out -> way (and rule `simple`; `fed`: its rows are the row function's, at once), shapes, lanes, row function
# (rows, width; 0: none); the change that breaks it.
READ_MUTANTS = {
    "drains wait for the last row of their stripe": (
        ("stall", [(10, 8, 4), (10, 4, 4)], 4, (0, 0)),
        ("port = s.cycle + 2 + foot(run, machine) + ", "port = s.cycle + 1 + foot(run, machine) + "),
    ),
    "fewer lanes fall less behind the row": (
        ("stall", [(10, 8, 4), (10, 4, 4)], 2, (0, 0)),
        ("return last - (last // machine.lanes if machine.lanes > 0 else 0)", "return last"),
    ),
    "the last stripe falls behind by its own columns": (
        ("stall", [(10, 8, 2), (10, 4, 4)], 4, (0, 0)),
        ("_columns_behind(machine, run, drained_columns(task, first))", "_columns_behind(machine, run, task.tile_cols)"),
    ),
    "a single K-tile reads nothing": (
        ("stall", [(10, 4, 4), (10, 4, 4)], 4, (0, 0)),
        ("return machine.accumulator_read == STALL and run.kt_count > 1", "return machine.accumulator_read == STALL"),
    ),
    "a short stripe's later K-tiles wait for all drains of a long one": (
        ("stall", [(12, 8, 4), (1, 12, 4), (12, 8, 4)], 1, (0, 0)),
        ("free, look = port_free_at(s, machine, run, tasks, drains, avail, due, fin, loaded)", "free, look = 0, NEVER"),
    ),
    "they wait one cycle more than what overwrites": (
        ("stall", [(12, 8, 4), (1, 12, 4), (12, 8, 4)], 1, (0, 0)),
        ("(free + 1 if 0 < free < NEVER else free), look", "free, look"),
    ),
    "lanes are reserved for the drains that they wait for": (
        ("stall fed", [(2, 4, 4), (1, 12, 4), (2, 4, 4)], 4, (9, 12)),
        ("    promise(s, machine, tasks, count - 1)", "    pass"),
    ),
    "a wait is the port's only as long as the port caused it": (
        ("stall", [(3, 8, 4), (3, 4, 4)] * 2, 1, (0, 0)),
        ("    if unheld <= s.cycle:", "    if free > s.cycle:"),
    ),
    "the simple rule knows no start": (
        ("stall simple", [(10, 8, 4), (10, 4, 4)], 4, (0, 0)),
        (
            "        return max(s.cycle + 1, due[unit] + s.due_shift), NEVER",
            "        return due[unit] + s.due_shift + behind, NEVER",
        ),
    ),
    "a row is taken from the adders only if the lanes are free": (
        ("deskew", [(6, 4, 12), (3, 8, 8)], 4, (3, 60)),
        ("    return lanes - flight, ACCUMULATOR_READ", "    return 0, ACCUMULATOR_READ"),
    ),
    "lanes are reserved for every row on its way": (
        ("deskew", [(6, 4, 12), (3, 8, 8)], 4, (60, 9)),
        ("            s.promised_ordinal, s.promised = task.ordinal, unit + 1", "            pass"),
    ),
    "sums from the adders leave their row free": (
        ("deskew", [(1, 4, 4)] * 6, 4, (0, 0)),
        (
            "    if machine.accumulator_read == DESKEW:\n        if kt",
            "    if machine.accumulator_read == DESKEW and kt > 0:\n        if kt",
        ),
    ),
    "no older drain takes the place of the newest on its way": (
        ("deskew fed", [(3, 4, 4), (1, 12, 4), (2, 4, 4)], 4, (7, 12)),
        ("    if s.a_kt == 0 and machine.accumulator_read != DESKEW:", "    if s.a_kt == 0:"),
    ),
}


@pytest.mark.parametrize("what", READ_MUTANTS)
def test_each_rule_of_the_ways_out_is_needed(what: str) -> None:
    (way, shapes, lanes, (units, width)), (old, new) = READ_MUTANTS[what]
    read, rule = READS[way.split()[0]], SIMPLE if way.endswith("simple") else PREDICTED
    machine = chain(*shapes, lanes=lanes, shadow_sets=2, ports=16)
    program = with_row_functions(machine, rule, units, width, False, read) if units else chain_program(machine, rule, read)
    if way.endswith("fed"):
        program.runs["in_task"][0], program.tasks["latency"][-1] = len(program.tasks) - 1, 0
    expected = outcome_of_twin(program)
    right, wrong = run_alone(program, None), mutant_alone((KERNEL, old, new))(program, None)
    assert (right.cycles, [by_category(figures) for figures in right.runs]) == expected
    assert (wrong.cycles, [by_category(figures) for figures in wrong.runs]) != expected

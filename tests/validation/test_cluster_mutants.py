"""Each rule of the cluster is guarded: a model that breaks it is caught by a program of the RTL that this file names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from accelsim.kernels.compute_state import PREDICTED, SIMPLE
from accelsim.validate import cluster
from accelsim.validate.cluster_machine import ClusterOutcome
from tests.cluster_reference import rtl_programs
from tests.mutation import KERNEL, LANES, PROGRAM, Change, mutant_cluster

# Rule -> program that catches whoever breaks it, changes to the model's source that do.
MUTANTS: dict[str, tuple[str, tuple[Change, ...]]] = {
    "predicted: a row is not issued before R + 1 cycles ahead of the drain's start": (
        "6-57",
        (
            (
                KERNEL,
                "return due[unit] + s.due_shift + behind, NEVER",
                "return due[unit] + s.due_shift + behind - 1, NEVER",
            ),
        ),
    ),
    "predicted: a row is issued R + 1 cycles ahead of the drain's start": (
        "5-39",
        (
            (
                KERNEL,
                "return due[unit] + s.due_shift + behind, NEVER",
                "return due[unit] + s.due_shift + behind + 1, NEVER",
            ),
        ),
    ),
    "predicted: drains wait for the drains before them": (
        "6-6",
        ((KERNEL, "start = max(out - s.due_shift, lanes_free)", "start = out - s.due_shift"),),
    ),
    "predicted: a drain waits for its last column": (
        "6-57",
        ((KERNEL, "start = max(out - s.due_shift, lanes_free)", "start = max(out - s.due_shift - machine.cols, lanes_free)"),),
    ),
    "predicted: the last stripe's drain takes as long as its columns": (
        "5-39",
        (
            (
                KERNEL,
                "s.due_end = start + drain_cycles(machine, task, unit)",
                "s.due_end = start + task.full_cycles",
            ),
        ),
    ),
    "simple: a drain that has begun frees its row": (
        "1-39",
        (
            (
                KERNEL,
                "if before < 0 or row >= count or _begun(s, tasks[before].ordinal, base + row):",
                "if before < 0 or row >= count or fin[tasks[before].offset + base + row] <= s.cycle:",
            ),
        ),
    ),
    "simple: the lanes take a row per cycle": (
        "1-39",
        ((KERNEL, "if not single or next_out <= s.cycle:", "if next_out <= s.cycle:"),),
    ),
    "simple: a row in the wave is taken as it comes out": (
        "6-71",
        ((KERNEL, "if not single or next_out <= s.cycle:", "if True:"),),
    ),
    "simple: a row in the wave is taken C cycles after its issue, no later": (
        "6-71",
        (
            (
                KERNEL,
                "return avail[unit] + behind, next_out",
                "return avail[unit] - machine.rows + 4, next_out",
            ),
        ),
    ),
    "one bank: the stripe before": (
        "1-39",
        ((KERNEL, "if machine.accumulator_banks == 1:", "if machine.accumulator_banks == 3:"),),
    ),
    "two banks: the stripe before the last": (
        "2-85",
        ((KERNEL, "if machine.accumulator_banks == 1:", "if machine.accumulator_banks >= 1:"),),
    ),
    "a wait for accumulators is told before a wait for operands": (
        "7-83",
        ((KERNEL, "free, why, look = 0, ACCUMULATOR, NEVER", "free, why, look = 0, ACCUMULATOR if run.in_task < 0 else VECTOR, NEVER"),),
    ),
    "st_tile leaves out the requantization after the last row": (
        "6-71",
        ((KERNEL, "elif s.a_tile < runs[s.a_run].kt_count * runs[s.a_run].nt_count:", "elif why != FILL_DRAIN:"),),
    ),
    "the last stripe is requantized as wide as it is": (
        "5-39",
        ((LANES, "_cycles(tasks, width - (stripes - 1) * tile, machine)", "_cycles(tasks, tile, machine)"),),
    ),
    "columns over lanes are rounded up": (
        "5-39",
        ((LANES, '["passes"] * -(-elements // lanes)', '["passes"] * np.maximum(1, elements // lanes)'),),
    ),
    "a result can be read after the latency": (
        "6-71",
        ((KERNEL, "        done += task.latency", "        done += task.latency - 1"),),
    ),
    "the last result ends the program": (
        "1-39",
        ((KERNEL, "t >= max(s.last_fin, s.a_end)", "t >= s.a_end"),),
    ),
    "a row needs the last column of its K-tile": (
        "7-24",
        ((KERNEL, "column = min(column, first + used - 1)", "column = min(column, first)"),),
    ),
    "a row needs no more than its K-tile": (
        "4-52",
        ((KERNEL, "column = min(column, first + used - 1)", "column = min(column, first + used + rows - 1)"),),
    ),
    "the next run's words are pushed from the cycle after the last pop": (
        "6-71",
        ((KERNEL, "s.l_start = s.cycle + 1 + machine.issue_overhead if", "s.l_start = s.cycle + 2 + machine.issue_overhead if"),),
    ),
    "padding leaves the unpack buffer with its run": (
        "6-71",
        ((KERNEL, "    s.ucnt = 0\n", ""),),
    ),
    "a ring holds its capacity": (
        "3-82",
        ((PROGRAM, "bases[number] + end - capacity for", "bases[number] + end - capacity + 1 for"),),
    ),
    "the wave is awaited across runs": (
        "1-39",
        (
            (
                KERNEL,
                "behind = vacated + s.l_lowest + lag - 2",
                "behind = 0 if s.l_tile == 0 else vacated + s.l_lowest + lag - 2",
            ),
        ),
    ),
    "two sets: a set is free after the swap of the tile before the last": (
        "6-71",
        ((KERNEL, "return s.ts_older, s.lag_older\n", "return s.ts, s.lag_older\n"),),
    ),
    "fill and drain take R + C cycles": (
        "1-39",
        ((KERNEL, "s.a_end = s.cycle + 1 + foot(run, machine)", "s.a_end = s.cycle + foot(run, machine)"),),
    ),
}

# Changes that alter no figure, each with the argument; the program is one that would show it.
EQUIVALENT: dict[str, tuple[str, tuple[Change, ...]]] = {
    # The last row of the shorter stripe was waited for before: its drain begins before any later row could write.
    "rows beyond the stripe before wait for its last row": (
        "1-39",
        (
            (
                KERNEL,
                "row >= count or _begun(s, tasks[before].ordinal, base + row):",
                "_begun(s, tasks[before].ordinal, base + min(row, count - 1)):",
            ),
        ),
    ),
    # The first K-tile of the stripe has waited for the same drain.
    "rows of later K-tiles wait for the drain of the stripe before too": (
        "1-39",
        ((KERNEL, "    elif kt == 0:\n        free, look", "    elif kt >= 0:\n        free, look"),),
    ),
}


def judged(name: str, *changes: Change) -> Iterator[str]:
    """Columns of a program that the mutant misses."""
    case, run = rtl_programs()[name], mutant_cluster(*changes)
    outcomes: dict[int, ClusterOutcome] = {rule: run(case.machine, rule) for rule in (PREDICTED, SIMPLE)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "run_cluster", lambda _, rule: outcomes[rule])
        yield from (verdict.column for verdict in cluster._judge(case, None) if not verdict.ok)


@pytest.mark.parametrize("rule", MUTANTS)
def test_a_model_that_breaks_a_rule_is_caught_by_a_program_of_the_rtl(rule: str) -> None:
    name, changes = MUTANTS[rule]
    assert list(judged(name, *changes))


def test_the_model_without_a_change_meets_the_programs_that_catch_the_mutants() -> None:
    for name in sorted({name for name, _ in MUTANTS.values()}):
        assert (name, list(judged(name))) == (name, [])


@pytest.mark.parametrize("what", EQUIVALENT)
def test_an_equivalent_mutant_alters_no_figure(what: str) -> None:
    name, changes = EQUIVALENT[what]
    assert list(judged(name, *changes)) == []

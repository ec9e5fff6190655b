"""Sums that stay in the PEs: the core equals its twin and the cycles worked by hand, and the cycle rule where weights are never late."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.hw.decode_mac_core import CoreGeometry, WordSupply, run_stand_alone
from accelsim.hw.mappings.output_stationary import OutputStationary
from tests.kernels.test_core_kernel import SUPPLIES, cores
from tests.naive_core import NaiveCore
from tests.naive_output_stationary import Collision, earliest_times, run_with, simulate_output_stationary


def model_of(core: NaiveCore, m: int, k: int, n: int, lanes: int, banks: int, supply: tuple[int, int, int] = (0, 1, 0)) -> dict[str, int]:
    geometry = CoreGeometry(
        core.R, core.C, core.D, core.KCB, core.P, core.W, bool(core.DECODE), bool(core.SIGN), core.AXIS, core.R, core.b,
        mapping=OutputStationary(),
    )  # fmt: skip
    return asdict(run_stand_alone(geometry, m, k, n, WordSupply(*supply), lanes, banks))


def raw_core(side: int, d: int, width: int, axis: int = 0) -> NaiveCore:
    """A square core of int8 records of d, with `width` weights a cycle."""
    return NaiveCore(side, side, d, 1, width // d, 8 * width, 0, 0, axis, 256)


@pytest.mark.parametrize(
    ("m", "k", "n", "d", "width", "axis", "lanes", "banks", "cycles"),
    [
        # 4 x 4 PEs. A row of weights a cycle, popped from cycle 1 on: steps are booked in 2 to 9 and 10 to 17, the last one enters in 18.
        # The lowest sum of the last column is complete at the end of 18 + 1 + 3 + 3 = 25 and at the foot in 26; rows leave in 27 to 30.
        (4, 8, 8, 4, 4, 0, 0, 2, 30),
        # One bank: the second fold's first step follows the last one by 4 cycles, not by 1.
        (4, 8, 8, 4, 4, 0, 0, 1, 33),
        # 2 weights a cycle: a step every 2 cycles. Groups are popped in 1 to 32, so the last step is booked in 33, in place of 17.
        (4, 8, 8, 2, 2, 0, 0, 2, 46),
        # 8 weights a cycle change nothing: the array takes one row of them.
        (4, 8, 8, 4, 8, 0, 0, 2, 30),
        # 2 steps a fold, 4 rows to drain: last steps in 3, 7 and 11, rows of the last fold in 21 to 24.
        (4, 2, 12, 4, 4, 0, 0, 2, 24),
        # Two lanes read a row in 2 cycles: 13, 15, 17, 19 for the first fold; the second one's rows follow in 21 to 27, the third's to 35,
        # which is read in 35 and 36.
        (4, 2, 12, 4, 4, 0, 2, 2, 37),
        # Codewords of 4 along the reduction, one for each of 4 columns: 4 pops bring 4 steps. The first step is booked in 5, the next line
        # is there as these 4 are through: 16 steps up to 20.
        (4, 8, 8, 4, 4, 1, 0, 2, 33),
        # One row: 8 steps each, booked in 2 to 17; a trimmed fold drains all rows of PEs.
        (1, 8, 8, 4, 4, 0, 0, 2, 30),
    ],
)  # fmt: skip
def test_cycles_worked_by_hand(m: int, k: int, n: int, d: int, width: int, axis: int, lanes: int, banks: int, cycles: int) -> None:
    core = raw_core(4, d, width, axis)
    assert simulate_output_stationary(core, m, k, n, lanes, banks)["cycles"] == cycles
    assert model_of(core, m, k, n, lanes, banks)["cycles"] == cycles


@settings(max_examples=40)
@given(
    cores(), st.integers(1, 6), st.integers(1, 20), st.integers(1, 14), st.sampled_from([0, 1, 2, 3, 64]), st.sampled_from([1, 2]), SUPPLIES
)
def test_the_core_counts_what_the_twin_counts(
    core: NaiveCore, m: int, k: int, n: int, lanes: int, banks: int, supply: tuple[int, int, int]
) -> None:
    m = min(m, core.R)
    assert model_of(core, m, k, n, lanes, banks, supply) == simulate_output_stationary(core, m, k, n, lanes, banks, *supply)


@pytest.mark.parametrize(("lanes", "banks"), [(0, 1), (0, 2), (2, 1), (2, 2)])
def test_a_fold_that_follows_a_cycle_earlier_collides(lanes: int, banks: int) -> None:
    core = raw_core(4, 4, 4)
    times = earliest_times(core, 4, 2, 12, lanes, banks)
    run_with(core, 4, 2, 12, lanes, banks, (0, 1, 0), list(times))
    for fold in range(1, len(times)):
        with pytest.raises(Collision):
            run_with(core, 4, 2, 12, lanes, banks, (0, 1, 0), [time - (index >= fold) for index, time in enumerate(times)])


@given(
    rows=st.integers(1, 8), cols=st.integers(1, 8), rows_a_group=st.integers(1, 3), banks=st.sampled_from([1, 2]),
    m=st.integers(1, 8), k=st.integers(1, 40), n=st.integers(1, 40),
)  # fmt: skip
def test_weights_that_are_never_late_give_the_cycle_rule_of_the_dataflow(
    rows: int, cols: int, rows_a_group: int, banks: int, m: int, k: int, n: int
) -> None:
    """X >= C: the rule that is validated register by register, 3 cycles later, as the first weight is on its way for as long."""
    m, rows_a_group = min(m, rows), min(rows_a_group, rows)
    core = CoreGeometry(
        rows, cols, cols, 1, rows_a_group, 8 * cols * rows_a_group, False, False, 0, rows, mapping=OutputStationary()
    )  # fmt: skip
    rule = gemm_cycles("output_stationary", SystolicArray(rows, cols, banks == 2), m, k, n).total_cycles
    assert run_stand_alone(core, m, k, n, banks=banks).cycles == rule + 3

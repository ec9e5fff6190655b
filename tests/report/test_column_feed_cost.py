"""What feeds per column cost in gates and energy, worked from the parts."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_counts import ROW_READ, SKEW_CYCLE, WINDOW_CYCLE, WINDOW_IDLE, add_counts, count_actions
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology
from accelsim.simulation import simulate
from tests.system.test_column_feed import chip, depthwise

NODE = load_technology("nangate45")


def test_a_window_is_k_by_k_registers_per_column_and_a_feed_a_multiplexer_per_row_that_it_reaches() -> None:
    plain, fed, bare = (
        area_of(load_accelerator("edge-32x32", fields), NODE) for fields in ([], ["array.column_feed=3"], ["array.column_feed=0"])
    )
    # 32 columns of 9 activations of 8 bits at 8.0 GE; 9 of 32 rows have two inputs of 8 bits at 2.15 GE, or all rows
    assert fed.gates.nominal - plain.gates.nominal == pytest.approx(32 * 9 * 8 * 8.0 + 32 * 9 * 2 * 8 * 2.15)
    assert bare.gates.nominal - plain.gates.nominal == pytest.approx(32 * 32 * 2 * 8 * 2.15)


def test_feeds_read_what_their_shifts_bring_and_pass_the_skew_registers() -> None:
    # 8 channels, 4 x 4 outputs on 4 columns: 2 tiles of 4 lines of 3 + 3 shifts, each of 3 values for 4 columns.
    accelerator = chip(16, 4, 4, 1, 16, 3)
    result = simulate(accelerator, depthwise(8, 4, 4, 3, 1))
    counts = add_counts(count_actions(result, accelerator))
    assert counts[ROW_READ].nominal == counts[ROW_READ].low == 2 * 24 * 12
    assert counts[WINDOW_CYCLE].nominal == 2 * 24
    assert counts[WINDOW_IDLE].nominal == 69 - 2 * 24
    assert SKEW_CYCLE not in counts
    energies, bits = action_energies(accelerator, NODE), 8 * 9 * 4
    assert energies["window_cycle"].pj.nominal == pytest.approx(bits * NODE.energy.register_bit_pj.value)

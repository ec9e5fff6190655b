"""What a second shadow set costs in gates and energy, worked from the parts that were synthesized."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology

NODE = load_technology("nangate45")
ONE = load_accelerator("edge-32x32")
TWO = load_accelerator("edge-32x32", ["array.shadow_sets=2"])


def test_a_second_set_is_eight_flops_and_a_multiplexer_a_pe() -> None:
    # 32 x 32 PEs of 8 x (8.0 + 2.15) GE, and a select bit beside the token: 63 flops of 5.67 GE
    added = area_of(TWO, NODE).gates.nominal - area_of(ONE, NODE).gates.nominal
    assert added == pytest.approx(1024 * 8 * (8.0 + 2.15) + 63 * 5.67)
    component = area_of(TWO, NODE).component("second shadow weights")
    assert component.gates is not None
    assert component.gates.low < component.gates.nominal < component.gates.high
    assert "estimate" in component.source
    with pytest.raises(KeyError):
        area_of(ONE, NODE).component("second shadow weights")


def test_the_select_costs_energy_at_each_write_and_the_second_register_in_each_cycle() -> None:
    one, two = action_energies(ONE, NODE), action_energies(TWO, NODE)
    assert two["shadow_write"].pj.nominal - one["shadow_write"].pj.nominal == pytest.approx(8 * 2.15 * NODE.energy.gate_pj.value)
    held = 8 * NODE.energy.register_bit_pj.value * NODE.energy.idle_fraction.value
    for name in ("pe_cycle", "pe_idle_cycle"):
        assert two[name].pj.nominal - one[name].pj.nominal == pytest.approx(held)
    assert {name for name in one if one[name] != two[name]} == {"shadow_write", "pe_cycle", "pe_idle_cycle"}

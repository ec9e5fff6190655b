"""What activations that stay in the PEs cost in gates and energy, worked from the parts, and what they count."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_counts import IS_HELD, IS_WEIGHT, MAC, PE_CYCLE, ROW_READ, SHADOW_WRITE, add_counts, count_actions
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from tests.system.test_input_stationary import bench, product

NODE = load_technology("nangate45")
PLAIN = load_accelerator("edge-32x32", [])
HELD = load_accelerator("edge-32x32", ["array.dataflow=input_stationary"])


def test_two_banks_of_weights_and_a_multiplexer_per_pe_are_added() -> None:
    area, plain = area_of(HELD, NODE), area_of(PLAIN, NODE)
    banks = 2 * 1024 * 8 * (8.0 + 2.15)
    select = NODE.logic.mac_array_factor.value * 1024 * 8 * 2 * 2.15
    gates = {name: area.component(name).gates for name in ("weight banks", "activation load")}
    nominal = {name: span.nominal for name, span in gates.items() if span is not None}
    assert nominal == {"weight banks": pytest.approx(banks), "activation load": pytest.approx(select)}
    assert area.gates.nominal - plain.gates.nominal == pytest.approx(banks + select)


def test_energies_are_those_of_the_registers() -> None:
    held, plain = action_energies(HELD, NODE), action_energies(PLAIN, NODE)
    register, gate = NODE.energy.register_bit_pj.value, NODE.energy.gate_pj.value
    assert held["bank_weight"].pj.nominal == pytest.approx(8 * register + gate * 0.1 * 2.15 * 2 * 32 * 8)
    assert {name: energy for name, energy in held.items() if not name.startswith("bank_")} == plain


def test_loads_of_activations_and_passing_weights_are_counted() -> None:
    # 6 rows in M-tiles of 3, 8 inputs in two K-tiles, 8 outputs in two N-tiles on 4 x 4: weights are decoded for each M-tile.
    accelerator = bench(4, 4, 16)
    result = simulate(accelerator, product(6, 8, 8))
    counts = add_counts(count_actions(result, accelerator))
    found = {action: span.nominal for action, span in counts.items()}
    assert found[MAC] == 6 * 8 * 8
    assert found[PE_CYCLE] == 2 * 2 * 8 * 16
    assert found[SHADOW_WRITE] == 6 * 8
    assert found[IS_WEIGHT] == 2 * 8 * 8
    assert found[ROW_READ] == 6 * 2  # each row in both K-tiles, 4 bytes at once
    assert found[IS_HELD] == result.total_cycles
    assert energy_of(result, accelerator, NODE).energy_pj().nominal > 0
    assert parse_result(result.to_json(), "here") == result

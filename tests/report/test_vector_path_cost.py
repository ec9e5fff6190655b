"""What lanes that multiply and accumulate cost in gates and energy, worked from the parts, and what they count."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_counts import (
    LANE_HELD,
    LANE_MAC,
    LANE_STEP,
    LANE_WEIGHT,
    MAC,
    PE_CYCLE,
    PE_IDLE,
    ROW_READ,
    SHADOW_WRITE,
    VECTOR_OP,
    add_counts,
    count_actions,
)
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from tests.system.test_column_feed import depthwise
from tests.system.test_vector_path import bench

NODE = load_technology("nangate45")
PLAIN = load_accelerator("edge-32x32", [])
LANES = load_accelerator("edge-32x32", ["vector_unit.depthwise_taps=9"])


def test_lanes_get_a_multiplier_an_adder_and_a_sum_and_two_sets_of_weights() -> None:
    area, plain = area_of(LANES, NODE), area_of(PLAIN, NODE)
    # 32 lanes: 579 GE, an adder of 32 bits (7.63 x 32 - 12.3), a sum of 32 bits at 8.0 GE
    lanes = 32 * (579.0 + 7.63 * 32 - 12.3 + 32 * 8.0)
    weights = 2 * 9 * 32 * 8 * (8.0 + 2.15)
    gates = {name: area.component(name).gates for name in ("MAC lanes", "depthwise weights")}
    nominal = {name: span.nominal for name, span in gates.items() if span is not None}
    assert nominal == {"MAC lanes": pytest.approx(lanes), "depthwise weights": pytest.approx(weights)}
    assert area.gates.nominal - plain.gates.nominal == pytest.approx(lanes + weights)


def test_energies_are_those_of_the_registers() -> None:
    lanes, plain = action_energies(LANES, NODE), action_energies(PLAIN, NODE)
    register, gate = NODE.energy.register_bit_pj.value, NODE.energy.gate_pj.value
    assert lanes["lane_step"].pj.nominal == pytest.approx(32 * register + gate * 0.1 * 2.15 * 2 * 9 * 8)
    assert lanes["lane_weight"].pj.nominal == pytest.approx(8 * register)
    assert {name: energy for name, energy in lanes.items() if not name.startswith("lane_")} == plain


def test_what_the_lanes_do_is_counted_and_the_array_idles() -> None:
    # 8 channels, 4 x 4 outputs of 9 taps on 4 lanes: 2 stripes of 16 positions, 9 + 1 cycles each.
    accelerator = bench(4, 4, 1, 4)
    result = simulate(accelerator, depthwise(8, 4, 4, 3, 1))
    counts = add_counts(count_actions(result, accelerator))
    found = {action: span.nominal for action, span in counts.items()}
    assert found[LANE_MAC] == 8 * 16 * 9
    assert found[LANE_STEP] == 4 * 2 * 16 * 9
    assert found[LANE_WEIGHT] == 8 * 9
    assert found[ROW_READ] == 8 * 16 * 9  # bytes, one by one
    assert found[VECTOR_OP] == 4 * 2 * 16
    assert found[LANE_HELD] == result.total_cycles
    assert found[PE_IDLE] == result.total_cycles * 16 * 4
    assert not {MAC, PE_CYCLE, SHADOW_WRITE} & found.keys()
    assert energy_of(result, accelerator, NODE).energy_pj().nominal > 0
    assert parse_result(result.to_json(), "here") == result

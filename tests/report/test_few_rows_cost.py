"""What multipliers behind the decoder cost in gates and energy, worked from the parts, and what they count."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_counts import add_counts, count_actions
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from tests.tiny_convnets import ConvNet
from tests.tiny_machines import gemm_chain, tiny_accelerator

NODE = load_technology("nangate45")
PLAIN = load_accelerator("edge-32x32", ["codebook.ports=4", "codebook.codeword_length=8"])
FIELDS = ["codebook.ports=4", "codebook.codeword_length=8", "array.mapping=gemv", "array.gemv_max_m=2"]
FEW = load_accelerator("edge-32x32", FIELDS)


def test_multipliers_adders_and_two_banks_of_sums_are_added_and_nothing_else() -> None:
    # 32 weights a cycle and 32 columns: a multiplier of 579 GE, 16 register bits at 8.0 and 16 at 5.67, an adder of 32 bits each
    area, plain = area_of(FEW, NODE), area_of(PLAIN, NODE)
    lanes, sums = area.component("GEMV multipliers").gates, area.component("GEMV sums").gates
    assert lanes is not None
    assert sums is not None
    flow = NODE.logic.mac_array_factor.value
    assert lanes.nominal == pytest.approx(flow * 32 * (579 + 16 * 8.0 + 16 * 5.67 + 7.63 * 32 - 12.3))
    assert sums.nominal == pytest.approx(2 * 2 * 32 * 32 * (8.0 + 2 * 2.15))
    assert lanes.low < lanes.nominal < lanes.high
    assert area.gates.nominal - plain.gates.nominal == pytest.approx(lanes.nominal + sums.nominal)


def test_more_weights_than_columns_have_a_tree_in_front_of_the_sums() -> None:
    wide = load_accelerator("edge-32x32", ["codebook.ports=8", "codebook.codeword_length=8", "array.mapping=cheapest"])
    gates = area_of(wide, NODE).component("GEMV multipliers").gates
    assert gates is not None
    lane = 579 + 16 * 8.0 + 16 * 5.67
    wanted = 64 * lane + 32 * (7.63 * 32 - 12.3) + 32 * (7.63 * 20 - 12.3)
    assert gates.nominal == pytest.approx(NODE.logic.mac_array_factor.value * wanted)


def test_energies_are_those_of_the_registers_and_of_a_share_of_the_multiplexer() -> None:
    few, plain = action_energies(FEW, NODE), action_energies(PLAIN, NODE)
    register, gate = NODE.energy.register_bit_pj.value, NODE.energy.gate_pj.value
    assert few["gemv_weight"].pj.nominal == pytest.approx(8 * register)
    assert few["gemv_lane"].pj.nominal == pytest.approx(24 * register)
    assert few["gemv_sum"].pj.nominal == pytest.approx(32 * register + gate * 0.1 * 2.15 * 32 * 4)
    assert {name: energy for name, energy in few.items() if not name.startswith("gemv")} == plain


def test_a_step_is_counted_for_its_lanes_and_leaves_the_pes_idle() -> None:
    # 2 rows of 8 inputs to 20 outputs on 4 x 4 PEs, 8 weights a cycle: 5 stripes of 2 K-tiles of 2 groups, so 20 groups and 40 steps.
    fields = {"codebook": {"ports": 2, "codeword_length": 4, "codewords": 64}}
    chip = tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 64, "mapping": "gemv", "raw_weights_per_cycle": 8}, **fields)
    result = simulate(chip, gemm_chain(2, [8, 20], ["int8"], [""]))
    layer = add_counts(count_actions(result, chip))
    found = {
        (action.component, action.name): span.nominal
        for action, span in layer.items()
        if action.component in ("PE array", "GEMV multipliers")
    }
    cycles = result.total_cycles
    assert found == {
        ("GEMV multipliers", "mac"): 2 * 8 * 20,
        ("GEMV multipliers", "gemv_lane"): 40 * 8,
        ("GEMV multipliers", "gemv_weight"): 20 * 8,
        ("GEMV multipliers", "gemv_sum"): 40 * 4,
        ("GEMV multipliers", "gemv_held_cycle"): cycles,
        ("PE array", "pe_idle_cycle"): cycles * 16,
        ("PE array", "skew_idle_cycle"): cycles,
    }
    reads = {action.name: span for action, span in layer.items() if action.operand == "activations" and action.name == "activation_read"}
    assert reads["activation_read"].nominal == 40  # 2 activations a step, in a word of 4
    assert not any(action.component == "accumulators" for action in layer)


def test_scales_of_groups_have_a_multiplier_for_each_sum_of_a_cycle_where_the_chip_states_them() -> None:
    stated = load_accelerator("edge-32x32", [*FIELDS, "array.scale_taps=1"])
    assert "GEMV scales" not in {part.name for part in area_of(FEW, NODE).components}
    gates = area_of(stated, NODE).component("GEMV scales").gates
    assert gates is not None
    each = 24 * 579 / 64  # a sum of 24 bits by a bit of its scale
    assert gates.nominal == pytest.approx(32 * 11 * each)
    assert gates.low == pytest.approx(4 * 8 * each)  # four codewords along the reduction
    assert gates.high == pytest.approx(2 * 32 * 16 * each)


def test_a_step_scales_what_it_adds_to_each_sum() -> None:
    # 16 x 8 weights on 4 x 4 PEs, 8 weights a cycle: 2 stripes of 4 K-tiles of 2 groups, 16 steps that add to 4 sums each.
    array = {"rows": 4, "cols": 4, "max_m": 64, "mapping": "gemv", "raw_weights_per_cycle": 8, "scale_taps": 1}
    chip = tiny_accelerator(array=array, codebook={"ports": 2, "codeword_length": 4, "codewords": 64})
    result = simulate(chip, ConvNet(16, 1, 1).conv(8, 1).trace("int_group:bits=4,group=8", "*"))
    assert result.layers[0].gemv_steps == 16
    layer = add_counts(count_actions(result, chip))
    assert {action.name: span.nominal for action, span in layer.items()}["scale_sum"] == 16 * 4


def test_the_steps_are_stored_and_energy_is_counted_from_the_stored_result() -> None:
    chip = tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 64, "mapping": "gemv"})
    result = simulate(chip, gemm_chain(1, [8, 20, 8], ["int8", "ssvq:16,2"], ["", ""]))
    assert parse_result(result.to_json(), "here") == result
    assert energy_of(result, chip, NODE).energy_pj().nominal > 0

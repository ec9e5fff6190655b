"""What sums that stay in the PEs cost in gates and energy, worked from the parts, and what they count."""

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
from tests.tiny_machines import gemm_chain, tiny_accelerator

NODE = load_technology("nangate45")
PORTS = ["codebook.ports=4", "codebook.codeword_length=8", "array.accumulator_banks=2", "activation_buffer.width_bits=128"]
PLAIN = load_accelerator("edge-32x32", PORTS)
HELD = load_accelerator("edge-32x32", [*PORTS, "array.dataflow=output_stationary"])
PARTS = ("sums in PEs", "passing weights", "activation line registers", "weight queue", "drain registers")


def test_parts_are_added_and_nothing_else() -> None:
    area, plain = area_of(HELD, NODE), area_of(PLAIN, NODE)
    gates = {name: area.component(name).gates for name in PARTS}
    nominal = {name: span.nominal for name, span in gates.items() if span is not None}
    flow = NODE.logic.mac_array_factor.value
    # 32 x 32 PEs: two sums of 32 bits at 8.0 GE, two multiplexers of two inputs at 2.15 GE
    assert nominal["sums in PEs"] == pytest.approx(flow * 1024 * 32 * (2 * 8.0 + 2 * 2 * 2.15))
    # a weight of 8 bits per PE and 0 to 31 in front of the columns at 5.67 GE, and a multiplexer per PE
    assert nominal["passing weights"] == pytest.approx(flow * 8 * ((1024 + 496) * 5.67 + 1024 * 2 * 2.15))
    assert nominal["activation line registers"] == pytest.approx(32 * 2 * 128 * (8.0 + 2.15))
    assert nominal["weight queue"] == pytest.approx((32 + 32) * 8 * (8.0 + 2.15))
    assert nominal["drain registers"] == pytest.approx(32 * 32 * 33 / 2 * 8.0)
    assert area.gates.nominal - plain.gates.nominal == pytest.approx(sum(nominal.values()))


def test_energies_are_those_of_the_registers() -> None:
    held, plain = action_energies(HELD, NODE), action_energies(PLAIN, NODE)
    register, gate = NODE.energy.register_bit_pj.value, NODE.energy.gate_pj.value
    assert held["os_step"].pj.nominal == pytest.approx(register * (8 * (1024 + 496) + 8 * 32))
    assert held["os_shift"].pj.nominal == pytest.approx(register * 32 * (32 * 33 // 2 + 32 * 33 // 2))
    assert held["queue_weight"].pj.nominal == pytest.approx(8 * register + gate * 0.1 * 2.15 * 64 * 8 / 32)
    assert {name: energy for name, energy in held.items() if not name.startswith(("os_", "queue_"))} == plain


def test_steps_decoded_weights_and_drains_are_counted_and_accumulators_rest() -> None:
    # 4 rows of 8 inputs to 20 outputs on 4 x 4 PEs, 8 weights a cycle: 5 folds of 8 steps, 4 groups each.
    fields = {"codebook": {"ports": 2, "codeword_length": 4, "codewords": 64}}
    chip = tiny_accelerator(
        array={"rows": 4, "cols": 4, "max_m": 64, "dataflow": "output_stationary", "raw_weights_per_cycle": 8}, **fields
    )
    result = simulate(chip, gemm_chain(4, [8, 20], ["int8"], [""]))
    layer = add_counts(count_actions(result, chip))
    found = {action.name: span.nominal for action, span in layer.items() if action.operand not in ("outputs", "vector operands")}
    assert found["mac"] == 4 * 8 * 20
    assert found["os_step"] == 5 * 8
    assert found["os_shift"] == 5 * 4
    assert found["queue_weight"] == 5 * 4 * 8
    assert found["pe_cycle"] == 5 * 8 * 16
    assert not {"shadow_write", "accumulate", "accumulator_read", "accumulator_write"} & found.keys()
    (only,) = result.layers
    reads = {action.operand: span.nominal for action, span in layer.items() if action.name == "activation_read"}
    assert only.os_reads == reads["activations"] == 5 * 2 * 4  # two tiles of 4 steps, each one word of 4 of each row
    assert energy_of(result, chip, NODE).energy_pj().nominal > 0
    assert parse_result(result.to_json(), "here") == result

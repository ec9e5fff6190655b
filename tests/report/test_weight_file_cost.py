"""What a file of weights costs in gates and energy, worked from the parts, and what it saves."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_counts import add_counts, count_actions
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology
from accelsim.simulation import simulate
from accelsim.stored_result import parse_result
from tests.tiny_machines import gemm_chain, tiny_accelerator

NODE = load_technology("nangate45")
FILES = ["array.dataflow=enhanced_weight_stationary", "array.weight_file=4"]
ONE = load_accelerator("edge-32x32")
FOUR = load_accelerator("edge-32x32", FILES)


def test_two_files_of_latches_with_a_read_port_replace_two_registers() -> None:
    # 32 x 32 PEs: 8 bits of 8 weights at 3.25 + 2.15 GE in place of 16 bits at 8.0 GE, times the factor of the flow
    flow = NODE.logic.mac_array_factor.value
    added = area_of(FOUR, NODE).gates.nominal - area_of(ONE, NODE).gates.nominal
    assert added == pytest.approx(flow * 1024 * (8 * 8 * (3.25 + 2.15) - 16 * 8.0))
    three = load_accelerator("edge-32x32", [*FILES, "array.shadow_sets=2"])
    assert area_of(three, NODE).gates.nominal - area_of(FOUR, NODE).gates.nominal == pytest.approx(flow * 1024 * 8 * 4 * (3.25 + 2.15))


def test_a_sparse_tile_has_files_for_its_multipliers_alone() -> None:
    sparse = ["array.sparse_tile={d: 16, q: 4}", "codebook.mask={keep: 4, of: 16}"]
    one, four = (area_of(load_accelerator("edge-32x32", [*sparse, *more]), NODE).component("PE array").gates for more in ([], FILES))
    assert one is not None
    assert four is not None
    # weights of 8 bits in 4 of 16 columns, and a mask bit for each of the 16
    bits = 1024 // 16 * (4 * 8 + 16)
    assert four.nominal - one.nominal == pytest.approx(NODE.logic.mac_array_factor.value * bits * (8 * (3.25 + 2.15) - 2 * 8.0))


def test_a_read_of_the_file_costs_a_share_of_its_multiplexer_and_a_held_weight_no_clock() -> None:
    one, four = action_energies(ONE, NODE), action_energies(FOUR, NODE)
    register, idle, gate = NODE.energy.register_bit_pj.value, NODE.energy.idle_fraction.value, NODE.energy.gate_pj.value
    assert four["file_read"].pj.nominal == pytest.approx(gate * 0.1 * 2.15 * 8 * 8)
    assert four["hold_activation"].pj.nominal == pytest.approx(8 * register)
    assert one["pe_cycle"].pj.nominal - four["pe_cycle"].pj.nominal == pytest.approx(register * (8 + idle * 16 - idle * 8))
    assert four["shadow_write"].pj.nominal == pytest.approx(one["shadow_write"].pj.nominal / 2)


def test_a_row_is_counted_once_for_the_tiles_of_a_fold() -> None:
    # 5 rows of 8 inputs to 20 outputs on 4 x 4 PEs: 2 K-tiles of 5 N-tiles; folds of 3 and 2 tiles are 2 reads of each row and K-tile.
    trace = gemm_chain(5, [8, 20], ["int8"], [""])
    plain = tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 64})
    files = tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 64, "dataflow": "enhanced_weight_stationary", "weight_file": 3})
    counts = {}
    for name, chip in {"plain": plain, "files": files}.items():
        result = simulate(chip, trace)
        layer = add_counts(count_actions(result, chip))
        counts[name] = {
            action.name: span.nominal for action, span in layer.items() if action.component in ("PE array", "activation buffer")
        }
        assert result.layers[0].row_reads == {"plain": None, "files": 5 * 2 * 2}[name]
    assert (counts["plain"]["skew_cycle"], counts["files"]["skew_cycle"]) == (5 * 2 * 5, 5 * 2 * 2)
    assert counts["files"]["hold_activation"] == 5 * 2 * 2 * 16
    assert counts["files"]["file_read"] == counts["files"]["pe_cycle"] == counts["plain"]["pe_cycle"]
    assert "file_read" not in counts["plain"]


def test_the_rows_that_were_read_are_stored_where_pes_hold_files_alone() -> None:
    trace = gemm_chain(5, [8, 20], ["int8"], [""])
    for array, stored in (({}, False), ({"dataflow": "enhanced_weight_stationary", "weight_file": 3}, True)):
        result = simulate(tiny_accelerator(array={"rows": 4, "cols": 4, "max_m": 64, **array}), trace)
        text = result.to_json()
        assert ("row_reads" in text) is stored
        assert parse_result(text, "here") == result

"""What scaling of groups costs in gates and energy: nothing on a chip that states no multipliers, else worked from their parts."""

from __future__ import annotations

import pytest

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.cost.action_counts import SCALE_SUM, SCALE_WEIGHT, add_counts, count_actions
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology
from accelsim.formats.catalog import parse_format
from accelsim.simulation import simulate
from tests.contract.test_weight_traffic import machine, product

NODE = load_technology("nangate45")
PLAIN = load_accelerator("edge-32x32")


def added(*overrides: str) -> dict[str, float]:
    """Components that a chip has beyond `edge-32x32`, in gates."""
    known = {item.name for item in area_of(PLAIN, NODE).components}
    chip = load_accelerator("edge-32x32", overrides)
    return {item.name: item.gates.nominal for item in area_of(chip, NODE).components if item.name not in known and item.gates}


def test_taps_are_a_multiplier_an_adder_and_a_register_each() -> None:
    """32 x 2 taps: 24 x 11 pairs of bits of 579 / 64 GE, an adder and a register of 32 bits; twice 16 bits with enable of 8 GE."""
    tap = 24 * 11 * 579 / 64 + (7.63 * 32 - 12.3) + 32 * 5.67
    assert added("array.scale_taps=2") == pytest.approx({"group scales": 64 * tap, "scale registers": 64 * 2 * 16 * 8.0})
    assert added("array.scale_taps=1") == pytest.approx({"group scales": 32 * tap, "scale registers": 32 * 2 * 16 * 8.0})


def test_scales_in_the_decoder_widen_every_pe() -> None:
    """A row of 32 raw weights is multiplied by 6 bits; 4 more bits in each of 1024 PEs: 8 pairs of bits and two registers per bit."""
    parts = added("array.scale_at=weight", "array.weight_bits=12")
    assert parts["weight scales"] == pytest.approx(32 * 6 * 8 * 579 / 64)
    assert parts["wider weights"] == pytest.approx(1024 * 4 * (8 * 579 / 64 + 2 * 8.0))


def test_a_ninth_bit_of_rows_widens_multipliers_and_registers() -> None:
    """8 pairs of bits and a flop in each of 1024 PEs, a subtractor of 9 bits per row; skew: 32 x 31 / 2 flops more. A MAC takes 9/8."""
    parts, fields = added("array.activation_bits=9"), ["array.activation_bits=9"]
    assert parts == {"wider rows": pytest.approx(1024 * (8 * 579 / 64 + 5.67) + 32 * 7.63 * 9 - 32 * 12.3)}
    chip = load_accelerator("edge-32x32", fields)
    skew = [next(item for item in area_of(each, NODE).components if item.name == "skew registers").gates for each in (PLAIN, chip)]
    assert skew[1].nominal - skew[0].nominal == pytest.approx(5.67 * 32 * 31 / 2)
    plain, wide = action_energies(PLAIN, NODE), action_energies(chip, NODE)
    assert wide["mac"].pj.nominal == pytest.approx(plain["mac"].pj.nominal * 9 / 8)
    assert wide["pe_cycle"].pj.nominal > plain["pe_cycle"].pj.nominal


def test_a_chip_that_states_no_multipliers_has_none() -> None:
    assert added() == added("array.scale_at=channel") == {}
    assert "scale_sum" not in action_energies(PLAIN, NODE)


def counted(chip: Accelerator, text: str) -> tuple[float, float]:
    """Sums and weights that are scaled."""
    counts = add_counts(count_actions(simulate(chip, product(parse_format(text))), chip))
    return tuple(counts[action].nominal if action in counts else 0.0 for action in (SCALE_SUM, SCALE_WEIGHT))  # type: ignore[return-value]


def test_each_row_of_a_tile_scales_a_sum_per_column_and_tap() -> None:
    """8 rows in 3 stripes of 4 K-tiles of 16 rows, or of 16 without a tap every 8 rows; 16 columns. Channels scale none."""
    array = {"rows": 16, "cols": 16, "max_m": 32}
    eights = parse_format("int_group:bits=4,group=8")
    assert counted(machine(eights, array={**array, "scale_taps": 2}), "int_group:bits=4,group=8") == (8 * 3 * 4 * 16 * 2, 0)
    assert counted(machine(eights, array={**array, "scale_taps": 1}), "int_group:bits=4,group=8") == (8 * 3 * 8 * 16, 0)
    assert counted(machine(eights, array=array), "int_group:bits=4,group=8") == (0, 0)
    uniform = parse_format("uniform")
    assert counted(machine(uniform, array={**array, "scale_taps": 2}), "uniform") == (0, 0)


def test_the_decoder_scales_each_weight_once_per_load() -> None:
    """256 x 48 weights of IQ2_XXS; 8 rows in 3 stripes of 16 tiles and 16 columns."""
    spec = parse_format("gguf:type=IQ2_XXS")
    chip = machine(spec, array={"rows": 16, "cols": 16, "max_m": 32, "scale_at": "weight", "weight_bits": 12})
    assert counted(chip, "gguf:type=IQ2_XXS") == (8 * 3 * 16 * 16, 256 * 48)

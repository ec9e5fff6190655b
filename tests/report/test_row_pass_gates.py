"""Logic for rows wider than 8 bits: gates counted by hand, sums of passes, rows that are too wide."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_counts import SHIFT_SUM, add_counts, count_actions
from accelsim.cost.action_energy import action_energies
from accelsim.cost.area import area_of
from accelsim.cost.technology import load_technology
from accelsim.errors import CompileError
from accelsim.simulation import simulate
from tests.packed_products import packed_product

NODE = load_technology("nangate45")


def parts(*overrides: str) -> dict[str, float]:
    """Gates of the parts that wide rows need on edge-64x64: 64 columns, 4,096 PEs."""
    found = area_of(load_accelerator("edge-64x64", overrides), NODE).components
    return {
        item.name: item.gates.nominal
        for item in found
        if item.gates is not None and item.name in ("row pass adders", "unsigned bytes", "16-bit multipliers")
    }


@pytest.mark.parametrize(("bits", "passes"), [(16, 2), (32, 4)])
def test_a_column_has_a_shifter_an_adder_and_a_register_and_a_pe_a_ninth_bit(bits: int, passes: int) -> None:
    """32-bit sums: an adder of 7.63 x 32 - 12.3 GE, and 5.67 GE of a register and 2.15 per pass for each bit."""
    foot = 7.63 * 32 - 12.3 + 32 * (5.67 + 2.15 * passes)
    assert parts(f"array.row_bits={bits}") == pytest.approx({"row pass adders": 64 * foot, "unsigned bytes": 4096 * (579 / 8 + 5.67)})


@pytest.mark.parametrize(("bits", "more"), [("null", False), ("16", False), ("32", True)])
def test_multipliers_of_16_bits_need_no_sums_of_passes(bits: str, more: bool) -> None:
    """Beside one of 8 x 8, 579 GE, a multiplier has an adder of 24 bits and a byte's register; rows of 32 bits still enter byte by byte."""
    found = parts(f"array.row_bits={bits}", "array.macs_16bit=1024")
    assert found.pop("16-bit multipliers") == pytest.approx(1024 * (579 + 7.63 * 24 - 12.3 + 8 * 5.67))
    assert bool(found) == more


@pytest.mark.parametrize("overrides", [(), ("array.row_bits=8",)])
def test_a_chip_that_states_none_counts_none(overrides: tuple[str, ...]) -> None:
    assert parts(*overrides) == {}
    assert "shift_sum" not in action_energies(load_accelerator("edge-64x64", overrides), NODE)


@pytest.mark.parametrize(("bits", "sums"), [(8, 0), (16, 2 * 3 * 8 * 2 * 64), (32, 4 * 3 * 8 * 2 * 64)])
def test_each_pass_of_a_row_shifts_a_sum_per_column_of_each_tile(bits: int, sums: int) -> None:
    """3 rows, 512 x 96 weights: 8 x 2 tiles of 64 columns."""
    trace = packed_product("uniform:bits=8", 3, 512, 96, row_bits=bits)
    chip = load_accelerator("edge-64x64", ["array.row_bits=32", "array.psum_bits=64"])
    result = simulate(chip, trace)
    found = add_counts(count_actions(result, chip))
    assert (found[SHIFT_SUM].nominal if SHIFT_SUM in found else 0) == sums


def test_rows_that_are_wider_than_the_chip_takes_are_refused() -> None:
    trace = packed_product("uniform:bits=8", 3, 512, 96, row_bits=32)
    with pytest.raises(CompileError, match=r"rows of 32 bits exceed array\.row_bits = 16 of 'edge-64x64'; allowed: .* at most 16 bits"):
        simulate(load_accelerator("edge-64x64", ["array.row_bits=16"]), trace)


def test_a_stated_width_moves_no_cycle() -> None:
    trace = packed_product("uniform:bits=8", 3, 512, 96, row_bits=16)
    chips = [load_accelerator("edge-64x64", overrides) for overrides in ([], ["array.row_bits=16"])]
    assert simulate(chips[0], trace).cycles == simulate(chips[1], trace).cycles

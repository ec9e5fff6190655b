"""A saved result, costed in another technology: no simulation, its own accelerator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.recost import recost
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.presets import preset_names
from accelsim.result import Result
from accelsim.stored_result import load_result
from tests.synthetic_results import int8, layer, read, result

CHIP = load_accelerator("edge-32x32", ["codebook.ports=4", "array.accumulator_banks=2"])


@pytest.fixture
def saved(tmp_path: Path) -> Result:
    """A result of twelve frames of 200 layers, written and read back."""
    frame = tuple(
        layer(f"blocks.{index}.fc", {"busy": 100}, format="ssvq", macs=100_000, pe_cycles=102_400, traffic=(read("indices", 640),))
        for index in range(200)
    )
    whole = replace(result(*[frame] * 12), accelerator=CHIP.dump_yaml())
    (tmp_path / "result.json").write_text(whole.to_json())
    return load_result(tmp_path)


@pytest.mark.parametrize("name", preset_names("technology"))
def test_a_saved_result_costs_what_its_own_accelerator_costs_in_any_technology(saved: Result, name: str) -> None:
    technology = load_technology(name)
    cost = recost(saved, technology)
    assert cost.accelerator == CHIP
    assert cost.area == area_of(CHIP, technology)
    assert cost.energy == energy_of(saved, CHIP, technology)
    assert (cost.area.technology, cost.energy.technology) == (name, name)


def test_a_smaller_node_is_smaller_and_moves_nothing_that_is_off_the_chip(saved: Result) -> None:
    here, there = (recost(saved, load_technology(name)) for name in ("nangate45", "range28"))
    assert there.area.placed_um2.nominal < here.area.placed_um2.nominal
    assert there.energy.energy_pj(off_chip=False).nominal < here.energy.energy_pj(off_chip=False).nominal
    assert there.energy.by_component["dram"] == here.energy.by_component["dram"]  # a memory's constants are not the node's
    assert json.loads(json.dumps(there.energy.to_dict()))["technology"] == "range28"


def test_a_result_of_a_machine_that_is_none_is_one_message() -> None:
    with pytest.raises(ConfigError, match=r"field `clock`: is missing"):
        recost(int8(), load_technology("nangate45"))

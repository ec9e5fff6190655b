"""Nodes scaled by published factors: the factors are the paper's, and a chip shrinks and saves from node to node."""

from __future__ import annotations

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import load_technology
from accelsim.presets import find_trace
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace

NODES = ("nangate45", "scaled22", "scaled16", "scaled7")
# Stillmaker and Baas 2017: a V^2 + b V + c of their energy factors, and area over 45 nm. Worked by hand:
# 45 nm at 0.9 V: 1.103 x 0.81 - 0.362 x 0.9 + 0.2767 = 0.8443; 16 nm at 0.8 V: 0.2958 x 0.64 - 0.1241 x 0.8 + 0.03024 = 0.1203;
# 7 nm at 0.7 V: 0.1776 x 0.49 - 0.09097 x 0.7 + 0.02447 = 0.0478.
ENERGY = {"scaled16": 0.1203 / 0.8443, "scaled7": 0.0478 / 0.8443}
AREA = {"scaled16": 0.19, "scaled7": 0.059}


@pytest.mark.parametrize("name", ENERGY)
def test_logic_is_scaled_by_the_papers_factors(name: str) -> None:
    old, new = load_technology("nangate45"), load_technology(name)
    assert new.energy.mac_pj.value / old.energy.mac_pj.value == pytest.approx(ENERGY[name], rel=0.01)
    assert new.logic.um2_per_ge.value / old.logic.um2_per_ge.value == pytest.approx(AREA[name], rel=0.01)


def test_22_nm_lies_between_the_papers_32_and_20() -> None:
    old, new = load_technology("nangate45"), load_technology("scaled22")
    assert 0.21 < new.logic.um2_per_ge.value / old.logic.um2_per_ge.value < 0.46
    assert 0.1532 / 0.8443 < new.energy.mac_pj.value / old.energy.mac_pj.value < 0.457 / 0.8443  # both at 0.8 V


def test_a_chip_shrinks_and_saves_from_node_to_node() -> None:
    chip = load_accelerator("edge-32x32")
    result = simulate(chip, load_trace(find_trace("tiny_vit_int8")))
    areas = [area_of(chip, load_technology(name)).placed_um2.nominal for name in NODES]
    energies = [energy_of(result, chip, load_technology(name)).energy_pj().nominal for name in NODES]
    assert areas == sorted(areas, reverse=True)
    assert energies == sorted(energies, reverse=True)

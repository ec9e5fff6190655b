"""Technology tables: the presets load, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from accelsim.accelerator import load_accelerator
from accelsim.cost.action_energy import action_energies
from accelsim.cost.technology import Figure, load_technology
from accelsim.errors import ConfigError
from accelsim.presets import built_in, preset_names


def figures(value: object) -> list[Figure]:
    if isinstance(value, Figure):
        return [value]
    return [item for name in getattr(type(value), "model_fields", ()) for item in figures(getattr(value, name))]


def changed(tmp_path: Path, path: str, value: object) -> str:
    """nangate45 with one field set (or, for None, left out), as a file."""
    fields = yaml.safe_load((built_in().configs / "technology" / "nangate45.yaml").read_text())
    *groups, last = path.split(".")
    inner = fields
    for group in groups:
        inner = inner[group]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(fields))
    return str(file)


@pytest.mark.parametrize("name", preset_names("technology"))
def test_each_preset_loads_and_each_of_its_figures_has_a_source(name: str) -> None:
    technology = load_technology(name)
    assert technology.name == name
    assert len(figures(technology)) >= 11
    for figure in figures(technology):
        assert 0 < figure.low <= figure.value <= figure.high
        assert len(figure.source) > 5


def test_an_estimate_says_so_in_its_citation() -> None:
    assert load_technology("nangate45").logic.placement_density.citation.endswith("(estimate)")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("logic.um2_per_ge.value", -0.8, r"mine\.yaml: field `logic\.um2_per_ge\.value`: must be more than 0 .*-0\.8"),
        ("logic.um2_per_ge.value", None, r"field `logic\.um2_per_ge\.value`: is missing"),
        ("logic.um2_per_ge", None, r"field `logic\.um2_per_ge`: is missing"),
        ("logic.um2_per_ge.low", 0.9, r"field `logic\.um2_per_ge`: must have low <= value <= high; low = 0\.9"),
        ("logic.um2_per_ge.source", None, r"field `logic\.um2_per_ge\.source`: is missing"),
        ("logic.um2_per_ge.status", "sure", r"field `logic\.um2_per_ge\.status`"),
        ("logic.um2_per_ge.value", float("inf"), r"field `logic\.um2_per_ge\.value`"),
        ("logic.placement_density.high", 1.2, r"placement_density: must be at most 1"),
        ("logic.gates", 3, r"field `logic\.gates`: unknown field"),
        ("memory.grid_node_nm", 65, r"grid_node_nm = 65 has no SRAM table; allowed: \[22, 32, 45\]"),
        ("memory.device", "fast", r"field `memory\.device`"),
    ],
)
def test_a_bad_constant_is_one_message(tmp_path: Path, path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_technology(changed(tmp_path, path, value))


def test_an_unknown_technology_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown technology 'nangate54'; known: mvq40, nangate45, range28.*did you mean 'nangate45'"):
        load_technology("nangate54")


@pytest.mark.parametrize("path", ["energy.dram_background_mw.low", "logic.gate_delay_ns.value", "memory.leakage_factor.high"])
def test_a_negative_constant_anywhere_is_one_message_that_names_it(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=rf"mine\.yaml: field `{path}`: .*more than 0 \(got -1\)"):
        load_technology(changed(tmp_path, path, -1))


def test_a_memory_outside_the_grid_says_in_its_energy_what_was_extrapolated() -> None:
    chip = load_accelerator("edge-32x32", ["activation_buffer.capacity=32 MiB", "weight_buffer.word_bits=512"])
    energies = action_energies(chip, load_technology("nangate45"))
    assert "beyond the grid" in energies["activation_read"].source
    assert "wider than the grid" in energies["weight_write"].source

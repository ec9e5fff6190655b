"""Every figure of an area or an energy leads to constants of the technology, and names the source of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from accelsim.accelerator import load_accelerator
from accelsim.cost.area import area_of
from accelsim.cost.energy import energy_of
from accelsim.cost.technology import Figure, Technology, load_technology
from accelsim.presets import preset_names
from accelsim.result import Result
from tests.synthetic_results import layer, read, result

# Chips that have every circuit between them, and a run that uses every part of them.
CHIPS = {
    "flops": (),
    "latches, two shadow sets": ("codebook.circuit=latches", "array.shadow_sets=2"),
    "banked sram": ("codebook.circuit=sram", "codebook.banks=4"),
    "logic rom": ("codebook.store=rom", "codebook.circuit=logic_rom"),
    "rom macro": ("codebook.store=rom", "codebook.circuit=rom_macro"),
    "flash": ("flash={bandwidth: 0.4 GB/s}", "placement.weights=flash"),
}


def chip(name: str) -> Any:
    if name == "flash":
        return load_accelerator("mcu-16x16")
    return load_accelerator("edge-32x32", CHIPS[name])


def run() -> Result:
    traffic = (read("indices", 1600), read("signs", 3200), read("codebook", 128), read("activations_in", 64))
    fc = layer("fc", {"busy": 200, "dram": 300}, format="ssvq", macs=10**5, pe_cycles=200 * 1024, vector_cycles=40, traffic=traffic,
               bounds={"buffer_width": 300, "decode": 1600})  # fmt: skip
    flash = [type(item)(item.operand, "flash", False, item.bits) for item in traffic]
    scores = layer("scores", {"busy": 100}, op="matmul", format="", macs=10**4, pe_cycles=100 * 1024, traffic=tuple(flash),
                   bounds={"buffer_width": 64, "decode": 64})  # fmt: skip
    return result((fc, scores))


def rows(name: str, technology: Technology) -> dict[tuple[str, ...], tuple[tuple[float, ...], str]]:
    """(report, line) -> its figures and its source, for every line of both reports."""
    machine = chip(name)
    area, energy = area_of(machine, technology), energy_of(run(), machine, technology)
    out: dict[tuple[str, ...], tuple[tuple[float, ...], str]] = {}
    for item in area.rows():
        figures = (item["area_um2"], item["area_low_um2"], item["area_high_um2"])
        out["area", item["component"]] = figures, f"{item['source']}; {item['notes']}"
    for item in energy.rows():
        key = ("energy", item["component"], item["operand"], item["action"])
        out[key] = (item["energy_uj"], item["energy_low_uj"], item["energy_high_uj"]), item["source"]
    for limit in area.clock_limits:
        out["clock", limit.component] = (limit.delay_ns.nominal, limit.delay_ns.low, limit.delay_ns.high), limit.source
    return out


def paths(value: object, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Figure]]:
    if isinstance(value, Figure):
        yield at, value
        return
    for name in getattr(type(value), "model_fields", ()):
        yield from paths(getattr(value, name), (*at, name))


def scaled(technology: Technology, path: tuple[str, ...], factor: float) -> Technology:
    fields = technology.model_dump()
    inner = fields
    for name in path:
        inner = inner[name]
    for end in ("value", "low", "high"):
        inner[end] *= factor
    return Technology.model_validate(fields)


@pytest.mark.parametrize("name", preset_names("technology"))
def test_each_line_that_a_constant_moves_names_that_constants_source(name: str) -> None:
    technology = load_technology(name)
    before = {chip_name: rows(chip_name, technology) for chip_name in CHIPS}
    for path, figure in paths(technology):
        after = scaled(technology, path, 0.97)
        moved = 0
        for chip_name, lines in before.items():
            for key, (figures, _) in rows(chip_name, after).items():
                if figures != pytest.approx(lines[key][0], rel=1e-12):
                    moved += 1
                    total = key[1].startswith("total,")  # a sum, whose terms stand above it
                    assert total or figure.source in lines[key][1], (path, chip_name, key)
        assert moved, f"{path}: moves no figure of any chip"


@pytest.mark.parametrize("name", preset_names("technology"))
def test_no_line_is_without_a_constant_of_the_technology_or_a_cited_table(name: str) -> None:
    technology = load_technology(name)
    sources = {figure.source for _, figure in paths(technology)}
    for chip_name in CHIPS:
        for key, (figures, source) in rows(chip_name, technology).items():
            assert any(known in source for known in sources) or "CACTI 7" in source or key[1].startswith("total,"), key
            assert figures[1] <= figures[0] <= figures[2]


@pytest.mark.parametrize("name", preset_names("technology"))
def test_a_constant_with_a_doubtful_source_says_so_wherever_it_is_used(name: str) -> None:
    technology = load_technology(name)
    doubtful = {figure.source: figure.status for _, figure in paths(technology) if figure.status in ("estimate", "unverified")}
    trusted = {figure.source for _, figure in paths(technology) if figure.status not in ("estimate", "unverified")}
    for key, (_, source) in rows("flops", technology).items():
        for text, status in doubtful.items():
            assert text not in source or text in trusted or f"({status})" in source, key

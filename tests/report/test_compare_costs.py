"""Runs side by side: latency, traffic, energy and area of each, from one command line, as table, JSON, CSV and pictures."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.cost.compare_costs import ENERGY_GROUPS, RunCost, costs_of
from accelsim.cost.technology import load_technology
from accelsim.report.plots.costs import cost_pictures
from accelsim.report.plots.energy import energy_by_kind_uj, plot_energy_kinds
from accelsim.report.plots.picture import files_of, look
from accelsim.report.plots.style import GROUP_PAINT
from accelsim.result import Result
from accelsim.run_labels import common_label, short_labels
from tests.report.overlaps import check_picture
from tests.synthetic_results import int8, ssvq

CHANGES = ("codebook.ports=4", "codebook.circuit=sram+codebook.ports=4+codebook.banks=8", "codebook.store=rom+codebook.circuit=rom_macro")


def on(result: Result, changes: str = "", batch: int = 1) -> Result:
    chip = load_accelerator("edge-32x32", changes.split("+") if changes else ())
    name = f"{chip.name}+{changes}" if changes else chip.name
    return replace(result, accelerator=chip.dump_yaml(), accelerator_name=name, batch=batch)


def costs() -> tuple[RunCost, ...]:
    return costs_of([on(ssvq()), *(on(ssvq(), changes) for changes in CHANGES)], load_technology("mvq40"))


def test_a_run_costs_what_its_energy_and_area_reports_say_and_the_groups_add_up() -> None:
    for item in costs_of([on(int8()), on(ssvq(), batch=4)], load_technology("mvq40")):
        assert item.energy_uj.nominal == pytest.approx(item.cost.energy.energy_pj().nominal / 1e6 / item.result.batch)
        assert item.area_mm2.nominal == pytest.approx(item.cost.area.placed_um2.nominal / 1e6)
        for end in ("nominal", "low", "high"):
            assert sum(getattr(span, end) for span in item.energy_by_group_uj.values()) == pytest.approx(getattr(item.energy_uj, end))
            assert sum(getattr(span, end) for span in item.area_by_group_mm2.values()) == pytest.approx(getattr(item.area_mm2, end))


def test_traffic_is_what_the_runs_moved() -> None:
    first, second = costs_of([on(int8()), on(ssvq())], load_technology("mvq40"))
    assert (first.bus_megabytes, second.bus_megabytes) == pytest.approx((1640e-6, 680e-6))  # bytes worked in synthetic_results


def test_every_component_of_energy_is_drawn_with_its_group() -> None:
    for item in costs():
        assert set(item.cost.energy.by_component) <= set(ENERGY_GROUPS) | {"dram", "flash"}
        assert set(item.energy_by_group_uj) | set(item.area_by_group_mm2) <= set(GROUP_PAINT)


def test_chips_that_are_changes_of_the_first_are_named_by_the_changes() -> None:
    assert short_labels([on(ssvq()), on(ssvq(), "codebook.ports=4")]) == ("edge-32x32", "+codebook.ports=4")
    assert short_labels([on(int8()), on(ssvq(), "codebook.ports=4")]) == ("edge-32x32:net_int8", "+codebook.ports=4:net_ssvq")
    assert short_labels([on(ssvq(), "array.max_m=9"), on(ssvq(), "clock=2e9")]) == ("edge-32x32+array.max_m=9", "edge-32x32+clock=2e9")


def test_chips_of_one_name_are_told_apart_by_the_fields_that_differ() -> None:
    plain = on(ssvq())
    changed = [replace(on(ssvq(), fields), accelerator_name="edge-32x32") for fields in ("codebook.ports=4+cores=2", "cores=3")]
    assert short_labels([plain, *changed]) == ("edge-32x32", "+cores=2+codebook.ports=4", "+cores=3")
    assert common_label([plain, *changed]) == plain.trace_name
    level = replace(on(ssvq(), "l2={capacity: 1 MiB, width_bits: 64}"), accelerator_name="edge-32x32")
    assert short_labels([level, plain])[1] == "+l2=null"


def test_no_text_of_the_pictures_overlaps_or_leaves_the_page() -> None:
    for picture in cost_pictures(costs()):
        check_picture(picture)


def test_the_bars_of_components_and_kinds_are_those_of_the_energy_table() -> None:
    items = costs()
    for item in items:
        table, scale = item.cost.energy, 1e-6 / item.inferences
        parts = energy_by_kind_uj(item)
        for kind in ("dynamic", "leakage", "background"):
            assert sum(spans[kind].nominal for spans in parts.values()) == pytest.approx(table.energy_pj(kind=kind).nominal * scale)
        assert {name: sum(span.high for span in spans.values()) for name, spans in parts.items()} == pytest.approx(
            {name: span.high for name, span in item.energy_by_group_uj.items()}
        )
    with look():
        ax = Figure().add_subplot()
        plot_energy_kinds(ax, items)
    drawn = sum(bar.get_width() for bar in ax.patches)
    assert drawn == pytest.approx(2 * sum(item.energy_uj.nominal for item in items))  # the whole, and each part
    with pytest.raises(ValueError, match="1 to 4 runs"):
        plot_energy_kinds(ax, [*items, *items])


def test_pictures_are_equal_to_the_byte_when_drawn_again() -> None:
    assert files_of(cost_pictures(costs())) == files_of(cost_pictures(costs()))


def call(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


COMPARE = ("compare", "edge-32x32:tiny_vit_ssvq", *(f"+{changes}:" for changes in CHANGES), "tiny_vit_int8")


def test_one_command_line_sets_rom_ram_ports_banks_and_formats_side_by_side(tmp_path: Path) -> None:
    found = json.loads(call(*COMPARE, "--json", "--technology", "mvq40", "-o", tmp_path / "cmp"))
    assert found == json.loads((tmp_path / "cmp" / "comparison.json").read_text())
    runs = found["side_by_side"]
    assert [run["codebook_store"] for run in runs] == ["ram", "ram", "ram", "rom", "ram"]
    assert [(run["codebook_ports"], run["codebook_banks"]) for run in runs] == [(2, None), (4, None), (4, 8), (2, None), (2, None)]
    assert [run["trace"] for run in runs] == ["tiny_vit_ssvq"] * 4 + ["tiny_vit_int8"]
    for run in runs:
        assert run["technology"] == "mvq40"
        assert 0 < run["energy_low_uj"] <= run["energy_uj"] <= run["energy_high_uj"]
        assert run["leakage_uj"] < run["energy_on_chip_uj"] < run["energy_uj"]
        assert 0 < run["area_low_mm2"] <= run["area_mm2"] <= run["area_high_mm2"]
        assert run["milliseconds"] > 0
        assert run["bus_bytes"] >= run["useful_bytes"] > 0
    assert runs[1]["area_mm2"] > runs[0]["area_mm2"]  # two more read ports of a register file
    rows = list(csv.DictReader((tmp_path / "cmp" / "side_by_side.csv").read_text().splitlines()))
    assert [float(row["energy_uj"]) for row in rows] == [run["energy_uj"] for run in runs]
    assert [len(run["signs"]) for run in runs] == [3, 3, 3, 3, 0]  # three circuits; int8 has no signs
    load_path, magnitude, inside = runs[0]["signs"]
    assert magnitude["area_um2"] < load_path["area_um2"] < inside["area_um2"]
    assert magnitude["energy_uj"] < load_path["energy_uj"] < inside["energy_uj"] < runs[0]["energy_uj"]
    for index, run in enumerate(runs):
        for name in ("area", "energy"):
            lines = list(csv.DictReader((tmp_path / "cmp" / "runs" / str(index) / f"{name}.csv").read_text().splitlines()))
            assert [line["source"] for line in lines] == [line["source"] for line in run[f"{name}_rows"]]
            assert all(line["source"] for line in lines)
    names = {path.name for path in (tmp_path / "cmp").iterdir()}
    assert {f"{name}.{end}" for name in ("side_by_side", "energy", "area") for end in ("png", "svg")} <= names


def test_the_table_fits_80_columns_and_names_each_run_and_its_codebook() -> None:
    text = call(*COMPARE, "--technology", "mvq40")
    shown = text[text.index("Side by side") :]
    assert all(len(line.rstrip()) <= 80 for line in shown.splitlines())
    assert "placed area in mvq40" in shown
    for word in ("ram, sram", "rom_macro", "4 in 8 banks", "256x8", "EDP", "TOPS/W", "Cost of a sign bit", "sign carried"):
        assert word in shown


def test_changes_of_a_chip_come_after_set_and_leave_their_mark_in_the_saved_run(tmp_path: Path) -> None:
    call("compare", "edge-32x32:tiny_vit_ssvq", "+codebook.ports=4:", "--set", "codebook.ports=1", "-q", "-o", tmp_path / "cmp")
    for run, ports in (("0", 1), ("1", 4)):
        assert f"ports: {ports}" in (tmp_path / "cmp" / "runs" / run / "accelerator.yaml").read_text()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("+codebook.portz=4:", "codebook.portz"),
        ("+codebook:", "must look like path.to.field=value"),
        ("+codebook.circuit=logic_rom:", "cannot be written and codebook.store is 'ram'"),
    ],
)
def test_a_change_that_no_chip_has_is_one_message(item: str, message: str) -> None:
    done = CliRunner().invoke(app, ["compare", "edge-32x32:tiny_vit_ssvq", item])
    assert done.exit_code == 2
    assert message in done.output

"""What a sweep's file asks to be drawn: the figures in the pictures are those of the table, and what is asked in vain is said."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accelsim.errors import ConfigError
from accelsim.presets import preset_names
from accelsim.sweeps.picture_spec import SpeedupMap
from accelsim.sweeps.pictures import check_pictures, draw, least_over, speedup_cells
from accelsim.sweeps.points import Dropped, Invalid, Point, candidate
from accelsim.sweeps.spec import FOLDER, load_sweep
from accelsim.sweeps.table import Table, steps_of

MAP = {
    "kind": "speedup_map",
    "name": "map",
    "baseline": {"trace": "a"},
    "rows": "array.rows",
    "columns": "codebook.ports",
    "maps": ["control.overlap"],
    "each": ["trace"],
    "names": {"array.rows": {16: "16x16"}},
}


HEAT = {
    "kind": "heat_map",
    "name": "heat",
    "figure": "milliseconds",
    "rows": "array.rows",
    "columns": "codebook.ports",
    "each": ["trace"],
}


def made_up(pictures: list[dict[str, Any]], left_out: int | None = None, names: tuple[str, str] = ("a", "b")) -> Table:
    """Traces a and b, or of other names: b takes 1/ports of a's time on 16 rows, all of it on 32; overlap `layer` takes twice as long."""
    sweep = load_sweep(
        {
            "name": "made_up",
            "base": {"accelerator": "edge-32x32"},
            "axes": {"trace": list(names), "control.overlap": ["prefetch", "layer"], "array.rows": [16, 32], "codebook.ports": "1..4 x2"},
            "pictures": pictures,
        }
    )
    places = np.array([place for place in range(sweep.size) if place != left_out], np.int64)
    at = [sweep.at(int(place)) for place in places]
    factors = [item["codebook.ports"] if (item["trace"], item["array.rows"]) == ("b", 16) else 1 for item in at]
    cycles = [1200 * (2 if item["control.overlap"] == "layer" else 1) / factor for item, factor in zip(at, factors, strict=True)]
    columns: dict[str, Any] = {
        "total_cycles": np.array(cycles),
        "milliseconds": np.array(cycles) / 1e6,
        "weight_bytes": np.full(len(at), 100.0),
        "achieved_of_tightest_pct": np.full(len(at), 50.0),
        "tightest_bound": np.array(["dram" if item["trace"] == "a" else "array" for item in at], object),
        "limiting_resource": np.array(["weight memory"] * len(at), object),
        "area_mm2": np.array([float(item["codebook.ports"]) for item in at]),
    }
    columns |= {name: np.array([item[name] for item in at], object) for name in sweep.axes}
    return Table(sweep, places, steps_of(sweep, places), columns)


def test_a_map_of_speedups_has_a_cell_for_each_point_beside_the_baseline():
    table = made_up([MAP])
    (picture,) = table.sweep.pictures
    assert isinstance(picture, SpeedupMap)
    cells = speedup_cells(table, picture, table)
    assert len(cells) == 12
    found = {(cell.point.map, cell.point.row, cell.point.column): cell for cell in cells}
    assert found["overlap prefetch", "16x16", "4"].speedup == pytest.approx(4)
    assert found["overlap layer", "16x16", "4"].speedup == pytest.approx(4)
    assert found["overlap layer", "32", "4"].speedup == pytest.approx(1)
    assert found["overlap layer", "32", "4"].limits == "mem→array"


def test_a_point_without_its_baseline_is_left_out_of_the_map():
    table = made_up([MAP], left_out=0)
    assert len(speedup_cells(table, table.sweep.pictures[0], table)) == 11  # type: ignore[arg-type]  # the only picture is a map


def test_a_heat_map_shows_the_least_figure_over_what_it_does_not_name():
    rows, columns, values = least_over(made_up([]), "milliseconds", "array.rows", "codebook.ports")
    assert (rows, columns) == (["16", "32"], ["1", "2", "4"])
    assert values.tolist() == [[0.0012, 0.0006, 0.0003], [0.0012, 0.0012, 0.0012]]
    table = made_up([])
    nothing = table.where(np.array(table.labels("array.rows")) == "16")
    assert all(math.isnan(value) for value in least_over(nothing, "milliseconds", "array.rows", "codebook.ports")[2][1])


def test_every_kind_of_picture_is_drawn_and_drawn_the_same_again():
    pictures = [
        MAP,
        HEAT,
        {"kind": "pareto", "name": "front", "x": "area_mm2", "y": "milliseconds", "groups": "trace"},
        {"kind": "lines", "name": "lines", "x": "codebook.ports", "y": "milliseconds", "lines": "trace"},
    ]
    files = draw(made_up(pictures))
    assert sorted(name for name in files if name.endswith("png")) == ["front.png", "heat_a.png", "heat_b.png", "lines.png", "map_b.png"]
    assert files == draw(made_up(pictures))


def test_traces_whose_names_differ_in_signs_alone_have_a_file_each():
    files = draw(made_up([HEAT], names=("x@y", "x@*=y")))
    assert sorted(name for name in files if name.endswith("png")) == ["heat_x_y.png", "heat_x_y_2.png"]
    assert files["heat_x_y.png"] != files["heat_x_y_2.png"]


def test_a_picture_says_over_what_its_figures_are_the_least_and_what_a_hatched_tile_is():
    line = {"kind": "lines", "name": "lines", "title": "a heading", "x": "codebook.ports", "y": "milliseconds", "lines": "trace"}
    scatter = {"kind": "pareto", "name": "front", "title": "a heading", "x": "area_mm2", "y": "milliseconds"}
    drawn = draw(made_up([MAP, HEAT, line, scatter]))
    files = {name: content.decode() for name, content in drawn.items() if name.endswith("svg")}  # which tells the text of its outlines
    assert all("the least over control.overlap" in files[name] for name in ("lines.svg", "heat_a.svg"))
    assert all("a heading" in files[name] for name in ("lines.svg", "front.svg"))
    assert "rows: array.rows" in files["map_b.svg"]
    table = made_up([HEAT])
    holes = draw(table.where((np.array(table.labels("array.rows")) == "16") | (np.array(table.labels("codebook.ports")) != "1")))
    assert b"hatched: no figure" in holes["heat_a.svg"]
    assert b"hatched" not in draw(table)["heat_a.svg"]


def test_no_point_draws_nothing():
    table = made_up([MAP, HEAT])
    assert draw(table.where(np.zeros(len(table), bool))) == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"baseline": {"trace": "c"}}, "allowed: a, b"), ({"maps": []}, "leaves `control.overlap` open")],
)
def test_a_map_that_cannot_be_is_one_message_before_anything_runs(changes: dict[str, Any], words: str):
    with pytest.raises(ConfigError) as caught:
        check_pictures(made_up([{**MAP, **changes}]).sweep)
    assert words in str(caught.value)


def test_more_lines_than_markers_are_one_message_before_anything_runs():
    picture = {"kind": "lines", "name": "lines", "x": "array.rows", "y": "milliseconds", "lines": "codebook.ports"}
    wanted = {"name": "many", "base": {"accelerator": "edge-32x32", "trace": "a"}, "axes": {"array.rows": [8, 16]}, "pictures": [picture]}
    check_pictures(load_sweep({**wanted, "linked": [{"codebook.ports": "1..7 +1"}]}))
    with pytest.raises(ConfigError, match=r"picture `lines`: `codebook\.ports` has 8 values; allowed: at most 7 lines"):
        check_pictures(load_sweep({**wanted, "linked": [{"codebook.ports": "1..8 +1"}]}))


@pytest.mark.parametrize("name", preset_names(FOLDER))
def test_a_shipped_sweep_has_points_that_can_be_and_pictures_of_its_axes(name: str):
    sweep = load_sweep(name)
    kinds = [type(candidate(sweep, place)) for place in range(sweep.size)]
    assert kinds.count(Point) >= 100
    assert Invalid not in kinds
    assert Dropped in kinds or not sweep.constraints or name == "rom_and_buffer"
    assert len(sweep.pictures) >= 1
    assert sweep.description
    assert replace(sweep, pictures=()).sha256 == sweep.sha256

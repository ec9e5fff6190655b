"""The pictures of an area: a treemap that divides exactly, labels that do not overlap, and the command that writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Box
from typer.testing import CliRunner

from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.cost.area import AreaReport, area_of
from accelsim.cost.technology import load_technology
from accelsim.presets import preset_names
from accelsim.report.plots.area import area_pictures, plot_area_bars, plot_area_treemap
from accelsim.report.plots.picture import look
from accelsim.report.plots.treemap import Rectangle, squarify
from tests.report.overlaps import check_picture

BANKED = ("codebook.store=rom", "codebook.circuit=rom_macro", "codebook.banks=4", "codebook.codewords=65536")


def report(preset: str, *overrides: str, technology: str = "nangate45") -> AreaReport:
    return area_of(load_accelerator(preset, overrides), load_technology(technology))


@given(st.lists(st.floats(0, 1e6), max_size=20), st.floats(1, 100), st.floats(1, 100))
def test_a_treemap_divides_its_rectangle_in_proportion_and_without_overlap(weights: list[float], width: float, height: float) -> None:
    boxes = squarify(weights, Rectangle(2, 3, width, height))
    total = sum(weights)
    if total < 1e-3:
        return
    for weight, box in zip(weights, boxes, strict=True):
        assert box.width * box.height == pytest.approx(width * height * weight / total, rel=1e-6, abs=1e-6)
        assert box.x >= 2 - 1e-6
        assert box.y >= 3 - 1e-6
        assert box.x + box.width <= 2 + width + 1e-6
        assert box.y + box.height <= 3 + height + 1e-6
    for one, two in combinations(boxes, 2):
        across = min(one.x + one.width, two.x + two.width) - max(one.x, two.x)
        up = min(one.y + one.height, two.y + two.height) - max(one.y, two.y)
        assert min(across, up) <= 1e-6


def test_the_example_of_the_paper_comes_out_as_printed() -> None:
    # Bruls et al., figure 4: areas 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 x 4: 6 and 6 in a strip 3 wide, then 4 and 3 in a row.
    boxes = squarify([6, 6, 4, 3, 2, 2, 1], Rectangle(0, 0, 6, 4))
    sizes = [(box.width, box.height) for box in boxes[:4]]
    assert sizes == [pytest.approx(size) for size in ((3, 2), (3, 2), (12 / 7, 7 / 3), (9 / 7, 7 / 3))]


def drawn(draw: Callable[..., None], area: AreaReport, height_mm: float) -> Figure:
    with look():
        figure = Figure(figsize=(85 / 25.4, height_mm / 25.4), layout="constrained", dpi=300)
        FigureCanvasAgg(figure)
        draw(figure.add_subplot(), area)
        figure.canvas.draw()
    return figure


@pytest.mark.parametrize("overrides", [(), BANKED], ids=["ram", "banked rom"])
@pytest.mark.parametrize("preset", preset_names("accelerators"))
def test_no_text_of_a_picture_overlaps_another_or_leaves_the_page(preset: str, overrides: tuple[str, ...]) -> None:
    for picture in area_pictures(report(preset, *overrides)):
        check_picture(picture)


def test_the_treemap_names_every_component_and_its_boxes_are_in_proportion() -> None:
    area = report("edge-32x32", *BANKED)
    (ax,) = drawn(plot_area_treemap, area, 85).axes
    words = " ".join(text.get_text() for text in ax.texts).replace("\n", " ")
    for component in area.components:
        assert component.name in words
    placed = [area.placed(item).nominal for item in area.components if area.placed(item).nominal]
    boxes = [patch.get_width() * patch.get_height() for patch in ax.patches if isinstance(patch, Box)]
    whole = area.placed_um2.nominal
    assert sorted(box / sum(boxes) for box in boxes) == pytest.approx(sorted(one / whole for one in placed))


def test_the_bars_end_where_the_figures_do_and_carry_their_ranges() -> None:
    area = report("mcu-16x16", technology="mvq40")
    (ax,) = drawn(plot_area_bars, area, 67).axes
    stack = [patch for patch in ax.patches if isinstance(patch, Box) and abs(patch.get_y() + patch.get_height() / 2) < 0.1]
    assert max(patch.get_x() + patch.get_width() for patch in stack) == pytest.approx(area.placed_um2.nominal / 1e6)
    ranges = [line.get_xdata() for line in ax.lines]
    assert any(min(ends) == pytest.approx(area.placed_um2.low / 1e6) for ends in ranges)
    assert any(max(ends) == pytest.approx(area.placed_um2.high / 1e6) for ends in ranges)


def test_placed_groups_add_up_to_the_placed_chip() -> None:
    area = report("edge-64x64", technology="range28")
    for name in ("nominal", "low", "high"):
        assert sum(getattr(span, name) for span in area.placed_by_group.values()) == pytest.approx(getattr(area.placed_um2, name))


def test_the_command_writes_json_table_and_pictures_and_replaces_only_its_like(tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "area"
    for _ in range(2):
        done = runner.invoke(app, ["area", "edge-32x32", "--technology", "mvq40", "-o", str(out), "--json"])
        assert done.exit_code == 0, done.output
    assert json.loads((out / "area.json").read_text()) == json.loads(done.stdout)
    names = {f"area_{kind}.{end}" for kind in ("bars", "treemap") for end in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == {"area.json", "area.csv"} | names
    (out / "thesis.tex").write_text("mine")
    refused = runner.invoke(app, ["area", "edge-32x32", "-o", str(out)])
    assert refused.exit_code == 2
    assert "holds thesis.tex" in refused.output

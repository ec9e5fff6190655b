"""Styles of pictures: sizes of every kind of file, text that is text, and layouts of other widths in which nothing overlaps."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.cost.compare_costs import costs_of
from accelsim.errors import ConfigError, OutputError
from accelsim.report.plots import picture_style
from accelsim.report.plots.lines import Curves, lines_picture
from accelsim.report.plots.picture import look
from accelsim.report.plots.picture_style import LAYOUT_FONT, LEAST_LAYOUT_MM, MOST_LAYOUT_MM, PAPER, STYLES, PictureStyle
from accelsim.report.plots.pictures import run_pictures
from accelsim.report.plots.stalls import cycles_picture
from tests.report.overlaps import check_figure
from tests.report.test_pictures import NODE, many_layers
from tests.synthetic_results import int8, on_chip

POINTS_PER_MM = 72 / 25.4


def test_a_style_is_a_name_and_changes_of_it():
    assert PictureStyle.parse("paper") == PAPER == STYLES["paper"]
    changed = PictureStyle.parse("slides:width=200mm,font=14pt,title=off,files=pdf+svg")
    assert changed == PictureStyle(200, 14, titled=False, endings=("pdf", "svg"))
    assert (changed.scale, changed.layout_mm) == (2, 100)
    for style in STYLES.values():
        assert LEAST_LAYOUT_MM <= style.layout_mm <= MOST_LAYOUT_MM


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("papr", "style 'papr': unknown style 'papr'; did you mean 'paper'?; allowed: paper, slides, page"),
        ("paper:size=3", "style 'paper:size=3': unknown key 'size'; allowed: width, font, title, files"),
        ("paper:width=wide", "style 'paper:width=wide': width=wide; allowed: a number from 30 to 1000"),
        ("paper:width=nan", "style 'paper:width=nan': width=nan; allowed: a number from 30 to 1000"),
        ("page:font=0", "style 'page:font=0': font=0; allowed: a number from 4 to 72"),
        ("page:title=yes", "style 'page:title=yes': title=yes; allowed: on, off"),
        ("page:files=svg+gif", "style 'page:files=svg+gif': files=svg+gif: 'gif'; allowed: svg, png, pdf, pgf, joined by '+'"),
        ("paper:font=14", "style 'paper:font=14': 85 mm with type of 14 points; allowed: a width from 168 to 400 mm"),
    ],
)
def test_a_wrong_style_is_answered_with_what_is_allowed(text: str, message: str):
    with pytest.raises(ConfigError) as caught:
        PictureStyle.parse(text)
    assert str(caught.value) == message


def test_a_pgf_without_latex_is_refused_before_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(picture_style.shutil, "which", lambda name: None)
    with pytest.raises(OutputError, match="needs pdflatex"):
        PictureStyle.parse("paper:files=pgf")
    words = ["run", "edge-32x32", "tiny_vit_ssvq", "-q", "-o", str(tmp_path / "out"), "--style", "paper:files=pgf"]
    assert CliRunner().invoke(app, words).exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", STYLES)
def test_each_kind_of_file_is_as_wide_as_the_style_says(name: str):
    style = PictureStyle.parse(f"{name}:files=svg+png+pdf")
    files = cycles_picture([on_chip(int8())], 38).files(style)
    svg, png, pdf = (files[f"cycles.{end}"] for end in ("svg", "png", "pdf"))
    assert float(re.search(rb'width="([\d.]+)pt"', svg)[1]) == pytest.approx(style.width_mm * POINTS_PER_MM, rel=1e-4)  # type: ignore[index]
    assert struct.unpack(">I", png[16:20])[0] == pytest.approx(style.width_mm / 25.4 * 300, abs=1)
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
    assert box is not None
    assert float(box[1]) == pytest.approx(style.width_mm * POINTS_PER_MM, rel=1e-4)
    assert files == cycles_picture([on_chip(int8())], 38).files(style)  # to the byte


def test_text_of_an_svg_is_text_and_on_a_page_outlines():
    drawn = cycles_picture([on_chip(int8())], 38)
    assert b">core cycles (thousands)</text>" in drawn.files()["cycles.svg"]
    assert b"</text>" not in drawn.for_page()


def test_the_title_is_left_out_where_the_style_says_so():
    drawn = cycles_picture([on_chip(int8())], 38)
    assert b"Core cycles by category" in drawn.files()["cycles.svg"]
    assert b"Core cycles by category" not in drawn.files(PictureStyle.parse("paper:title=off"))["cycles.svg"]


@pytest.mark.parametrize("text", ["paper:width=84", "slides", "page"])
def test_nothing_overlaps_in_a_layout_of_another_width(text: str):
    style = PictureStyle.parse(text)
    for item in run_pictures(costs_of([on_chip(many_layers())], NODE)[0]):
        with look():
            check_figure(item.figure(titled=style.titled, width_mm=style.layout_mm))


def test_series_that_coincide_are_told_below_the_axes():
    curves = Curves(["1", "2"], {"RAM-16": [1.0, 2.0], "ROM": [3.0, 1.0], "RAM-256": [1.0, 2.001]}, "ports", "ms")
    with look():
        (ax,) = lines_picture("x", "t\nu", curves).figure().axes
        assert ax.get_xlabel() == "ports\nRAM-16 = RAM-256"
        apart = Curves(curves.places, {"a": [1.0, 2.0], "b": [1.0, float("nan")]}, "ports", "ms")
        (ax,) = lines_picture("x", "t\nu", apart).figure().axes
        assert ax.get_xlabel() == "ports"


def test_the_command_line_writes_the_files_of_the_style(tmp_path: Path):
    outcome = CliRunner().invoke(app, ["area", "edge-32x32", "-q", "-o", str(tmp_path / "a"), "--style", "slides:files=pdf"])
    assert outcome.exit_code == 0, outcome.output
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"area.json", "area.csv", "area_bars.pdf", "area_treemap.pdf"}
    assert STYLES["slides"].font_size > LAYOUT_FONT

"""The histogram holds every index, the bar of the signs is their share, and the folder appears whole or not at all."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.report.plots.indices import plot_index_use, plot_signs
from accelsim.trace.statistics import IndexUse, index_use
from tests.report.overlaps import axes, check_texts


@pytest.mark.parametrize("counts", [[5, 0, 3, 8], [1], list(range(1000)), [7] * 33])
def test_the_area_of_the_bars_is_the_number_of_indices(counts):
    ax = axes()
    plot_index_use(ax, "vq", index_use(np.array(counts, dtype=np.int64), 10))
    assert sum(bar.get_width() * bar.get_height() for bar in ax.patches) == pytest.approx(sum(counts))
    assert sum(bar.get_width() for bar in ax.patches) == len(counts)


def test_the_title_says_entropy_and_unused_share_and_the_line_is_even_use():
    """Counts 2, 1, 1, 0: -(1/2 ld 1/2 + 2 x 1/4 ld 1/4) = 1.5 bits; a quarter unused; one use a codeword if even."""
    ax = axes()
    plot_index_use(ax, "ssvq:k=4", index_use(np.array([1, 2, 0, 1]), 2))
    assert ax.get_title(loc="left") == "ssvq:k=4\nentropy 1.50 of 2 bits, 25.0 % unused"
    assert list(ax.lines[0].get_ydata()) == [1, 1]
    assert [bar.get_height() for bar in ax.patches] == [2, 1, 1, 0]


def test_several_codebooks_are_drawn_as_their_mean():
    ax = axes()
    plot_index_use(ax, "vq", IndexUse(2, 4, 20, 1, 0.9, 1, None, 0.9, (14.0, 6.0)))
    assert [bar.get_height() for bar in ax.patches] == [7, 3]
    assert ax.lines[0].get_ydata()[0] == 5


def test_the_bar_of_the_signs_is_their_share():
    ax = axes()
    plot_signs(ax, {"ssvq": 0.25, "uniform": 0.5})
    assert [bar.get_width() for bar in ax.patches] == [25, 50, 75, 50]


def test_no_text_overlaps_or_leaves_the_picture_at_column_width():
    name = "universal_vq:codewords=65536,codeword_length=16"
    use = IndexUse(48, 48 * 65536, 10**8, 16, 15.93, 4711, None, 0.1, tuple(float(32 - place) for place in range(32)))
    check_texts(lambda ax: plot_index_use(ax, name, use), 55)
    check_texts(lambda ax: plot_signs(ax, {name: 0.4993, "uniform:bits=8": 0.01, "ssvq:k=16,d=8": 1.0}), 46)


def test_inspect_writes_tables_and_pictures_and_the_sums_are_those_of_the_json(tmp_path):
    folder = tmp_path / "out"
    assert CliRunner().invoke(app, ["inspect", "tiny_vit_ssvq", "-o", str(folder)]).exit_code == 0
    assert {"inspect.json", "layers.csv", "formats.csv", "statistics.csv", "signs.png"} <= {item.name for item in folder.iterdir()}
    assert any(item.name.startswith("indices") for item in folder.iterdir())
    found = json.loads((folder / "inspect.json").read_text())
    with (folder / "statistics.csv").open() as file:
        assert sum(int(row["indices"]) for row in csv.DictReader(file)) == sum(
            use["indices"] for use in found["statistics"]["indices"].values()
        )


def test_a_folder_of_something_else_is_refused_before_anything_is_counted(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    outcome = CliRunner().invoke(app, ["inspect", "tiny_vit_ssvq", "-o", str(tmp_path)])
    assert outcome.exit_code == 2
    assert [item.name for item in tmp_path.iterdir()] == ["letter.txt"]

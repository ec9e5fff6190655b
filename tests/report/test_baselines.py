"""Each family of pictures looks as it did when somebody last looked at it.

A pixel is compared with what stands within a pixel of its place, so that another way to smooth letters and edges does not count and a bar
of another length or colour does. `python -m tests.report.update_baselines "reason"` draws the baselines anew.
"""

from __future__ import annotations

import io
import json

import matplotlib.image
import numpy as np
import pytest

from accelsim.report.plots import style
from accelsim.report.plots.stalls import plot_cycles
from tests.report import pictures as drawings
from tests.report.update_baselines import FOLDER, RECORD
from tests.synthetic_results import int8, ssvq

TOLERANCE = 0.01  # root mean square, of a pixel's range
MAX_BYTES = 30_000
NAMES = sorted(path.stem for path in FOLDER.glob("*.png"))


def pixels(png):
    """float (height, width, 3) in 0..1."""
    return matplotlib.image.imread(io.BytesIO(png))[..., :3].astype(float)


def outside(image, other):
    """How far each pixel is from all that stands within a pixel of its place in the other picture."""
    padded = np.pad(other, ((1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    near = np.stack([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)])
    return np.maximum(0, np.maximum(image - near.max(axis=0), near.min(axis=0) - image))


def difference(one, two):
    """Of two PNGs: root mean square over pixels, the larger of both directions; 1 if the sizes differ."""
    return distance(pixels(one), pixels(two))


def distance(first, second):
    """The same of arrays."""
    if first.shape != second.shape:
        return 1.0
    return max(float(np.sqrt(np.mean(outside(*pair) ** 2))) for pair in ((first, second), (second, first)))


@pytest.fixture(scope="module")
def drawn():
    return drawings.pictures()


def test_every_family_has_a_baseline_that_is_small_and_a_reason(drawn):
    assert sorted(drawn) == NAMES
    assert all((FOLDER / f"{name}.png").stat().st_size <= MAX_BYTES for name in NAMES)
    assert json.loads(RECORD.read_text())["reason"]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_looks_as_it_did(drawn, name):
    assert difference(drawn[name], (FOLDER / f"{name}.png").read_bytes()) <= TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_edges_that_are_smoothed_another_way_or_fall_on_the_next_pixel_do_not_count(name):
    image = pixels((FOLDER / f"{name}.png").read_bytes())
    moved = np.roll(image, 1, axis=1)
    moved[:, 0] = image[:, 0]
    assert distance(moved, image) <= TOLERANCE
    assert distance(0.85 * image + 0.15 * moved, image) <= TOLERANCE


def test_a_bar_of_another_length_or_colour_counts(monkeypatch):
    baseline = (FOLDER / "cycles.png").read_bytes()
    longer = drawings.render(42, lambda axes: plot_cycles(axes[0], [int8(), int8()]))
    assert difference(longer, baseline) > TOLERANCE
    for cause, color in (("dram", "#E69F00"), ("decode", "#7FD0B9")):
        monkeypatch.setattr(style, "CATEGORY_PAINT", {**style.CATEGORY_PAINT, cause: style.Paint(color)})
        painted = drawings.render(42, lambda axes: plot_cycles(axes[0], [int8(), ssvq()]))
        assert difference(painted, baseline) > TOLERANCE
        monkeypatch.undo()

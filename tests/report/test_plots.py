"""Bars are exact, one paint per category, and no text overlaps at a paper's column width."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from accelsim.report.compare import compare
from accelsim.report.plots import style
from accelsim.report.plots.bars import stacked_bars
from accelsim.report.plots.picture import PNG_DPI, look
from accelsim.report.plots.speedup_map import map_picture
from accelsim.report.plots.stalls import MAX_BARS, plot_cycles, plot_layers
from accelsim.report.plots.traffic import plot_traffic
from accelsim.report.plots.waterfall import plot_waterfall
from accelsim.report.speedup_cells import Cell, Limiter, Point
from accelsim.result import CATEGORIES, OPERANDS
from tests.report.overlaps import axes, check_picture, check_texts
from tests.synthetic_results import int8, layer, read, result, ssvq


def crowded(trace, cycles, accelerator="edge-64x64-x16", clock_hz=10**9):
    """Every category, every operand, long names."""
    names = (f"vit.encoder.layer.{block}.attention.part_{part}" for block, part in itertools.product(range(4), "abcdefgh"))
    traffic = tuple(read(name, 40 * index + 9) for index, name in enumerate(OPERANDS))
    parts = {name: cycles + 37 * index for index, name in enumerate(CATEGORIES)}
    layers = tuple(layer(name, parts, macs=100, traffic=traffic) for name in names)
    return result(layers, trace=trace, accelerator=accelerator, clock_hz=clock_hz)


def bars(ax):
    return [patch for patch in ax.patches if patch.get_width()]


def test_the_bar_of_a_run_is_as_long_as_its_cycles():
    ax = axes()
    plot_cycles(ax, [int8(), ssvq()])
    assert sum(bar.get_width() for bar in bars(ax)) == pytest.approx((1000 + 500) / 1000)  # thousands
    assert ax.get_xlabel() == "core cycles (thousands)"


def test_runs_of_different_clocks_are_drawn_in_milliseconds():
    ax = axes()
    plot_cycles(ax, [int8(), result((layer("a", {"busy": 400}),), clock_hz=4 * 10**8)])
    assert ax.get_xlabel() == "time (ms)"
    assert sum(bar.get_width() for bar in bars(ax)) == pytest.approx(0.001 + 0.001)


def test_the_bars_of_the_layers_add_up_to_the_run_even_when_the_smallest_are_summed():
    many = result(tuple(layer(f"name_{chr(97 + index)}", {"busy": 1000 + index}, macs=index) for index in range(26)) * 2)
    ax = axes()
    plot_layers(ax, many)
    assert len(ax.get_yticks()) == MAX_BARS
    assert sum(bar.get_width() for bar in bars(ax)) == pytest.approx(many.total_cycles / 1000)


def test_the_bar_of_the_traffic_is_as_long_as_the_bus_bytes():
    ax = axes()
    plot_traffic(ax, [int8()])
    assert sum(bar.get_width() for bar in bars(ax)) == pytest.approx(1640 / 1e3)
    assert ax.get_xlabel() == "memory traffic (kB)"


def test_the_steps_of_a_waterfall_lead_from_one_total_to_the_other():
    (speedup,) = compare(int8(), [ssvq()]).speedups
    ax = axes()
    plot_waterfall(ax, speedup, speedup.by_cause)
    first, *steps, last = bars(ax)
    place = first.get_width()
    for step in steps:
        ends = [step.get_x(), step.get_x() + step.get_width()]
        assert min(abs(end - place) for end in ends) < 1e-9
        place = max(ends, key=lambda end: abs(end - place))
    assert place == pytest.approx(last.get_width())


def test_each_cause_and_each_operand_has_a_paint_of_its_own():
    for table, names in ((style.CATEGORY_PAINT, CATEGORIES), (style.OPERAND_PAINT, OPERANDS)):
        assert set(table) == set(names)
        assert len(set(table.values())) == len(names)


def drawings():
    pair = crowded("deit_tiny_int8", 2000), crowded("deit_tiny_ssvq_k16d8", 700)
    slow = crowded("deit_tiny_ssvq_k16d8", 900, "mcu-16x16", 4 * 10**8)
    (speedup,) = compare(pair[0], pair[1:]).speedups
    (slowdown,) = compare(pair[0], [slow]).speedups
    return {
        "cycles": (60, lambda ax: plot_cycles(ax, [*pair, slow])),
        "layers": (70, lambda ax: plot_layers(ax, pair[0])),
        "traffic": (60, lambda ax: plot_traffic(ax, [*pair, slow])),
        "by cause": (110, lambda ax: plot_waterfall(ax, speedup, speedup.by_cause)),
        "by layer": (70, lambda ax: plot_waterfall(ax, slowdown, slowdown.by_layer, top=6)),
    }


@pytest.mark.parametrize("name", ["cycles", "layers", "traffic", "by cause", "by layer"])
def test_no_text_overlaps_or_leaves_the_picture_at_column_width(name):
    height_mm, draw = drawings()[name]
    check_texts(draw, height_mm, dpi=PNG_DPI)


def test_the_tiles_of_a_map_have_room_for_two_limiters():
    memory, array = Limiter("memory", 94.0, "memory"), Limiter("array", 65.0, "array")
    cells = [
        Cell(Point("vector lanes", row, column, row, ()), 2030, 1000, 2.03, 1.0, 6, 2, memory, array)
        for row in ("edge-32x32-x32", "edge-64x64-x16")
        for column in ("16", "32", "64", "128", "ideal")
    ]
    check_picture(map_picture("map", "Speed-up of deit_tiny_ssvq_k16d8\nover deit_tiny_int8", cells, "lanes of the vector unit"))


@pytest.mark.parametrize("end", [58.9, 99.9, 117.84, 493.69, 1003.742])
def test_the_last_tick_of_a_stack_has_room_for_its_label_at_the_resolution_that_is_written(end):
    """At 300 dpi the ticks were not those that the layout had measured: 117.84 got one at 120, whose label the PNG cut."""
    with look():
        figure = Figure(figsize=(85 / 25.4, 70 / 25.4), layout="constrained", dpi=PNG_DPI)
        FigureCanvasAgg(figure)
        ax = figure.add_subplot()
        stacked_bars(ax, ["…*.attention.matmul_1 x12"], [{"busy": end}], style.category_paint, ["busy"])
        figure.canvas.draw()
        inside = [label for label in ax.get_xticklabels() if label.get_text() and label.get_position()[0] <= ax.get_xlim()[1]]
        boxes = [label.get_window_extent() for label in inside]
    assert len(boxes) > 2
    assert max(box.x1 for box in boxes) <= figure.bbox.width


# Machado, Oliveira, Fernandes: "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1, linear RGB.
VISION = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))  # sRGB, D65


def seen(color, vision):
    """CIE L*a*b* of '#RRGGBB' as an eye sees it: differences of 2.3 are just noticeable side by side."""
    parts = np.array([int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    xyz = np.array(TO_XYZ) @ np.clip(np.array(VISION[vision]) @ linear, 0, 1) / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("table", ["CATEGORY_PAINT", "OPERAND_PAINT", "GROUP_PAINT", "KIND_PAINT"])
def test_paints_of_one_hatch_differ_in_colour_for_every_eye(table, vision):
    for (name, paint), (other, other_paint) in itertools.combinations(getattr(style, table).items(), 2):
        far = float(np.linalg.norm(seen(paint.color, vision) - seen(other_paint.color, vision)))
        assert paint.hatch != other_paint.hatch or far >= 15, (name, other, far)


def test_black_and_white_are_a_hundred_apart_and_red_is_nearly_green_without_one_cone():
    assert np.linalg.norm(seen("#FFFFFF", "all cones") - seen("#000000", "all cones")) == pytest.approx(100, abs=0.01)
    red, green = (seen(color, "deuteranopia") for color in ("#B04040", "#6B6B00"))
    assert np.linalg.norm(red - green) < np.linalg.norm(seen("#B04040", "all cones") - seen("#6B6B00", "all cones")) / 2

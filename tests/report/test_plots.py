"""Bars are exact, paints are one for each cause, and no text overlaps at a paper's column width."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from accelsim.report.compare import compare
from accelsim.report.plots import style
from accelsim.report.plots.bars import stacked_bars
from accelsim.report.plots.picture import PNG_DPI, look
from accelsim.report.plots.stalls import MAX_BARS, plot_cycles, plot_layers
from accelsim.report.plots.traffic import plot_traffic
from accelsim.report.plots.waterfall import plot_waterfall
from accelsim.result import CATEGORIES, OPERANDS
from tests.report.overlaps import axes, check_texts
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

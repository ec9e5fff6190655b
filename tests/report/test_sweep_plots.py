"""Heat maps and Pareto scatters of plain figures: what is drawn is what was given, and it can be read at column width."""

from __future__ import annotations

import math

import pytest
from matplotlib.collections import PathCollection

from accelsim.report.plots.heat_map import RAMP, Tiles, heat_map_picture, plot_heat_map
from accelsim.report.plots.lines import Curves, lines_picture
from accelsim.report.plots.pareto import DesignPoints, pareto_picture, plot_pareto
from accelsim.report.plots.style import ink_on
from tests.report.overlaps import axes, check_picture, check_texts

ROWS, COLUMNS = ["edge-32x32", "edge-64x64-x16"], ["0.5", "1", "2"]
VALUES = [[1.0, 2.12, 4.4], [1.1, None, math.nan]]


def test_each_tile_carries_its_figure_and_a_missing_one_is_hatched():
    ax = axes()
    plot_heat_map(ax, Tiles(VALUES, ROWS, COLUMNS, value_label="speed-up", number=".2f"))
    assert [text.get_text() for text in ax.texts] == ["1.00", "2.12", "4.40", "1.10"]
    assert [bool(tile.get_hatch()) for tile in ax.patches] == [False, False, False, False, True, True]


def test_the_largest_figure_has_the_darkest_tile_and_the_limits_can_be_fixed():
    ax, fixed = axes(), axes()
    plot_heat_map(ax, Tiles(VALUES, ROWS, COLUMNS, value_label="speed-up"))
    plot_heat_map(fixed, Tiles(VALUES, ROWS, COLUMNS, value_label="speed-up", limits=(0.0, 8.8)))
    assert ax.patches[2].get_facecolor() == RAMP(1.0)
    assert fixed.patches[2].get_facecolor() == RAMP(0.5)


def test_where_numbers_do_not_fit_a_colour_bar_tells_the_scale():
    wide = [[float(x * y) for x in range(30)] for y in range(3)]
    ax = axes()
    plot_heat_map(ax, Tiles(wide, ["a", "b", "c"], [str(100 * x) for x in range(30)], value_label="energy (µJ)"))
    assert len(ax.figure.axes) == 2
    assert not ax.texts


def test_equal_figures_have_one_colour():
    ax = axes()
    plot_heat_map(ax, Tiles([[3.0, 3.0]], ["a"], ["x", "y"], value_label="cycles"))
    assert ax.patches[0].get_facecolor() == ax.patches[1].get_facecolor()


def test_figures_that_read_the_same_have_one_colour():
    ax = axes()
    plot_heat_map(ax, Tiles([[0.012041, 0.012032, 0.0131]], ["a"], ["x", "y", "z"], value_label="ms"))
    assert [text.get_text() for text in ax.texts] == ["0.012", "0.012", "0.0131"]
    first, second, third = (tile.get_facecolor() for tile in ax.patches)
    assert first == second == RAMP(0.0)
    assert third == RAMP(1.0)


@pytest.mark.parametrize(("values", "rows"), [([], []), ([[1.0]], ["a", "b"]), ([[1.0, 2.0]], ["a"])])
def test_a_map_without_cells_or_of_another_shape_is_refused(values, rows):
    with pytest.raises(ValueError, match="at least one of each"):
        plot_heat_map(axes(), Tiles(values, rows, ["x"], value_label="cycles"))


def test_ink_can_be_read_on_every_colour_of_the_ramp():
    """Contrast of at least 4.5 (WCAG 2.1, 1.4.3) between the ink and the tile under it."""

    def linear(part):
        return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

    def luminance(color):
        return 0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2])

    for step in range(101):
        color = RAMP(step / 100)[:3]
        ink = 0.0 if ink_on(color) == "black" else 1.0
        high, low = sorted((luminance(color), ink), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, step


X, Y = [1.0, 2.0, 3.0, 2.5], [9.0, 5.0, 4.0, 8.0]
FRONT = [True, True, True, False]


def scattered(ax):
    return sum(len(item.get_offsets()) for item in ax.collections if isinstance(item, PathCollection))


@pytest.mark.parametrize(
    ("goals", "y", "style"),
    [(("less", "less"), Y, "steps-post"), (("more", "less"), [4.0, 5.0, 9.0, 9.5], "steps-pre")],
)
def test_the_front_is_a_staircase_of_what_can_be_had(goals, y, style):
    """Where less area is better, 1.5 mm2 can have the energy of 1 mm2 (post); where more speed is, that of the next faster (pre)."""
    ax = axes()
    plot_pareto(ax, DesignPoints(X, y, FRONT, x_label="area (mm²)", y_label="energy (µJ)", goals=goals))
    assert list(zip(ax.lines[0].get_xdata(), ax.lines[0].get_ydata(), strict=True)) == list(zip(X[:3], y[:3], strict=True))
    assert ax.lines[0].get_drawstyle() == style


def test_every_point_is_drawn_once_and_groups_beyond_the_palette_share_a_marker():
    ax = axes()
    count = 12
    plot_pareto(
        ax, DesignPoints(range(count), range(count), [False] * count, x_label="x", y_label="y", groups=[f"chip {i}" for i in range(count)])
    )
    assert scattered(ax) == count
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "others"


def test_a_logarithmic_axis_refuses_what_is_not_positive():
    with pytest.raises(ValueError, match="energy: a logarithmic axis needs positive values"):
        plot_pareto(axes(), DesignPoints([1.0], [0.0], [True], x_label="area", y_label="energy", log=(False, True)))


@pytest.mark.parametrize("dpi", [100, 300])
@pytest.mark.parametrize(
    ("height_mm", "draw"),
    [
        (40, lambda ax: plot_heat_map(ax, Tiles(VALUES, ROWS, COLUMNS, "speed-up of SSVQ", row_label="chip", column_label="B/cycle"))),
        (
            70,
            lambda ax: plot_heat_map(
                ax,
                Tiles(
                    [[float(x * y) for x in range(24)] for y in range(6)],
                    [f"vit.encoder.layer.{y}.attention.output" for y in range(6)],
                    [str(1000 * x) for x in range(24)],
                    value_label="energy (µJ)",
                    row_label="layer",
                    column_label="capacity (KiB)",
                ),
            ),
        ),
        (
            68,
            lambda ax: plot_pareto(
                ax,
                DesignPoints(
                    [0.5, 1.0, 30.0, 400.0],
                    Y,
                    FRONT,
                    x_label="area (mm²)",
                    y_label="energy of an inference (µJ)",
                    groups=["ssvq:k=16,d=8", "uniform:bits=8", "vq:k=256,d=8", "ssvq:k=16,d=8"],
                    log=(True, True),
                ),
            ),
        ),
    ],
)
def test_no_text_overlaps_at_column_width(height_mm, draw, dpi):
    check_texts(draw, height_mm, dpi)


def test_pictures_are_equal_for_equal_input():
    one, two = (heat_map_picture("map", "Speed-up", Tiles(VALUES, ROWS, COLUMNS, "speed-up")).files() for _ in range(2))
    assert one == two
    assert set(one) == {"map.svg", "map.png"}
    assert set(pareto_picture("front", "Cost", DesignPoints(X, Y, FRONT, "x", "y")).files()) == {"front.svg", "front.png"}


def test_ticks_of_nearly_equal_figures_say_their_whole_value():
    svg = pareto_picture("front", "", DesignPoints([2.25, 2.33], [0.139345, 0.13933], [True, True], "x", "y")).files()["front.svg"]
    assert b"e\xe2\x88\x92" not in svg  # an exponent's minus, of an offset such as 1e-5 + 1.393e-1


def test_long_names_of_groups_and_series_stay_on_the_page_and_apart():
    names = [f"deit_base_patch16_384_distilled@ssvq:k=256,d={index}" for index in range(7)]
    points = DesignPoints(range(1, 8), range(7), [False] * 7, "area (mm²)", "energy of an inference (µJ)", groups=names)
    check_picture(pareto_picture("front", "Energy against area", points))
    check_picture(lines_picture("lines", "Time", Curves(["1", "2"], {name: [1.0, 2.0] for name in names}, "ports", "time (ms)")))
    check_picture(heat_map_picture("map", "Time", Tiles([[1.0] * 2] * 7, names, ["1", "2"], "time (ms)", row_label="trace")))

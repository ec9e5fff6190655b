"""Pictures of a chip's area: the whole and its groups as bars with their ranges, and every component in a treemap.

Both show placed area. A treemap has no room for ranges; a component too small for its name is listed beneath, none is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.patches import Rectangle as Box

from accelsim.cost.area import AreaReport
from accelsim.report.plots.bars import BAR, draw_ranges, name_rows, write_beside
from accelsim.report.plots.lettering import broken, line_points
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import bar_style, group_paint, text_color
from accelsim.report.plots.treemap import Rectangle, squarify

_POINTS_PER_INCH = 72
_LABEL_SIZES = (6.5, 6.0, 5.5)  # points
_LINE_SPACING = 1.25
_LISTED_LINES = 4
_MOST_LISTED = 10  # small parts that the space below holds; the table has all
_LISTED_SIZE = 5.5
_LEGEND_COLUMNS = 3
_MARGIN = 3.0  # points
_PAPER: Mapping[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # keeps grid lines out of figures


def plot_area_bars(ax: Axes, report: AreaReport) -> None:
    """The whole chip, stacked by group, over one bar per group; whiskers show low and high, beside them stand the figures in mm2."""
    groups = {name: span * 1e-6 for name, span in report.placed_by_group.items()}
    whole = report.placed_um2 * 1e-6
    left = 0.0
    for name, span in groups.items():
        ax.barh(0, span.nominal, left=left, height=BAR, **bar_style(group_paint(name)))
        left += span.nominal
    rows = [("whole chip", whole), *groups.items()]
    for place, (name, span) in enumerate(rows):
        if place:
            ax.barh(place, span.nominal, height=BAR, **bar_style(group_paint(name)))
        text = f"{_figure(span.nominal)}  ({_figure(span.low)} to {_figure(span.high)})"
        write_beside(ax, span.high, place, text, xytext=(4, 0), bbox=dict(_PAPER))
    name_rows(ax, [name for name, _ in rows])
    draw_ranges(ax, [span for _, span in rows])
    ax.set_xlim(0, whole.high * 1.62)  # the whole chip's figures stand beside its whisker
    ax.set_xlabel(f"placed area (mm², {report.technology}); low to high")


def plot_area_treemap(ax: Axes, report: AreaReport) -> None:
    """Every component as a rectangle in the colour of its group; the groups lie together."""
    groups = {name: span.nominal for name, span in report.placed_by_group.items() if span.nominal}
    total = sum(groups.values())
    handles = [Patch(label=f"{name} {100 * area / total:.1f} %", **bar_style(group_paint(name))) for name, area in groups.items()]
    width, height = _fill_page(ax, legend_rows=-(-len(handles) // _LEGEND_COLUMNS))
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=_LEGEND_COLUMNS, columnspacing=0.5, borderaxespad=0.2)
    unnamed = []
    for (group, _), place in zip(groups.items(), squarify(list(groups.values()), Rectangle(0, 0, width, height)), strict=True):
        parts = [item for item in report.components if item.group == group]
        for item, box in zip(parts, squarify([report.placed(item).nominal for item in parts], place), strict=True):
            paint = group_paint(group)
            ax.add_patch(Box((box.x, box.y), box.width, box.height, **bar_style(paint)))
            area = report.placed(item).nominal
            if not _named(ax, item.name, f"{_figure(area * 1e-6)} mm²", box, text_color(paint)) and area:
                unnamed.append(f"{item.name} {_figure(area * 1e-6)}")
    more = [f"{len(unnamed) - _MOST_LISTED} others"] if len(unnamed) > _MOST_LISTED else []
    listed = f"too small to name (mm²): {'; '.join([*unnamed[:_MOST_LISTED], *more])}" if unnamed else ""
    ax.annotate(
        "\n".join(broken(listed, _LISTED_SIZE, width)),
        (0, 0),
        xytext=(0, -2),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=_LISTED_SIZE,
        linespacing=_LINE_SPACING,
    )


def _fill_page(ax: Axes, legend_rows: int) -> tuple[float, float]:
    """Give the axes all of the page but the legend's rows above and the list beneath; their width and height, points, as data units."""
    figure = ax.get_figure()
    assert isinstance(figure, Figure)  # `picture` gives each axes a figure
    engine = figure.get_layout_engine()
    share = engine.get()["rect"][3] if isinstance(engine, ConstrainedLayoutEngine) else 1.0  # of the page under its title
    figure.set_layout_engine("none")
    page_width, page_height = (_POINTS_PER_INCH * inches for inches in figure.get_size_inches())
    above, below = (1 - share) * page_height + 3 + 11.5 * legend_rows, 5 + _LISTED_LINES * _LISTED_SIZE * _LINE_SPACING
    width, height = page_width - 2 * _MARGIN, page_height - above - below
    ax.set_position((_MARGIN / page_width, below / page_height, width / page_width, height / page_height))
    ax.set_axis_off()
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    return width, height


def _named(ax: Axes, name: str, figure: str, box: Rectangle, color: str) -> bool:
    """Write name and figure into a box, in the largest type and the fewest lines that fit; False if none does."""
    words = name.split()
    texts = ([f"{name}, {figure}"], [name, figure], [*words, figure])
    for size, upright, lines in product(_LABEL_SIZES, (True, False), texts):
        if _fits(lines, size, *((box.width, box.height) if upright else (box.height, box.width))):
            ax.text(
                box.x + box.width / 2,
                box.y + box.height / 2,
                "\n".join(lines),
                fontsize=size,
                color=color,
                ha="center",
                va="center",
                linespacing=_LINE_SPACING,
                rotation=0 if upright else 90,
            )
            return True
    return False


def _fits(lines: Sequence[str], size: float, width: float, height: float) -> bool:
    """Whether lines of a type size (points) fit into width and height (points) with a margin."""
    return max(line_points(line, size) for line in lines) + 3 <= width and size * _LINE_SPACING * len(lines) + 2 <= height


def _figure(value: float) -> str:
    """Three significant digits, without an exponent down to 1e-4."""
    return f"{value:.3g}" if value >= 1e-4 or value == 0 else f"{value:.1e}"


def area_pictures(report: AreaReport) -> list[Picture]:
    """The pictures of one chip's area."""
    title = f"Placed area by component, {report.technology}\n{report.accelerator}"
    return [area_bars_picture(report), picture("area_treemap", title, 85, lambda ax: plot_area_treemap(ax, report))]


def area_bars_picture(report: AreaReport) -> Picture:
    """The whole and its groups."""
    height = 22 + 5 * (len(report.by_group) + 1)
    return picture("area_bars", f"Placed area by part of the chip\n{report.accelerator}", height, lambda ax: plot_area_bars(ax, report))

"""Pictures of a chip's area: the whole and its groups as bars with their ranges, and every component in a treemap.

Both show placed area. A treemap has no room for ranges; a component too small for its name is listed beneath, none is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Patch
from matplotlib.patches import Rectangle as Box
from matplotlib.textpath import TextPath

from accelsim.report.area import AreaReport
from accelsim.report.plots.style import bar_style, group_paint, picture, text_color
from accelsim.report.plots.treemap import Rectangle, squarify
from accelsim.report.span import Span

_POINTS_PER_INCH = 72
_LABEL_SIZES = (6.5, 6.0, 5.5)  # points
_LINE_SPACING = 1.25
_LISTED_LINES = 4
_LISTED_SIZE = 5.5
_LEGEND_COLUMNS = 3
_MARGIN = 3.0  # points
_PAPER: Mapping[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # keeps grid lines out of figures
RANGE_STYLE: Mapping[str, Any] = {"ecolor": "black", "elinewidth": 0.6, "capsize": 1.5, "capthick": 0.6, "fmt": "none"}


def plot_area_bars(ax: Axes, report: AreaReport) -> None:
    """The whole chip, stacked by group, over one bar a group; whiskers show low and high, beside them stand the figures in mm2."""
    groups = {name: span * 1e-6 for name, span in report.placed_by_group.items()}
    whole = report.placed_um2 * 1e-6
    left = 0.0
    for name, span in groups.items():
        ax.barh(0, span.nominal, left=left, height=0.72, **bar_style(group_paint(name)))
        left += span.nominal
    rows = [("whole chip", whole), *groups.items()]
    for place, (name, span) in enumerate(rows):
        if place:
            ax.barh(place, span.nominal, height=0.72, **bar_style(group_paint(name)))
        draw_range(ax, span, place)
        text = f"{_figure(span.nominal)}  ({_figure(span.low)} to {_figure(span.high)})"
        ax.annotate(text, (span.high, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=6.5, bbox=dict(_PAPER))
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.set_xlim(0, whole.high * 1.62)  # the whole chip's figures stand beside its whisker
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel(f"placed area (mm², {report.technology}); low to high")


def draw_range(ax: Axes, span: Span, place: float) -> None:
    """A whisker from low to high on a horizontal bar."""
    ax.errorbar(span.nominal, place, xerr=[[span.nominal - span.low], [span.high - span.nominal]], **RANGE_STYLE)


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
    ax.annotate(
        "\n".join(_listed(unnamed, width)),
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
    figure.set_layout_engine("none")
    page_width, page_height = (_POINTS_PER_INCH * inches for inches in figure.get_size_inches())
    above, below = 3 + 11.5 * legend_rows, 5 + _LISTED_LINES * _LISTED_SIZE * _LINE_SPACING
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
    return max(_points(line, size) for line in lines) + 3 <= width and size * _LINE_SPACING * len(lines) + 2 <= height


def _points(line: str, size: float) -> float:
    """Width of a line in a type size, both in points."""
    return float(TextPath((0, 0), line, size=size, prop=FontProperties(family="DejaVu Sans")).get_extents().width)


def _listed(names: Sequence[str], width: float) -> list[str]:
    """The small ones, in lines of at most `width` points."""
    lines = [""]
    for word in ("too small to name (mm²): " + "; ".join(names)).split() if names else ():
        longer = f"{lines[-1]} {word}".strip()
        if _points(longer, _LISTED_SIZE) <= 0.96 * width:  # the metrics of a font's outlines, not of its hinted pixels
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _figure(value: float) -> str:
    """Three significant digits, without an exponent down to 1e-4."""
    return f"{value:.3g}" if value >= 1e-4 or value == 0 else f"{value:.1e}"


def area_pictures(report: AreaReport) -> dict[str, bytes]:
    """The pictures of one chip's area."""
    bars = 22 + 5 * (len(report.by_group) + 1)
    return {
        **picture("area_bars", bars, lambda ax: plot_area_bars(ax, report)),
        **picture("area_treemap", 85, lambda ax: plot_area_treemap(ax, report)),
    }

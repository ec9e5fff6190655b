"""A heat map of plain figures: one tile per cell, darker for larger values, with its number where it fits, else a colour bar.

Disputable assumption: colour is linear in the value between the least and the largest one shown, so two heat maps have two scales
unless `limits` says otherwise. Figures that read the same have the same colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle

from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import ink_on, width_mm_of
from accelsim.report.tables.text import LABEL_CHARS, distinct, folded

RAMP = LinearSegmentedColormap.from_list("accelsim", [(0.96, 0.97, 0.99), (0.34, 0.61, 0.80), (0.03, 0.25, 0.47)])
_CHAR_MM = 1.35  # of a digit at the size of the numbers, with its share of the gap
_ROW_CHAR_MM = 1.3
_ROW_MM, _FRAME_MM, _LINE_MM = 7.0, 14.0, 3.0
_HATCHED = "hatched: no figure"


@dataclass(frozen=True)
class Tiles:
    """Data of a heat map.

    Attributes
    ----------
    values : (rows, columns), at least one of each; None or NaN where nothing was measured: the tile is hatched
    rows, columns : names of the rows (the first on top) and columns
    value_label, row_label, column_label : labels of the figures and of the axes, with their units
    number : format of a figure in its tile
    limits : values of the lightest and the darkest tile; None: the least and the largest figure
    note : further remarks on the figures, below the axes
    """

    values: Sequence[Sequence[float | None]]
    rows: Sequence[str]
    columns: Sequence[str]
    value_label: str
    row_label: str = ""
    column_label: str = ""
    number: str = ".3g"
    limits: tuple[float, float] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        rows, columns = len(self.rows), len(self.columns)
        if not rows or not columns or len(self.values) != rows or any(len(line) != columns for line in self.values):
            raise ValueError(f"values must be {rows} rows of {columns} columns, at least one of each")


def plot_heat_map(ax: Axes, tiles: Tiles) -> None:
    """Draw the tiles; from the picture's width follows whether numbers fit into them."""
    width_mm = width_mm_of(ax)
    rows, columns = tiles.rows, tiles.columns
    cells = [[math.nan if value is None else float(value) for value in line] for line in tiles.values]
    labels = [[format(value, tiles.number) if math.isfinite(value) else "" for value in line] for line in cells]
    known = [float(text) for line in labels for text in line if text]
    low, high = tiles.limits or (min(known, default=0.0), max(known, default=0.0))
    scale = Normalize(low, high if high > low else low + 1)
    longest = max(len(text) for line in labels for text in line)
    names_mm = _ROW_CHAR_MM * max(map(len, distinct(rows))) + (4 if tiles.row_label else 0)
    fits = _CHAR_MM * longest <= (width_mm - names_mm - 4) / len(columns)
    for y, line in enumerate(cells):
        for x, value in enumerate(line):
            measured = math.isfinite(value)
            color = RAMP(scale(float(labels[y][x]))) if measured else (1.0, 1.0, 1.0, 1.0)
            tile = Rectangle(
                (x, y), 1, 1, facecolor=color, edgecolor="white" if measured else "#B0B0B0", linewidth=0.6, hatch="" if measured else "////"
            )
            ax.add_patch(tile)
            if fits and measured:
                ax.text(x + 0.5, y + 0.5, labels[y][x], fontsize=6.5, color=ink_on(color[:3]), ha="center", va="center")
    holes = _HATCHED if len(known) < len(rows) * len(columns) else ""
    _name_axes(ax, tiles, "\n".join(filter(None, (tiles.column_label, folded(tiles.note), holes))), (width_mm - names_mm) / len(columns))
    if not fits:
        bar = ax.figure.colorbar(ScalarMappable(scale, RAMP), ax=ax, orientation="horizontal", location="top", aspect=40, pad=0.03)
        bar.set_label(folded(tiles.value_label))
        bar.outline.set_linewidth(mpl.rcParams["axes.linewidth"])


def _name_axes(ax: Axes, tiles: Tiles, below: str, column_mm: float) -> None:
    rows, columns = tiles.rows, tiles.columns
    ax.set_xlim(0, len(columns))
    ax.set_ylim(len(rows), 0)
    ax.set_yticks([y + 0.5 for y in range(len(rows))], distinct(rows))
    crowded = any(_ROW_CHAR_MM * (len(name) + 2) > column_mm for name in columns)
    turned: dict[str, Any] = {"rotation": 90, "ha": "center"} if crowded else {}
    ax.set_xticks([x + 0.5 for x in range(len(columns))], distinct(columns), **turned)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(below)
    ax.set_ylabel(tiles.row_label)


def heat_map_picture(name: str, title: str, tiles: Tiles) -> Picture:
    """The picture of a heat map; the title names the figures."""
    below = 3 + folded(tiles.note).count("\n")  # the axis, the note, and the meaning of a hatched tile
    turned = _ROW_CHAR_MM * min(LABEL_CHARS, max(map(len, tiles.columns)))
    return picture(name, title, _FRAME_MM + _LINE_MM * below + _ROW_MM * len(tiles.rows) + turned, lambda ax: plot_heat_map(ax, tiles))

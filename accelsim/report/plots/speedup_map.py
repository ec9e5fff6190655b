"""Maps of speed-ups as pictures: one tile per cell, with its speed-up and the tightest bounds of both runs.

Darker tiles are faster; the scale is the same in every picture, so that tiles of two pictures can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import ink_on
from accelsim.report.speedup_cells import Cell
from accelsim.report.tables.text import times

_FULL_COLOR_AT = 4.0  # speed-up of the darkest tile
_LIGHT, _DARK = (0.96, 0.97, 0.99), (0.03, 0.32, 0.55)
_HEAD_ROWS, _GAP_ROWS = 0.95, 0.35
_ROW_MM, _FRAME_MM, _LINE_MM = 7.2, 2.0, 3.0


def plot_maps(ax: Axes, cells: Sequence[Cell], column_title: str) -> None:
    """Each map of `cells` as a block of tiles, one below the other; rows and columns in the order in which they occur."""
    y = 0.0
    width = max(len({cell.point.column for cell in cells if cell.point.map == name}) for name in _maps(cells))
    for name in _maps(cells):
        block = [cell for cell in cells if cell.point.map == name]
        rows, columns = (list(dict.fromkeys(getattr(cell.point, key) for cell in block)) for key in ("row", "column"))
        ax.text(0, y + 0.28, name, fontsize=7, fontweight="bold", va="center")
        for number, column in enumerate(columns):
            ax.text(number + 0.5, y + 0.72, column, fontsize=6.5, ha="center", va="center")
        y += _HEAD_ROWS
        for row in rows:
            ax.text(-0.08, y + 0.5, _folded(row), fontsize=6.5, ha="right", va="center", linespacing=0.95)
            for cell in (cell for cell in block if cell.point.row == row):
                _tile(ax, columns.index(cell.point.column), y, cell)
            y += 1
        y += _GAP_ROWS
    ax.set_xlim(-0.02, width + 0.02)
    ax.set_ylim(y - _GAP_ROWS + 0.02, 0)
    ax.axis("off")
    ax.text(width / 2, y - _GAP_ROWS + 0.15, column_title, fontsize=6.5, ha="center", va="top")


def _folded(name: str) -> str:
    """A preset's name on two lines."""
    return name.replace("-", "-\n", 1)


def _maps(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell.point.map for cell in cells))


def _tile(ax: Axes, x: int, y: float, cell: Cell) -> None:
    share = min(1.0, max(0.0, (cell.speedup - 1) / (_FULL_COLOR_AT - 1)))
    color = tuple(light + share * (dark - light) for light, dark in zip(_LIGHT, _DARK, strict=True))
    ink = ink_on(color)
    ax.add_patch(Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, facecolor=color, edgecolor="#808080", linewidth=0.3))
    ax.text(x + 0.5, y + 0.34, times(cell.speedup), fontsize=7, fontweight="bold", color=ink, ha="center", va="center")
    ax.text(x + 0.5, y + 0.73, cell.limits, fontsize=5.5, color=ink, ha="center", va="center")


def map_picture(name: str, title: str, cells: Sequence[Cell], column_title: str, row_title: str = "") -> Picture:
    """The picture of some maps; below them the meaning of columns and rows, and the small print."""
    small_print = "in a tile: speed-up; tightest bound of baseline→compressed run"
    lines = [f"columns: {column_title}", *([f"rows: {row_title}"] if row_title else []), small_print]
    rows = sum(_HEAD_ROWS + len({cell.point.row for cell in cells if cell.point.map == item}) for item in _maps(cells))
    height = _ROW_MM * (rows + _GAP_ROWS * len(_maps(cells))) + _FRAME_MM + _LINE_MM * len(lines)
    return picture(name, title, height, lambda ax: plot_maps(ax, cells, "\n".join(lines)))

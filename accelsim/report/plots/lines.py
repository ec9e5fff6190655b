"""A figure over the values of an axis, one line for each of several designs or formats.

Disputable assumption: the values of the axis stand at equal distances, as steps of a sweep do, and not to scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from accelsim.report.plots.bars import legend_above
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT
from accelsim.report.tables.text import distinct, folded

_SAME = 0.01  # of the axis: smaller differences are invisible
_HEIGHT_MM, _LEGEND_MM, _LEGEND_COLUMNS = 48, 4.2, 2


@dataclass(frozen=True)
class Curves:
    """A figure at each of some places, of several designs.

    Attributes
    ----------
    places : the values of the axis, in order
    series : name of a design -> its figure at each place; a NaN is a gap; a single one may have an empty name
    x_label, y_label : labels of places and figures, with their units
    note : further remarks on the figures, below the axes
    series_label : what tells the series apart, with its unit, above their names
    """

    places: Sequence[str]
    series: Mapping[str, Sequence[float]]
    x_label: str
    y_label: str
    note: str = ""
    series_label: str = ""

    def __post_init__(self) -> None:
        if any(len(values) != len(self.places) for values in self.series.values()) or len(self.series) > len(SERIES_MARKERS):
            raise ValueError(f"each series needs {len(self.places)} figures, and there may be at most {len(SERIES_MARKERS)}")


def plot_lines(ax: Axes, curves: Curves) -> None:
    """Draw each series over the places, from zero; series that coincide lie on each other as rings, the first the widest."""
    top = max((value for values in curves.series.values() for value in values if math.isfinite(value)), default=1.0)
    drawn = list(curves.series.values())
    for index, (name, values) in enumerate(zip(distinct(list(curves.series)), curves.series.values(), strict=True)):
        color, marker = SERIES_PAINT[index].color, SERIES_MARKERS[index]
        rings = sum(_coincide(values, later, _SAME * top) for later in drawn[index + 1 :])
        size, width = 3.2 + 1.7 * rings, 0.9 + 1.3 * rings
        ax.plot(range(len(curves.places)), values, color=color, marker=marker, markersize=size, linewidth=width, label=name)
    ax.set_ylim(0, 1.06 * top or 1)
    ax.set_xticks(range(len(curves.places)), curves.places)
    ax.grid(axis="y")
    ax.set_xlabel("\n".join(filter(None, (curves.x_label, *_notes(curves)))))
    ax.set_ylabel(curves.y_label)
    if any(curves.series):
        legend_above(ax, ncols=_LEGEND_COLUMNS, title=curves.series_label or None)


def _notes(curves: Curves) -> list[str]:
    """The remarks below the axes: the given one, and which series cannot be told apart ('RAM-16 = RAM-256')."""
    top = max((value for values in curves.series.values() for value in values if math.isfinite(value)), default=1.0)
    groups: list[list[str]] = []
    for name, short in zip(curves.series, distinct(list(curves.series)), strict=True):
        values = curves.series[name]
        same = next((group for group in groups if _equal(curves.series[group[0]], values, _SAME * top)), None)
        if same is None:
            groups.append([name, short])
        else:
            same.append(short)
    equal = [folded(" = ".join(group[1:])) for group in groups if len(group) > 2]
    return [*filter(None, (folded(curves.note),)), *equal]


def _equal(first: Sequence[float], second: Sequence[float], within: float) -> bool:
    """Whether two series coincide in all their figures, and have the same gaps."""
    gaps = [math.isfinite(value) for value in first] == [math.isfinite(value) for value in second]
    return gaps and _coincide(first, second, within)


def _coincide(first: Sequence[float], second: Sequence[float], within: float) -> bool:
    """Whether no visible figure of the first lies further than `within` from the second's."""
    return all(abs(one - other) <= within for one, other in zip(first, second, strict=True) if math.isfinite(one))


def lines_picture(name: str, title: str, curves: Curves) -> Picture:
    """The picture of lines."""
    rows = -(-len(curves.series) // _LEGEND_COLUMNS) + bool(curves.series_label) + sum(note.count("\n") + 1 for note in _notes(curves))
    return picture(name, title, _HEIGHT_MM + _LEGEND_MM * rows, lambda ax: plot_lines(ax, curves))

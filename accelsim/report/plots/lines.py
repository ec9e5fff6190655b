"""A figure over the values of an axis, one line for each of several designs or formats.

Disputable assumption: the values of the axis stand at equal distances, as steps of a sweep do, and not to scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT, picture
from accelsim.report.text import folded, shorten

_SAME = 0.01  # of the axis: less cannot be told apart
_HEIGHT_MM, _LEGEND_MM = 48, 4.2


def plot_lines(
    ax: Axes,
    places: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    heading: str = "",
    note: str = "",
) -> None:
    """Draw each series over `places` from zero; a NaN is a gap. `heading` stands above the names of the series, `note` below the axes.

    Series that coincide lie on each other like the rings of a target: the first is the widest.

    Raises
    ------
    ValueError
        A series has another number of figures than there are places, or there are more series than markers.
    """
    if any(len(values) != len(places) for values in series.values()) or len(series) > len(SERIES_MARKERS):
        raise ValueError(f"each series needs {len(places)} figures, and there may be at most {len(SERIES_MARKERS)}")
    top = max((value for values in series.values() for value in values if math.isfinite(value)), default=1.0)
    drawn = list(series.values())
    for index, (name, values) in enumerate(series.items()):
        color, marker = SERIES_PAINT[index].color, SERIES_MARKERS[index]
        rings = sum(_coincide(values, later, _SAME * top) for later in drawn[index + 1 :])
        size, width = 3.2 + 1.7 * rings, 0.9 + 1.3 * rings
        ax.plot(range(len(places)), values, color=color, marker=marker, markersize=size, linewidth=width, label=shorten(name))
    ax.set_ylim(0, 1.06 * top)
    ax.set_xticks(range(len(places)), places)
    ax.grid(axis="y")
    ax.set_xlabel("\n".join(filter(None, (x_label, folded(note)))))
    ax.set_ylabel(y_label)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1, borderaxespad=0.2, title=folded(heading) or None, title_fontsize=7)


def _coincide(first: Sequence[float], second: Sequence[float], within: float) -> bool:
    """Whether no figure of the first that can be seen lies further than `within` from the second's."""
    return all(abs(one - other) <= within for one, other in zip(first, second, strict=True) if math.isfinite(one))


def lines_picture(
    name: str,
    places: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    heading: str = "",
    note: str = "",
) -> dict[str, bytes]:
    """The lines as SVG and PNG at a paper's column width; parameters as `plot_lines`."""

    def draw(ax: Axes) -> None:
        plot_lines(ax, places, series, x_label=x_label, y_label=y_label, heading=heading, note=note)

    return picture(name, _HEIGHT_MM + _LEGEND_MM * (len(series) + bool(heading) + bool(note)), draw)

"""Measured against simulated times of boards, fitted and predicted rows marked apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from accelsim.report.plots.bars import legend_above
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT

_HEIGHT_MM, _LEGEND_MM, _LEGEND_COLUMNS = 72, 4.2, 2
_BAND = 0.2  # the shaded error


@dataclass(frozen=True)
class MeasuredPoint:
    """A row in ms; `filled`: it was predicted or shown, not fitted."""

    board: str
    measured_ms: float
    simulated_ms: float
    filled: bool


def plot_silicon(ax: Axes, points: Sequence[MeasuredPoint]) -> None:
    """Draw both times on logarithmic axes, with the diagonal and a band of 20 % around it."""
    times = [time for point in points for time in (point.measured_ms, point.simulated_ms)]
    ends = (min(times) / 1.5, max(times) * 1.5)
    ax.fill_between(ends, [(1 - _BAND) * end for end in ends], [(1 + _BAND) * end for end in ends], color="0.9", linewidth=0)
    ax.plot(ends, ends, color="0.5", linewidth=0.6)
    for index, board in enumerate(dict.fromkeys(point.board for point in points)):
        place = index % len(SERIES_MARKERS)
        color, marker = SERIES_PAINT[place].color, SERIES_MARKERS[place]
        for filled in (True, False):
            some = [point for point in points if point.board == board and point.filled is filled]
            if some:
                ax.scatter(
                    [point.measured_ms for point in some], [point.simulated_ms for point in some], s=11, marker=marker,
                    facecolors=color if filled else "none", edgecolors=color, linewidths=0.8,
                    label=board if filled else f"{board}, fitted",
                )  # fmt: skip
    for set_scale, axis in ((ax.set_xscale, ax.xaxis), (ax.set_yscale, ax.yaxis)):
        set_scale("log")
        axis.set_major_formatter(lambda time, _: f"{time:g}")
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    ax.grid()
    ax.set_xlabel("measured, ms (shaded: 20 %)")
    ax.set_ylabel("simulated, ms")
    legend_above(ax, ncols=_LEGEND_COLUMNS)


def silicon_picture(title: str, points: Sequence[MeasuredPoint]) -> Picture:
    """The picture of all boards."""
    labels = len({(point.board, point.filled) for point in points})
    return picture("silicon", title, _HEIGHT_MM + _LEGEND_MM * -(-labels // _LEGEND_COLUMNS), lambda ax: plot_silicon(ax, points))

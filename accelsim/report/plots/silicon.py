"""Measured against simulated times of boards: rows that are predicted, fitted and only shown are marked apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from accelsim.report.plots.bars import legend_above
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT

_HEIGHT_MM, _LEGEND_MM, _LEGEND_COLUMNS = 72, 4.2, 2
_BAND = 0.2  # the shaded error


# Role of a row: what stands behind the board's name in the legend, and how opaque a filled marker is; None: the marker is open.
_ROLES: dict[str, tuple[str, float | None]] = {"predict": ("", 1.0), "fit": (", fitted", None), "context": (", not judged", 0.35)}


class TimedRow(Protocol):
    """A measured row; `simulated_ms` is None where it cannot be simulated."""

    @property
    def chip(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def measured_ms(self) -> float: ...
    @property
    def simulated_ms(self) -> float | None: ...


def plot_silicon(ax: Axes, rows: Sequence[TimedRow]) -> None:
    """Draw both times on logarithmic axes, with the diagonal and a band of 20 % around it."""
    times = [(row.chip, row.role, row.measured_ms, row.simulated_ms) for row in rows if row.simulated_ms is not None]
    both = [time for _, _, *pair in times for time in pair]
    ends = (min(both) / 1.5, max(both) * 1.5)
    ax.fill_between(ends, [(1 - _BAND) * end for end in ends], [(1 + _BAND) * end for end in ends], color="0.9", linewidth=0)
    ax.plot(ends, ends, color="0.5", linewidth=0.6)
    for index, board in enumerate(dict.fromkeys(chip for chip, *_ in times)):
        place = index % len(SERIES_MARKERS)
        color, marker = SERIES_PAINT[place].color, SERIES_MARKERS[place]
        for role, (behind, opacity) in _ROLES.items():
            some = [pair for chip, its_role, *pair in times if (chip, its_role) == (board, role)]
            if some:
                face = "none" if opacity is None else to_rgba(color, opacity)
                measured, simulated = zip(*some, strict=True)
                ax.scatter(
                    measured, simulated, s=11, marker=marker, facecolors=[face], edgecolors=color, linewidths=0.8, label=f"{board}{behind}"
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


def silicon_picture(title: str, rows: Sequence[TimedRow]) -> Picture:
    """The picture of all boards."""
    labels = len({(row.chip, row.role) for row in rows if row.simulated_ms is not None})
    return picture("silicon", title, _HEIGHT_MM + _LEGEND_MM * -(-labels // _LEGEND_COLUMNS), lambda ax: plot_silicon(ax, rows))

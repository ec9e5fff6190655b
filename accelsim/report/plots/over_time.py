"""Values that hold from one time to the next, as filled steps over core cycles: bandwidth, occupancy of a buffer.

Disputable assumption: a run is longer than a picture is wide, so steps are drawn in equal bins of cycles: the mean of each (a rate,
whose sum is preserved) or its highest value (an occupancy, whose peak is preserved).
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from accelsim.report.plots.bars import cycle_unit, legend_above
from accelsim.report.plots.style import Paint, bar_style

BINS = 300  # about four in a millimetre at a paper's column width
_FAR = 4  # times the highest value: a limit further away is named, and not drawn
_LIMIT_COLOR = "#303030"
Floats = npt.NDArray[np.float64]
Binning = Literal["mean", "peak"]


@dataclass(frozen=True)
class Steps:
    """A step function of time: `values[i]` holds from `cycles[i]` to `cycles[i + 1]`, the last one to `end`.

    Attributes
    ----------
    cycles : rising core cycles, at least one
    values : as many, in the unit of the axis
    """

    cycles: tuple[int, ...]
    values: tuple[float, ...]
    end: int

    def __post_init__(self) -> None:
        if not self.cycles or len(self.cycles) != len(self.values) or list(self.cycles) != sorted(set(self.cycles)):
            raise ValueError("steps need at least one cycle, rising, and a value for each")
        if self.end < self.cycles[-1]:
            raise ValueError(f"the last step begins in cycle {self.cycles[-1]}, after the end, {self.end}")

    def __add__(self, other: Steps) -> Steps:
        """The sum at each time, zero where one has not begun or has ended."""
        times = sorted({*self.cycles, *other.cycles, self.end, other.end})
        values = [self._at(time) + other._at(time) for time in times[:-1]]
        return Steps(tuple(times[:-1]) or (times[0],), tuple(values) or (0.0,), times[-1])

    def _at(self, cycle: int) -> float:
        place = bisect_right(self.cycles, cycle)
        return self.values[place - 1] if place and cycle < self.end else 0.0

    @property
    def integral(self) -> float:
        """Sum of value x cycles."""
        return float(self._integral_to(np.array([float(self.end)]))[0])

    def binned(self, edges: Floats, how: Binning) -> Floats:
        """The mean or highest value between each two of the edges; zero before the first step and from the end on.

        Parameters
        ----------
        edges : float64 (bins + 1,): rising core cycles
        """
        if how == "mean":
            out: Floats = np.diff(self._integral_to(edges)) / np.diff(edges)
            return out
        values = np.array([0.0, *self.values, 0.0])
        times = np.array([-np.inf, *self.cycles, self.end], dtype=np.float64)
        first = np.searchsorted(times, edges[:-1], side="right") - 1  # what holds at the bin's start
        last = np.searchsorted(times, edges[1:], side="left")  # what begins before its end
        return np.array([values[start:stop].max() for start, stop in zip(first, last, strict=True)])

    def _integral_to(self, at: Floats) -> Floats:
        times = np.array([*self.cycles, self.end], dtype=np.float64)
        sums = np.concatenate(([0.0], np.cumsum(np.diff(times) * np.array(self.values))))
        return np.interp(at, times, sums)


@dataclass(frozen=True)
class Panel:
    """Series that share an axis.

    Attributes
    ----------
    paints : one for each series
    how : what of a bin is drawn
    limit : name and value of the upper limit
    """

    series: Mapping[str, Steps]
    paints: Sequence[Paint]
    y_label: str
    how: Binning = "mean"
    limit: tuple[str, float] | None = None

    def limit_label(self, top: float) -> tuple[str, bool]:
        """(name of the limit with its value, whether it stands on the axis) where the highest value is `top`.

        A limit more than four times as high would leave the values a stripe along the axis: it is named only.
        """
        if self.limit is None:
            return "", False
        name, value = self.limit
        inside = value <= _FAR * top or not top
        return f"{name} {value:,.4g}{'' if inside else ', above the axis'}", inside

    def __post_init__(self) -> None:
        if not self.series or len(self.paints) != len(self.series):
            raise ValueError(f"each of one or more series needs a paint; got {len(self.series)} series and {len(self.paints)} paints")


def plot_over_time(ax: Axes, panel: Panel) -> None:
    """Series stacked in the order given, and a dashed line at their upper limit."""
    series, limit = panel.series, panel.limit
    start = min(item.cycles[0] for item in series.values())
    end = max(start + 1, *(item.end for item in series.values()))
    unit, factor = cycle_unit(end)
    edges = np.linspace(start, end, min(BINS, end - start) + 1)
    base = np.zeros(edges.size - 1)
    top = 0.0
    sums = accumulate(series.values(), operator.add)  # the peak of a sum is not the sum of peaks
    for name, item, paint in zip(series, sums, panel.paints, strict=True):
        above = item.binned(edges, panel.how)
        style = {**bar_style(paint), "linewidth": 0.0}
        ax.fill_between(edges * factor, _closed(base), _closed(above), step="post", label=name, **style)
        base, top = above, max(top, float(above.max()))
    label, inside = panel.limit_label(top)
    if limit is not None:
        dashed: dict[str, Any] = {"color": _LIMIT_COLOR, "linewidth": 0.8, "linestyle": (0, (4, 2)), "label": label}
        if inside:
            ax.axhline(limit[1], **dashed)
            top = max(top, limit[1])
        else:
            ax.plot([], [], **dashed)
    ax.set_xlim(start * factor, end * factor)
    ax.set_ylim(0, 1.06 * top or 1)
    ax.grid(axis="y")
    ax.set_xlabel(unit)
    ax.set_ylabel(panel.y_label)
    legend_above(ax)


def _closed(values: Floats) -> Floats:
    """With the last value again, for the last edge."""
    return np.append(values, values[-1])

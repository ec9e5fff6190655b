"""A scatter of design points with the Pareto front through those that no other point beats.

Disputable assumption: which points lie on the front is the caller's to say; it is drawn as a staircase, because between two designs
there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes

from accelsim.report.plots.bars import legend_above
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT, log_scale
from accelsim.report.tables.text import distinct

Goal = Literal["less", "more"]
MAX_GROUPS = len(SERIES_PAINT)
_HEIGHT_MM = 65
_OTHERS = "others"
_SHORT = 14  # characters of a name of which three stand side by side


@dataclass(frozen=True)
class DesignPoints:
    """Points of a plane of two figures.

    Attributes
    ----------
    x, y : figures of each point
    on_front : whether no other point is at least as good in both and better in one
    x_label, y_label : their labels, with units
    goals : whether less or more is better, of x and of y
    groups : name of each point's group (a format, a chip): colour and marker; beyond MAX_GROUPS groups the rest share one
    group_label : what tells the groups apart, with its unit, above their names
    log : logarithmic axes
    """

    x: Sequence[float]
    y: Sequence[float]
    on_front: Sequence[bool]
    x_label: str
    y_label: str
    goals: tuple[Goal, Goal] = ("less", "less")
    groups: Sequence[str] | None = None
    log: tuple[bool, bool] = (False, False)
    group_label: str = ""

    def __post_init__(self) -> None:
        if len({len(self.x), len(self.y), len(self.on_front), *([] if self.groups is None else [len(self.groups)])}) != 1:
            raise ValueError("x, y, on_front and groups must have one entry per point")
        for values, logarithmic, name in ((self.x, self.log[0], self.x_label), (self.y, self.log[1], self.y_label)):
            if logarithmic and any(value <= 0 for value in values):
                raise ValueError(f"{name}: a logarithmic axis needs positive values")

    def group_names(self) -> list[str]:
        """The group of each point, at most MAX_GROUPS different ones: the last of them holds the rest; '' without groups."""
        if self.groups is None:
            return [""] * len(self.x)
        kinds = list(dict.fromkeys(self.groups))
        own = set(kinds if len(kinds) <= MAX_GROUPS else kinds[: MAX_GROUPS - 1])
        return [name if name in own else _OTHERS for name in self.groups]


def plot_pareto(ax: Axes, points: DesignPoints) -> None:
    """One marker per point, the points of the front filled and joined by a staircase."""
    x, y, on_front = points.x, points.y, points.on_front
    names = points.group_names()
    kinds = list(dict.fromkeys(names))
    for index, (kind, label) in enumerate(zip(kinds, distinct(kinds), strict=True)):
        color, marker = SERIES_PAINT[index].color, SERIES_MARKERS[index]
        mine = [i for i, name in enumerate(names) if name == kind]
        for front in (False, True):
            chosen = [i for i in mine if bool(on_front[i]) == front]
            if chosen:
                style: dict[str, Any] = {"c": color} if front else {"facecolors": "white", "edgecolors": color}
                ax.scatter([x[i] for i in chosen], [y[i] for i in chosen], s=16, marker=marker, linewidths=0.8, zorder=3, **style)
        if kind:
            ax.scatter([], [], s=16, marker=marker, c=color, label=label)
    _staircase(ax, sorted((x[i], y[i]) for i in range(len(x)) if on_front[i]), points.goals)
    ax.margins(0.08)
    for axis, logarithmic in zip((ax.xaxis, ax.yaxis), points.log, strict=True):
        if logarithmic:
            log_scale(axis)
    ax.grid()
    ax.set_xlabel(f"{points.x_label}; {points.goals[0]} is better")
    ax.set_ylabel(f"{points.y_label}; {points.goals[1]} is better")
    legend_above(ax, ncols=3 if max(map(len, kinds), default=0) <= _SHORT else 2, title=points.group_label or None)


def _staircase(ax: Axes, front: Sequence[tuple[float, float]], goals: tuple[Goal, Goal]) -> None:
    """Staircase of the front: a point's y holds until the next point's x (or, where more x is better, from the previous one's)."""
    where: Literal["pre", "post"] = "post" if goals[0] == "less" else "pre"
    if front:
        xs, ys = zip(*front, strict=True)
        ax.step(xs, ys, where=where, color="#5A5A5A", linewidth=0.8, zorder=2, label="Pareto front (filled)")


def pareto_picture(name: str, title: str, points: DesignPoints) -> Picture:
    """The picture of design points."""
    return picture(name, title, _HEIGHT_MM, lambda ax: plot_pareto(ax, points))

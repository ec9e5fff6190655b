"""A scatter of design points with the Pareto front through those that no other point beats.

Disputable assumption: which points lie on the front is the caller's to say; it is drawn as a staircase, because between two designs
there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib.axes import Axes

from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT, log_scale, picture
from accelsim.report.text import folded, shorten

Goal = Literal["less", "more"]
MAX_GROUPS = len(SERIES_PAINT)
_HEIGHT_MM = 68


def pareto_scatter(
    ax: Axes,
    x: Sequence[float],
    y: Sequence[float],
    on_front: Sequence[bool],
    *,
    x_label: str,
    y_label: str,
    goals: tuple[Goal, Goal] = ("less", "less"),
    groups: Sequence[str] | None = None,
    log: tuple[bool, bool] = (False, False),
    heading: str = "",
) -> None:
    """Draw one marker a point, the points of the front filled and joined by a staircase.

    Parameters
    ----------
    x, y : figures of each point
    on_front : whether no other point is at least as good in both and better in one
    x_label, y_label : what they are, with their units
    goals : whether less or more is better, of x and of y
    groups : name of each point's group (a format, a chip): colour and marker; beyond MAX_GROUPS groups the rest share one
    log : logarithmic axes
    heading : above the names of the groups

    Raises
    ------
    ValueError
        The sequences differ in length, or a logarithmic axis has a value that is not positive.
    """
    if len({len(x), len(y), len(on_front), len(groups) if groups is not None else len(x)}) != 1:
        raise ValueError("x, y, on_front and groups must have one entry a point")
    for values, logarithmic, name in ((x, log[0], x_label), (y, log[1], y_label)):
        if logarithmic and any(value <= 0 for value in values):
            raise ValueError(f"{name}: a logarithmic axis needs positive values")
    _staircase(ax, sorted((x[i], y[i]) for i in range(len(x)) if on_front[i]), goals)
    names = list(groups) if groups is not None else [""] * len(x)
    kinds = list(dict.fromkeys(names))
    if len(kinds) > MAX_GROUPS:
        kept = set(kinds[: MAX_GROUPS - 1])
        names = [name if name in kept else "others" for name in names]
        kinds = list(dict.fromkeys(names))
    for index, kind in enumerate(kinds):
        color, marker = SERIES_PAINT[index].color, SERIES_MARKERS[index]
        mine = [i for i, name in enumerate(names) if name == kind]
        for front in (False, True):
            chosen = [i for i in mine if bool(on_front[i]) == front]
            if chosen:
                style: dict[str, Any] = {"c": color} if front else {"facecolors": "white", "edgecolors": color}
                ax.scatter([x[i] for i in chosen], [y[i] for i in chosen], s=16, marker=marker, linewidths=0.8, zorder=3, **style)
        if kind:
            ax.scatter([], [], s=16, marker=marker, c=color, label=shorten(kind))
    ax.margins(0.08)
    for axis, logarithmic in ((ax.xaxis, log[0]), (ax.yaxis, log[1])):
        if logarithmic:
            log_scale(axis)
    ax.grid()
    ax.set_xlabel(f"{x_label}; {goals[0]} is better")
    ax.set_ylabel(f"{y_label}; {goals[1]} is better")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2, title=folded(heading) or None, title_fontsize=7)


def _staircase(ax: Axes, front: Sequence[tuple[float, float]], goals: tuple[Goal, Goal]) -> None:
    """What the front reaches: from a point on, its y holds until the next one's x (or, where more x is better, since the last one's)."""
    where: Literal["pre", "post"] = "post" if goals[0] == "less" else "pre"
    if front:
        xs, ys = zip(*front, strict=True)
        ax.step(xs, ys, where=where, color="#5A5A5A", linewidth=0.8, zorder=2, label="Pareto front (filled)")


def pareto_picture(
    name: str,
    x: Sequence[float],
    y: Sequence[float],
    on_front: Sequence[bool],
    *,
    x_label: str,
    y_label: str,
    goals: tuple[Goal, Goal] = ("less", "less"),
    groups: Sequence[str] | None = None,
    log: tuple[bool, bool] = (False, False),
    heading: str = "",
) -> dict[str, bytes]:
    """The scatter as SVG and PNG at a paper's column width; parameters as `pareto_scatter`."""

    def draw(ax: Axes) -> None:
        pareto_scatter(ax, x, y, on_front, x_label=x_label, y_label=y_label, goals=goals, groups=groups, log=log, heading=heading)

    return picture(name, _HEIGHT_MM, draw)

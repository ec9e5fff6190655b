"""The pictures that a sweep's file asks for, else the usual ones of its axes, drawn of the points that ran.

Disputable assumption: a tile or a point of a line shows the least figure over the axes that the picture does not name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import product

import numpy as np
import numpy.typing as npt

from accelsim.errors import ConfigError
from accelsim.report.plots.heat_map import Tiles, heat_map_picture
from accelsim.report.plots.lines import Curves, lines_picture
from accelsim.report.plots.pareto import DesignPoints, Goal, pareto_picture
from accelsim.report.plots.picture import Picture as Drawn
from accelsim.report.plots.picture import files_of
from accelsim.report.plots.picture_style import PAPER, PictureStyle
from accelsim.report.plots.speedup_map import map_picture
from accelsim.report.plots.style import SERIES_MARKERS
from accelsim.report.speedup_cells import RESOURCE_OF_BOUND, Cell, Limiter, Point
from accelsim.sweeps.axis import axis_text
from accelsim.sweeps.best import costs_of
from accelsim.sweeps.columns import ACCURACY
from accelsim.sweeps.default_pictures import pictures_for
from accelsim.sweeps.pareto import pareto_front
from accelsim.sweeps.picture_spec import HeatMap, Lines, ParetoScatter, Picture, SpeedupMap
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.table import Table, drawn_title


def pictures_of(table: Table) -> list[Drawn]:
    """The pictures of the table's sweep. One without any point is left out.

    Raises
    ------
    ConfigError
        A map of speed-ups leaves an axis open, or names a baseline that no point has.
    """
    drawn: list[Drawn] = []
    for picture in pictures_for(table.sweep):
        for suffix, heading, part in _each(table, picture):
            heading = ": ".join(filter(None, (picture.title, heading)))
            drawn += _DRAW[type(picture)](f"{picture.name}{suffix}", heading, part, table, picture)
    return drawn


def draw(table: Table, style: PictureStyle = PAPER) -> dict[str, bytes]:
    """All pictures of the table's sweep: file name -> bytes; see `pictures_of`."""
    return files_of(pictures_of(table), style)


def check_pictures(sweep: Sweep, *, accuracy: bool = False) -> None:
    """Before a long sweep: that its pictures can be drawn, with the accuracy of its points or without.

    Raises
    ------
    ConfigError
        A map of speed-ups leaves an axis open, or names a baseline that no point has; more lines than there are markers; a
        picture of an accuracy that is not known.
    """
    for picture in sweep.pictures:
        if ACCURACY in picture.figures_named() and not accuracy:
            raise ConfigError(f"picture `{picture.name}`: no accuracy is known; give --accuracy FILE.csv or FILE.py:FUNCTION")
        if isinstance(picture, SpeedupMap):
            _baseline_step(sweep, picture)
        if isinstance(picture, Lines) and picture.lines:
            count = len(sweep.group_of(picture.lines).steps)
            if count > len(SERIES_MARKERS):
                raise ConfigError(
                    f"picture `{picture.name}`: `{picture.lines}` has {count} values; allowed: at most {len(SERIES_MARKERS)} lines"
                )


def _baseline_step(sweep: Sweep, picture: SpeedupMap) -> int:
    """The step of the compared axis that is the baseline; ConfigError as `check_pictures`."""
    axes = sweep.group_of(picture.compared)
    values = [step[axes.names.index(picture.compared)] for step in axes.steps]
    wanted = picture.baseline[picture.compared]
    if wanted not in values:
        known = ", ".join(map(str, values))
        raise ConfigError(f"picture `{picture.name}`: {picture.compared} is never {wanted!r}; allowed: {known}")
    for group in sweep.groups:
        if len(group.steps) > 1 and not set(group.names) & set(picture.axes_named()):
            raise ConfigError(f"picture `{picture.name}`: leaves `{group.names[0]}` open; allowed: name it in `maps` or `each`")
    return values.index(wanted)


def speedup_cells(table: Table, picture: SpeedupMap, baselines: Table) -> tuple[Cell, ...]:
    """A cell for each point of `table` that is not on the baseline; the baselines are looked up in `baselines`, over all its points.

    Raises
    ------
    ConfigError
        An axis of several values that the picture does not name, or a baseline that no point has.
    """
    sweep = table.sweep
    group, _ = table.axis(picture.compared)
    start = _baseline_step(sweep, picture)
    stride = math.prod(len(item.steps) for item in sweep.groups[group + 1 :])
    row_of = {int(position): row for row, position in enumerate(baselines.positions)}
    labels = {name: [picture.shown(name, label) for label in table.labels(name)] for name in (picture.rows, picture.columns, *picture.maps)}
    cells = []
    for row, position in enumerate(table.positions.tolist()):
        step = int(table.steps[row, group])
        baseline = row_of.get(position + (start - step) * stride)
        if step == start or baseline is None:
            continue
        cells.append(
            Cell(
                point=Point(
                    map="; ".join(_named(picture, name, labels[name][row]) for name in picture.maps),
                    row=labels[picture.rows][row],
                    column=labels[picture.columns][row],
                    preset="",
                    overrides=(),
                ),
                baseline_cycles=int(baselines["total_cycles"][baseline]),
                other_cycles=int(table["total_cycles"][row]),
                baseline_ms=float(baselines["milliseconds"][baseline]),
                other_ms=float(table["milliseconds"][row]),
                baseline_weight_bytes=int(baselines["weight_bytes"][baseline]),
                other_weight_bytes=int(table["weight_bytes"][row]),
                baseline_limiter=_limiter(baselines, baseline),
                other_limiter=_limiter(table, row),
            )
        )
    return tuple(cells)


def least_over(table: Table, figure: str, first: str | None, second: str) -> tuple[list[str], list[str], npt.NDArray[np.float64]]:
    """Labels of two axes in order, and the least `figure` at each pair of their values: float64 (first, second), NaN where none is.

    Without a first axis there is one row, whose label is empty. Of accuracy it is the most.
    """
    names: list[list[str]] = []
    places: list[npt.NDArray[np.int64]] = []
    for axis in (first, second):
        if axis is None:
            names.append([""])
            places.append(np.zeros(len(table), np.int64))
            continue
        group, place = table.axis(axis)
        names.append(list(dict.fromkeys(axis_text(step[place]) for step in table.sweep.groups[group].steps)))
        order = {name: number for number, name in enumerate(names[-1])}
        places.append(np.array([order[label] for label in table.labels(axis)], np.int64))
    out = np.full((len(names[0]), len(names[1])), np.inf)
    values = costs_of(table, [figure])[:, 0]
    known = ~np.isnan(values)
    np.minimum.at(out, (places[0][known], places[1][known]), values[known])
    out[np.isinf(out)] = np.nan
    return names[0], names[1], -out if figure == ACCURACY else out


def _each(table: Table, picture: Picture) -> Iterator[tuple[str, str, Table]]:
    """(suffix of the file, heading, points) for each combination of values of the axes `each`."""
    labels = {axis: table.labels(axis) for axis in picture.each}
    taken: Counter[str] = Counter()  # two values may differ in signs alone, which no name of a file has
    for values in product(*(dict.fromkeys(labels[axis]) for axis in picture.each)):
        chosen = np.ones(len(table), bool)
        for axis, value in zip(picture.each, values, strict=True):
            chosen &= np.array([label == value for label in labels[axis]], bool)
        if chosen.any():
            heading = ", ".join(_named(picture, axis, picture.shown(axis, value)) for axis, value in zip(picture.each, values, strict=True))
            suffix = "".join("_" + re.sub(r"[^A-Za-z0-9]+", "_", value).strip("_") for value in values)
            taken[suffix] += 1
            yield suffix + (f"_{taken[suffix]}" if taken[suffix] > 1 else ""), heading, table.where(chosen)


def _named(picture: Picture, axis: str, shown: str) -> str:
    """A value with its axis before it, unless it has a name of its own or the axis goes without saying."""
    return shown if axis == "trace" or axis in picture.names else f"{axis.rpartition('.')[2]} {shown}"


def _limiter(table: Table, row: int) -> Limiter:
    bound = str(table["tightest_bound"][row])
    percent = float(table["achieved_of_tightest_pct"][row])
    return Limiter(RESOURCE_OF_BOUND.get(bound, bound), percent, str(table["limiting_resource"][row]))


def _speedup_map(name: str, heading: str, part: Table, whole: Table, picture: SpeedupMap) -> list[Drawn]:
    cells = speedup_cells(part, picture, whole)
    if not cells:
        return []
    above = f"Speed-up over {picture.shown(picture.compared, str(picture.baseline[picture.compared]))}\n{heading}"
    return [
        map_picture(
            name,
            above,
            cells,
            picture.column_title or part.sweep.axis_title(picture.columns),
            picture.row_title or part.sweep.axis_title(picture.rows),
        )
    ]


def _heat_map(name: str, heading: str, part: Table, whole: Table, picture: HeatMap) -> list[Drawn]:
    rows, columns, values = least_over(part, picture.figure, picture.rows, picture.columns)
    tiles = Tiles(
        values.tolist(),
        [picture.shown(picture.rows, row) for row in rows],
        [picture.shown(picture.columns, column) for column in columns],
        value_label=drawn_title(picture.figure),
        row_label="" if picture.rows == "trace" else part.sweep.axis_title(picture.rows),
        column_label=part.sweep.axis_title(picture.columns),
        number=".0f" if np.nanmax(values, initial=0.0) >= 100 else "#.3g",
        note=_note(whole, *picture.each, picture.rows, picture.columns),
    )
    return [heat_map_picture(name, f"{_sentence(drawn_title(picture.figure))}\n{heading}", tiles)]


def _pareto(name: str, heading: str, part: Table, whole: Table, picture: ParetoScatter) -> list[Drawn]:
    x, y = part.numbers(picture.x), part.numbers(picture.y)
    known = ~(np.isnan(x) | np.isnan(y))
    groups = None
    if picture.groups:
        labels = part.labels(picture.groups)
        groups = [picture.shown(picture.groups, label) for label, kept in zip(labels, known, strict=True) if kept]
    front = pareto_front(costs_of(part, [picture.x, picture.y])[known])
    points = DesignPoints(
        x[known].tolist(),
        y[known].tolist(),
        front.tolist(),
        x_label=drawn_title(picture.x),
        y_label=drawn_title(picture.y),
        goals=(goal_of(picture.x), goal_of(picture.y)),
        groups=groups,
        log=(picture.log, picture.log),
        group_label=part.sweep.axis_title(picture.groups) if picture.groups else "",
    )
    return [pareto_picture(name, f"{_sentence(drawn_title(picture.y))} against {drawn_title(picture.x)} of each design\n{heading}", points)]


def _lines(name: str, heading: str, part: Table, whole: Table, picture: Lines) -> list[Drawn]:
    lines, places, values = least_over(part, picture.y, picture.lines, picture.x)
    drawn = {line: row for line, row in zip(lines, values.tolist(), strict=True) if not all(map(math.isnan, row))}
    curves = Curves(
        [picture.shown(picture.x, place) for place in places],
        {picture.shown(picture.lines, line) if picture.lines else line: row for line, row in drawn.items()},
        x_label=part.sweep.axis_title(picture.x),
        series_label=part.sweep.axis_title(picture.lines) if picture.lines else "",
        y_label=drawn_title(picture.y),
        note=_note(whole, *picture.each, *((picture.lines,) if picture.lines else ()), picture.x),
    )
    return [lines_picture(name, f"{_sentence(drawn_title(picture.y))} over {picture.x}\n{heading}", curves)]


def goal_of(figure: str) -> Goal:
    """Whether less or more of a figure is better."""
    return "more" if figure == ACCURACY else "less"


def _sentence(text: str) -> str:
    """With a capital at its start."""
    return text[:1].upper() + text[1:]


def _note(table: Table, *drawn: str) -> str:
    """Over which axes a picture shows the least figure: those of several values that are not drawn; '' if there are none."""
    named = {table.axis(name)[0] for name in drawn}
    free = [axes.names[0] for number, axes in enumerate(table.sweep.groups) if number not in named and len(axes.steps) > 1]
    return f"the least over {', '.join(free)}" if free else ""


_DRAW: Mapping[type, Callable[..., list[Drawn]]] = {SpeedupMap: _speedup_map, HeatMap: _heat_map, ParetoScatter: _pareto, Lines: _lines}

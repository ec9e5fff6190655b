"""Design points in several planes on one page: a pointer on a point shows its configuration, a selection in one plane shows in all.

Disputable assumption: of more than MAX_POINTS points the page shows those of a front and, of the others, evenly spaced ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.report.interactive.page import INK, QUIET, dress_legend, interactive_page, new_figure
from accelsim.report.plots.pareto import DesignPoints
from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT
from accelsim.report.tables.text import clean, count, distinct

MAX_POINTS = 10_000
_MARKERS: Mapping[str, str] = {
    "o": "circle", "s": "square", "^": "triangle", "D": "diamond", "v": "inverted_triangle", "P": "plus", "X": "x",
}  # fmt: skip


def designs_page(title: str, sentences: Sequence[str], planes: Sequence[DesignPoints], hover: Mapping[str, Sequence[str]]) -> bytes:
    """The page.

    Parameters
    ----------
    planes : the same points in each plane, in one order and with the same groups
    hover : what a pointer shows of a point: name -> text of each point
    """
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource

    kept = _kept(planes)
    total = len(planes[0].x)
    notes = list(sentences)
    if len(kept) < total:
        notes.append(f"{count(len(kept))} of {count(total)} points are shown: those of a front, and evenly spaced ones of the others.")
    groups = planes[0].group_names()
    shown = {f"hover{number}": [clean(texts[row]) for row in kept] for number, texts in enumerate(hover.values())}
    data: dict[str, Any] = {"group": [clean(groups[row]) for row in kept], **shown}
    for number, plane in enumerate(planes):
        data |= {f"x{number}": np.asarray(plane.x, np.float64)[kept], f"y{number}": np.asarray(plane.y, np.float64)[kept]}
        data[f"front{number}"] = np.where(np.asarray(plane.on_front, bool)[kept], 1.0, 0.0)
    source = ColumnDataSource(data)
    tips = [(clean(name), f"@hover{number}") for number, name in enumerate(hover)]
    return interactive_page(title, notes, column(*(_plane(number, plane, source, tips) for number, plane in enumerate(planes)),
                                                 sizing_mode="stretch_width"))  # fmt: skip


def _plane(number: int, plane: DesignPoints, source: Any, tips: Sequence[tuple[str, str]]) -> Any:
    from bokeh.models import CDSView, GroupFilter, HoverTool

    kinds = ["log" if logarithmic else "linear" for logarithmic in plane.log]
    plot = new_figure(
        f"{plane.x_label}; {plane.goals[0]} is better",
        f"{plane.y_label}; {plane.goals[1]} is better",
        x_axis_type=kinds[0],
        y_axis_type=kinds[1],
    )
    names = list(dict.fromkeys(source.data["group"]))
    points = []
    for place, (name, short) in enumerate(zip(names, distinct(names), strict=True)):
        paint = SERIES_PAINT[place]
        points.append(
            plot.scatter(
                f"x{number}", f"y{number}", source=source, view=CDSView(filter=GroupFilter(column_name="group", group=name)),
                size=9, marker=_MARKERS[SERIES_MARKERS[place]], line_color=paint.color, fill_color=paint.color,
                fill_alpha=f"front{number}", hover_line_color=INK, nonselection_alpha=0.15, **({"legend_label": short} if name else {}),
            )
        )  # fmt: skip
    plot.add_tools(HoverTool(renderers=points, tooltips=list(tips)))
    front = sorted((x, y) for x, y, on in zip(plane.x, plane.y, plane.on_front, strict=True) if on)
    if front:
        mode = "after" if plane.goals[0] == "less" else "before"
        plot.step(*map(list, zip(*front, strict=True)), mode=mode, color=QUIET, level="underlay", legend_label="Pareto front (filled)")
    if plot.legend:
        dress_legend(plot, plane.group_label)
    return plot


def _kept(planes: Sequence[DesignPoints]) -> npt.NDArray[np.int64]:
    """int64: the points of the page, in order."""
    total = len(planes[0].x)
    if total <= MAX_POINTS:
        return np.arange(total)
    on_front = np.flatnonzero(np.any([np.asarray(plane.on_front, bool) for plane in planes], axis=0))
    evenly = np.linspace(0, total - 1, max(0, MAX_POINTS - len(on_front))).astype(np.int64)
    return np.union1d(on_front, evenly)

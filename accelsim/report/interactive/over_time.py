"""A run over time on one page: the layers of each core as a strip, and below them series of steps on the same axis of cycles.

Disputable assumption: a series of more than MAX_STEPS steps is drawn in equal bins: the mean of each (a rate) or its highest value (an
occupancy), as on paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.report.interactive.page import INK, dress_legend, interactive_page, new_figure
from accelsim.report.plots.over_time import Binning, Panel, Steps
from accelsim.report.plots.style import SERIES_PAINT
from accelsim.report.tables.text import clean

MAX_STEPS = 10_000
_LANES = 4  # spans of neighbours stand side by side, as they may overlap


@dataclass(frozen=True)
class Bar:
    """A stretch of cycles, `start` to before `end`, and the texts that a pointer shows of it by name."""

    start: int
    end: int
    shown: Mapping[str, str]


def over_time_page(title: str, sentences: Sequence[str], strips: Mapping[str, Sequence[Bar]], panels: Sequence[Panel]) -> bytes:
    """The page.

    Parameters
    ----------
    strips : label of its axis -> bars of a strip, each of which shows the same names; one without bars is left out
    """
    from bokeh.layouts import column
    from bokeh.models import Range1d

    strips = {name: spans for name, spans in strips.items() if spans}
    end = max(
        [span.end for spans in strips.values() for span in spans] + [item.end for panel in panels for item in panel.series.values()],
        default=1,
    )
    shared = Range1d(0, end, bounds=(0, end))
    plots = [_strip(name, spans, shared) for name, spans in strips.items()]
    return interactive_page(title, sentences, column(*plots, *(_panel(panel, shared) for panel in panels), sizing_mode="stretch_width"))


def _new(y_label: str, height: int, shared: Any) -> Any:
    from bokeh.models import NumeralTickFormatter

    plot = new_figure("core cycle", y_label, height, x_range=shared, tools="xpan,xwheel_zoom,xbox_zoom,reset,save", active_drag="xbox_zoom")
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    return plot


def _strip(name: str, spans: Sequence[Bar], shared: Any) -> Any:
    from bokeh.models import ColumnDataSource, HoverTool

    plot = _new(clean(name), 160, shared)
    names = list(spans[0].shown)
    data: dict[str, Any] = {f"hover{number}": [clean(span.shown[name]) for span in spans] for number, name in enumerate(names)}
    data |= {"left": [span.start for span in spans], "right": [span.end for span in spans]}
    lanes = np.arange(len(spans)) % _LANES
    data |= {"top": -lanes + 0.9, "bottom": -lanes + 0.1}
    data["color"] = [SERIES_PAINT[number % len(SERIES_PAINT)].color for number in range(len(spans))]
    plot.quad("left", "right", "top", "bottom", source=ColumnDataSource(data), color="color", hover_line_color=INK)
    plot.yaxis.major_label_text_font_size = "0pt"
    plot.yaxis.ticker = []
    plot.ygrid.visible = False
    plot.add_tools(HoverTool(tooltips=[(clean(name), f"@hover{number}") for number, name in enumerate(names)]))
    return plot


def _panel(panel: Panel, shared: Any) -> Any:
    from bokeh.models import HoverTool

    plot = _new(panel.y_label, 280, shared)
    for (name, steps), paint in zip(panel.series.items(), panel.paints, strict=True):
        cycles, values = _drawn(steps, panel.how)
        line = plot.step(cycles, values, mode="after", color=paint.color, legend_label=clean(name))
        tips = [(clean(name), "$snap_y{0,0.[00]}"), ("cycle", "$snap_x{0,0}")]
        plot.add_tools(HoverTool(renderers=[line], mode="vline", line_policy="prev", tooltips=tips))
    if panel.limit is not None:
        top = max(max(item.values) for item in panel.series.values())
        label, inside = panel.limit_label(top)
        ends = [shared.start, shared.end] if inside else []
        plot.line(ends, [panel.limit[1]] * len(ends), color=INK, line_dash="dashed", legend_label=clean(label))
        plot.y_range.start, plot.y_range.end = 0, 1.06 * (max(panel.limit[1], top) if inside else top) or 1
    dress_legend(plot)
    return plot


def _drawn(steps: Steps, how: Binning) -> tuple[Any, Any]:
    """float64 cycles and values, the last value again at the end."""
    if len(steps.cycles) <= MAX_STEPS:
        return np.array([*steps.cycles, steps.end], np.float64), np.array([*steps.values, steps.values[-1]], np.float64)
    edges = np.linspace(steps.cycles[0], steps.end, MAX_STEPS + 1)
    values = steps.binned(edges, how)
    return edges, np.append(values, values[-1])

"""Horizontal stacked bars with names beside them, shared by several families of pictures.

Bars are exact (their sums equal the tables); labels may be shortened.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from accelsim.cost.span import Span
from accelsim.report.metrics import LayerGroup
from accelsim.report.plots.style import LOSS_TEXT, Paint, bar_style
from accelsim.report.tables.text import LABEL_CHARS, distinct, shorten, times

BAR = 0.72  # height of a bar, of the pitch of the rows
STACK_TO_RANGE = 0.5  # from the middle of a stack to its whisker, of the pitch
LOSS_MARK = "▼"


def cycle_unit(largest: float) -> tuple[str, float]:
    """Label and factor of an axis of core cycles."""
    for name, size in (("millions", 1e6), ("thousands", 1e3)):
        if largest >= size:
            return f"core cycles ({name})", 1 / size
    return "core cycles", 1.0


def byte_unit(largest: float) -> tuple[str, float]:
    """Decimal unit and factor of an axis of bytes."""
    for name, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if largest >= size:
            return name, 1 / size
    return "bytes", 1.0


def group_labels(groups: Sequence[LayerGroup]) -> list[str]:
    """The layers' short names, each another one, and how often each repeats."""
    names = distinct([group.name for group in groups])
    return [name + (f" x{len(group.names)}" if len(group.names) > 1 else "") for name, group in zip(names, groups, strict=True)]


def fold_label(text: str) -> str:
    """A run's name on two lines where it would take too much of the width; changes of a chip without the unit that they change."""
    accelerator, colon, trace = text.partition(":")
    if "@" in accelerator:  # a trace alone, compressed on the way: NAME@FORMAT:SETTINGS
        name, at, form = text.partition("@")
        return text if len(text) <= LABEL_CHARS else f"{shorten(name)}\n{shorten(at + form)}"
    chip = shorten(accelerator)
    if accelerator.startswith("+") and len(accelerator) > LABEL_CHARS:
        changes = ["+" + change.rpartition(".")[2] for change in accelerator[1:].split("+")]
        lines = wrap(" ".join(changes), LABEL_CHARS)
        chip = "\n".join(lines if len(lines) == 1 or (len(lines) == 2 and not colon) else [shorten("".join(changes))])
    return f"{chip}\n{shorten(trace)}" if colon else chip


def stacked_bars(
    ax: Axes,
    names: Sequence[str],
    bars: Sequence[Mapping[str, float]],
    paint: Callable[[str], Paint],
    order: Sequence[str],
    ranges: Sequence[Span] = (),
) -> None:
    """Horizontal stacked bars, first on top, with a legend of the occurring parts above the axes (it may extend over the labels' room).

    Parameters
    ----------
    names, bars : a name, and its parts, for each bar
    order : of the parts; others follow
    ranges : low and high of each bar's sum, drawn as whiskers below the bars, which leave the parts' colours free
    """
    keys = [key for key in dict.fromkeys((*order, *(key for bar in bars for key in bar))) if any(bar.get(key, 0) for bar in bars)]
    left = [0.0] * len(bars)
    for key in keys:
        widths = [bar.get(key, 0.0) for bar in bars]
        ax.barh(range(len(bars)), widths, left=left, height=BAR, label=key, **bar_style(paint(key)))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    name_rows(ax, names)
    draw_ranges(ax, ranges)
    end = max((*left, *(span.high for span in ranges)), default=0) * 1.02 or 1
    ticks = [tick for tick in MaxNLocator(nbins=6).tick_values(0, end) if 0 <= tick <= end]
    ax.set_xticks(ticks)
    ax.set_xlim(0, max(end, 1.05 * ticks[-1]))  # half of the last tick's label needs room beside it
    if keys:
        legend_above(ax)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Names of horizontal bars, one per unit from the top, and a grid for their lengths."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def write_beside(ax: Axes, end: float, place: float, text: str, **style: Any) -> None:
    """Text behind the end of a horizontal bar."""
    ax.annotate(text, (end, place), **{"xytext": (2, 0), "textcoords": "offset points", "va": "center", "fontsize": 6.5, **style})


def draw_ranges(ax: Axes, ranges: Sequence[Span]) -> None:
    """Whiskers below the bars of all rows, if there are any."""
    for place, span in enumerate(ranges):
        draw_range(ax, span, place + STACK_TO_RANGE)
    if ranges:
        ax.set_ylim(len(ranges) - 1 + 1.6 * STACK_TO_RANGE, -0.55)


def draw_range(ax: Axes, span: Span, place: float) -> None:
    """A whisker from low to high."""
    ax.errorbar(
        span.nominal, place, xerr=[[span.nominal - span.low], [span.high - span.nominal]],
        ecolor="black", elinewidth=0.6, capsize=1.5, capthick=0.6, fmt="none",
    )  # fmt: skip


def legend_above(ax: Axes, ncols: int = 3, **options: Any) -> None:
    """The legend, above the axes; `options` are Matplotlib's."""
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=ncols, borderaxespad=0.2, alignment="left", **options)


def draw_steps(ax: Axes, names: Sequence[str], values: Sequence[float], texts: Sequence[str], paints: Sequence[Paint]) -> None:
    """From the first value to the last, a bar per step, as waterfalls are drawn: both ends stand on the axis, the steps between them float.

    Parameters
    ----------
    names, texts, paints : of the bars: the first value, each step, and the last value again
    values : before the first step and after each one
    """
    spans = [(0.0, values[0]), *itertools.pairwise(values), (0.0, values[-1])]
    for place, ((start, end), text, paint) in enumerate(zip(spans, texts, paints, strict=True)):
        ax.barh(place, abs(end - start), left=min(start, end), height=BAR, **bar_style(paint))
        if 0 < place < len(spans) - 1:
            ax.vlines(end, place - BAR / 2, place + 1 + BAR / 2, colors="#303030", linewidth=0.4)
        write_beside(ax, max(start, end), place, text, color=LOSS_TEXT if text.endswith(LOSS_MARK) else "black")
    name_rows(ax, names)
    ax.set_xlim(0, max(values) * 1.3)


def step_texts(ratios: Sequence[float]) -> list[str]:
    """The speed-up after each step, marked where it shows a loss; `ratios` begins with the value before the first step."""
    pairs = itertools.pairwise(ratios)
    return [f"{times(after)} {LOSS_MARK}" if after < before and times(after) != times(before) else times(after) for before, after in pairs]

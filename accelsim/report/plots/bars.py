"""Horizontal stacked bars with names beside them: what several families of pictures are made of.

Bars are exact (their sums equal the tables); labels may be shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from accelsim.report.metrics import LayerGroup
from accelsim.report.plots.style import Paint, bar_style
from accelsim.report.text import LABEL_CHARS, shorten


def cycle_unit(largest: float) -> tuple[str, float]:
    """Label and factor of an axis of core cycles."""
    for name, size in (("millions", 1e6), ("thousands", 1e3)):
        if largest >= size:
            return f"core cycles ({name})", 1 / size
    return "core cycles", 1.0


def group_label(group: LayerGroup) -> str:
    """A layer's short name, and how often it repeats."""
    return shorten(group.name) + (f" x{len(group.names)}" if len(group.names) > 1 else "")


def fold_label(text: str) -> str:
    """A run's name on two lines where it would take too much of the width; changes of a chip without the unit that they change."""
    accelerator, colon, trace = text.partition(":")
    chip = shorten(accelerator)
    if accelerator.startswith("+") and len(accelerator) > LABEL_CHARS:
        changes = ["+" + change.rpartition(".")[2] for change in accelerator[1:].split("+")]
        lines = wrap(" ".join(changes), LABEL_CHARS)
        chip = "\n".join(lines if len(lines) == 1 or (len(lines) == 2 and not colon) else [shorten("".join(changes))])
    return f"{chip}\n{shorten(trace)}" if colon else chip


def stacked_bars(
    ax: Axes, names: Sequence[str], bars: Sequence[Mapping[str, float]], paint: Callable[[str], Paint], order: Sequence[str]
) -> None:
    """Horizontal stacked bars, first on top, with a legend of what occurs above the axes (it may reach over the labels' room)."""
    keys = [key for key in dict.fromkeys((*order, *(key for bar in bars for key in bar))) if any(bar.get(key, 0) for bar in bars)]
    left = [0.0] * len(bars)
    positions = list(range(len(bars)))
    for key in keys:
        widths = [bar.get(key, 0.0) for bar in bars]
        ax.barh(positions, widths, left=left, height=0.72, label=key, **bar_style(paint(key)))
        left = [start + width for start, width in zip(left, widths, strict=True)]
    ax.set_yticks(positions, names)
    ax.set_ylim(len(bars) - 0.45, -0.55)
    end = max(left, default=0) * 1.02 or 1
    ticks = [tick for tick in MaxNLocator(nbins=6).tick_values(0, end) if 0 <= tick <= end]
    ax.set_xticks(ticks)
    ax.set_xlim(0, max(end, 1.05 * ticks[-1]))  # half of the last tick's label needs room beside it
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    if keys:
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)

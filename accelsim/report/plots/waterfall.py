"""Where a speed-up comes from: from the baseline's time to the other's, one bar a cause or a layer."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from accelsim.report.compare import Contribution, Speedup, short_labels, waterfall
from accelsim.report.plots.bars import cycle_unit, fold_label
from accelsim.report.plots.style import CATEGORY_PAINT, GAIN_PAINT, LOSS_PAINT, LOSS_TEXT, TOTAL_PAINT, bar_style, picture
from accelsim.report.text import shorten, times


def plot_waterfall(ax: Axes, speedup: Speedup, parts: Sequence[Contribution], top: int | None = None) -> None:
    """From the baseline's time to the other's, one bar a part; each bar carries the speed-up reached so far, losses marked."""
    unit, scale = cycle_unit(speedup.baseline_ticks) if speedup.ticks_are_cycles else ("time (ms)", 1e3 / speedup.tick_hz)
    steps = waterfall(speedup, parts, top)
    first, last = (fold_label(name) for name in short_labels((speedup.baseline, speedup.other)))
    whole, left = speedup.baseline_ticks * scale, speedup.other_ticks * scale
    ax.barh(0, whole, height=0.72, **bar_style(TOTAL_PAINT))
    remaining = whole
    for index, step in enumerate(steps, start=1):
        after = step.remaining_ticks * scale
        paint = CATEGORY_PAINT.get(step.name) or (GAIN_PAINT if step.saved_ticks > 0 else LOSS_PAINT)
        ax.barh(index, remaining - after, left=after, height=0.72, **bar_style(paint))
        ax.vlines(after, index - 0.36, index + 1.36, colors="#303030", linewidth=0.4)
        remaining = after
    ax.barh(len(steps) + 1, left, height=0.72, **bar_style(TOTAL_PAINT))
    ends = [whole, *(max(step.remaining_ticks, step.remaining_ticks + step.saved_ticks) * scale for step in steps), left]
    texts = [times(1.0), *(times(step.speedup) + ("" if step.saved_ticks > 0 else " ▼") for step in steps), times(speedup.speedup)]
    for index, (end, text) in enumerate(zip(ends, texts, strict=True)):
        color = LOSS_TEXT if text.endswith("▼") else "black"
        ax.annotate(text, (end, index), xytext=(2, 0), textcoords="offset points", va="center", fontsize=6.5, color=color)
    ax.set_yticks(range(len(steps) + 2), [first, *(shorten(step.name) for step in steps), last])
    ax.set_ylim(len(steps) + 1.55, -0.55)
    ax.set_xlim(0, max(ends) * 1.25)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel(f"{unit}\nbeside the bars: speed-up so far")


def waterfall_picture(name: str, speedup: Speedup, parts: Sequence[Contribution], top: int | None = None) -> dict[str, bytes]:
    """The picture of a waterfall; parameters as `plot_waterfall`."""
    height = 20 + 5 * (len(waterfall(speedup, parts, top)) + 2)
    return picture(name, height, lambda ax: plot_waterfall(ax, speedup, parts, top))

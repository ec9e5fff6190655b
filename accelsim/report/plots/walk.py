"""The walk from the ratio of the weights' bits to a chip's speed-up as a picture: one bar a step, on the axis of the speed-up."""

from __future__ import annotations

from matplotlib.axes import Axes

from accelsim.report.limits import Walk
from accelsim.report.plots.style import GAIN_PAINT, LOSS_PAINT, LOSS_TEXT, TOTAL_PAINT, bar_style, picture
from accelsim.report.text import times


def plot_walk(ax: Axes, walk: Walk) -> None:
    """Bars from each step's speed-up to the next one's; the first and the last step stand on the axis."""
    last = len(walk.steps)
    ax.barh(0, walk.start, height=0.72, **bar_style(TOTAL_PAINT))
    before = walk.start
    for index, step in enumerate(walk.steps[1:], start=1):
        paint = GAIN_PAINT if step.speedup >= before else LOSS_PAINT
        ax.barh(index, abs(step.speedup - before), left=min(step.speedup, before), height=0.72, **bar_style(paint))
        ax.vlines(step.speedup, index - 0.36, index + 1.36, colors="#303030", linewidth=0.4)
        lost = step.speedup < before and times(step.speedup) != times(before)  # a loss that the figures show
        sign = " ▼" if lost else ""
        _label(ax, max(step.speedup, before), index, times(step.speedup) + sign, LOSS_TEXT if sign else "black")
        before = step.speedup
    ax.barh(last, walk.end, height=0.72, **bar_style(TOTAL_PAINT))
    _label(ax, walk.start, 0, times(walk.start), "black")
    _label(ax, walk.end, last, times(walk.end), "black")
    ax.set_yticks(range(last + 1), [*(_name(index, step.name) for index, step in enumerate(walk.steps)), walk.accelerator_name])
    ax.set_ylim(last + 0.55, -0.55)
    ax.set_xlim(0, max(step.speedup for step in walk.steps) * 1.3)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel("speed-up of the compressed run")


def _name(index: int, name: str) -> str:
    return f"+ {name}" if index else name


def _label(ax: Axes, x: float, y: int, text: str, color: str) -> None:
    ax.annotate(text, (x, y), xytext=(2, 0), textcoords="offset points", va="center", fontsize=6.5, color=color)


def walk_picture(name: str, walk: Walk) -> dict[str, bytes]:
    """The picture of a walk."""
    return picture(name, 16 + 4.6 * (len(walk.steps) + 1), lambda ax: plot_walk(ax, walk))

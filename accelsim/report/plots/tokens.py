"""Tokens per second over the context of a decode, with the resource that limits each simulated step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from accelsim.report.plots.bars import legend_above
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT
from accelsim.report.tables.text import folded

_HEIGHT_MM, _LEGEND_MM, _LEGEND_COLUMNS, _LINE_MM = 52, 4.2, 2, 3.6


class DecodeStep(Protocol):
    """A simulated step of a decode."""

    @property
    def context(self) -> int: ...
    @property
    def tokens_per_second(self) -> float: ...
    @property
    def limiter_label(self) -> str: ...


def plot_tokens(ax: Axes, steps: Sequence[DecodeStep], note: str = "") -> None:
    """Draw the simulated contexts to scale, from zero up; the line between them only leads the eye. `note` stands below the axis."""
    ax.plot([step.context for step in steps], [step.tokens_per_second for step in steps], color="0.7", linewidth=0.8)
    for index, limiter in enumerate(dict.fromkeys(step.limiter_label for step in steps)):
        some = [step for step in steps if step.limiter_label == limiter]
        place = index % len(SERIES_MARKERS)
        ax.plot(
            [step.context for step in some], [step.tokens_per_second for step in some], color=SERIES_PAINT[place].color,
            marker=SERIES_MARKERS[place], markersize=4, linestyle="none", label=f"limited by {limiter}",
        )  # fmt: skip
    ax.set_ylim(0, 1.08 * max(step.tokens_per_second for step in steps))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.grid(axis="y")
    ax.set_xlabel("\n".join(filter(None, ("tokens in the cache before the step", folded(note)))))
    ax.set_ylabel("tokens per second")
    legend_above(ax, ncols=_LEGEND_COLUMNS)


def tokens_picture(title: str, steps: Sequence[DecodeStep], note: str = "") -> Picture:
    """The picture of a decode; `note` has what belongs to its rates, such as the formats of head and cache."""
    limiters = len({step.limiter_label for step in steps})
    lines = len(folded(note).splitlines())
    height = _HEIGHT_MM + _LEGEND_MM * -(-limiters // _LEGEND_COLUMNS) + _LINE_MM * lines
    return picture("tokens_per_second", title, height, lambda ax: plot_tokens(ax, steps, note))

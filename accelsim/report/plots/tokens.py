"""Tokens per second over the context of a decode, with the resource that limits each simulated step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes

from accelsim.report.plots.bars import legend_above
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import SERIES_MARKERS, SERIES_PAINT

_HEIGHT_MM, _LEGEND_MM, _LEGEND_COLUMNS = 52, 4.2, 2


class DecodeStep(Protocol):
    """A simulated step of a decode."""

    @property
    def context(self) -> int: ...
    @property
    def tokens_per_second(self) -> float: ...
    @property
    def limiter_label(self) -> str: ...


def plot_tokens(ax: Axes, steps: Sequence[DecodeStep]) -> None:
    """Draw the simulated contexts to scale, from zero up; the line between them only leads the eye."""
    ax.plot([step.context for step in steps], [step.tokens_per_second for step in steps], color="0.7", linewidth=0.8)
    for index, limiter in enumerate(dict.fromkeys(step.limiter_label for step in steps)):
        some = [step for step in steps if step.limiter_label == limiter]
        place = index % len(SERIES_MARKERS)
        ax.plot(
            [step.context for step in some], [step.tokens_per_second for step in some], color=SERIES_PAINT[place].color,
            marker=SERIES_MARKERS[place], markersize=4, linestyle="none", label=f"limited by {limiter}",
        )  # fmt: skip
    ax.set_ylim(0, 1.08 * max(step.tokens_per_second for step in steps))
    ax.grid(axis="y")
    ax.set_xlabel("tokens in the cache before the step")
    ax.set_ylabel("tokens per second")
    legend_above(ax, ncols=_LEGEND_COLUMNS)


def tokens_picture(title: str, steps: Sequence[DecodeStep]) -> Picture:
    """The picture of a decode."""
    limiters = len({step.limiter_label for step in steps})
    height = _HEIGHT_MM + _LEGEND_MM * -(-limiters // _LEGEND_COLUMNS)
    return picture("tokens_per_second", title, height, lambda ax: plot_tokens(ax, steps))

"""Several chips side by side, each with both runs: where the time goes, in percent of the baseline's time on the same chip."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from accelsim.report.metrics import category_cycles
from accelsim.report.plots.bars import legend_above, write_beside
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import bar_style, category_paint
from accelsim.report.tables.text import times
from accelsim.result import CATEGORIES, Result

_BAR, _PITCH = 0.4, 1.15


def plot_pairs(ax: Axes, pairs: Sequence[tuple[Result, Result]], names: tuple[str, str]) -> None:
    """Two stacked bars per chip, the baseline above; its bar is 100 %."""
    places = [(pair * _PITCH + half * _BAR, pairs[pair][half]) for pair in range(len(pairs)) for half in (0, 1)]
    wholes = [pairs[pair][0].total_cycles for pair in range(len(pairs)) for _ in (0, 1)]
    left = [0.0] * len(places)
    for key in CATEGORIES:
        widths = [100 * category_cycles(result)[key] / whole for (_, result), whole in zip(places, wholes, strict=True)]
        if any(widths):
            ax.barh([y for y, _ in places], widths, left=left, height=_BAR, label=key, **bar_style(category_paint(key)))
            left = [start + width for start, width in zip(left, widths, strict=True)]
    for (y, _), end, (_, pair_end) in zip(places[1::2], left[1::2], zip(left[::2], left[1::2], strict=True), strict=True):
        write_beside(ax, end, y, times(100 / pair_end), fontweight="bold")
    ax.set_yticks([y for y, _ in places], [f"{result.accelerator_name}  {names[i % 2]}" for i, (_, result) in enumerate(places)])
    ax.set_ylim(places[-1][0] + 0.35, -0.35)
    ax.set_xlim(0, max(left) * 1.18)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel("time, % of the baseline on the same chip")
    legend_above(ax)


def pairs_picture(name: str, pairs: Sequence[tuple[Result, Result]], names: tuple[str, str], traces: tuple[str, str]) -> Picture:
    """The picture of all chips; `names` as `plot_pairs`, `traces` in full."""
    title = f"Time by category on each chip\n{names[0]}: {traces[0]}; {names[1]}: {traces[1]}"
    return picture(name, title, 26 + 9 * len(pairs), lambda ax: plot_pairs(ax, pairs, names))

"""One stacked bar a run by component, with a whisker from low to high: for energy and area alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from accelsim.report.compare_costs import RunCost
from accelsim.report.plots.area import draw_range
from accelsim.report.plots.bars import fold_label, stacked_bars
from accelsim.report.plots.style import GROUP_PAINT, group_paint
from accelsim.report.span import Span


def ranged_stacks(
    ax: Axes, costs: Sequence[RunCost], parts: Callable[[RunCost], dict[str, Span]], whole: Callable[[RunCost], Span]
) -> None:
    """Draw the nominal figures of `parts`; the whisker is the range of `whole`."""
    bars = [{name: span.nominal for name, span in parts(item).items()} for item in costs]
    stacked_bars(ax, [fold_label(item.name) for item in costs], bars, group_paint, tuple(GROUP_PAINT))
    for place, item in enumerate(costs):
        draw_range(ax, whole(item), place)
    end = 1.03 * max(whole(item).high for item in costs) or 1.0
    ticks = [tick for tick in MaxNLocator(nbins=5).tick_values(0, end) if 0 <= tick <= end]
    ax.set_xticks(ticks)
    ax.set_xlim(0, max(end, 1.05 * ticks[-1]))  # half of the last tick's label needs room beside it

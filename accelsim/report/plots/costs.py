"""Pictures of what several runs cost: four figures of each side by side, and energy and area by component; whiskers show low and high."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from accelsim.report.compare_costs import RunCost
from accelsim.report.plots.area import draw_range
from accelsim.report.plots.bars import fold_label
from accelsim.report.plots.energy import energy_pictures
from accelsim.report.plots.ranged_stacks import ranged_stacks
from accelsim.report.plots.style import Paint, bar_style, panels, picture
from accelsim.report.span import Span

_FIGURES: Sequence[tuple[str, Paint, Callable[[RunCost], Span]]] = (
    ("time (ms)", Paint("#0072B2"), lambda item: Span.exact(item.milliseconds)),
    ("traffic (MB)", Paint("#D55E00"), lambda item: Span.exact(item.bus_megabytes)),
    ("energy (µJ)", Paint("#009E73"), lambda item: item.energy_uj),
    ("area (mm²)", Paint("#E69F00"), lambda item: item.area_mm2),
)


def plot_side_by_side(axes: Sequence[Axes], costs: Sequence[RunCost]) -> None:
    """Time, traffic, energy and area of an inference of each run: one axes each, the runs in the same order on all."""
    for ax, (label, paint, value) in zip(axes, _FIGURES, strict=True):
        spans = [value(item) for item in costs]
        ax.barh(range(len(costs)), [span.nominal for span in spans], height=0.72, **bar_style(paint))
        for place, span in enumerate(spans):
            if span.high > span.low:
                draw_range(ax, span, place)
            ax.annotate(_figure(span.nominal), (span.high, place), xytext=(2, 0), textcoords="offset points", va="center", fontsize=6.5)
        ax.set_xlim(0, 1.45 * max(span.high for span in spans) or 1)
        ax.locator_params(axis="x", nbins=4)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(label)
    axes[0].set_yticks(range(len(costs)), [fold_label(item.name) for item in costs])
    axes[0].set_ylim(len(costs) - 0.45, -0.55)


def plot_area(ax: Axes, costs: Sequence[RunCost]) -> None:
    """One stacked bar a run: placed area by component."""
    ranged_stacks(ax, costs, lambda item: item.area_by_group_mm2, lambda item: item.area_mm2)
    ax.set_xlabel(f"placed area (mm²)\n{costs[0].cost.area.technology}, low to high")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def cost_pictures(costs: Sequence[RunCost]) -> dict[str, bytes]:
    """The pictures of several runs' costs."""
    rows = len(costs)
    return {
        **panels("side_by_side", 26 + 14 * rows, (2, 2), lambda axes: plot_side_by_side(axes, costs)),
        **energy_pictures(costs),
        **picture("area", 37 + 8 * rows, lambda ax: plot_area(ax, costs)),
    }

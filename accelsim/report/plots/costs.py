"""Pictures of the costs of several runs: four figures of each, and energy and area by component; whiskers show low and high."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from accelsim.cost.compare_costs import RunCost
from accelsim.cost.span import Span
from accelsim.report.plots.bars import BAR, draw_ranges, fold_label, name_rows, stacked_bars, write_beside
from accelsim.report.plots.energy import energy_pictures
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import GAIN_PAINT, GROUP_PAINT, bar_style, group_paint
from accelsim.run_labels import common_label

# Compared figures: name, units from the largest (each a thousandth of the one before it), and value in the first of them.
_FIGURES: Sequence[tuple[str, Sequence[str], Callable[[RunCost], Span]]] = (
    ("time", ("ms",), lambda item: Span.exact(item.milliseconds)),
    ("traffic", ("MB", "kB", "B"), lambda item: Span.exact(item.bus_megabytes)),
    ("energy", ("µJ", "nJ", "pJ"), lambda item: item.energy_uj),
    ("area", ("mm²",), lambda item: item.area_mm2),
)
_SMALL = 0.1  # below it the figures at an axis have so many digits that two stand beside each other, not three


def plot_side_by_side(axes: Sequence[Axes], costs: Sequence[RunCost]) -> None:
    """Time, traffic, energy and area of an inference of each run: one axes each, the runs in the same order on all."""
    for ax, (what, units, value) in zip(axes, _FIGURES, strict=True):
        unit, scale = _unit(max(value(item).nominal for item in costs), units)
        spans = [value(item) * scale for item in costs]
        ax.barh(range(len(costs)), [span.nominal for span in spans], height=BAR, **bar_style(GAIN_PAINT))
        for place, span in enumerate(spans):
            write_beside(ax, span.nominal, place, _figure(span.nominal))
        name_rows(ax, [fold_label(item.name) for item in costs])
        draw_ranges(ax, spans if any(span.high > span.low for span in spans) else ())
        ax.set_xlim(0, max(1.45 * max(span.nominal for span in spans), 1.06 * max(span.high for span in spans)) or 1)
        ax.locator_params(axis="x", nbins=3 if ax.get_xlim()[1] >= _SMALL else 2)
        ax.xaxis.set_major_formatter(lambda figure, _: np.format_float_positional(figure, precision=12, trim="-"))
        ax.set_xlabel(f"{what} ({unit})")


def _unit(largest: float, units: Sequence[str]) -> tuple[str, float]:
    """The first unit in which the largest figure is at least 1, and the factor to it."""
    for power, unit in enumerate(units):
        if largest * 1e3**power >= 1:
            return unit, 1e3**power
    return units[-1], 1e3 ** (len(units) - 1)


def plot_area(ax: Axes, costs: Sequence[RunCost]) -> None:
    """One stacked bar per run: placed area by component."""
    bars = [{name: span.nominal for name, span in item.area_by_group_mm2.items()} for item in costs]
    stacked_bars(ax, [fold_label(item.name) for item in costs], bars, group_paint, tuple(GROUP_PAINT), [item.area_mm2 for item in costs])
    ax.set_xlabel(f"placed area (mm²)\n{costs[0].cost.area.technology}, low to high")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def cost_pictures(costs: Sequence[RunCost]) -> list[Picture]:
    """The pictures of several runs' costs."""
    rows = len(costs)
    of = common_label([item.result for item in costs])
    side_by_side = f"One inference of each run, {costs[0].cost.area.technology}\n{of}"
    return [
        Picture("side_by_side", side_by_side, 30 + 16 * rows, lambda axes: plot_side_by_side(axes, costs), (2, 2)),
        *energy_pictures(costs),
        picture("area", f"Placed area by part of the chip\n{of}", 37 + 8 * rows, lambda ax: plot_area(ax, costs)),
    ]

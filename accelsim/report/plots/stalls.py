"""Cycle breakdown by category: a stacked bar per run, or a stacked bar per layer of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from accelsim.report.metrics import category_cycles, group_layers
from accelsim.report.plots.bars import cycle_unit, fold_label, group_labels, stacked_bars
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import category_paint
from accelsim.result import CATEGORIES, Result, total
from accelsim.run_labels import common_label, label, of_which_core, short_labels

MAX_BARS = 24


def plot_cycles(ax: Axes, results: Sequence[Result]) -> None:
    """One stacked bar per run: core cycles by category; in milliseconds where the clocks differ."""
    unit, factor = cycle_unit(max((result.total_cycles for result in results), default=0))
    same_clock = _same_clock(results)
    scales = [factor if same_clock else 1e3 / result.clock_hz for result in results]
    bars = [_scaled(category_cycles(result), scale) for result, scale in zip(results, scales, strict=True)]
    stacked_bars(ax, [fold_label(name) for name in short_labels(results)], bars, category_paint, CATEGORIES)
    ax.set_xlabel(unit if same_clock else "time (ms)")


def plot_layers(ax: Axes, result: Result) -> None:
    """One stacked bar per layer, repeated blocks summed: core cycles by category; the smallest layers are summed if there are too many."""
    groups = [group for group in group_layers(result, fold=True) if group.total_cycles]
    kept = {id(group) for group in sorted(groups, key=lambda item: -item.total_cycles)[: MAX_BARS - 1]}
    shown = groups if len(groups) <= MAX_BARS else [group for group in groups if id(group) in kept]
    rest = [group for group in groups if group not in shown]
    names = group_labels(shown) + ([f"{len(rest)} others"] if rest else [])
    cycles = [group.cycles for group in shown] + ([total(group.cycles for group in rest)] if rest else [])
    unit, factor = cycle_unit(max((sum(item.values()) for item in cycles), default=0))
    stacked_bars(ax, names, [_scaled(item, factor) for item in cycles], category_paint, CATEGORIES)
    ax.set_xlabel(unit)


def _same_clock(results: Sequence[Result]) -> bool:
    return len({result.clock_hz for result in results}) == 1


def _scaled(values: Mapping[str, int], factor: float) -> dict[str, float]:
    return {name: value * factor for name, value in values.items()}


def cycles_picture(results: Sequence[Result], height_mm: float) -> Picture:
    """The picture of the runs' cycles."""
    what = "Core cycles" if _same_clock(results) else "Time"
    return picture(
        "cycles", f"{what} by category{of_which_core(results)}\n{common_label(results)}", height_mm, lambda ax: plot_cycles(ax, results)
    )


def layers_picture(result: Result) -> Picture:
    """The picture of the layers' cycles."""
    bars = min(MAX_BARS, sum(1 for group in group_layers(result, fold=True) if group.total_cycles))
    title = f"Core cycles by layer and category{of_which_core([result])}\n{label(result)}"
    return picture("layers", title, 32 + 4 * bars, lambda ax: plot_layers(ax, result))

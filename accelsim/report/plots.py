"""Pictures of results: where the cycles go, what crosses the memories, where a speed-up comes from.

Each function draws into the axes it is given; bars are exact (their sums equal the tables), labels may be shortened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from accelsim.report.compare import Comparison, Contribution, Speedup, fold_layers, short_labels, waterfall
from accelsim.report.metrics import LayerGroup, category_cycles, group_layers, traffic_lines
from accelsim.report.style import (
    CATEGORY_PAINT,
    GAIN_PAINT,
    LOSS_PAINT,
    LOSS_TEXT,
    TOTAL_PAINT,
    Paint,
    bar_style,
    category_paint,
    operand_paint,
    picture,
)
from accelsim.report.text import LABEL_CHARS, shorten, times
from accelsim.result import CATEGORIES, OPERANDS, Result, total

MAX_BARS = 24
TOP_LAYERS = 8


def _cycle_unit(largest: float) -> tuple[str, float]:
    """Label and factor of an axis of core cycles."""
    for name, size in (("millions", 1e6), ("thousands", 1e3)):
        if largest >= size:
            return f"core cycles ({name})", 1 / size
    return "core cycles", 1.0


def plot_cycles(ax: Axes, results: Sequence[Result]) -> None:
    """One stacked bar a run: core cycles by cause; in milliseconds where the clocks differ."""
    unit, factor = _cycle_unit(max((result.total_cycles for result in results), default=0))
    same_clock = len({result.clock_hz for result in results}) == 1
    scales = [factor if same_clock else 1e3 / result.clock_hz for result in results]
    bars = [_scaled(category_cycles(result), scale) for result, scale in zip(results, scales, strict=True)]
    stacked_bars(ax, [fold_label(name) for name in short_labels(results)], bars, category_paint, CATEGORIES)
    ax.set_xlabel(unit if same_clock else "time (ms)")


def plot_layers(ax: Axes, result: Result) -> None:
    """One stacked bar a layer, repeated blocks summed: core cycles by cause; the smallest layers are summed if there are too many."""
    groups = [group for group in group_layers(result, fold=True) if group.total_cycles]
    kept = {id(group) for group in sorted(groups, key=lambda item: -item.total_cycles)[: MAX_BARS - 1]}
    shown = groups if len(groups) <= MAX_BARS else [group for group in groups if id(group) in kept]
    rest = [group for group in groups if group not in shown]
    names = [_group_label(group) for group in shown] + ([f"{len(rest)} others"] if rest else [])
    cycles = [group.cycles for group in shown] + ([total(group.cycles for group in rest)] if rest else [])
    unit, factor = _cycle_unit(max((sum(item.values()) for item in cycles), default=0))
    stacked_bars(ax, names, [_scaled(item, factor) for item in cycles], category_paint, CATEGORIES)
    ax.set_xlabel(unit)


def _scaled(values: Mapping[str, int], factor: float) -> dict[str, float]:
    return {name: value * factor for name, value in values.items()}


def _group_label(group: LayerGroup) -> str:
    return shorten(group.name) + (f" x{len(group.names)}" if len(group.names) > 1 else "")


def plot_traffic(ax: Axes, results: Sequence[Result]) -> None:
    """One stacked bar a run: bytes on the memory channels by operand, reads and writes together."""
    bars = []
    for result in results:
        bytes_of = dict.fromkeys(OPERANDS, 0.0)
        for item in traffic_lines(result):
            bytes_of[item.operand] = bytes_of.get(item.operand, 0.0) + item.bits / 8e6
        bars.append(bytes_of)
    stacked_bars(ax, [fold_label(name) for name in short_labels(results)], bars, operand_paint, OPERANDS)
    ax.set_xlabel("memory traffic (MB)")


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


def plot_waterfall(ax: Axes, speedup: Speedup, parts: Sequence[Contribution], top: int | None = None) -> None:
    """From the baseline's time to the other's, one bar a part; each bar carries the speed-up reached so far, losses marked."""
    unit, scale = _cycle_unit(speedup.baseline_ticks) if speedup.ticks_are_cycles else ("time (ms)", 1e3 / speedup.tick_hz)
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


def run_pictures(result: Result) -> dict[str, bytes]:
    """The pictures of one run: where its cycles go, the same by layer, its traffic."""
    bars = min(MAX_BARS, sum(1 for group in group_layers(result, fold=True) if group.total_cycles))
    return {
        **picture("cycles", 38, lambda ax: plot_cycles(ax, [result])),
        **picture("layers", 32 + 4 * bars, lambda ax: plot_layers(ax, result)),
        **picture("traffic", 38, lambda ax: plot_traffic(ax, [result])),
    }


def comparison_pictures(comparison: Comparison) -> dict[str, bytes]:
    """The pictures of a comparison: all runs side by side, and for each other run its waterfalls by cause and by layer."""
    height = 30 + 8 * len(comparison.results)
    out = {
        **picture("cycles", height, lambda ax: plot_cycles(ax, comparison.results)),
        **picture("traffic", height, lambda ax: plot_traffic(ax, comparison.results)),
    }
    for number, speedup in enumerate(comparison.speedups, start=1):
        suffix = f"_{number}" if len(comparison.speedups) > 1 else ""
        out |= _waterfall_picture(f"waterfall_cause{suffix}", speedup, speedup.by_cause, None)
        out |= _waterfall_picture(f"waterfall_layer{suffix}", speedup, fold_layers(speedup.by_layer), TOP_LAYERS)
    return out


def _waterfall_picture(name: str, speedup: Speedup, parts: Sequence[Contribution], top: int | None) -> dict[str, bytes]:
    height = 20 + 5 * (len(waterfall(speedup, parts, top)) + 2)
    return picture(name, height, lambda ax: plot_waterfall(ax, speedup, parts, top))

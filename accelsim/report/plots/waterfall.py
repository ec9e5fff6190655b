"""Breakdown of a speed-up: from the baseline's time to the other run's, one bar per category or layer."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from accelsim.report.compare import Contribution, Speedup, waterfall
from accelsim.report.plots.bars import cycle_unit, draw_steps, fold_label, step_texts
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import CATEGORY_PAINT, GAIN_PAINT, LOSS_PAINT, TOTAL_PAINT
from accelsim.report.tables.text import distinct, times
from accelsim.run_labels import common_label, of_which_core, short_labels


def plot_waterfall(ax: Axes, speedup: Speedup, parts: Sequence[Contribution], top: int | None = None) -> None:
    """From the baseline's time to the other run's, one bar per part; each bar carries the cumulative speed-up, losses marked."""
    unit, scale = cycle_unit(speedup.baseline_ticks) if speedup.ticks_are_cycles else ("time (ms)", 1e3 / speedup.tick_hz)
    steps = waterfall(speedup, parts, top)
    first, last = (fold_label(name) for name in short_labels((speedup.baseline, speedup.other)))
    names = [first, *distinct([step.name for step in steps]), last]
    values = [tick * scale for tick in (speedup.baseline_ticks, *(step.remaining_ticks for step in steps))]
    texts = [times(1.0), *step_texts([1.0, *(step.speedup for step in steps)]), times(speedup.speedup)]
    paints = [CATEGORY_PAINT.get(step.name) or (GAIN_PAINT if step.saved_ticks > 0 else LOSS_PAINT) for step in steps]
    draw_steps(ax, names, values, texts, [TOTAL_PAINT, *paints, TOTAL_PAINT])
    ax.set_xlabel(f"{unit}\nbeside the bars: speed-up so far")


def waterfall_picture(name: str, what: str, speedup: Speedup, parts: Sequence[Contribution], top: int | None = None) -> Picture:
    """The picture of a waterfall; `what` names the parts, other parameters as in `plot_waterfall`."""
    height = 20 + 5 * (len(waterfall(speedup, parts, top)) + 2)
    runs = speedup.baseline, speedup.other
    title = f"Where {times(speedup.speedup)} comes from, by {what}{of_which_core(runs)}\n{common_label(runs)}"
    return picture(name, title, height, lambda ax: plot_waterfall(ax, speedup, parts, top))

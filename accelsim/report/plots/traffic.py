"""Memory traffic by operand: a stacked bar per run."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from accelsim.report.metrics import traffic_lines
from accelsim.report.plots.bars import byte_unit, fold_label, stacked_bars
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import operand_paint
from accelsim.result import OPERANDS, Result
from accelsim.run_labels import common_label, short_labels


def plot_traffic(ax: Axes, results: Sequence[Result]) -> None:
    """One stacked bar per run: bytes on the memory channels by operand, reads and writes together."""
    unit, factor = byte_unit(max((result.bus_bytes for result in results), default=0))
    bars = []
    for result in results:
        moved = dict.fromkeys(OPERANDS, 0.0)
        for item in traffic_lines(result):
            moved[item.operand] = moved.get(item.operand, 0.0) + item.bits / 8 * factor
        bars.append(moved)
    stacked_bars(ax, [fold_label(name) for name in short_labels(results)], bars, operand_paint, OPERANDS)
    ax.set_xlabel(f"memory traffic ({unit})")


def traffic_picture(results: Sequence[Result], height_mm: float) -> Picture:
    """The picture of the runs' traffic."""
    title = f"Memory traffic by operand, reads and writes\n{common_label(results)}"
    return picture("traffic", title, height_mm, lambda ax: plot_traffic(ax, results))

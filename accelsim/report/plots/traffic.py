"""What crosses the memory channels, by operand: a stacked bar a run."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from accelsim.report.compare import short_labels
from accelsim.report.metrics import traffic_lines
from accelsim.report.plots.bars import fold_label, stacked_bars
from accelsim.report.plots.style import operand_paint, picture
from accelsim.result import OPERANDS, Result


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


def traffic_picture(results: Sequence[Result], height_mm: float) -> dict[str, bytes]:
    """The picture of the runs' traffic."""
    return picture("traffic", height_mm, lambda ax: plot_traffic(ax, results))

"""Codebook use and sign balance of a trace: a ranked histogram per format, and one bar per format.

Disputable assumption: codewords are ranked by use, so the picture shows how unevenly they are used and not which. Codebooks of several
layers are added rank by rank: the histogram is that of their mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise

from matplotlib.axes import Axes

from accelsim.report.plots.bars import fold_label, stacked_bars, write_beside
from accelsim.report.plots.picture import Picture, picture
from accelsim.report.plots.style import OPERAND_PAINT, bar_style
from accelsim.report.tables.text import percent
from accelsim.trace.statistics import IndexUse, TraceStatistics

SIGNS = ("negative", "zero or positive")
_PAINTS = {"negative": OPERAND_PAINT["signs"], "zero or positive": OPERAND_PAINT["codebook"]}
_EVEN = "#303030"


def plot_index_use(ax: Axes, name: str, use: IndexUse) -> None:
    """Mean uses of a codeword over its rank; the dashed line marks uniform use."""
    size = use.codewords // use.codebooks
    edges = [place * size // len(use.bars) for place in range(len(use.bars) + 1)]
    scale = 1 / use.codebooks
    widths = [end - start for start, end in pairwise(edges)]
    heights = [height * scale for height in use.bars]
    ax.bar(edges[:-1], heights, widths, align="edge", **bar_style(OPERAND_PAINT["indices"]))
    even = use.indices * scale / size
    ax.axhline(even, color=_EVEN, linewidth=0.8, linestyle=(0, (4, 2)), label="all used alike")
    ax.set_xlim(0, size)
    ax.set_ylim(0, 1.25 * max(heights))
    ax.locator_params(axis="x", integer=True, nbins=6)
    ax.set_xlabel("codewords, most used first")
    ax.set_ylabel("uses of a codeword")
    of = f"\nmean of {use.codebooks} codebooks" if use.codebooks > 1 else ""
    entropy = f"entropy {use.entropy_bits:.2f} of {use.index_bits} bits, {percent(use.unused, use.codewords)} unused"
    ax.set_title(f"{name}\n{entropy}{of}", fontsize=7, loc="left")
    ax.legend(loc="upper right")


def plot_signs(ax: Axes, negative_share: Mapping[str, float]) -> None:
    """One bar per format: how many of its weights are negative; the line is half."""
    bars = [dict(zip(SIGNS, (100 * share, 100 - 100 * share), strict=True)) for share in negative_share.values()]
    stacked_bars(ax, [fold_label(name) for name in negative_share], bars, lambda name: _PAINTS[name], SIGNS)
    for place, share in enumerate(negative_share.values()):
        write_beside(ax, 0, place, percent(share, 1))
    ax.axvline(50, color=_EVEN, linewidth=0.8, linestyle=(0, (4, 2)))
    ax.set_xlabel("weights that have a sign (%)")


def index_pictures(trace: str, found: TraceStatistics) -> list[Picture]:
    """The pictures of a trace: 'indices' of each format with codebooks (numbered if there are several), 'signs' of all formats."""
    out: list[Picture] = []
    for number, (name, use) in enumerate(found.indices.items(), start=1):
        suffix = f"_{number}" if len(found.indices) > 1 else ""
        out.append(picture(f"indices{suffix}", f"Use of the codewords\n{trace}", 55, partial(plot_index_use, name=name, use=use)))
    if found.negative_share:
        height = 22 + 8 * len(found.negative_share)
        out.append(picture("signs", f"Signs of the weights\n{trace}", height, lambda ax: plot_signs(ax, found.negative_share)))
    return out

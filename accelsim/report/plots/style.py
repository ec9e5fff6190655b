"""The look of every picture: sizes, fonts, and one colour per category and per operand, the same everywhere.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color, "Color Universal Design", 2008) and lighter tones of them: stall reasons that
share a resource share a hue and differ in tone and hatch, because not everybody can distinguish fifteen hues.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

PAPER_COLUMN_MM = 85
MM_PER_INCH = 25.4
_DECADES_WITH_STEPS = 2.5


@dataclass(frozen=True)
class Paint:
    """Fill colour and hatch of one thing."""

    color: str
    hatch: str = ""


CATEGORY_PAINT: Mapping[str, Paint] = {
    "busy": Paint("#0072B2"),
    "fill_drain": Paint("#56B4E9"),
    "swap": Paint("#A9D8F5", "////"),
    "dram": Paint("#D55E00"),
    "l2": Paint("#D55E00", "xxxx"),
    "codebook_load": Paint("#F2A772", "////"),
    "dram_activation": Paint("#F5C9A9", "...."),
    "decode": Paint("#009E73"),
    "bank_conflict": Paint("#7FD0B9", "\\\\\\\\"),
    "codebook_port": Paint("#009E73", "----"),
    "buffer_width": Paint("#CC79A7"),
    "buffer_full": Paint("#E4B5CF", "----"),
    "accumulator": Paint("#F2DDE9", "...."),
    "accumulator_read": Paint("#F2DDE9", "xxxx"),
    "port": Paint("#E69F00"),
    "vector": Paint("#F0E442"),
    "issue": Paint("#B0B0B0", "...."),
    "launch": Paint("#B0B0B0", "||||"),
    "dependency": Paint("#5A5A5A"),
}

OPERAND_PAINT: Mapping[str, Paint] = {
    "indices": Paint("#0072B2"),
    "signs": Paint("#56B4E9"),
    "masks": Paint("#0072B2", "...."),
    "codebook": Paint("#A9D8F5", "////"),
    "raw_weights": Paint("#D55E00"),
    "scales_bias": Paint("#E69F00"),
    "side_data": Paint("#E69F00", "...."),
    "parameters": Paint("#F0E442"),
    "kv_read": Paint("#8C564B", "||||"),
    "kv_write": Paint("#C7A08F", "||||"),
    "activations_in": Paint("#009E73"),
    "activations_out": Paint("#7FD0B9", "\\\\\\\\"),
    "spill_out": Paint("#CC79A7"),
    "spill_in": Paint("#E4B5CF", "----"),
    "padding": Paint("#B0B0B0", "...."),
    "burst_rounding": Paint("#5A5A5A"),
}

# Parts of a chip, for area and energy alike; off-chip parts share grey with leakage and differ in hatch.
GROUP_PAINT: Mapping[str, Paint] = {
    "array": Paint("#0072B2"),
    "accumulators": Paint("#56B4E9"),
    "decoder": Paint("#D55E00"),
    "codebook": Paint("#E69F00"),
    "buffers": Paint("#009E73"),
    "vector unit": Paint("#F0E442"),
    "dma": Paint("#CC79A7"),
    "control": Paint("#B0B0B0", "...."),
    "logic leakage": Paint("#E0E0E0", "////"),
    "dram": Paint("#5A5A5A"),
    "flash": Paint("#5A5A5A", "...."),
}

# Kinds of energy; leakage and background share grey and hatch with the leakage of logic and the flash.
KIND_PAINT: Mapping[str, Paint] = {
    "dynamic": Paint("#0072B2"),
    "leakage": Paint("#E0E0E0", "////"),
    "background": Paint("#5A5A5A", "...."),
}

# Groups of points or series that are neither categories nor operands, in the order in which they occur; a marker of its own each.
SERIES_PAINT: Sequence[Paint] = tuple(map(Paint, ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5A5A5A")))
SERIES_MARKERS: Sequence[str] = ("o", "s", "^", "D", "v", "P", "X")

TOTAL_PAINT = Paint("#404040")
GAIN_PAINT = Paint("#A8A8A8")
LOSS_PAINT = Paint("#E6E6E6", "////")
LOSS_TEXT = "#A03000"
_OTHER_PAINT = Paint("#FFFFFF", "xxxx")

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.labelsize": 7,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "grid.linewidth": 0.4,
    "grid.color": "#D8D8D8",
    "hatch.linewidth": 0.35,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.1,
    "legend.handleheight": 0.8,
    "legend.columnspacing": 1.0,
    "text.parse_math": False,
    "svg.hashsalt": "accelsim",
    "axes.formatter.useoffset": False,  # a tick says its whole value
}


def category_paint(name: str) -> Paint:
    """Colour and hatch of a cycle category."""
    return CATEGORY_PAINT.get(name, _OTHER_PAINT)


def operand_paint(name: str) -> Paint:
    """Colour and hatch of an operand."""
    return OPERAND_PAINT.get(name, _OTHER_PAINT)


def group_paint(name: str) -> Paint:
    """Colour and hatch of a part of the chip."""
    return GROUP_PAINT.get(name, _OTHER_PAINT)


def text_color(paint: Paint) -> str:
    """Black or white, whichever can be read on the fill."""
    return ink_on([int(paint.color[place : place + 2], 16) / 255 for place in (1, 3, 5)])


def bar_style(paint: Paint) -> dict[str, Any]:
    """Keyword arguments of a bar or patch in `paint`."""
    return {"facecolor": paint.color, "hatch": paint.hatch, "edgecolor": "#303030", "linewidth": 0.3}


def ink_on(color: Sequence[float]) -> str:
    """Black or white, whichever has more contrast on `color` (r, g, b in 0..1; relative luminance by WCAG 2.1)."""
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in color)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def width_mm_of(ax: Axes) -> float:
    """Width of the picture around axes."""
    return float(ax.figure.get_figure(root=True).get_size_inches()[0]) * MM_PER_INCH


def log_scale(axis: Axis) -> None:
    """A logarithmic axis with plain figures (no powers, which need mathematical text) at 1, 2 and 5 of each decade."""
    if axis is axis.axes.xaxis:
        axis.axes.set_xscale("log")
    else:
        axis.axes.set_yscale("log")
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low) if low > 0 else 1.0
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < _DECADES_WITH_STEPS else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())

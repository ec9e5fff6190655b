"""Where the texts of a drawing lie at a paper's column width: none over another, none outside the picture."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from accelsim.report.plots.picture import PNG_DPI, Picture, look
from accelsim.report.plots.style import PAPER_COLUMN_MM


def axes(height_mm: float = 80, width_mm: float = PAPER_COLUMN_MM, dpi: float = 100) -> Axes:
    """Axes of a picture of column width, laid out as `Picture` does."""
    figure = Figure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def check_texts(draw: Callable[[Axes], None], height_mm: float, dpi: float = 100) -> None:
    """Draw into one axes, and check the figure."""
    with look():
        ax = axes(height_mm, dpi=dpi)
        draw(ax)
        check_figure(ax.get_figure(root=True))


def check_picture(picture: Picture) -> None:
    """Draw a picture as its PNG is drawn, with its title, and check the figure."""
    with look():
        check_figure(picture.figure(dpi=PNG_DPI))


def check_figure(figure: Figure) -> None:
    """Compare the extents of all texts, as the renderer sees them, pair by pair."""
    figure.canvas.draw()
    ticks = {label for one in figure.axes if one.axison for axis in (one.xaxis, one.yaxis) for label in _outside(axis)}
    ticks |= {text for one in figure.axes if not one.axison for axis in (one.xaxis, one.yaxis) for text in axis.findobj(Text)}
    texts = [item for item in figure.findobj(Text) if item.get_visible() and item.get_text() and item not in ticks]
    boxes = [(item.get_text(), Text.get_window_extent(item)) for item in texts]  # without the line that leads to a number
    assert boxes
    for text, box in boxes:
        assert -1 <= box.x0 <= box.x1 <= figure.bbox.width + 1, text
        assert -1 <= box.y0 <= box.y1 <= figure.bbox.height + 1, text
    for (text, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert not _overlap(box, other_box), (text, other)


def _outside(axis: Any) -> list[Text]:
    """Labels of ticks beyond the axis' ends, which are not drawn."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    places = [*axis.get_majorticklocs(), *axis.get_minorticklocs()]
    labels = [*axis.get_majorticklabels(), *axis.get_minorticklabels()]
    return [label for label, place in zip(labels, places, strict=False) if not low - slack <= place <= high + slack]


def _overlap(one: Any, two: Any, slack: float = 1.0) -> bool:
    wide = min(one.x1, two.x1) - max(one.x0, two.x0)
    high = min(one.y1, two.y1) - max(one.y0, two.y0)
    return wide > slack and high > slack

"""A picture before it is drawn: its name, title, height, and drawing function.

A folder gets it in the kinds of files of its style, with the title; a page, which captions its figures, as SVG without.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from accelsim.report.plots.lettering import broken
from accelsim.report.plots.picture_style import PAPER, PictureStyle
from accelsim.report.plots.saver import PNG_DPI, saved, svg_outlines
from accelsim.report.plots.style import MM_PER_INCH, RC
from accelsim.report.tables.text import tail

_TITLE_SIZE = 7.0  # points
_TITLE_LINE_MM = 3.1
_TITLE_CHARS = 100  # of the title's two parts: about two lines each
_POINTS_PER_MM = 72 / MM_PER_INCH
_MARGIN_MM = 1.0


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, laid out with type of 7 points; equal input gives equal bytes.

    Attributes
    ----------
    name : of its files, without their endings
    title : the quantity, and on the next line its subject; control characters are escaped
    height_mm : without the title
    draw : draws into the axes it is given, row by row; legends outside the axes get room by themselves
    grid : rows and columns of axes, which share their y axis
    """

    name: str
    title: str
    height_mm: float
    draw: Callable[[Sequence[Axes]], None]
    grid: tuple[int, int] = (1, 1)

    def figure(self, *, titled: bool = True, dpi: float = PNG_DPI, width_mm: float = PAPER.layout_mm) -> Figure:
        """The layout; to be made and saved within `look`."""
        width = (width_mm - 2 * _MARGIN_MM) * _POINTS_PER_MM
        said = [tail(part, _TITLE_CHARS) for part in self.title.split("\n", 1)] if titled else []
        lines = [line for part in said for line in broken(part, _TITLE_SIZE, width)]
        height_mm = self.height_mm + _TITLE_LINE_MM * len(lines)
        layout = ConstrainedLayoutEngine(rect=(0, 0, 1, self.height_mm / height_mm))
        figure = Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout=layout, dpi=dpi)
        FigureCanvasAgg(figure)
        figure.text(_MARGIN_MM / width_mm, 1 - _MARGIN_MM / 2 / height_mm, "\n".join(lines), fontsize=_TITLE_SIZE, va="top")
        self.draw(list(figure.subplots(*self.grid, sharey=True, squeeze=False).flat))
        return figure

    def for_page(self) -> bytes:
        """An SVG without title, its letters as outlines."""
        with look():
            return svg_outlines(self.figure(titled=False))

    def files(self, style: PictureStyle = PAPER) -> dict[str, bytes]:
        """{'NAME.svg': ..., 'NAME.png': ...}, as the style has them; OutputError as `saved`."""
        with look():
            figure = self.figure(titled=style.titled, width_mm=style.layout_mm)
            return {f"{self.name}.{end}": saved(figure, end, style.scale) for end in style.endings}


def picture(name: str, title: str, height_mm: float, draw: Callable[[Axes], None]) -> Picture:
    """A picture of one axes."""
    return Picture(name, title, height_mm, lambda axes: draw(axes[0]))


def files_of(pictures: Iterable[Picture], style: PictureStyle = PAPER) -> dict[str, bytes]:
    """The files of several pictures."""
    return {name: content for item in pictures for name, content in item.files(style).items()}


@contextmanager
def look() -> Iterator[None]:
    """Context in which Matplotlib uses our style; a missing glyph is drawn as a box, without a warning: the tables have the name."""
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield

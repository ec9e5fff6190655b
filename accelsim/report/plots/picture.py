"""A picture before it is drawn: its name, title, height, and drawing function.

A folder gets it as SVG and PNG with the title; a page, which captions its figures, as SVG without.
"""

from __future__ import annotations

import io
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
from accelsim.report.plots.style import MM_PER_INCH, PAPER_COLUMN_MM, RC
from accelsim.report.tables.text import tail

PNG_DPI = 300
_TITLE_SIZE = 7.0  # points
_TITLE_LINE_MM = 3.1
_TITLE_CHARS = 100  # of the title's two parts: about two lines each
_POINTS_PER_MM = 72 / MM_PER_INCH
_MARGIN_MM = 1.0


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture at a paper's column width; equal input gives equal bytes.

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

    def figure(self, *, titled: bool = True, dpi: float = PNG_DPI) -> Figure:
        """The drawing; to be made and saved within `look`."""
        width = (PAPER_COLUMN_MM - 2 * _MARGIN_MM) * _POINTS_PER_MM
        said = [tail(part, _TITLE_CHARS) for part in self.title.split("\n", 1)] if titled else []
        lines = [line for part in said for line in broken(part, _TITLE_SIZE, width)]
        height_mm = self.height_mm + _TITLE_LINE_MM * len(lines)
        layout = ConstrainedLayoutEngine(rect=(0, 0, 1, self.height_mm / height_mm))
        figure = Figure(figsize=(PAPER_COLUMN_MM / MM_PER_INCH, height_mm / MM_PER_INCH), layout=layout, dpi=dpi)
        FigureCanvasAgg(figure)
        figure.text(_MARGIN_MM / PAPER_COLUMN_MM, 1 - _MARGIN_MM / 2 / height_mm, "\n".join(lines), fontsize=_TITLE_SIZE, va="top")
        self.draw(list(figure.subplots(*self.grid, sharey=True, squeeze=False).flat))
        return figure

    def svg(self, *, titled: bool) -> bytes:
        """As SVG."""
        with look():
            return _saved(self.figure(titled=titled), "svg")

    def files(self) -> dict[str, bytes]:
        """{'NAME.svg': ..., 'NAME.png': ...}, with the title."""
        with look():
            figure = self.figure()
            return {f"{self.name}.{end}": _saved(figure, end) for end in ("svg", "png")}


def picture(name: str, title: str, height_mm: float, draw: Callable[[Axes], None]) -> Picture:
    """A picture of one axes."""
    return Picture(name, title, height_mm, lambda axes: draw(axes[0]))


def files_of(pictures: Iterable[Picture]) -> dict[str, bytes]:
    """The files of several pictures."""
    return {name: content for item in pictures for name, content in item.files().items()}


@contextmanager
def look() -> Iterator[None]:
    """Context in which Matplotlib uses our style; a missing glyph is drawn as a box, without a warning: the tables have the name."""
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def _saved(figure: Figure, end: str) -> bytes:
    out = io.BytesIO()
    if end == "svg":
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    else:
        figure.savefig(out, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return out.getvalue()

"""The pictures of runs, comparisons and sweeps by name, as Matplotlib figures that can be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Self

from accelsim.api.checks import check_text, count_of
from accelsim.api.inputs import DEFAULT_TECHNOLOGY
from accelsim.api.paths import path_of
from accelsim.errors import ConfigError, OutputError
from accelsim.registry import suggest
from accelsim.report.plots.picture_style import ENDINGS as FILES
from accelsim.report.plots.picture_style import PAPER, PictureStyle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from accelsim.api.inputs import TechnologyLike
    from accelsim.report.plots.picture import Picture

FIGURE_DPI = 200
ENDINGS = tuple(f".{ending}" for ending in FILES)
_MARKERS = {".svg": b"<svg", ".png": b"\x89PNG", ".pdf": b"%PDF", ".pgf": b"%% Creator: Matplotlib"}


def drawn(picture: Picture, file: str | Path | None, style: PictureStyle = PAPER) -> Figure:
    """The figure of a picture, saved to `file` if that is given; folders above it are made, as for every output.

    Raises
    ------
    OutputError
        Another ending, a file that holds something else than a picture of that ending, or one that cannot be written.
    """
    from accelsim.report.export.whole_file import FileKind, check_replaceable_file, new_file
    from accelsim.report.plots.picture import look
    from accelsim.report.plots.saver import saved

    path = None if file is None else path_of("file", file)
    if path is not None and path.suffix.lower() not in ENDINGS:
        raise OutputError(f"{path}: must end with {', '.join(ENDINGS)}")
    if path is not None:
        check_replaceable_file(path, FileKind("a picture", ENDINGS, _MARKERS[path.suffix.lower()]))
    with look():
        figure = picture.figure(titled=style.titled, dpi=FIGURE_DPI * style.scale, width_mm=style.layout_mm)
        if path is not None:
            content = saved(figure, path.suffix.lower()[1:], style.scale)
            with new_file(path) as out:
                out.write(content)
    return figure


def named(pictures: Iterable[Picture], name: str, of: str) -> Picture:
    """The picture of a name; ConfigError with the known ones."""
    check_text("name", name, "the name of a picture")
    found = {item.name: item for item in pictures}
    if name not in found:
        raise ConfigError(f"{of} has no picture {name!r}{suggest(name, found)}; it has: {', '.join(found) or 'none'}")
    return found[name]


class _Plots:
    """Pictures that are made when one is asked for, in the technology asked for."""

    def __init__(self, of: str, pictures: Callable[[TechnologyLike], Sequence[Picture]]) -> None:
        self._of, self._pictures, self._style = of, pictures, PAPER

    def styled(self, style: str) -> Self:
        """These pictures in a style: 'paper', 'slides', 'page', or with changes as in 'slides:width=200,font=16,title=off'."""
        check_text("style", style, "a style of pictures")
        out = copy(self)
        out._style = PictureStyle.parse(style)
        return out

    def _draw(self, name: str, file: str | Path | None, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> Figure:
        return drawn(named(self._pictures(technology), name, self._of), file, self._style)

    def __repr__(self) -> str:
        methods = [name for name in dir(type(self)) if not name.startswith("_") and name != "styled"]
        return f"<pictures of {self._of}: {', '.join(methods)}>"


class RunPlots(_Plots):
    """The pictures of a run; each returns a Matplotlib figure and, with `file`, writes it (.svg, .png, .pdf, .pgf).

    A picture of that name is replaced, and nothing else; folders above it are made.
    """

    def cycles(self, *, file: str | Path | None = None) -> Figure:
        """Where the cycles go, by stall reason."""
        return self._draw("cycles", file)

    def layers(self, *, file: str | Path | None = None) -> Figure:
        """Where the cycles go, layer by layer."""
        return self._draw("layers", file)

    def traffic(self, *, file: str | Path | None = None) -> Figure:
        """Bytes on the memory channels, by operand."""
        return self._draw("traffic", file)

    def roofline(self, *, file: str | Path | None = None) -> Figure:
        """The layers under the roofs of array and memory; AccelsimError for a run without products or memory."""
        return self._draw("roofline", file)

    def energy(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY, *, file: str | Path | None = None) -> Figure:
        """Energy per inference by component."""
        return self._draw("energy", file, technology)

    def energy_kinds(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY, *, file: str | Path | None = None) -> Figure:
        """Energy per inference by kind: dynamic, leakage, off chip."""
        return self._draw("energy_kinds", file, technology)

    def area_bars(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY, *, file: str | Path | None = None) -> Figure:
        """Area of the chip by component."""
        return self._draw("area_bars", file, technology)


class ComparisonPlots(_Plots):
    """The pictures of a comparison; `run` counts the runs after the baseline from 1."""

    def __init__(
        self, of: str, pictures: Callable[[TechnologyLike], Sequence[Picture]], walk: Callable[[int], Picture], others: int
    ) -> None:
        super().__init__(of, pictures)
        self._walk, self._others = walk, others

    def cycles(self, *, file: str | Path | None = None) -> Figure:
        """Where the cycles of each run go, by stall reason."""
        return self._draw("cycles", file)

    def traffic(self, *, file: str | Path | None = None) -> Figure:
        """Bytes of each run on the memory channels, by operand."""
        return self._draw("traffic", file)

    def waterfall_cause(self, run: int = 1, *, file: str | Path | None = None) -> Figure:
        """From the baseline's time to a run's, one step per stall reason; AccelsimError for runs of the same time."""
        return self._draw(f"waterfall_cause{self._suffix(run)}", file)

    def waterfall_layer(self, run: int = 1, *, file: str | Path | None = None) -> Figure:
        """From the baseline's time to a run's, one step per layer; AccelsimError for runs of the same time."""
        return self._draw(f"waterfall_layer{self._suffix(run)}", file)

    def walk(self, run: int = 1, *, file: str | Path | None = None) -> Figure:
        """From the ratio of the weights' bits to the speed-up, one effect at a time; see `Comparison.walk`."""
        return drawn(self._walk(run), file, self._style)

    def side_by_side(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY, *, file: str | Path | None = None) -> Figure:
        """Time, traffic, energy and area of each run."""
        return self._draw("side_by_side", file, technology)

    def energy(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY, *, file: str | Path | None = None) -> Figure:
        """Energy per inference of each run, by component."""
        return self._draw("energy", file, technology)

    def energy_kinds(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY, *, file: str | Path | None = None) -> Figure:
        """Energy per inference of each run, by component and kind; AccelsimError for more runs than fit."""
        return self._draw("energy_kinds", file, technology)

    def area(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY, *, file: str | Path | None = None) -> Figure:
        """Placed area of each chip, by part."""
        return self._draw("area", file, technology)

    def _suffix(self, run: int) -> str:
        number = count_of("run", run, 1, self._others)
        return f"_{number}" if self._others > 1 else ""

"""Sweeps over designs: run the points missing from the store, and rank them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from accelsim.api.checks import check_flags, check_text, check_texts, count_of, wrong_type
from accelsim.api.display import html_table, rendered, short_text, watched
from accelsim.api.inputs import as_warning
from accelsim.api.paths import path_of, path_text
from accelsim.api.plots import drawn, named
from accelsim.api.table import Table
from accelsim.cost.technology import load_technology
from accelsim.errors import ConfigError
from accelsim.progress import Progress
from accelsim.sweeps.accuracy import Accuracy, read_accuracy, with_accuracy
from accelsim.sweeps.best import best as best_points
from accelsim.sweeps.best import front, under
from accelsim.sweeps.columns import ACCURACY, NUMERIC
from accelsim.sweeps.expression import parse_expression
from accelsim.sweeps.findings import SweepFindings, ask
from accelsim.sweeps.in_process import InProcess
from accelsim.sweeps.pictures import check_pictures, draw, pictures_of
from accelsim.sweeps.pool import ProcessPool, usable_cores
from accelsim.sweeps.question import DEFAULT_FIGURES, make_question
from accelsim.sweeps.runner import run_sweep
from accelsim.sweeps.sensitivity import sensitivity
from accelsim.sweeps.spec import Sweep, load_sweep
from accelsim.sweeps.store import open_store
from accelsim.sweeps.table import Table as Points
from accelsim.sweeps.table import read_table
from accelsim.sweeps.tally import SweepProgress, SweepSummary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_WORKERS = 1024
_FIGURE = "the name of a figure such as 'area_mm2'"
_CONDITIONS = "a list of conditions such as ['area_mm2 < 4']"


class SweepPlots:
    """The pictures that a sweep's file asks for, or the usual ones: `plot.names`, and `plot(name)` for a Matplotlib figure."""

    def __init__(self, points: Points) -> None:
        self._points = points

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pictures."""
        return tuple(item.name for item in pictures_of(self._points))

    def __call__(self, name: str, *, file: str | Path | None = None) -> Figure:
        """Draw a picture and, with `file`, write it (.svg, .png, .pdf, .pgf); AccelsimError for an unknown name."""
        return drawn(named(pictures_of(self._points), name, f"sweep {self._points.sweep.name!r}"), file)


@dataclass(frozen=True, repr=False, eq=False)
class SweepTable:
    """The points of a sweep that ran.

    Attributes
    ----------
    points : columns of axes and figures as the reports read them
    counts : how many points ran, were stored before, failed, or were refused
    store : the file that holds the runs
    """

    points: Points
    counts: SweepSummary
    store: Path

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return self.points.sweep.name

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes."""
        return self.points.sweep.axes

    def __len__(self) -> int:
        return len(self.points)

    @property
    def rows(self) -> Table:
        """One row per point: its axes, all numbers of its run, and its limiting resource."""
        return self._table(f"Points of {self.name}", self.points)

    def best(self, count: int = 5, *, figure: str = DEFAULT_FIGURES[0], under: Sequence[str] = ()) -> Table:
        """The points with the least `figure` among those that meet the conditions, ['area_mm2 < 4']."""
        count = count_of("count", count, 1)
        check_text("figure", figure, _FIGURE)
        return self._table(f"Best of {self.name} by {figure}", best_points(self._under(under), figure, count))

    def pareto_front(self, *figures: str, under: Sequence[str] = (), tolerance: float = 0.0) -> Table:
        """The points that no other one beats in all of one to three figures (default: time, energy and area).

        Points that differ by at most `tolerance` (0.01 is 1 %) in every figure are one.
        """
        check_texts("figures", figures, _FIGURE)
        chosen = figures or DEFAULT_FIGURES
        return self._table(f"Pareto front of {', '.join(chosen)}", front(self._under(under), chosen, _share("tolerance", tolerance)))

    def sensitivity(self, figure: str = DEFAULT_FIGURES[0], *, under: Sequence[str] = ()) -> Table:
        """Effect of a change of one axis on a figure, all else equal: median, least and most of after over before."""
        check_text("figure", figure, _FIGURE)
        ratios = sensitivity(self._under(under), figure)
        return Table(f"Sensitivity of {figure} to each axis", ({**asdict(item), "change": item.change} for item in ratios))

    def findings(
        self, figures: Sequence[str] = (), *, under: Sequence[str] = (), count: int = 5, best: str = "", tolerance: float = 0.0
    ) -> SweepFindings:
        """Best points, Pareto front and sensitivities together: the record of `accelsim sweep`.

        Parameters
        ----------
        best : the question of `accelsim sweep --best`, "area_mm2 where milliseconds < 1", in place of `count` points by the first figure
        tolerance : points of the front that differ by at most this share in every figure are one
        """
        count = count_of("count", count, 1)
        check_texts("figures", figures, f"a list of figures, each {_FIGURE}")
        check_texts("under", under, _CONDITIONS)
        if best:
            check_text("best", best, "a question such as 'area_mm2 where milliseconds < 1'")
        question = make_question(
            self.points.sweep,
            ",".join(figures) or None,
            list(under),
            best or count,
            accuracy=ACCURACY in self.points.columns,
            tolerance=_share("tolerance", tolerance),
        )
        return ask(self.points, question)

    @property
    def plot(self) -> SweepPlots:
        """The pictures that the sweep asks for: `table.plot("map", file="map.svg")`."""
        return SweepPlots(self.points)

    def summary(self, figures: Sequence[str] = (), *, under: Sequence[str] = (), count: int = 5) -> str:
        """The tables of `accelsim sweep` as text."""
        return rendered(self.findings(figures, under=under, count=count).render)

    def to_dict(self) -> dict[str, Any]:
        """The counts, and the rows as plain data."""
        return {**asdict(self.counts), "store": str(self.store), "rows": self.rows.to_dict()}

    def to_frame(self) -> Any:
        """One row per point as a `pandas.DataFrame`; AccelsimError without pandas."""
        return self.rows.to_frame()

    def save(self, folder: str | Path) -> Path:
        """Write tables and pictures as `accelsim sweep -o` does; AccelsimError if something else is there."""
        return self.findings().write(path_of("folder", folder), draw(self.points))

    def _under(self, conditions: Sequence[str]) -> Points:
        check_texts("under", conditions, _CONDITIONS)
        return under(self.points, [parse_expression(text) for text in conditions])

    def _table(self, title: str, points: Points) -> Table:
        names = (*NUMERIC, *([ACCURACY] if ACCURACY in points.columns else []), "limiting_resource", "limiting_basis")
        figures = {name: points[name].tolist() for name in names}
        rows = (
            {**points.sweep.at(int(position)), **{name: column[row] for name, column in figures.items() if name not in self.axes}}
            for row, position in enumerate(points.positions)
        )
        return Table(title, rows)

    def _facts(self) -> list[tuple[str, str]]:
        counts = self.counts
        parts = {
            "ran now": counts.ok,
            "stored before": counts.reused,
            "failed": counts.failed + counts.failed_before,
            "refused by constraints": sum(counts.dropped.values()),
            "invalid": counts.invalid,
        }
        return [("points", f"{len(self):,}"), *((what, f"{number:,}") for what, number in parts.items() if number)]

    def __repr__(self) -> str:
        facts = ", ".join(f"{what} {number}" for what, number in self._facts())
        return short_text([f"Sweep {self.name}: {facts}", f"  axes: {', '.join(self.axes)}"])

    def _repr_html_(self) -> str:
        return html_table(f"Sweep {self.name}", [*self._facts(), ("axes", ", ".join(self.axes))])


def sweep(
    sweep: str | Path | Mapping[str, Any],
    *,
    workers: int | None = None,
    store: str | Path | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    accuracy: str | Path | Accuracy | None = None,
    time_limit: float | None = None,
    progress: bool | Progress = False,
) -> SweepTable:
    """Run the points of a sweep that its store does not hold, in processes of this machine.

    Parameters
    ----------
    sweep : a name of `accelsim list sweeps`, a YAML file, or a mapping of its fields
    workers : processes, by default one per core; 1 runs in this process, more need `if __name__ == "__main__":` in a script
    store : file of the runs; by default out/NAME.sqlite, as on the command line
    limit : run only the first `limit` points
    retry_failed : run points again that failed before
    accuracy : of the points: a CSV file with columns of axes and `accuracy`, "FILE.py:FUNCTION", or a function of a point (field -> value
        as written) that returns a number, or None where none is known
    time_limit : seconds after which a point that still runs has failed; its process is replaced

    Raises
    ------
    AccelsimError
        An unknown name or field, an axis or constraint that cannot be read, or a store that cannot be written. A point that fails is
        counted in `SweepTable.counts`, with its message.
    """
    if not isinstance(sweep, str | Path | Mapping):
        raise wrong_type("sweep", sweep, "a sweep's name, the path of a YAML file, or a mapping of its fields")
    processes = usable_cores() if workers is None else count_of("workers", workers, 1, MOST_WORKERS)
    limit = None if limit is None else count_of("limit", limit, 1)
    check_flags(retry_failed=retry_failed)
    if isinstance(time_limit, bool) or not isinstance(time_limit, int | float | None):
        raise wrong_type("time_limit", time_limit, "seconds, more than 0")
    path = None if store is None else path_of("store", store)
    wanted = load_sweep(path_text("sweep", sweep) if isinstance(sweep, str | Path) else sweep)
    stated = _accuracy(accuracy, wanted)
    check_pictures(wanted, accuracy=stated is not None)
    technology = load_technology(wanted.technology)
    if path is None:
        path = Path("out") / f"{wanted.name}.sqlite"
        path.parent.mkdir(exist_ok=True)
    with open_store(path) as opened, watched(progress) as update:
        here = processes == 1 and time_limit is None
        backend = InProcess(technology) if here else ProcessPool(processes, technology, time_limit)
        note = None if update is None else _note(update)
        counts = run_sweep(wanted, opened, backend, technology, limit=limit, retry_failed=retry_failed, progress=note)
        points = read_table(opened, wanted, counts.sweep)
    return SweepTable(points if stated is None else with_accuracy(points, stated), counts, path)


def _accuracy(source: object, wanted: Sweep) -> Accuracy | None:
    if source is None:
        return None
    if callable(source):
        return cast(Accuracy, source)
    if not isinstance(source, str | Path):
        raise wrong_type("accuracy", source, "a CSV file, 'FILE.py:FUNCTION', or a function of a point")
    return read_accuracy(str(source), wanted, as_warning)


def _share(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigError(f"{name}: {value!r:.80} is not allowed; allowed: a number from 0 to below 1 (0.01 is 1 %)")
    return float(value)


def _note(update: Progress) -> Callable[[SweepProgress], None]:
    return lambda state: update("points", state.done, state.total)

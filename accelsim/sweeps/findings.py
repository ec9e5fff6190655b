"""Findings of a sweep as text and files: best points, Pareto front, sensitivity to each axis, and the requested pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from accelsim.errors import ConfigError
from accelsim.registry import suggest
from accelsim.report.export.folder import FolderKind, write_folder
from accelsim.report.export.run import to_csv, to_json
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.sweeps.best import best, check_figures, front, under
from accelsim.sweeps.columns import COLUMNS, NUMERIC
from accelsim.sweeps.expression import Expression, check_names, parse_expression
from accelsim.sweeps.sensitivity import Ratio, sensitivity
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.table import Table, title

DEFAULT_FIGURES = ("milliseconds_per_inference", "energy_uj", "area_mm2")
SWEEP_FOLDER = FolderKind("sweep.json", ("sweep.json", "*.csv", "*.svg", "*.png"))
SHOWN_ROWS = 20


@dataclass(frozen=True)
class Question:
    """A question to a sweep.

    Attributes
    ----------
    figures : objectives of the Pareto front, one to three; the best points are ranked by the first
    conditions : conditions a point must meet to be considered
    count : of best points
    """

    figures: tuple[str, ...] = DEFAULT_FIGURES
    conditions: tuple[Expression, ...] = ()
    count: int = 5

    def needs(self, sweep: Sweep) -> tuple[str, ...]:
        """The columns of a store that the answers and the sweep's pictures are made of."""
        named = [*self.figures, *(path for item in self.conditions for path in item.paths)]
        named += [name for picture in sweep.pictures for name in picture.figures_named()]
        return tuple(name for name in dict.fromkeys(named) if name not in sweep.axes)


def make_question(sweep: Sweep, figures: str | None, conditions: Sequence[str], count: int) -> Question:
    """A question as a command line puts it: figures with commas between them, conditions as text.

    Raises
    ------
    ConfigError
        A figure or a name in a condition that neither the store nor the sweep has, or a condition that cannot be read.
    """
    names = tuple(item.strip() for item in figures.split(",")) if figures else DEFAULT_FIGURES
    known = [*COLUMNS, *sweep.axes]
    check_figures(names)
    for name in names:
        if name not in NUMERIC and name not in sweep.axes:
            raise ConfigError(f"--pareto: there is no figure {name!r}{suggest(name, known)}; allowed: {', '.join(NUMERIC)}")
    parsed = tuple(parse_expression(text) for text in conditions)
    for expression in parsed:
        check_names(expression, known.__contains__, known)
    return Question(names, parsed, count)


@dataclass(frozen=True)
class SweepFindings:
    """The answers; `best` and `front` are tables of points, `ratios` by figure."""

    whole: Table
    question: Question
    considered: int
    best: Table
    front: Table
    ratios: dict[str, tuple[Ratio, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The output of `accelsim sweep --json`, besides the counts."""
        return {
            "figures": list(self.question.figures),
            "conditions": [item.text for item in self.question.conditions],
            "points_ok": len(self.whole),
            "points_considered": self.considered,
            "best": point_rows(self.best, self.question.figures),
            "pareto_front": point_rows(self.front, self.question.figures),
            "sensitivity": {figure: [asdict(item) for item in ratios] for figure, ratios in self.ratios.items()},
        }

    def render(self, console: Console) -> None:
        """The best points, the front and the sensitivities as tables; long ones are truncated with a note."""
        if not self.considered:
            say(console, "No point that ran meets the conditions." if len(self.whole) else "No point ran.")
            return
        first = title(self.question.figures[0])
        _render_points(console, f"Best {len(self.best)} points by {first}", self.best, self.question.figures)
        names = ", ".join(title(name) for name in self.question.figures)
        heading = f"Pareto front of {names}: {len(self.front)} of {self.considered} points"
        _render_points(console, heading, self.front, self.question.figures)
        for figure, ratios in self.ratios.items():
            _render_ratios(console, figure, ratios)

    def write(self, folder: Path, pictures: dict[str, bytes]) -> Path:
        """Everything as JSON, CSV and pictures, all or nothing; OutputError if the folder is taken by something else."""
        files = {
            "sweep.json": to_json(self.to_dict()).encode(),
            "points.csv": to_csv(point_rows(self.whole, self.question.figures)).encode(),
            "pareto_front.csv": to_csv(point_rows(self.front, self.question.figures)).encode(),
            "sensitivity.csv": to_csv(
                [{"figure": figure, **asdict(item)} for figure, ratios in self.ratios.items() for item in ratios]
            ).encode(),
            **pictures,
        }
        return write_folder(folder, SWEEP_FOLDER, files)


def ask(whole: Table, question: Question) -> SweepFindings:
    """Answer a question of the points that ran.

    Raises
    ------
    ConfigError
        A figure or a condition that the sweep does not have.
    """
    considered = under(whole, question.conditions)
    return SweepFindings(
        whole=whole,
        question=question,
        considered=len(considered),
        best=best(considered, question.figures[0], question.count),
        front=front(considered, question.figures),
        ratios={figure: sensitivity(considered, figure) for figure in question.figures},
    )


def point_rows(points: Table, figures: Sequence[str]) -> list[dict[str, Any]]:
    """One flat row per point: its place, its axes as written, and the figures."""
    labels = {axis: points.labels(axis) for axis in points.sweep.axes}
    values = {figure: points.numbers(figure).tolist() for figure in figures}
    limits = points["limiting_resource"].tolist()
    return [
        {
            "position": int(points.positions[number]),
            **{axis: texts[number] for axis, texts in labels.items()},
            **{figure: column[number] for figure, column in values.items()},
            "limiting_resource": limits[number],
        }
        for number in range(len(points))
    ]


def _render_points(console: Console, heading: str, points: Table, figures: Sequence[str]) -> None:
    """Points with the axes that differ among them; common values are printed once."""
    rows = point_rows(points, figures)
    axes = [axis for axis in points.sweep.axes if len({item[axis] for item in rows}) > 1]
    headings = [*(axis.replace(".", ".\n") for axis in axes), *(">" + title(figure).replace(" (", "\n(") for figure in figures)]
    out = table(headings, dense=True)
    for item in rows[:SHOWN_ROWS]:
        row(out, *(item[axis] for axis in axes), *(f"{item[figure]:.4g}" for figure in figures))
    show(console, heading, out)
    shared = [f"{axis} = {rows[0][axis]}" for axis in points.sweep.axes if axis not in axes and rows]
    if shared:
        say(console, "Common to all: " + ", ".join(shared) + ".")
    if len(rows) > SHOWN_ROWS:
        say(console, f"{len(rows) - SHOWN_ROWS} more: see pareto_front.csv (-o DIR) or --json.")


def _render_ratios(console: Console, figure: str, ratios: Sequence[Ratio]) -> None:
    """One line per change; several that start from the same value of an axis stand below it."""
    out = table(["axis and change", ">pairs", ">median", ">least", ">most"], dense=True)
    for (axis, before), changes in groupby(ratios, key=lambda item: (item.axis, item.before)):
        found = list(changes)
        names = [f"{axis}: {item.change}" for item in found]
        if len(found) > 1:
            row(out, f"{axis}: {before} ->", "", "", "", "")
            names = [f"  {item.after}" for item in found]
        for name, item in zip(names, found, strict=True):
            row(out, name, str(item.pairs), *(f"x {value:.3f}" for value in (item.median, item.least, item.most)))
    show(console, f"Sensitivity of {title(figure)} to each axis, all else equal", out)

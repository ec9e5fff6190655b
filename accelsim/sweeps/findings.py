"""Findings of a sweep as text and files: best points, Pareto front, sensitivity to each axis, and pictures.

A point without a figure (a trace that states no error, a design whose accuracy nobody knows) is on no front that asks for it: it is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console

from accelsim.report.export.folder import FolderKind, write_folder
from accelsim.report.export.run import to_csv, to_json
from accelsim.report.plots.picture_style import ENDINGS
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.sweeps.best import best, front, under
from accelsim.sweeps.columns import ACCURACY
from accelsim.sweeps.expression import Expression
from accelsim.sweeps.question import Question
from accelsim.sweeps.sensitivity import Ratio, sensitivity
from accelsim.sweeps.table import Table, title, unit_name, with_unit
from accelsim.wording import first_names

SWEEP_FOLDER = FolderKind("sweep.json", ("sweep.json", "*.csv", "points.html", *(f"*.{end}" for end in ENDINGS)))
SHOWN_ROWS = 20
SHOWN_LEFT_OUT = 3


@dataclass(frozen=True)
class LeftOut:
    """Points that lack a figure of the question: where they are in words, their positions in the sweep, and what leaves them out."""

    figure: str
    points: str
    positions: tuple[int, ...]
    left_out_of: str

    @property
    def sentence(self) -> str:
        """'6 points have no accuracy, left out of the front: format.k 64.'"""
        count = f"{len(self.positions):,} point{'s have' if len(self.positions) > 1 else ' has'}"
        return f"{count} no {title(self.figure)}, left out of {self.left_out_of}: {self.points}."


@dataclass(frozen=True)
class SweepFindings:
    """The answers.

    Attributes
    ----------
    whole : all points that ran; table : those of them that meet the conditions
    best, front : tables of points; merged : points of the front that are within the tolerance of one that is listed
    left_out : points without a figure of the question; points whose sums can overflow are on the front, and named
    ratios : figure -> effect of each axis on it
    """

    whole: Table
    question: Question
    table: Table
    best: Table
    front: Table
    merged: int
    left_out: tuple[LeftOut, ...]
    ratios: dict[str, tuple[Ratio, ...]]

    def __repr__(self) -> str:
        return f"<SweepFindings: best {len(self.best)}, front {len(self.front)} of {self.considered} points>"

    @property
    def considered(self) -> int:
        """How many points meet the conditions."""
        return len(self.table)

    @property
    def best_figures(self) -> tuple[str, ...]:
        """The figures of the best points: what ranks them, what its condition reads, and the objectives."""
        where = self.question.best_where
        return tuple(dict.fromkeys((self.question.ranked_by, *_read(self.whole, [where] if where else []), *self.question.figures)))

    @property
    def shown_figures(self) -> tuple[str, ...]:
        """`best_figures` for a person: of those in one unit that are equal at every point (time and time per inference) the first."""
        return _different(self.whole, self.best_figures)

    def answer(self) -> list[str]:
        """The best points, one per line, with the axes that differ among the points that ran; or why there is none."""
        if not len(self.best):
            return [self._no_best()]
        axes = [axis for axis in self.whole.sweep.axes if len(set(self.whole.labels(axis))) > 1]
        lines = []
        for item in point_rows(self.best, self.shown_figures):
            point = ", ".join(f"{axis} = {item[axis]}" for axis in axes)
            figures = ", ".join(with_unit(figure, item[figure]) for figure in self.shown_figures)
            lines.append(f"{point}: {figures}" if point else figures)
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The output of `accelsim sweep --json`, besides the counts."""
        where = self.question.best_where
        return {
            "figures": list(self.question.figures),
            "conditions": [item.text for item in self.question.conditions],
            "points_ok": len(self.whole),
            "points_considered": self.considered,
            "best_by": self.question.ranked_by,
            "best_where": where.text if where else None,
            "best": point_rows(self.best, self.best_figures),
            "tolerance": self.question.tolerance,
            "pareto_front": point_rows(self.front, self.question.figures),
            "merged": self.merged,
            "left_out": [asdict(item) for item in self.left_out],
            "can_overflow": self.table.positions[self.table.can_overflow].tolist(),
            "sensitivity": {figure: [asdict(item) for item in ratios] for figure, ratios in self.ratios.items()},
        }

    def render(self, console: Console) -> None:
        """The best points, the front and the sensitivities as tables; long ones are truncated with a note."""
        if not self.considered:
            say(console, self._no_best())
            for item in self.left_out:
                say(console, item.sentence)
            return
        self._render_best(console)
        names = ", ".join(title(name) for name in self.question.figures)
        heading = f"Pareto front of {names}: {len(self.front)} of {self.considered} points"
        if len(self.front):
            _render_points(console, heading, self.front, self.question.figures)
        else:
            say(console, f"{heading}.")
        if self.merged:
            percent = f"{100 * self.question.tolerance:.3g} %"
            say(console, f"{self.merged} more on the front, within {percent} of one of these in each figure (--tolerance 0 lists them).")
        for item in self.left_out:
            say(console, item.sentence)
        for figure, ratios in self.ratios.items():
            if ratios:
                _render_ratios(console, figure, ratios)

    def _best_by(self) -> str:
        where = self.question.best_where
        return title(self.question.ranked_by) + (f" where {' '.join(where.text.split())}" if where else "")

    def _no_best(self) -> str:
        if not self.considered:
            return "No point that ran meets the conditions." if len(self.whole) else "No point ran."
        return f"No best point by {self._best_by()}: none of {self.considered} has the figure and meets the condition."

    def _render_best(self, console: Console) -> None:
        if not len(self.best):
            say(console, self._no_best())
            return
        heading = "Best point" if len(self.best) == 1 else f"Best {len(self.best)} points"
        _render_points(console, f"{heading} by {self._best_by()}", self.best, self.shown_figures)

    def write(self, folder: Path, drawn: Mapping[str, bytes]) -> Path:
        """Everything as JSON and CSV, and what is drawn, all or nothing; OutputError if the folder is taken by something else."""
        files = {
            "sweep.json": to_json(self.to_dict()).encode(),
            "points.csv": to_csv(point_rows(self.whole, self.question.figures)).encode(),
            "pareto_front.csv": to_csv(point_rows(self.front, self.question.figures)).encode(),
            "sensitivity.csv": to_csv(
                [{"figure": figure, **asdict(item)} for figure, ratios in self.ratios.items() for item in ratios]
            ).encode(),
            **drawn,
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
    where = [question.best_where] if question.best_where else []
    asked = [question.ranked_by, *_read(whole, where)]
    eligible = under(considered, where)
    all_on_front = front(considered, question.figures)
    shown = front(considered, question.figures, question.tolerance)
    return SweepFindings(
        whole=whole,
        question=question,
        table=considered,
        best=best(eligible, question.ranked_by, question.count),
        front=shown,
        merged=len(all_on_front) - len(shown),
        left_out=(
            *_left_out(whole, _read(whole, question.conditions), "all answers"),
            *_left_out(considered, [item for item in asked if item not in question.figures], "the best points"),
            *_left_out(considered, question.figures, "the front"),
        ),
        ratios={figure: sensitivity(considered, figure) for figure in question.figures},
    )


def _read(points: Table, conditions: Iterable[Expression]) -> list[str]:
    """The figures that some conditions read."""
    read = dict.fromkeys(name for item in conditions for name in item.paths)
    return [name for name in read if name in points.numeric and name not in points.sweep.axes]


def _different(points: Table, figures: Iterable[str]) -> tuple[str, ...]:
    """The figures without those that have the unit of one before and its value at every point."""
    kept: list[str] = []
    for figure in figures:
        same = [other for other in kept if unit_name(other) == unit_name(figure)]
        if not any(np.array_equal(points.numbers(other), points.numbers(figure), equal_nan=True) for other in same):
            kept.append(figure)
    return tuple(kept)


def _left_out(points: Table, figures: Sequence[str], left_out_of: str) -> Iterator[LeftOut]:
    """Points that lack a figure, named by the values of an axis that all of them and no others have, else one by one."""
    for figure in dict.fromkeys(figures):
        missing = np.isnan(points.numbers(figure))
        if missing.any():
            yield LeftOut(figure, _in_words(points, missing), tuple(points.positions[missing].tolist()), left_out_of)


def _in_words(points: Table, chosen: npt.NDArray[np.bool_]) -> str:
    if chosen.all():
        return "all of them"
    labels = {axis: points.labels(axis) for axis in points.sweep.axes}
    for axis, texts in labels.items():
        inside = list(dict.fromkeys(text for text, here in zip(texts, chosen, strict=True) if here))
        if not set(inside) & {text for text, here in zip(texts, chosen, strict=True) if not here}:
            return f"{axis} {first_names(inside, SHOWN_LEFT_OUT)}"
    varying = [axis for axis, texts in labels.items() if len(set(texts)) > 1]
    rows = [", ".join(f"{axis}={labels[axis][row]}" for axis in varying) for row in np.flatnonzero(chosen)]
    return first_names(rows, SHOWN_LEFT_OUT, "; ")


def point_rows(points: Table, figures: Sequence[str]) -> list[dict[str, Any]]:
    """One flat row per point: its place, its axes as written, and the figures, None where there is none; the accuracy if it is known."""
    labels = {axis: points.labels(axis) for axis in points.sweep.axes}
    shown = [*figures, *([ACCURACY] if ACCURACY in points.columns and ACCURACY not in figures else [])]
    values = {name: [None if math.isnan(value) else value for value in points.numbers(name).tolist()] for name in shown}
    limits = {name: points[name].tolist() for name in ("limiting_resource", "limiting_basis")}
    return [
        {
            "position": int(points.positions[number]),
            **{axis: texts[number] for axis, texts in labels.items()},
            **{figure: column[number] for figure, column in values.items()},
            **{name: column[number] for name, column in limits.items()},
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
        row(out, *(item[axis] for axis in axes), *("-" if item[figure] is None else f"{item[figure]:.4g}" for figure in figures))
    show(console, heading, out)
    shared = [f"{axis} = {rows[0][axis]}" for axis in points.sweep.axes if axis not in axes and rows]
    if shared:
        say(console, "Common to all: " + ", ".join(shared) + ".")
    overflowing = points.can_overflow
    if overflowing.any():
        say(
            console,
            f"Sums can need more bits than the accumulators have ({int(overflowing.sum())} of {len(rows)} points): "
            f"{_in_words(points, overflowing)}. The constraint `array.psum_bits >= psum_bits_needed` drops such points.",
        )
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

"""Questions to a sweep: which figures span the Pareto front, which points are best, and under which conditions.

5                                                    the five best points by the first figure of the front
area_mm2 where milliseconds < 1 and accuracy > 0.7   the smallest chips among those that are fast and accurate enough
1 energy_uj                                          the point with the least energy
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.errors import ConfigError
from accelsim.registry import suggest
from accelsim.sweeps.best import check_figures
from accelsim.sweeps.columns import ACCURACY, COLUMNS, NUMERIC
from accelsim.sweeps.default_pictures import pictures_for
from accelsim.sweeps.expression import Expression, check_names, parse_expression
from accelsim.sweeps.spec import Sweep

DEFAULT_FIGURES = ("milliseconds_per_inference", "energy_uj", "area_mm2")
DEFAULT_BEST = 5
MOST_BEST = 1000
_BEST = re.compile(r"\s*(?P<count>\d{1,9})?\s*(?P<figure>[A-Za-z_][\w.]*)?(?:\s+where\s+(?P<condition>.+))?\s*", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """A question to a sweep.

    Attributes
    ----------
    figures : objectives of the Pareto front, one to three
    conditions : conditions a point must meet to be considered
    count : of best points
    best_by : figure that ranks the best points; '' for the first objective
    best_where : condition that only the best points must meet
    tolerance : relative difference below which two points of the front are one
    """

    figures: tuple[str, ...] = DEFAULT_FIGURES
    conditions: tuple[Expression, ...] = ()
    count: int = DEFAULT_BEST
    best_by: str = ""
    best_where: Expression | None = None
    tolerance: float = 0.0

    @property
    def ranked_by(self) -> str:
        """The figure that ranks the best points."""
        return self.best_by or self.figures[0]

    @property
    def named(self) -> tuple[str, ...]:
        """Every figure, axis or column that the question names."""
        conditions = (*self.conditions, *((self.best_where,) if self.best_where else ()))
        return tuple(dict.fromkeys((*self.figures, self.ranked_by, *(path for item in conditions for path in item.paths))))

    def needs(self, sweep: Sweep) -> tuple[str, ...]:
        """The columns of a store that the answers and the sweep's pictures are made of."""
        named = [*self.named, *(name for picture in pictures_for(sweep) for name in picture.figures_named())]
        return tuple(name for name in dict.fromkeys(named) if name not in sweep.axes and name != ACCURACY)


def make_question(
    sweep: Sweep,
    figures: str | None,
    conditions: Sequence[str],
    best: str | int | None = None,
    *,
    accuracy: bool = False,
    tolerance: float = 0.0,
) -> Question:
    """A question as a command line puts it: figures with commas between them, conditions as text, `best` as the module says (None: 5).

    Parameters
    ----------
    accuracy : whether the accuracy of the points is known
    tolerance : relative difference below which two points of the front are one, 0 to 1

    Raises
    ------
    ConfigError
        A figure or a name in a condition that neither the store nor the sweep has, or a condition that cannot be read.
    """
    names = tuple(item.strip() for item in figures.split(",")) if figures else DEFAULT_FIGURES
    known = [*COLUMNS, *sweep.axes, *([ACCURACY] if accuracy else [])]
    check_figures(names)
    for name in names:
        _check_figure("--pareto", name, sweep, known)
    if not 0 <= tolerance < 1:
        raise ConfigError(f"tolerance {tolerance:g}: allowed: from 0 to below 1 (0.01 is 1 %)")
    parsed = tuple(_condition(text, known) for text in conditions)
    match = _BEST.fullmatch(str(DEFAULT_BEST if best is None else best))
    if match is None or not (match["count"] or match["figure"]):
        raise ConfigError(f"--best {best!r}: allowed: N, FIGURE, or FIGURE where CONDITION, such as 'area_mm2 where milliseconds < 1'")
    count = int(match["count"] or DEFAULT_BEST)
    if not 1 <= count <= MOST_BEST:
        raise ConfigError(f"--best {best!r}: {count} points; allowed: 1..{MOST_BEST}")
    if match["figure"]:
        _check_figure("--best", match["figure"], sweep, known)
    where = _condition(match["condition"], known) if match["condition"] else None
    return Question(names, parsed, count, match["figure"] or "", where, tolerance)


def _check_figure(option: str, name: str, sweep: Sweep, known: Sequence[str]) -> None:
    if name in COLUMNS and name not in NUMERIC and name not in sweep.axes:
        raise ConfigError(f"{option}: {name!r} is no number; allowed: {', '.join(NUMERIC)}")
    if name not in known:
        hint = "; give --accuracy FILE.csv or FILE.py:FUNCTION" if name == ACCURACY else suggest(name, known)
        raise ConfigError(f"{option}: there is no figure {name!r}{hint}; allowed: {', '.join(NUMERIC)}")


def _condition(text: str, known: list[str]) -> Expression:
    """A condition over `known` names."""
    expression = parse_expression(text)
    if ACCURACY in expression.paths and ACCURACY not in known:
        raise ConfigError(f"condition {text!r}: no accuracy is known; give --accuracy FILE.csv or FILE.py:FUNCTION")
    check_names(expression, known.__contains__, known)
    return expression

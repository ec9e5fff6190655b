"""The best points of a sweep under conditions, and its Pareto front, over axes and figures alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelsim.errors import ConfigError
from accelsim.sweeps.columns import ACCURACY
from accelsim.sweeps.expression import Expression, check_names
from accelsim.sweeps.pareto import first_of_equals, pareto_front
from accelsim.sweeps.table import Table


def under(table: Table, conditions: Sequence[Expression]) -> Table:
    """The points that meet every condition.

    Raises
    ------
    ConfigError
        A condition names neither an axis nor a figure, or has no meaning at a point.
    """
    for condition in conditions:
        check_names(condition, table.columns.__contains__, list(table.columns))
    names = list(dict.fromkeys(path for condition in conditions for path in condition.paths))
    columns = [table[name].tolist() for name in names]
    kept = np.ones(len(table), bool)
    for row in range(len(table)):
        here = {name: column[row] for name, column in zip(names, columns, strict=True)}
        kept[row] = not any(value != value for value in here.values()) and all(item.holds(here.__getitem__) for item in conditions)
    return table.where(kept)


def costs_of(table: Table, figures: Sequence[str]) -> npt.NDArray[np.float64]:
    """float64 (points, figures) of which less is better: accuracy is negated."""
    return np.stack([-table.numbers(name) if name == ACCURACY else table.numbers(name) for name in figures], axis=1)


def best(table: Table, figure: str, count: int = 1) -> Table:
    """The points with the least `figure` (the most accuracy), the best first; equal ones in the order of the sweep."""
    values = costs_of(table, [figure])[:, 0]
    order = np.argsort(values, kind="stable")
    return table.where(order[np.isfinite(values[order])][:count])


def check_figures(figures: Sequence[str]) -> None:
    """ConfigError unless there are one to three different figures."""
    if not 1 <= len(figures) <= 3 or len(set(figures)) != len(figures):
        raise ConfigError(f"Pareto front over {', '.join(figures) or 'nothing'}: allowed: one to three different figures")


def front(table: Table, figures: Sequence[str], tolerance: float = 0.0) -> Table:
    """The Pareto front over one to three figures, less being better (of accuracy, more), by the first.

    Parameters
    ----------
    tolerance : relative difference in every figure below which points of the front are one, the first of them; 0 keeps each

    Raises
    ------
    ConfigError
        More figures than three, one given twice, or one that is not a number.
    """
    check_figures(figures)
    costs = costs_of(table, figures)
    chosen = np.flatnonzero(pareto_front(costs))
    chosen = chosen[np.lexsort(costs[chosen].T[::-1])]
    return table.where(chosen[first_of_equals(costs[chosen], tolerance)] if tolerance else chosen)

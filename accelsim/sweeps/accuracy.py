"""The accuracy of a sweep's points, as a person states it: a column of a CSV file, or a Python function of a point.

    --accuracy measured.csv       a header of axes and `accuracy`: format.k,format.d,accuracy; one row for each combination that is known
    --accuracy model.py:accuracy  def accuracy(point): ...   point: field -> value as written; a number, or None where none is known

Nothing here is simulated: shapes say nothing of accuracy. It is joined to the runs when a question is asked and is not stored. More is
better, unlike every other figure.
"""

from __future__ import annotations

import math
import runpy
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, cast

import numpy as np

from accelsim.csv_table import read_table
from accelsim.errors import ConfigError
from accelsim.registry import suggest
from accelsim.sweeps.axis import axis_text
from accelsim.sweeps.columns import ACCURACY
from accelsim.sweeps.spec import AxisGroup, Sweep
from accelsim.sweeps.table import Table
from accelsim.wording import first_names

LARGEST_TABLE = 64 << 20  # bytes: a row per point of a large sweep
SHOWN_ROWS = 3

Accuracy = Callable[[Mapping[str, Any]], float | None]


def read_accuracy(source: str, sweep: Sweep, warn: Callable[[str], None]) -> Accuracy:
    """The accuracy that a CSV file or FILE.py:FUNCTION states; `warn` is called once if some rows of the file are of no point.

    Raises
    ------
    ConfigError
        A file that cannot be read, a column that is no axis of the sweep, a row given twice, a value that is no number, no row of any
        point of the sweep; no such function.
    """
    path, colon, name = source.rpartition(":")
    if colon and path.endswith(".py"):
        return _function(Path(path), name)
    return _of_rows(Path(source), sweep, warn)


def with_accuracy(table: Table, accuracy: Accuracy) -> Table:
    """`table` with the column `accuracy`; NaN where it is not known.

    Raises
    ------
    ConfigError
        The function raises, or returns something else than a finite number or None.
    """
    base = table.sweep.base
    values = [_value(accuracy, {**base, **table.sweep.at(int(position))}) for position in table.positions]
    columns = {**table.columns, ACCURACY: np.array(values, np.float64)}
    return Table(table.sweep, table.positions, table.steps, columns)


def _value(accuracy: Accuracy, point: Mapping[str, Any]) -> float:
    try:
        with redirect_stdout(sys.stderr):
            value = accuracy(point)
    except (Exception, SystemExit) as error:  # code of the user's: it may raise anything, which is reported with its point
        raise ConfigError(f"accuracy of {dict(point)}: the function raised {type(error).__name__}: {error}") from error
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ConfigError(f"accuracy of {dict(point)}: {value!r:.80} is not allowed; allowed: a finite number or None")
    return float(value)


def _function(path: Path, name: str) -> Accuracy:
    """The function `name` of a Python file, which is run; what it prints goes to stderr, since stdout is the command's."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        with redirect_stdout(sys.stderr):
            names = runpy.run_path(str(path))
    except (Exception, SystemExit) as error:  # code of the user's
        raise ConfigError(f"{path}: cannot be run: {type(error).__name__}: {error}") from error
    found = names.get(name)
    if not callable(found):
        known = [item for item, value in names.items() if callable(value) and not item.startswith("_")]
        raise ConfigError(f"{path}: there is no function {name!r}{suggest(name, known)}; known: {', '.join(known) or 'none'}")
    return cast(Accuracy, found)


def _of_rows(path: Path, sweep: Sweep, warn: Callable[[str], None]) -> Accuracy:
    """The accuracy that the rows of a CSV file state for values of some axes."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; allowed: a CSV file, or FILE.py:FUNCTION")
    rows = read_table(path, limit=LARGEST_TABLE)
    columns = rows[0][1]
    axes = [name for name in columns if name != ACCURACY]
    for name in axes:
        if name not in sweep.axes:
            raise ConfigError(
                f"{path}: column {name!r} is not an axis of the sweep{suggest(str(name), sweep.axes)}; "
                f"allowed: {', '.join(sweep.axes)}, {ACCURACY}"
            )
    if not axes or ACCURACY not in columns:
        raise ConfigError(f"{path}: needs a header with an axis and `{ACCURACY}`; axes: {', '.join(sweep.axes)}")
    known: dict[tuple[object, ...], float | None] = {}
    points = [_of_group(group, axes) for group in sweep.groups]
    no_point = []
    for line, row in rows:
        key = tuple(_key(row[name]) for name in axes)
        if key in known:
            raise ConfigError(f"{path}, line {line}: {', '.join(str(row[name]) for name in axes)} is given twice")
        known[key] = _number(row[ACCURACY], f"{path}, line {line}")
        if any(tuple(_key(row[name]) for name in names) not in values for names, values in points):
            no_point.append(f"line {line} ({', '.join(f'{name} {row[name]}' for name in axes)})")
    if no_point:
        which = f"of no point of the sweep: {first_names(no_point, SHOWN_ROWS)}"
        if len(no_point) == len(known):
            raise ConfigError(f"{path}: all rows are {which}; allowed: values of the axes as the sweep writes them")
        warn(f"{path}: {len(no_point):,} of {len(known):,} rows are {which}")
    return lambda point: known.get(tuple(_key(point[name]) for name in axes))


def _of_group(group: AxisGroup, columns: Iterable[str]) -> tuple[tuple[str, ...], set[tuple[object, ...]]]:
    """Those of the columns that are axes of a group, and the values that these have together in its steps."""
    names = tuple(name for name in columns if name in group.names)
    places = [group.names.index(name) for name in names]
    return names, {tuple(_key(step[place]) for place in places) for step in group.steps}


def _key(value: Any) -> object:
    """A value of an axis as it is compared with a cell: numbers by value, the rest as text, true as True."""
    text = axis_text(value).strip().casefold()
    try:
        return float(text)
    except ValueError:
        return text


def _number(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{where}: `{ACCURACY}` is {text!r:.80}; allowed: a finite number, or nothing where it is not known")
    return value

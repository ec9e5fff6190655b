"""CSV files of reference figures, read by column name; errors name the location and the allowed values.

A file is taken whole or refused: a row that cannot be read is never skipped, because a reference that silently shrinks proves less
than it says. Unused columns are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from accelsim.csv_table import read_table
from accelsim.errors import ReferenceDataError

LEAST_MS, MOST_MS = 1e-9, 1e12  # a picosecond, some thirty years: the square of an error relative to either is finite


@dataclass(frozen=True)
class ReferenceRow:
    """One row: its file and line (the header is line 1), and its cells by column, stripped of blanks."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, allowed: str) -> ReferenceDataError:
        """The error for an invalid cell."""
        where = f"{self.path}: line {self.line}, column {column}"
        return ReferenceDataError(f"{where}: {self.cells[column]!r:.80} is not allowed; allowed: {allowed}")

    def integer(self, column: str, low: int, high: int) -> int:
        """The cell as an integer; ReferenceDataError unless it is one and in [low, high]."""
        allowed = f"an integer from {low} to {high}"
        text = self.cells[column]
        # int() also takes "1_000" and other scripts' digits, and refuses, by a ValueError, thousands of them.
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 30:
            raise self.error(column, allowed)
        value = int(text)
        if not low <= value <= high:
            raise self.error(column, allowed)
        return value

    def measured(self, column: str, milliseconds: Callable[[float], float] = float) -> float:
        """The cell as a number of which `milliseconds` makes a time; ReferenceDataError for one that was never measured."""
        value = self.number(column)
        if not value or not LEAST_MS <= milliseconds(value) <= MOST_MS:
            raise self.error(column, f"a time from {LEAST_MS:g} to {MOST_MS:g} ms, or its rate")
        return value

    def number(self, column: str, low: float = 0.0) -> float:
        """The cell as a finite number of at least `low`; ReferenceDataError if it is not one."""
        allowed = f"a number of at least {low:g}"
        try:
            value = float(self.cells[column])
        except ValueError as error:
            raise self.error(column, allowed) from error
        if not math.isfinite(value) or value < low:
            raise self.error(column, allowed)
        return value


def read_reference(path: Path, needed: Iterable[str]) -> list[ReferenceRow]:
    """The rows of a CSV file with a header that has every `needed` column.

    Raises
    ------
    ReferenceDataError
        The file cannot be read, has no row, lacks a needed column, names one twice, or a row has too few or too many cells.
    """
    return [ReferenceRow(path, line, cells) for line, cells in read_table(path, needed, ReferenceDataError)]


def check_tolerance(tolerance_pct: float | None) -> None:
    """ReferenceDataError unless the tolerance for all rows, in percent, is None, or finite and at least 0."""
    if tolerance_pct is not None and not 0 <= tolerance_pct < math.inf:
        raise ReferenceDataError(f"tolerance {tolerance_pct} is not allowed; allowed: a finite percentage of at least 0")

"""The verdict on a file of reference figures: one record per judged figure, and a summary.

The error of a figure is relative to the reference, in percent, unless the reference file says that its tolerance is absolute.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class RowVerdict:
    """One judged figure of a reference file.

    Attributes
    ----------
    row : str
        The file's name of the row, and its line.
    column : str
        The judged column.
    expected, got : float
        The reference figure and the model's, in the column's unit.
    error : float
        |got - expected| in percent of the expected figure (0 if equal, infinite if the reference is 0 and was missed), or in the
        column's own unit where the tolerance is absolute.
    tolerance : float
        The largest error that is allowed, in the unit of `error`.
    ok : bool
        Whether the figure is inside its tolerance.
    """

    row: str
    column: str
    expected: float
    got: float
    error: float
    tolerance: float
    ok: bool


def relative_error_pct(expected: float, got: float) -> float:
    """|got - expected| in percent of `expected`: 0 if they are equal, infinite if only the reference is 0."""
    if got == expected:
        return 0.0
    return math.inf if expected == 0 else abs(got - expected) / abs(expected) * 100


@dataclass(frozen=True)
class ValidationReport:
    """All verdicts on one reference file.

    Attributes
    ----------
    kind : str
        "core", "cluster", "systolic", "dram", "area" or "outside".
    source : str
        The reference file.
    rows : tuple of RowVerdict
        One for each judged figure, in the order of the file.
    """

    kind: str
    source: str
    rows: tuple[RowVerdict, ...]

    @property
    def ok(self) -> bool:
        """Whether every figure is inside its tolerance."""
        return all(row.ok for row in self.rows)

    @property
    def count(self) -> int:
        """Number of judged figures."""
        return len(self.rows)

    @property
    def median_error(self) -> float:
        """Median of the errors; 0 for a file without rows."""
        return statistics.median(row.error for row in self.rows) if self.rows else 0.0

    @property
    def largest_error(self) -> float:
        """Largest of the errors; 0 for a file without rows."""
        return max((row.error for row in self.rows), default=0.0)

    def to_dict(self) -> dict[str, object]:
        """The report as plain JSON data: the summary, then every row (an infinite error is the string "inf")."""
        return {
            "kind": self.kind,
            "source": self.source,
            "ok": self.ok,
            "count": self.count,
            "median_error": _json_number(self.median_error),
            "largest_error": _json_number(self.largest_error),
            "rows": [{**asdict(row), "error": _json_number(row.error)} for row in self.rows],
        }


def _json_number(value: float) -> float | str:
    """`value`, or "inf": JSON has no infinity."""
    return value if math.isfinite(value) else "inf"

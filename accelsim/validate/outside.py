"""Published figures of other machines against ours, in configurations that state which parameters are known, fitted and assumed.

Every figure is judged, misses included: a row outside its tolerance is reported, and `docs/validation.md` explains the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from accelsim.errors import ReferenceDataError
from accelsim.registry import suggest
from accelsim.studies.load_width import load_width_figures
from accelsim.studies.vector_lut import BANDWIDTH_POINT, DECODE_POINT, vector_lut_figures
from accelsim.studies.vela_like import vela_figures
from accelsim.validate.reference_csv import ReferenceRow, check_tolerance, read_reference
from accelsim.validate.report import RowVerdict, ValidationReport, relative_error_pct

COLUMNS = ("check", "figure", "reference", "tolerance_pct")
Figures = Mapping[str, float]

# Check: our figures by name. A fitted check reads its fitting points from the reference.
CHECKS: Mapping[str, Callable[[Figures], Figures]] = {
    "vela_like": lambda _: vela_figures(),
    "vector_lut_ms": vector_lut_figures,
    "load_width_speedup": lambda _: load_width_figures(),
}
FITTING_POINTS = {"vector_lut_ms": (BANDWIDTH_POINT, DECODE_POINT)}


def validate_outside(csv_path: Path, tolerance_pct: float | None = None) -> ValidationReport:
    """Judge our figures against the published ones in `csv_path`.

    Parameters
    ----------
    csv_path : Path
        A CSV file with COLUMNS: a key of CHECKS, one of its figures, the published value and its tolerance in percent (may be empty).
    tolerance_pct : float, optional
        Tolerance of rows without their own, in percent; exact if it is not given.

    Raises
    ------
    ReferenceDataError
        The file, line, column and value that cannot be used, and what is allowed; a fitting point that is missing.
    """
    check_tolerance(tolerance_pct)
    rows = read_reference(csv_path, COLUMNS)
    published = _published(rows)
    for check, points in FITTING_POINTS.items():
        missing = [point for point in points if check in published and point not in published[check]]
        if missing:
            raise ReferenceDataError(f"{csv_path}: check {check!r} is fitted to its figures {', '.join(points)}; missing: {missing[0]}")
    ours = {check: CHECKS[check](figures) for check, figures in published.items()}
    return ValidationReport("outside", str(csv_path), tuple(_judge(row, ours, tolerance_pct or 0.0) for row in rows))


def _published(rows: Sequence[ReferenceRow]) -> dict[str, dict[str, float]]:
    """Published figures by check and name, in the order of the file."""
    out: dict[str, dict[str, float]] = {}
    for row in rows:
        check = row.cells["check"]
        if check not in CHECKS:
            raise row.error("check", f"{', '.join(CHECKS)}{suggest(check, CHECKS)}")
        figures = out.setdefault(check, {})
        if row.cells["figure"] in figures:
            raise row.error("figure", f"each figure of check {check!r} once")
        value = row.number("reference")
        if value == 0:
            raise row.error("reference", "a number above 0")
        figures[row.cells["figure"]] = value
    return out


def _judge(row: ReferenceRow, ours: Mapping[str, Figures], default_pct: float) -> RowVerdict:
    figures, name = ours[row.cells["check"]], row.cells["figure"]
    if name not in figures:
        raise row.error("figure", f"{', '.join(figures)}{suggest(name, figures)}")
    tolerance = row.number("tolerance_pct") if row.cells["tolerance_pct"] else default_pct
    expected, got = row.number("reference"), figures[name]
    error = relative_error_pct(expected, got)
    return RowVerdict(f"{row.cells['check']} (line {row.line})", name, expected, got, error, tolerance, error <= tolerance)

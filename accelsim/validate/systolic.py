"""Replays stall-free cycles and utilization of systolic arrays, as SCALE-Sim reports them, fold by fold.

Cycles are judged exactly unless the file or the caller allows more; a percentage is right when the exact ratio rounds to the
file's figure at 4 decimals, whichever way a tie is rounded.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from accelsim.dataflows.catalog import dataflow_kinds, find_dataflow
from accelsim.dataflows.dataflow import MAX_SIDE, SystolicArray
from accelsim.dataflows.fold_loop import MAX_BOUND, FoldResult, gemm_cycles
from accelsim.errors import CompileError, ReferenceDataError
from accelsim.registry import suggest
from accelsim.validate.reference_csv import ReferenceRow, check_tolerance, read_reference
from accelsim.validate.report import RowVerdict, ValidationReport, relative_error_pct

SIZES = {"rows": MAX_SIDE, "cols": MAX_SIDE, "m": MAX_BOUND, "n": MAX_BOUND, "k": MAX_BOUND}
NEEDED = ("dataflow", *SIZES, "total_cycles")
PERCENTAGES = ("overall_util_pct", "mapping_eff_pct")
TOLERANCE = "tolerance_pct"
HALF_A_DIGIT = Fraction(1, 20_000)  # percentage points: half of the fourth decimal
MAX_CYCLES = 2**62


def validate_systolic(csv_path: Path, tolerance_pct: float | None = None) -> ValidationReport:
    """Judge the fold loop, in the convention of SCALE-Sim, against the figures in `csv_path`.

    Parameters
    ----------
    csv_path : Path
        A CSV file with the columns NEEDED, and the columns PERCENTAGES where there are any (an empty cell is not judged). A column
        `tolerance_pct`, where there is one, is each row's tolerance.
    tolerance_pct : float, optional
        Tolerance of rows without their own, in percent; exact (percentages: to 4 decimals) if it is not given.

    Returns
    -------
    ValidationReport
        A verdict for each row's cycles and for each of its percentages.

    Raises
    ------
    ReferenceDataError
        The file, line, column and value that cannot be used, and what is allowed.
    """
    check_tolerance(tolerance_pct)
    rows = read_reference(csv_path, NEEDED)
    results = [_replay(row) for row in rows]
    verdicts = [verdict for row, result in zip(rows, results, strict=True) for verdict in _judge(row, result, tolerance_pct)]
    return ValidationReport("systolic", str(csv_path), tuple(verdicts))


def _replay(row: ReferenceRow) -> FoldResult:
    """The row's GEMM, run."""
    name = row.cells["dataflow"].lower()
    kinds = {spelling: kind for kind in dataflow_kinds() for spelling in (kind, find_dataflow(kind).short_name) if spelling}
    if name not in kinds:
        raise row.error("dataflow", f"{', '.join(kinds)}{suggest(name, kinds)}")
    size = {column: row.integer(column, 1, largest) for column, largest in SIZES.items()}
    try:
        return gemm_cycles(kinds[name], SystolicArray(size["rows"], size["cols"]), size["m"], size["k"], size["n"], "scale_sim")
    except CompileError as error:
        raise ReferenceDataError(f"{row.path}: line {row.line}: {error}") from error


def _judge(row: ReferenceRow, result: FoldResult, tolerance_pct: float | None) -> list[RowVerdict]:
    """Verdicts on the row's cycles and on the percentages that it gives."""
    tolerance = row.number(TOLERANCE) if row.cells.get(TOLERANCE) else (tolerance_pct or 0.0)
    label = _label(row)
    expected = row.integer("total_cycles", 0, MAX_CYCLES)
    error = relative_error_pct(expected, result.total_cycles)
    verdicts = [RowVerdict(label, "total_cycles", expected, result.total_cycles, error, tolerance, error <= tolerance)]
    exact = {"overall_util_pct": 100 * result.overall_util, "mapping_eff_pct": 100 * result.mapping_eff}
    for column in PERCENTAGES:
        if row.cells.get(column):
            verdicts.append(_judge_percentage(row, column, label, exact[column], tolerance))
    return verdicts


def _judge_percentage(row: ReferenceRow, column: str, label: str, exact: Fraction, tolerance_pct: float) -> RowVerdict:
    """No error if the exact ratio rounds to the file's figure; else the relative error, in percent."""
    expected = row.number(column)
    stated = Fraction(repr(expected))  # the decimal as it was written
    error = 0.0 if abs(exact - stated) <= HALF_A_DIGIT else relative_error_pct(expected, float(exact))
    return RowVerdict(label, column, expected, float(round(exact, 4)), error, tolerance_pct, error <= tolerance_pct)


def _label(row: ReferenceRow) -> str:
    """'ws 32x32 fc1 (line 34)'."""
    cells = row.cells
    name = cells.get("layer") or f"{cells['m']}x{cells['k']}x{cells['n']}"
    return f"{cells['dataflow']} {cells['rows']}x{cells['cols']} {name} (line {row.line})"

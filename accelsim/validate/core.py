"""Replays runs of the core's RTL: cycles and the six counters of each row, through the kernel that the machine uses.

The rows are judged exactly unless the file or the caller allows more: a cycle-level model of an existing core has to be exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from accelsim.hw.decode_mac_core import CoreGeometry, WordSupply, run_stand_alone
from accelsim.validate.reference_csv import ReferenceRow, check_tolerance, read_reference
from accelsim.validate.report import RowVerdict, ValidationReport, relative_error_pct

JUDGED = ("cycles", "st_start", "st_tile", "ld_bits", "ld_haz", "cp_rows", "words")
TOLERANCE = "tolerance_pct"

# Column: smallest and largest value. The upper bounds keep a mistyped row from running for hours.
PARAMETERS = {
    "ROWS": (1, 4096),
    "COLS": (1, 4096),
    "D": (1, 4096),
    "KCB": (1, 2**20),
    "P": (1, 4096),
    "W": (8, 65536),
    "DECODE": (0, 1),
    "SIGN": (0, 1),
    "AXIS": (0, 1),
    "MAXM": (1, 2**20),
    "M": (1, 2**20),
    "K": (1, 2**20),
    "N": (1, 2**20),
    "wb_num": (0, 2**20),
    "wb_den": (1, 2**20),
    "wb_lat": (0, 2**30),
}
MAX_ELEMENTS = 2**28  # of A, W or Y
MAX_COUNT = 2**62


@dataclass(frozen=True)
class CoreCase:
    """A row's experiment: a GEMM of (m x k) by (k x n) on a core with a word supply."""

    geometry: CoreGeometry
    supply: WordSupply
    m: int
    k: int
    n: int


def validate_core(csv_path: Path, tolerance_pct: float | None = None) -> ValidationReport:
    """Judge the core against the runs in `csv_path`.

    Parameters
    ----------
    csv_path : Path
        A CSV file with the columns of PARAMETERS and JUDGED. A column `tolerance_pct`, where there is one, is each row's tolerance.
    tolerance_pct : float, optional
        Tolerance of rows without their own, in percent; exact if it is not given.

    Returns
    -------
    ValidationReport
        One verdict for each row and judged column.

    Raises
    ------
    ReferenceDataError
        The file, line, column and value that cannot be used, and what is allowed.
    """
    check_tolerance(tolerance_pct)
    rows = read_reference(csv_path, (*PARAMETERS, *JUDGED))
    cases = [read_case(row) for row in rows]
    verdicts = [verdict for row, case in zip(rows, cases, strict=True) for verdict in _judge(row, case, tolerance_pct)]
    return ValidationReport("core", str(csv_path), tuple(verdicts))


def read_case(row: ReferenceRow) -> CoreCase:
    """Parameters of a row; ReferenceDataError if one is out of range or they do not fit each other."""
    p = {column: row.integer(column, low, high) for column, (low, high) in PARAMETERS.items()}
    along = "ROWS" if p["AXIS"] else "COLS"
    if p[along] % p["D"]:
        raise row.error("D", f"a divisor of {along}, which is {p[along]} (AXIS is {p['AXIS']})")
    for first, second in (("M", "K"), ("K", "N"), ("M", "N")):
        if p[first] * p[second] > MAX_ELEMENTS:
            raise row.error(second, f"at most {MAX_ELEMENTS} elements a matrix ({first} is {p[first]})")
    geometry = CoreGeometry(
        rows=p["ROWS"],
        cols=p["COLS"],
        codeword_length=p["D"],
        codewords=p["KCB"],
        ports=p["P"],
        word_bits=p["W"],
        decode=bool(p["DECODE"]),
        sign=bool(p["SIGN"]),
        axis=p["AXIS"],
        max_m=p["MAXM"],
    )
    return CoreCase(geometry, WordSupply(p["wb_num"], p["wb_den"], p["wb_lat"]), p["M"], p["K"], p["N"])


def _judge(row: ReferenceRow, case: CoreCase, tolerance_pct: float | None) -> list[RowVerdict]:
    """One verdict for each judged column of the row."""
    tolerance = row.number(TOLERANCE) if row.cells.get(TOLERANCE) else (tolerance_pct or 0.0)
    expected = {column: row.integer(column, 0, MAX_COUNT) for column in JUDGED}
    counters = run_stand_alone(case.geometry, case.m, case.k, case.n, case.supply)
    label = f"id {row.cells['id']} (line {row.line})" if row.cells.get("id") else f"line {row.line}"
    verdicts = []
    for column in JUDGED:
        got = int(getattr(counters, column))
        error = relative_error_pct(expected[column], got)
        verdicts.append(RowVerdict(label, column, expected[column], got, error, tolerance, error <= tolerance))
    return verdicts

"""The area model against a file of reference figures: synthesized blocks, synthesized cores, published areas, or CACTI's SRAM points.

The kind of a file follows from its header. Disputable assumption: where neither file nor caller states a tolerance, a figure's is
the one that the model states for its kind: the error of a fit as it was made, 2 % for a core, 15 % for a predicted array or SRAM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import ReferenceDataError
from accelsim.validate import area_published, area_sram, area_synthesis
from accelsim.validate.figure_check import FigureCheck
from accelsim.validate.reference_csv import ReferenceRow, check_tolerance, read_reference
from accelsim.validate.report import RowVerdict, ValidationReport

TOLERANCE = "tolerance_pct"


@dataclass(frozen=True)
class _Kind:
    """A kind of file: the column that identifies it, the columns it needs, and the check of a row."""

    mark: str
    columns: tuple[str, ...]
    checks: Callable[[ReferenceRow], Iterator[FigureCheck]]


KINDS = (
    _Kind("block", area_synthesis.BLOCK_COLUMNS, area_synthesis.block_checks),
    _Kind("ROWS", area_synthesis.CORE_COLUMNS, area_synthesis.core_checks),
    _Kind("check", area_published.COLUMNS, area_published.published_checks),
    _Kind("size_B", area_sram.COLUMNS, area_sram.sram_checks),
)


def validate_area(csv_path: Path, tolerance_pct: float | None = None) -> ValidationReport:
    """Judge the area model against the figures in `csv_path`.

    Parameters
    ----------
    csv_path : Path
        A CSV file with the columns of one of KINDS. A column `tolerance_pct`, where there is one, is each row's tolerance.
    tolerance_pct : float, optional
        Tolerance of rows without their own, in percent; by default the model's own for the kind.

    Raises
    ------
    ReferenceDataError
        The file, line, column and value that cannot be used, and what is allowed.
    """
    check_tolerance(tolerance_pct)
    verdicts = [_verdict(row, check, tolerance_pct) for row, check in _checks(csv_path)]
    return ValidationReport("area", str(csv_path), tuple(verdicts))


def area_checks(csv_path: Path) -> tuple[FigureCheck, ...]:
    """Every figure of a file with the model's, its range and its note.

    Raises
    ------
    ReferenceDataError
        As `validate_area`.
    """
    return tuple(check for _, check in _checks(csv_path))


def _checks(path: Path) -> Iterator[tuple[ReferenceRow, FigureCheck]]:
    kind = _kind(path, read_reference(path, ())[0].cells)
    for row in read_reference(path, kind.columns):
        for check in kind.checks(row):
            yield row, check


def _kind(path: Path, header: Mapping[str, str]) -> _Kind:
    for kind in KINDS:
        if kind.mark in header:
            return kind
    marks = ", ".join(repr(kind.mark) for kind in KINDS)
    known = ", ".join(header)
    raise ReferenceDataError(f"{path}: no column identifies the kind of file; allowed: one of {marks}; the header has: {known}")


def _verdict(row: ReferenceRow, check: FigureCheck, default_pct: float | None) -> RowVerdict:
    tolerance = check.tolerance_pct if default_pct is None else default_pct
    if row.cells.get(TOLERANCE):
        tolerance = row.number(TOLERANCE)
    error = abs(check.error_pct)
    figure = f"{check.unit}, {check.role}"
    return RowVerdict(f"{check.name} (line {row.line})", figure, check.expected, check.got, error, tolerance, error <= tolerance)

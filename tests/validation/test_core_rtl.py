"""The core against its RTL: the carried runs, exactly, and what `validate core` says of files that are not like them."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path

import pytest

from accelsim.errors import ReferenceDataError
from accelsim.validate.core import JUDGED, validate_core
from tests.core_reference import CORE_CSV, rtl_rows
from tests.naive_core import simulate_core


def altered(path: Path, column: str, value: str, line: int = 2) -> Path:
    """A copy of the first rows of the reference, with one cell changed."""
    with CORE_CSV.open(newline="") as file:
        rows = list(csv.reader(file))[:4]
    rows[line - 1][rows[0].index(column)] = value
    path.write_text("\n".join(",".join(row) for row in rows))
    return path


def test_every_run_of_the_rtl_is_met_exactly() -> None:
    report = validate_core(CORE_CSV)
    assert [asdict(row) for row in report.rows if not row.ok] == []
    assert (report.count, report.largest_error, report.median_error) == (len(rtl_rows()) * len(JUDGED), 0.0, 0.0)
    assert report.count == 57 * 7  # the file as it was carried


def test_the_twin_meets_every_run_of_the_rtl_too() -> None:
    for run, (parameters, expected) in rtl_rows().items():
        assert (run, simulate_core(*parameters)) == (run, expected)


@pytest.mark.parametrize("column", JUDGED)
def test_a_figure_that_is_off_by_one_is_reported_with_its_row(tmp_path: Path, column: str) -> None:
    _, expected = rtl_rows()[3]
    report = validate_core(altered(tmp_path / "off.csv", column, str(expected[column] + 1), line=3))
    assert not report.ok
    wrong = [row for row in report.rows if not row.ok]
    assert [(row.row, row.column, row.expected, row.got) for row in wrong] == [
        ("id 3 (line 3)", column, expected[column] + 1, expected[column])
    ]


def test_a_tolerance_lets_a_near_figure_pass_and_a_far_one_not(tmp_path: Path) -> None:
    near = altered(tmp_path / "near.csv", "cycles", "150", line=3)  # the RTL took 149: 0.67 % of 150
    assert validate_core(near, tolerance_pct=1.0).ok
    assert not validate_core(near, tolerance_pct=0.5).ok


def test_a_row_may_bring_its_own_tolerance(tmp_path: Path) -> None:
    near = altered(tmp_path / "near.csv", "cycles", "150", line=3)
    lines = near.read_text().splitlines()
    near.write_text("\n".join([lines[0] + ",tolerance_pct", lines[1] + ",", lines[2] + ",1", lines[3] + ",0"]))
    assert validate_core(near).ok


def test_the_columns_may_stand_in_any_order_and_others_are_ignored(tmp_path: Path) -> None:
    with CORE_CSV.open(newline="") as file:
        rows = [[*reversed(row), "remark"] for row in list(csv.reader(file))[:5]]
    mixed = tmp_path / "mixed.csv"
    mixed.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(",".join(row) for row in rows).encode())
    assert validate_core(mixed).ok


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("ROWS", "0", r"line 2, column ROWS: '0' is not allowed; allowed: an integer from 1 to 4096"),
        ("P", "two", r"line 2, column P: 'two' is not allowed; allowed: an integer from 1"),
        ("M", "1.5", r"column M: '1.5' is not allowed; allowed: an integer"),
        ("M", "", r"column M: '' is not allowed"),
        ("N", "1_0", r"column N: '1_0' is not allowed"),
        ("K", "9" * 5000, r"column K: '9+"),
        ("DECODE", "2", r"column DECODE: '2' is not allowed; allowed: an integer from 0 to 1"),
        ("D", "3", r"column D: '3' is not allowed; allowed: a divisor of COLS, which is 4"),
        ("wb_den", "0", r"column wb_den: '0' is not allowed; allowed: an integer from 1"),
        ("cycles", "-1", r"column cycles: '-1' is not allowed; allowed: an integer from 0"),
    ],
)
def test_a_cell_that_cannot_be_used_is_named_with_what_is_allowed(tmp_path: Path, column: str, value: str, message: str) -> None:
    with pytest.raises(ReferenceDataError, match=message):
        validate_core(altered(tmp_path / "bad.csv", column, value))


def test_a_gemm_too_large_to_replay_is_refused(tmp_path: Path) -> None:
    path = altered(tmp_path / "huge.csv", "K", str(2**20))
    rows = [line.split(",") for line in path.read_text().splitlines()]
    rows[1][rows[0].index("N")] = str(2**20)
    path.write_text("\n".join(",".join(row) for row in rows))
    with pytest.raises(ReferenceDataError, match=r"line 2, column N: '1048576' .* elements a matrix"):
        validate_core(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("ROWS,COLS\n4,4\n", "column 'D' is missing"),
        ("ROWS,ROWS\n4,4\n", "column 'COLS' is missing"),
        ('ROWS,"COLS\n4,4\n', "not CSV"),
        (CORE_CSV.read_text().splitlines()[0], "no rows"),
        (CORE_CSV.read_text().splitlines()[0] + "\n1,2,3\n", "line 2: has 3 cells, the header has 24"),
        (CORE_CSV.read_text().splitlines()[0] + ",M\n", "column 'M' appears twice"),
    ],
)
def test_a_file_that_is_not_a_reference_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ReferenceDataError, match=message):
        validate_core(path)


def test_a_missing_or_binary_file_says_that_it_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.csv", "binary.csv", "."):
        with pytest.raises(ReferenceDataError, match="cannot be read"):
            validate_core(tmp_path / name)


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_no_percentage_is_refused(tolerance: float) -> None:
    with pytest.raises(ReferenceDataError, match="tolerance"):
        validate_core(CORE_CSV, tolerance)


def test_a_report_can_be_written_as_json_even_where_the_reference_is_zero(tmp_path: Path) -> None:
    report = validate_core(altered(tmp_path / "zero.csv", "cycles", "0")).to_dict()
    assert report["ok"] is False
    assert report["largest_error"] == "inf"

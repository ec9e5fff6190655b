"""Units of a column, and progress without a terminal."""

from __future__ import annotations

import pytest

from accelsim.report.tables.terminal import line_progress
from accelsim.report.tables.text import bytes_column, decimals, short


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1708544, 4096], ["1.709 MB", "0.004 MB"]),
        ([2e9, 1.5e6, 0, 12e3], ["2.000 GB", "0.002 GB", "0.000 GB", "0.00001 GB"]),
        ([900, 12], ["900 B", "12 B"]),
        ([], []),
    ],
)
def test_a_column_of_sizes_has_one_unit(values: list[float], texts: list[str]):
    assert bytes_column(values) == texts


def test_progress_into_a_file_is_a_line_now_and_then_and_at_the_end_of_a_phase():
    lines: list[str] = []
    times = iter([0.0, 1.0, 11.0, 11.0, 12.0, 12.0])
    update = line_progress(lines.append, 10.0, lambda: next(times))
    update("chips", 1, 3)
    update("chips", 2, 3)
    update("chips", 3, 3)
    assert lines == ["chips: 2 of 3", "chips: 3 of 3"]


def test_progress_of_short_phases_says_nothing_into_a_file_that_wants_no_ends():
    lines: list[str] = []
    times = iter([0.0, 11.0, 11.0, 12.0])
    update = line_progress(lines.append, 10.0, lambda: next(times), ends=False)
    update("compile", 256, 1024)
    update("compile", 1024, 1024)
    assert lines == ["compile: 256 of 1,024"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1,234"),
        (999.4, "999"),
        (0.01234, "0.0123"),
        (0.001, "0.00100"),
        (0.0000456, "0.000046"),
        (3e-7, "0.00000030"),
        (0.0, "0"),
    ],
)
def test_a_figure_that_is_not_zero_never_reads_as_zero(value: float, text: str):
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "least", "text"),
    [
        (23044.3, 0, "23044"),
        (10.2, 0, "10"),
        (9.96, 0, "10.0"),
        (3.14, 0, "3.1"),
        (0.0249, 0, "0.025"),
        (5.649, 2, "5.65"),
        (0.0519, 2, "0.052"),
        (0, 2, "0"),
    ],
)
def test_a_column_keeps_its_decimals_and_shows_two_digits(value: float, least: int, text: str):
    assert decimals(value, least) == text

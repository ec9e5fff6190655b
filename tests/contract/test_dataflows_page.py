"""The page on dataflows says what the model computes: its programs print its figures, and its table is recomputed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelsim.dataflows.catalog import dataflow_kinds
from accelsim.dataflows.dataflow import SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles

PAGE = (Path(__file__).parents[2] / "docs" / "dataflows.md").read_text(encoding="utf-8")
FC1, HEAD = (197, 192, 768), (1, 192, 1000)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("program", "figure"), list(zip(PROGRAMS, (28_435, 28_435, 28_498), strict=True)))
def test_each_program_prints_the_figure_that_the_page_gives(program: str, figure: int, capsys: pytest.CaptureFixture[str]) -> None:
    exec(program, {})
    assert capsys.readouterr().out == f"{figure}\n"
    assert f"{figure:,}" in PAGE


def test_the_table_of_layers_holds_what_is_computed() -> None:
    rows = re.findall(r"^\| \w+ \| (\d+) x (\d+) x (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 8
    for *mkn, cells in rows:
        m, k, n = map(int, mkn)
        for kind, cell in zip(("weight_stationary", "output_stationary", "input_stationary"), cells.split(" | "), strict=True):
            computed = [gemm_cycles(kind, SystolicArray(32, 32), m, k, n, way).total_cycles for way in ("scale_sim", "physical")]
            assert cell == f"{computed[0]:,} / {computed[1]:,}", (kind, mkn)


def test_the_page_names_every_dataflow() -> None:
    assert all(f"`{kind}`" in PAGE for kind in dataflow_kinds())


def test_the_single_register_and_the_larger_array_are_as_the_page_says() -> None:
    def fc1(array: SystolicArray, way: str = "physical") -> int:
        return gemm_cycles("weight_stationary", array, 197, 192, 768, way).total_cycles  # type: ignore[arg-type]

    assert fc1(SystolicArray(32, 32, double_buffered=False, load_rows=1)) == 37_475
    assert round(fc1(SystolicArray(64, 64), "scale_sim") / fc1(SystolicArray(64, 64)), 2) == 1.93


def test_what_a_file_of_weights_is_worth_is_as_the_page_says() -> None:
    array = SystolicArray(32, 32)
    fc1, head = ([gemm_cycles(kind, array, *mkn) for kind in ("weight_stationary", "enhanced_weight_stationary")] for mkn in (FC1, HEAD))
    assert [result.rows_read for result in fc1] == [28_368, 2_364]
    assert [result.total_cycles for result in head] == [12_101, 956]
    for figure in ("2,364 against 28,368", "956 cycles in place of 12,101"):
        assert figure in PAGE


@pytest.mark.parametrize("double_buffered", [True, False])
@pytest.mark.parametrize("size", [5, 40, 100])
def test_the_formulas_of_the_page_hold_where_every_fold_is_full(double_buffered: bool, size: int) -> None:
    r, c, folds = 8, 4, 6
    array = SystolicArray(r, c, double_buffered)
    period = max(size, r + c - 1) if double_buffered else size + r + c - 1
    loaded = gemm_cycles("weight_stationary", array, m=size, k=2 * r, n=3 * c).total_cycles
    assert loaded == (folds - 1) * period + 3 + size + r + c
    period = max(size, r) if double_buffered else size + r - 1
    summed = gemm_cycles("output_stationary", array, m=2 * r, k=size, n=3 * c).total_cycles
    assert summed == (folds - 1) * period + size + 2 * r + c - 1

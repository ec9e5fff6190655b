"""The fold loop against SCALE-Sim: every carried row, a closed form, mutants, and what `validate systolic` says of other files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.dataflows import fold_loop
from accelsim.dataflows.dataflow import SpatialMap, SystolicArray
from accelsim.dataflows.fold_loop import gemm_cycles
from accelsim.dataflows.input_stationary import InputStationary as INPUT_STATIONARY
from accelsim.dataflows.output_stationary import OutputStationary as OUTPUT_STATIONARY
from accelsim.dataflows.scale_sim import SerialFolds
from accelsim.dataflows.weight_stationary import WeightStationary as WEIGHT_STATIONARY
from accelsim.errors import ReferenceDataError
from accelsim.validate.systolic import validate_systolic

DATA = Path(__file__).parent / "data" / "systolic"
DEIT, RANDOM = DATA / "deit_tiny_layers.csv", DATA / "random_gemms.csv"
HEADER = "dataflow,rows,cols,m,n,k,total_cycles"
FC1 = "ws,32,32,197,768,192,41903"


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(("path", "rows"), [(DEIT, 36), (RANDOM, 24)])
def test_every_row_of_the_reference_is_met_exactly(path: Path, rows: int) -> None:
    report = validate_systolic(path)
    assert [asdict(row) for row in report.rows if not row.ok] == []
    assert (report.kind, report.count, report.largest_error) == ("systolic", 3 * rows, 0.0)


def closed_form(dataflow: str, r: int, c: int, m: int, n: int, k: int) -> tuple[int, float, float]:
    """Cycles and percentages without a loop over folds, from the sizes alone."""
    s_r, s_c, t = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    fold = t + r + c - 2 + (0 if dataflow == "os" else r)
    folds = -(-s_r // r) * -(-s_c // c)
    total = folds * fold - 1
    return total, 100 * m * n * k / (total * r * c) if total else 0.0, 100 * s_r * s_c / (folds * r * c)


def test_the_closed_form_meets_the_reference_too() -> None:
    for path in (DEIT, RANDOM):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                cycles, util, mapping = closed_form(row["dataflow"], *(int(row[name]) for name in ("rows", "cols", "m", "n", "k")))
                assert cycles == int(row["total_cycles"])
                assert util == pytest.approx(float(row["overall_util_pct"]), abs=5.0001e-5)
                assert mapping == pytest.approx(float(row["mapping_eff_pct"]), abs=5.0001e-5)


@given(
    st.sampled_from([("os", "output_stationary"), ("ws", "weight_stationary"), ("is", "input_stationary")]),
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90),
)  # fmt: skip
def test_the_fold_loop_equals_the_closed_form(names: tuple[str, str], r: int, c: int, m: int, n: int, k: int) -> None:
    result = gemm_cycles(names[1], SystolicArray(r, c), m, k, n, "scale_sim")
    cycles, util, mapping = closed_form(names[0], r, c, m, n, k)
    assert result.total_cycles == cycles
    assert (float(100 * result.overall_util), float(100 * result.mapping_eff)) == pytest.approx((util, mapping), rel=1e-12)


Cycles = Callable[..., int]
MUTANTS: list[tuple[str, object, str, object]] = [
    ("the convention leaves the drain out", OUTPUT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: f.steps + 2 * a.rows + a.cols - 2),
    ("skew is R + C - 2", OUTPUT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: f.steps + a.rows + a.cols - 1),
    ("a trimmed fold takes as long", OUTPUT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: f.steps + f.rows + f.cols - 2),
    ("weights are loaded in R cycles", WEIGHT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: f.steps + a.rows + a.cols - 2),
    ("R cycles, not C", WEIGHT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: f.steps + a.rows + 2 * a.cols - 2),
    ("R, also if trimmed", WEIGHT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: f.steps + a.rows + f.rows + a.cols - 2),
    ("inputs are loaded in R cycles", INPUT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: f.steps + a.rows + a.cols - 2),
    ("the load is not hidden", WEIGHT_STATIONARY, "scale_sim_fold_cycles", lambda s, a, f: max(f.steps, a.rows) + a.rows + a.cols - 2),
    ("the last cycle is counted from 0", SerialFolds, "total", lambda s, a, start, f: start + s._cycles(a, f)),
    ("the last fold is trimmed, not dropped", fold_loop, "_cuts", lambda size, side: [side] * max(1, size // side)),
    ("the last fold is trimmed, not full", fold_loop, "_cuts", lambda size, side: [side] * -(-size // side)),
    ("weights: K lies down the rows", WEIGHT_STATIONARY, "spatial", SpatialMap(rows="N", cols="K", time="M")),
    ("outputs: M lies down the rows", OUTPUT_STATIONARY, "spatial", SpatialMap(rows="N", cols="M", time="K")),
    ("inputs: N is time", INPUT_STATIONARY, "spatial", SpatialMap(rows="K", cols="N", time="M")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "owner", "name", "value"), MUTANTS, ids=[mutant[0] for mutant in MUTANTS])
def test_a_fold_loop_that_breaks_a_rule_is_caught_by_a_reference_row(
    rule: str, owner: object, name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, value)
    assert not validate_systolic(RANDOM).ok, rule


@pytest.mark.parametrize(("kind", "outer"), [(WEIGHT_STATIONARY, "K"), (OUTPUT_STATIONARY, "M"), (INPUT_STATIONARY, "K")])
def test_the_order_of_the_folds_alters_nothing_in_this_convention(kind: object, outer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "outer", outer)  # an equivalent mutant: folds do not meet, and a sum has no order
    assert validate_systolic(RANDOM).ok


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (f"{FC1[:-1]}4,67.6992,100.0", "total_cycles"),
        (f"{FC1},67.6993,100.0", "overall_util_pct"),
        (f"{FC1},67.6991,100.0", "overall_util_pct"),
        (f"{FC1},67.6992,99.9999", "mapping_eff_pct"),
    ],
)
def test_a_figure_that_is_off_by_its_last_digit_is_reported_with_its_row(tmp_path: Path, line: str, column: str) -> None:
    report = validate_systolic(written(tmp_path / "off.csv", f"{HEADER},overall_util_pct,mapping_eff_pct", line))
    assert [(row.row, row.column) for row in report.rows if not row.ok] == [("ws 32x32 197x192x768 (line 2)", column)]


def test_either_rounding_of_a_tie_is_right(tmp_path: Path) -> None:
    # 1000 columns on 32 columns of PEs: 1000 / 1024 = 97.65625 %.
    rows = [f"ws,32,32,1,1000,192,18239,{figure}" for figure in ("97.6562", "97.6563")]
    assert validate_systolic(written(tmp_path / "tie.csv", f"{HEADER},mapping_eff_pct", *rows)).ok


def test_percentages_may_be_absent_and_long_names_are_known(tmp_path: Path) -> None:
    report = validate_systolic(written(tmp_path / "long.csv", HEADER, FC1.replace("ws", "Weight_Stationary")))
    assert (report.ok, report.count) == (True, 1)
    report = validate_systolic(written(tmp_path / "empty.csv", f"{HEADER},mapping_eff_pct", f"{FC1},"))
    assert (report.ok, report.count) == (True, 1)


def test_a_tolerance_lets_a_near_figure_pass_and_a_row_may_bring_its_own(tmp_path: Path) -> None:
    near = FC1.replace("41903", "42000")  # 0.231 %
    path = written(tmp_path / "near.csv", HEADER, near)
    assert not validate_systolic(path).ok
    assert not validate_systolic(path, 0.2).ok
    assert validate_systolic(path, 0.3).ok
    assert validate_systolic(written(tmp_path / "own.csv", f"{HEADER},tolerance_pct", f"{near},0.3")).ok
    assert not validate_systolic(written(tmp_path / "own.csv", f"{HEADER},tolerance_pct", f"{near},0.2"), 0.3).ok


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            (HEADER, FC1.replace("ws", "rs")),
            "line 2, column dataflow: 'rs' is not allowed; allowed: .*output_stationary, os, ",
        ),
        ((HEADER, FC1.replace("197", "0")), "line 2, column m: '0' is not allowed; allowed: an integer from 1"),
        ((HEADER, FC1.replace("32,32", "32,5000")), "column cols: '5000' is not allowed; allowed: an integer from 1 to 4096"),
        ((HEADER, FC1.replace("41903", "4e4")), "column total_cycles: '4e4' is not allowed"),
        ((HEADER, "ws,1,1,1,16777216,16777216,1"), "line 2: GEMM .* takes 281474976710656 folds"),
        ((f"{HEADER},mapping_eff_pct", f"{FC1},high"), "column mapping_eff_pct: 'high' is not allowed; allowed: a number"),
        ((HEADER.replace("total_", "tot_"), FC1), "column 'total_cycles' is missing"),
        ((HEADER,), "no rows"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_what_is_allowed(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(ReferenceDataError, match=message):
        validate_systolic(written(tmp_path / "bad.csv", *lines))


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_none_is_refused(tolerance: float) -> None:
    with pytest.raises(ReferenceDataError, match="tolerance"):
        validate_systolic(RANDOM, tolerance)

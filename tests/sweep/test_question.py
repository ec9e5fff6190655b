"""Questions as a person writes them, accuracy from a file or a function, and points without a figure."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.errors import ConfigError
from accelsim.report.export.run import to_json
from accelsim.sweeps.accuracy import read_accuracy, with_accuracy
from accelsim.sweeps.best import front
from accelsim.sweeps.findings import SweepFindings, ask
from accelsim.sweeps.question import make_question
from accelsim.sweeps.spec import load_sweep
from accelsim.sweeps.table import Table
from tests.sweep.small_sweeps import write_sweep
from tests.sweep.test_analysis import made_up


def fail(text: str) -> None:
    raise AssertionError(text)


def whole(**columns: list[float]) -> Table:
    """The made-up sweep: area = ports * rows, time = 100 / ports / rows, halved for trace b."""
    table = made_up()
    more = {name: np.array(values, np.float64) for name, values in columns.items()}
    limits, basis, warnings = (np.array([text] * len(table), object) for text in ("array", "estimated", "[]"))
    columns = {**table.columns, **more, "limiting_resource": limits, "limiting_basis": basis, "warnings": warnings}
    return Table(table.sweep, table.positions, table.steps, columns)


def points_of(table: Table) -> list[tuple[str, str]]:
    return list(zip(table.labels("trace"), table.labels("codebook.ports"), strict=True))


def shown(findings: SweepFindings) -> str:
    out = io.StringIO()
    findings.render(Console(file=out, width=100))
    return " ".join(out.getvalue().split())


def test_the_smallest_chip_that_is_fast_and_accurate_enough():
    table = with_accuracy(whole(), lambda point: 0.8 if point["trace"] == "a" else 0.6)
    question = make_question(table.sweep, "milliseconds", [], "area_mm2 where milliseconds < 2 and accuracy > 0.7", accuracy=True)
    findings = ask(table, question)
    # trace a: time 100 / area < 2 leaves areas 64 (twice), 128, 256; b with half the time is not accurate enough
    assert findings.best["area_mm2"].tolist() == [64, 64, 128, 256]
    assert set(findings.best.labels("trace")) == {"a"}
    assert findings.to_dict()["best"][0]["accuracy"] == 0.8
    assert "Best 4 points by area (mm2) where milliseconds < 2 and accuracy > 0.7" in shown(findings)
    assert findings.considered == len(table)  # the condition is that of the best points alone


@pytest.mark.parametrize(
    ("best", "count", "by"),
    [("3", 3, "milliseconds"), (7, 7, "milliseconds"), ("area_mm2", 5, "area_mm2"), ("2 area_mm2 where area_mm2 > 20", 2, "area_mm2")],
)
def test_best_is_a_number_a_figure_or_both(best: str | int, count: int, by: str):
    question = make_question(whole().sweep, "milliseconds", [], best)
    assert (question.count, question.ranked_by) == (count, by)


@pytest.mark.parametrize(
    ("best", "words"),
    [
        ("", "--best ''"),
        ("best of all", "allowed: N, FIGURE, or FIGURE where CONDITION"),
        ("0", "0 points; allowed: 1..1000"),
        ("aera_mm2", "did you mean 'area_mm2'"),
        ("limiting_resource", "--best: 'limiting_resource' is no number; allowed: "),
        ("accuracy", "give --accuracy FILE.csv or FILE.py:FUNCTION"),
        ("area_mm2 where accuracy > 1", "no accuracy is known"),
        ("area_mm2 where area_mm2 <", "is missing: it ends there"),
    ],
)
def test_a_question_that_cannot_be_is_one_message(best: str, words: str):
    with pytest.raises(ConfigError) as caught:
        make_question(whole().sweep, None, [], best)
    assert words in str(caught.value)


def test_of_accuracy_more_is_better():
    table = with_accuracy(whole(), lambda point: point["codebook.ports"] / 10)
    findings = ask(table, make_question(table.sweep, "accuracy,area_mm2", [], "1 accuracy", accuracy=True))
    assert findings.best["accuracy"].tolist() == [0.4]
    rows = {(row["accuracy"], row["area_mm2"]) for row in findings.to_dict()["pareto_front"]}
    assert rows == {(0.1, 16.0), (0.2, 32.0), (0.4, 64.0)}  # the smallest array at each number of ports


def test_points_without_a_figure_are_left_out_and_named():
    missing = float("nan")
    table = whole(model_error=[missing if place % 4 in (2, 3) else 0.1 for place in range(12)])  # places 2 and 3 of four: trace b
    findings = ask(table, make_question(table.sweep, "model_error,area_mm2", []))
    (left_out,) = findings.left_out
    assert (left_out.figure, left_out.points, len(left_out.positions)) == ("model_error", "trace b", 6)
    assert "6 points have no model error, left out of the front: trace b." in shown(findings)
    assert json.loads(to_json(findings.to_dict()))["left_out"][0]["positions"] == [2, 3, 6, 7, 10, 11]
    assert set(findings.front.labels("trace")) == {"a"}


def test_a_figure_that_no_point_has_is_told(tmp_path: Path):
    table = whole(model_error=[float("nan")] * 12)
    findings = ask(table, make_question(table.sweep, "model_error", []))
    assert "No best point by model error" in shown(findings)
    assert "12 points have no model error, left out of the front: all of them." in shown(findings)
    findings.write(tmp_path / "found", {})
    assert (tmp_path / "found" / "points.csv").read_text().count("\n") == 13


def test_points_whose_figure_a_condition_asks_for_and_nobody_knows_are_named():
    """They fail it, as if they were known to be too bad; nothing was said of them."""
    known = {1: 0.5, 2: 0.8}
    table = with_accuracy(whole(), lambda point: known.get(point["codebook.ports"]))
    findings = ask(table, make_question(table.sweep, "milliseconds", [], "area_mm2 where accuracy > 0.7", accuracy=True))
    assert set(findings.best.labels("codebook.ports")) == {"2"}
    (left_out,) = findings.left_out
    assert (left_out.figure, left_out.points, left_out.left_out_of) == ("accuracy", "codebook.ports 4", "the best points")
    assert "4 points have no accuracy, left out of the best points: codebook.ports 4." in shown(findings)
    under = ask(table, make_question(table.sweep, "milliseconds", ["accuracy > 0.9"], accuracy=True))
    assert "No point that ran meets the conditions. 4 points have no accuracy, left out of all answers: codebook.ports 4." in shown(under)


def test_points_of_the_front_within_the_tolerance_are_one():
    areas = [100, 100.4, 99.8, 110, *[500] * 8]
    times = [1.0, 0.999, 1.001, 0.5, *[9] * 8]
    table = whole(area_mm2=areas, milliseconds=times)
    assert front(table, ("area_mm2", "milliseconds"))["area_mm2"].tolist() == [99.8, 100, 100.4, 110]
    assert front(table, ("area_mm2", "milliseconds"), 0.005)["area_mm2"].tolist() == [99.8, 100.4, 110]  # 100 is within 0.5 % of 99.8
    findings = ask(table, make_question(table.sweep, "area_mm2,milliseconds", [], tolerance=0.01))
    assert findings.front["area_mm2"].tolist() == [99.8, 110]
    assert findings.merged == 2
    assert "2 more on the front, within 1 % of one of these in each figure" in shown(findings)


def test_the_accuracy_of_a_file_belongs_to_the_values_of_its_axes(tmp_path: Path):
    file = tmp_path / "accuracy.csv"
    file.write_text("trace,codebook.ports,accuracy\na,1,0.5\na,2.0,0.7\nb,1,\n")
    table = with_accuracy(whole(), read_accuracy(str(file), whole().sweep, fail))
    found = dict(zip(points_of(table), table["accuracy"].tolist(), strict=True))
    assert (found["a", "1"], found["a", "2"]) == (0.5, 0.7)
    assert all(np.isnan(found[key]) for key in (("a", "4"), ("b", "1"), ("b", "2")))


def test_rows_of_no_point_of_the_sweep_are_named(tmp_path: Path):
    file = tmp_path / "accuracy.csv"
    file.write_text("trace,codebook.ports,accuracy\na,1,0.5\na,3,0.6\n" + "".join(f"c,{ports},0.7\n" for ports in (1, 2, 4)))
    said: list[str] = []
    table = with_accuracy(whole(), read_accuracy(str(file), whole().sweep, said.append))
    assert np.isfinite(table["accuracy"]).sum() == sum(trace == "a" and ports == "1" for trace, ports in points_of(table))
    named = "line 3 (trace a, codebook.ports 3), line 4 (trace c, codebook.ports 1), line 5 (trace c, codebook.ports 2) and 1 more"
    assert said == [f"{file}: 4 of 5 rows are of no point of the sweep: {named}"]


def test_a_row_of_linked_axes_must_be_one_of_their_steps(tmp_path: Path):
    linked = load_sweep(
        {"name": "s", "base": {"accelerator": "edge-64x64"}, "axes": {"trace": ["tiny_vit_int8"]},
         "linked": [{"array.rows": [16, 32], "array.cols": [8, 64]}]}
    )  # fmt: skip
    file = tmp_path / "accuracy.csv"
    file.write_text("array.cols,array.rows,accuracy\n8,16,0.5\n64,16,0.6\n")
    said: list[str] = []
    stated = read_accuracy(str(file), linked, said.append)
    assert stated({"array.rows": 16, "array.cols": 8, "trace": "tiny_vit_int8"}) == 0.5
    assert len(said) == 1
    assert "1 of 2 rows are of no point of the sweep: line 3 (array.cols 64, array.rows 16)" in said[0]


def test_the_accuracy_of_a_function_is_asked_for_each_point(tmp_path: Path):
    file = tmp_path / "model.py"
    file.write_text("def accuracy(point):\n    return None if point['trace'] == 'b' else point['codebook.ports'] / 8\n")
    table = with_accuracy(whole(), read_accuracy(f"{file}:accuracy", whole().sweep, fail))
    assert set(table["accuracy"][np.array(table.labels("trace")) == "a"].tolist()) == {0.125, 0.25, 0.5}
    assert np.isnan(table["accuracy"][np.array(table.labels("trace")) == "b"]).all()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "ports,accuracy\n1,2\n", "column 'ports' is not an axis of the sweep; allowed: codebook.ports, trace"),
        ("a.csv", "trace\na\n", "needs a header with an axis and `accuracy`"),
        ("a.csv", "", "is empty; a header is needed"),
        ("a.csv", "trace,accuracy\na@ssvq:k=16,d=8,0.5\n", "line 2: has 3 cells, the header has 2"),
        ("a.csv", "trace,accuracy\n" + "a" * 200_000 + ",1\n", "line 2: not CSV: field larger than field limit"),
        ("a.csv", "trace,accuracy\na,good\n", "line 2: `accuracy` is 'good'"),
        ("a.csv", "trace,accuracy\na,inf\n", "line 2: `accuracy` is 'inf'"),
        ("a.csv", "trace,accuracy\na,1\na,2\n", "line 3: a is given twice"),
        (
            "a.csv",
            "trace,accuracy\nc,1\nd,1\n",
            "all rows are of no point of the sweep: line 2 (trace c), line 3 (trace d)",
        ),
        ("a.py:f", "def g(point): return 1\n", "there is no function 'f'"),
        ("a.py:f", "1/0\n", "cannot be run: ZeroDivisionError"),
        ("a.py:f", "import sys\nsys.exit('bye')\n", "cannot be run: SystemExit: bye"),
        ("a.py:f", "def f(point): exit()\n", "the function raised SystemExit"),
        ("a.py:f", "def f(point): return 1/0\n", "the function raised ZeroDivisionError"),
        ("a.py:f", "def f(point): return 'good'\n", "'good' is not allowed; allowed: a finite number or None"),
        ("a.py:f", "def f(point): return True\n", "True is not allowed"),
    ],
)
def test_an_accuracy_that_cannot_be_is_one_message(tmp_path: Path, name: str, text: str, words: str):
    (tmp_path / name.partition(":")[0]).write_text(text)
    with pytest.raises(ConfigError) as caught:
        with_accuracy(whole(), read_accuracy(str(tmp_path / name), whole().sweep, fail))
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_one_message(tmp_path: Path):
    for source in ("none.csv", "none.py:f"):
        with pytest.raises(ConfigError, match="no such file"):
            read_accuracy(str(tmp_path / source), whole().sweep, fail)


def test_points_whose_sums_can_overflow_are_named_beside_the_tables_that_show_them(tmp_path: Path):
    file = tmp_path / "sweep.yaml"
    axes = {"trace": ["tiny_vit_int8"], "array.psum_bits": [16, 32]}
    write_sweep(file, axes=axes, constraints=[])
    words = ["sweep", str(file), "--store", str(tmp_path / "points.db"), "--workers", "1", "-o", str(tmp_path / "out")]
    asked = CliRunner().invoke(app, [*words, "--best", "area_mm2"])
    assert asked.exit_code == 0, asked.output
    text = " ".join(asked.output.split())
    assert "Sums can need more bits than the accumulators have (1 of 2 points): array.psum_bits 16." in text
    assert "`array.psum_bits >= psum_bits_needed` drops such points" in text
    write_sweep(file, axes=axes, constraints=["array.psum_bits >= psum_bits_needed"])
    asked = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(asked.stdout)["findings"]["can_overflow"] == []


def test_a_time_that_is_equal_per_inference_is_shown_once_and_one_best_point_is_no_plural():
    """One inference per point: both times are equal. The JSON has both; with two inferences per point both are shown."""
    table = whole()
    once = whole(milliseconds_per_inference=table["milliseconds"].tolist())
    halves = whole(milliseconds_per_inference=(table["milliseconds"] / 2).tolist())
    for made, columns in ((once, 1), (halves, 2)):
        question = make_question(made.sweep, "milliseconds_per_inference,area_mm2", [], "1 milliseconds")
        findings = ask(made, question)
        text = shown(findings)
        assert "Best point by time (ms)" in text
        assert "Best 1 points" not in text
        assert len(findings.shown_figures) == columns + 1
        assert set(findings.to_dict()["best"][0]) >= {"milliseconds", "milliseconds_per_inference", "area_mm2"}


def test_the_answer_is_a_line_per_best_point_with_what_tells_it_apart():
    findings = ask(whole(), make_question(whole().sweep, "milliseconds", [], "1 area_mm2 where milliseconds < 2 and trace == 'a'"))
    (line,) = findings.answer()
    # the smallest area with 100 / area < 2 is 64; its time is 100 / 64
    assert line.endswith("area 64 mm2, time 1.562 ms")
    assert line.startswith("codebook.ports = 1, trace = a, array.rows = 64, ")
    none = ask(whole(), make_question(whole().sweep, "milliseconds", [], "area_mm2 where milliseconds < 0"))
    assert none.answer() == ["No best point by area (mm2) where milliseconds < 0: none of 12 has the figure and meets the condition."]


def test_a_quiet_sweep_prints_the_answer_that_was_asked_for(tmp_path: Path):
    file = tmp_path / "sweep.yaml"
    write_sweep(file, axes={"trace": ["tiny_vit_int8"], "codebook.ports": [1, 2]}, constraints=[])
    words = ["sweep", str(file), "--store", str(tmp_path / "points.db"), "--workers", "1", "-q"]
    plain = CliRunner().invoke(app, words).stdout.splitlines()
    asked = CliRunner().invoke(app, [*words, "--best", "1 area_mm2"]).stdout.splitlines()
    assert len(plain) == 1
    assert len(asked) == 2
    assert asked[1].startswith("codebook.ports = 1: area ")
    assert " mm2, time per inference " in asked[1]


def test_what_a_function_of_accuracy_prints_is_not_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """It stood before the JSON of the command."""
    (tmp_path / "a.py").write_text("print('loading')\ndef f(point):\n    print('asked')\n    return 0.5\n")
    table = with_accuracy(whole(), read_accuracy(f"{tmp_path / 'a.py'}:f", whole().sweep, fail))
    assert table["accuracy"].tolist() == [0.5] * 12
    out, err = capsys.readouterr()
    assert (out, err.split()) == ("", ["loading", *["asked"] * 12])


def test_one_line_per_best_point_also_names_the_points_without_a_figure(tmp_path: Path):
    file, known = tmp_path / "sweep.yaml", tmp_path / "known.csv"
    write_sweep(file, axes={"trace": ["tiny_vit_int8"], "array.psum_bits": [24, 32]}, constraints=[])
    known.write_text("array.psum_bits,accuracy\n24,0.7\n48,0.8\n")
    words = ["sweep", str(file), "--store", str(tmp_path / "points.db"), "--workers", "1", "--accuracy", str(known)]
    asked = CliRunner().invoke(app, [*words, "-q", "--best", "area_mm2 where accuracy > 0.5"])
    assert asked.exit_code == 0, asked.output
    assert len(asked.stdout.splitlines()) == 2
    assert asked.stdout.splitlines()[1].startswith("array.psum_bits = 24: ")
    assert asked.stderr.splitlines() == [
        f"warning: {known}: 1 of 2 rows are of no point of the sweep: line 3 (array.psum_bits 48)",
        "warning: 1 point has no accuracy, left out of the best points: array.psum_bits 32.",
    ]

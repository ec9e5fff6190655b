"""Sweeps of the face: a table of points that asks, draws and continues."""

from __future__ import annotations

import multiprocessing
import pickle

import pytest

import accelsim
from tests.sweep.small_sweeps import SMALL


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> accelsim.SweepTable:
    return accelsim.sweep(SMALL, workers=1, store=tmp_path_factory.mktemp("store") / "runs.sqlite")


def test_the_table_holds_each_point_once_with_axes_as_written(table):
    assert len(table) == len(table.rows) == table.counts.ok
    assert {row["trace"] for row in table.rows} == set(SMALL["axes"]["trace"])
    assert {row["codebook.codewords"] for row in table.rows} == {16, 128}
    assert all(row["codebook.ports"] <= 2 or row["codebook.codewords"] == 128 for row in table.rows)


def test_a_point_is_the_run_that_simulate_makes(table):
    row = next(row for row in table.rows if row["activation_buffer.capacity"] == "384 KiB")
    fields = {name: row[name] for name in ("codebook.ports", "codebook.codewords", "activation_buffer.capacity")}
    run = accelsim.simulate("edge-32x32", row["trace"], set=fields)
    assert row["total_cycles"] == run.cycles
    assert row["energy_uj"] == run.cost().record.cost.energy.energy_pj().nominal / 1e6


def test_the_same_sweep_again_runs_nothing(table):
    again = accelsim.sweep(SMALL, workers=1, store=table.store)
    assert (again.counts.ok, again.counts.reused) == (0, table.counts.ok)
    assert again.rows.to_dict() == table.rows.to_dict()


def test_best_points_and_fronts_are_those_of_the_rows(table):
    least = sorted(row["area_mm2"] for row in table.rows if row["codebook.ports"] >= 2)
    best = table.best(2, figure="area_mm2", under=["codebook.ports >= 2"])
    assert best["area_mm2"] == least[:2]
    front = table.pareto_front("milliseconds", "area_mm2")
    for row in table.rows:
        assert any(item["milliseconds"] <= row["milliseconds"] and item["area_mm2"] <= row["area_mm2"] for item in front)


def test_sensitivities_summary_and_repr_say_what_the_command_line_says(table):
    assert {row["axis"] for row in table.sensitivity("area_mm2")} == set(table.axes)
    assert "Pareto front of time (ms), area (mm2)" in table.summary(["milliseconds", "area_mm2"])
    assert len(repr(table).splitlines()) <= 15
    assert table._repr_html_().startswith("<table>")
    assert table.to_dict()["rows"] == table.rows.to_dict()


def test_pictures_are_those_that_the_sweep_asks_for(table, tmp_path):
    wanted = {"kind": "pareto", "name": "front", "x": "area_mm2", "y": "milliseconds"}
    drawn = accelsim.sweep({**SMALL, "pictures": [wanted]}, workers=1, store=table.store)
    assert drawn.plot.names == ("front",)
    assert drawn.plot("front", file=tmp_path / "front.svg").axes
    assert {path.name for path in drawn.save(tmp_path / "all").iterdir()} >= {"front.svg", "points.csv", "sweep.json"}
    with pytest.raises(accelsim.AccelsimError, match="has no picture 'frond'; did you mean 'front'"):
        drawn.plot("frond")


def test_wrong_questions_are_one_message(table):
    with pytest.raises(accelsim.AccelsimError, match=r"under: .* allowed: a list of conditions"):
        table.best(under="area_mm2 < 4")
    with pytest.raises(accelsim.AccelsimError, match="no axis or figure 'area'"):
        table.best(figure="area")


def test_a_table_survives_pickling(table):
    copy = pickle.loads(pickle.dumps(table))
    assert copy.rows.to_dict() == table.rows.to_dict()
    assert copy.best(1, under=["codebook.ports >= 2"]).to_dict() == table.best(1, under=["codebook.ports >= 2"]).to_dict()


QUESTIONS = [
    (lambda table: table.best(figure=3), "figure: 3 is of type int; allowed: the name of a figure"),
    (lambda table: table.best(under=[3]), "an item of under: 3 is of type int; allowed: a list of conditions"),
    (lambda table: table.sensitivity(None), "figure: null is of type NoneType"),
    (lambda table: table.plot(3), "name: 3 is of type int; allowed: the name of a picture"),
    (lambda table: table.plot([]), r"name: \[\] is of type list"),
    (lambda table: table.pareto_front(3), "an item of figures: 3 is of type int"),
    (lambda table: table.findings([3]), "an item of figures: 3 is of type int"),
    (lambda table: table.summary(count="x"), "count: 'x' is of type str; allowed: a whole number"),
    (lambda table: table.findings(count=0), "count has value 0; allowed: 1 or more"),
]


@pytest.mark.parametrize(("ask", "message"), QUESTIONS, ids=[item[1][:25] for item in QUESTIONS])
def test_a_question_of_a_wrong_type_names_the_argument(table, ask, message):
    with pytest.raises(accelsim.AccelsimError, match=message):
        ask(table)


def test_one_worker_starts_no_process(monkeypatch, tmp_path, table):
    monkeypatch.setattr(multiprocessing, "get_context", None)
    alone = accelsim.sweep(SMALL, workers=1, store=tmp_path / "alone.sqlite")
    assert alone.rows["total_cycles"] == table.rows["total_cycles"]

"""Comparisons of the face: the figures of the command line, from names or from results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import accelsim
from accelsim.cli import app
from accelsim.report.export.compare import COMPARISON_FOLDER

CHIP, INT8, SSVQ = "edge-32x32", "tiny_vit_int8", "tiny_vit_ssvq"


@pytest.fixture(scope="module")
def pair() -> accelsim.Comparison:
    return accelsim.compare(accelsim.simulate(CHIP, INT8), accelsim.simulate(CHIP, SSVQ))


@pytest.fixture(scope="module")
def folder(pair, tmp_path_factory) -> Path:
    """The pair as it is saved."""
    return pair.save(tmp_path_factory.mktemp("saved") / "pair")


def test_the_speed_up_is_the_ratio_of_the_times(pair):
    first, second = pair.results
    assert pair.speed_up == pytest.approx(first.milliseconds / second.milliseconds)
    assert sum(pair.by_cause()["saved_ticks"]) == sum(pair.by_layer()["saved_ticks"]) == first.cycles - second.cycles


def test_results_and_texts_give_the_figures_of_the_command_line(pair):
    outcome = CliRunner().invoke(app, ["compare", f"{CHIP}:{INT8}", SSVQ, "--json"], prog_name="accelsim")
    found = json.loads(outcome.stdout)
    assert json.loads(json.dumps(pair.to_dict())) == found
    assert json.loads(json.dumps(accelsim.compare(f"{CHIP}:{INT8}", SSVQ).to_dict())) == found
    assert pair.speed_up == found["others"][0]["speed_up"]


def test_several_others_have_a_speed_up_each():
    several = accelsim.compare(f"{CHIP}:{INT8}", SSVQ, "+codebook.ports=1:", frames=2)
    assert isinstance(several.speed_up, tuple)
    assert list(several.speed_up) == several.runs()["speed_up"][1:]
    assert several.results[2].accelerator.codebook.ports == 1


def test_options_of_runs_belong_to_texts(pair):
    with pytest.raises(accelsim.AccelsimError, match="belong to runs that compare makes"):
        accelsim.compare(*pair.results, frames=2)
    with pytest.raises(accelsim.AccelsimError, match="not both at once"):
        accelsim.compare(pair.results[0], f"{CHIP}:{SSVQ}")


def test_a_walk_ends_at_the_speed_up(pair, tmp_path):
    walk = pair.walk()
    assert walk[0]["speed_up"] > 1
    assert walk[-1]["speed_up"] == pytest.approx(pair.speed_up)
    stored = [accelsim.load_result(item.save(tmp_path / f"{place}.json")) for place, item in enumerate(pair.results)]
    with pytest.raises(accelsim.AccelsimError, match="made in this process"):
        accelsim.compare(*stored).walk()
    with pytest.raises(accelsim.AccelsimError, match="run has value 2; allowed: 1 to 1"):
        pair.walk(2)


def test_every_picture_of_a_comparison_has_a_method(pair, folder, tmp_path):
    names = {name for name in dir(type(pair.plot)) if not name.startswith("_")} - {"walk", "styled"}
    assert {path.stem for path in folder.glob("*.svg")} == names
    for name in sorted(names):
        assert getattr(pair.plot, name)(file=tmp_path / f"{name}.png").axes
    with pytest.raises(accelsim.AccelsimError, match="run has value 2; allowed: 1 to 1"):
        pair.plot.waterfall_cause(2)


@pytest.mark.parametrize("run", [1.0, True, "1", [], None])
def test_a_run_is_counted_by_a_whole_number(pair, run):
    for use in (pair.walk, pair.plot.waterfall_cause, pair.plot.waterfall_layer, pair.plot.walk):
        with pytest.raises(accelsim.AccelsimError, match=r"^run: .* is of type \w+; allowed: a whole number"):
            use(run)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_saved_comparison_holds_what_the_command_line_writes(folder, tmp_path):
    assert CliRunner().invoke(app, ["compare", f"{CHIP}:{INT8}", SSVQ, "-q", "-o", str(tmp_path / "theirs")]).exit_code == 0
    ours, theirs = files_below(folder), files_below(tmp_path / "theirs")
    assert ours == theirs
    assert COMPARISON_FOLDER.marker in ours


def test_costs_stand_side_by_side(pair):
    rows = pair.cost("mvq40")
    assert list(rows) == list(pair.costs("mvq40"))
    assert [row["technology"] for row in rows] == ["mvq40", "mvq40"]
    assert rows[1]["energy_uj"] == pair.results[1].cost("mvq40").energy_uj.nominal


def test_limits_of_each_run_stand_one_below_the_other(pair):
    rows = list(pair.limits())
    for name, result in zip(pair.names, pair.results, strict=True):
        assert [row for row in rows if row["run"] == name] == [{"run": name, **row} for row in result.limits()]


def test_a_comparison_is_saved_as_the_ending_says(pair, tmp_path):
    assert json.loads(pair.save(tmp_path / "c.json").read_text()) == json.loads(json.dumps(pair.to_dict()))
    assert "<html" in pair.save(tmp_path / "c.html").read_text()
    with pytest.raises(accelsim.AccelsimError, match=r"ends with \.csv; allowed: \.json, \.html, or a folder"):
        pair.save(tmp_path / "c.csv")

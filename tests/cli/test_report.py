"""accelsim report: one file from saved runs, in any technology without a simulation; one message for each mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result as Outcome
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.cost.energy import energy_of
from accelsim.cost.recost import recost
from accelsim.cost.technology import load_technology
from accelsim.simulation import simulate
from accelsim.stored_result import load_result, parse_result
from tests.processes import HANG_S
from tests.tiny_machines import gemm_chain, tiny_accelerator


def call(*words: object) -> Outcome:
    return CliRunner().invoke(app, ["report", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two tiny runs."""
    folder = tmp_path_factory.mktemp("runs")
    for name, form in (("raw", "int8"), ("vq", "ssvq:16,2")):
        run = simulate(tiny_accelerator(), gemm_chain(6, [8, 8], [form], [""]))
        (folder / name).mkdir()
        (folder / name / "result.json").write_text(run.to_json())
    return folder


def test_a_folder_of_something_else_says_what_it_holds(tmp_path: Path) -> None:
    """A sweep's was said to have an unreadable result.json."""
    (tmp_path / "sweep.json").write_text("{}")
    outcome = call(tmp_path)
    assert outcome.exit_code == 2
    assert f"{tmp_path}: holds sweep.json and no result.json; allowed: a result.json, or the folder of accelsim run -o" in outcome.stderr


def test_a_run_becomes_a_page(saved: Path, tmp_path: Path) -> None:
    outcome = call(saved / "raw", "-o", tmp_path / "new" / "report.html")
    assert outcome.exit_code == 0, outcome.output
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>\n<html")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]


def test_a_folder_and_its_result_file_are_the_same_run(saved: Path, tmp_path: Path) -> None:
    for name, run in (("a.html", saved / "vq"), ("b.html", saved / "vq" / "result.json")):
        assert call(run, "-o", tmp_path / name, "--quiet").exit_code == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_folder_of_a_comparison_stands_for_its_runs_in_order(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text("{}")
    many = [saved / ("vq" if index % 2 else "raw") for index in range(11)]
    for index, run in enumerate(many):  # 10 comes after 9, not after 1
        (tmp_path / "runs" / str(index)).mkdir(parents=True)
        (tmp_path / "runs" / str(index) / "result.json").write_bytes((run / "result.json").read_bytes())
    told, by_name = call(tmp_path, "--json"), call(*many, "--json")
    assert told.exit_code == 0, told.output
    assert told.stdout == by_name.stdout


def test_without_a_file_it_prints_what_run_and_compare_print(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = call(saved / "vq", "--technology", "range28"), call(saved / "raw", saved / "vq")
    assert (one.exit_code, two.exit_code) == (0, 0), one.output + two.output
    assert "Energy per inference in range28, by component" in one.stdout
    assert "Area in range28, 28 nm" in one.stdout
    assert "Side by side" in two.stdout
    assert len(call(saved / "raw", saved / "vq", "-q").stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_another_technology_is_another_cost_of_the_same_run(saved: Path, tmp_path: Path) -> None:
    found = {}
    for name in ("nangate45", "range28"):
        outcome = call(saved / "raw", saved / "vq", "--technology", name, "-o", tmp_path / "r.html", "--json")
        assert outcome.exit_code == 0, outcome.output
        found[name] = json.loads(outcome.stdout)
    first, other = found["nangate45"]["runs"][0], found["range28"]["runs"][0]
    assert first["result"] == other["result"]
    assert parse_result(json.dumps(first["result"]), "report") == load_result(saved / "raw")
    run, node = load_result(saved / "raw"), load_technology("range28")
    expected_pj = energy_of(run, recost(run, node).accelerator, node).energy_pj().nominal
    assert other["energy"]["energy_uj"]["value"] == pytest.approx(expected_pj / 1e6, rel=1e-12)
    assert first["area"]["technology"] == "nangate45"
    assert len(found["range28"]["comparison"]["others"]) == 1


def test_nothing_that_simulates_is_loaded(saved: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from accelsim.cli import main; sys.argv = ['accelsim', 'report', sys.argv[1], '-o', sys.argv[2], '-q']\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "assert not {'accelsim.simulation', 'accelsim.system', 'accelsim.compiler'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, saved / "raw", tmp_path / "r.html"], check=True, stdout=subprocess.DEVNULL, timeout=HANG_S)


def test_each_wrong_word_is_one_message_and_leaves_nothing(saved: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "empty").mkdir(parents=True)
    (work / "empty.html").mkdir()
    good = (saved / "raw" / "result.json").read_text()
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "version.json").write_text(good.replace('"schema_version": 2', '"schema_version": 99'))
    (bad / "list.json").write_text("[]")
    (bad / "short.json").write_text(good[:200])
    (bad / "bytes.json").write_bytes(b"\xff\xfe")
    fields = json.loads(good)
    (bad / "chip.json").write_text(json.dumps({**fields, "accelerator": "array: 3"}))
    (bad / "clock.json").write_text(json.dumps({**fields, "clock_hz": 0}))
    fields["frames"][0]["layers"][0]["macs"] = "many"
    (bad / "macs.json").write_text(json.dumps(fields))
    fields = json.loads(good)
    fields["frames"][0]["layers"][0]["traffic"][0]["bits"] = -8
    (bad / "bits.json").write_text(json.dumps(fields))
    fields = json.loads(good)
    (bad / "batch.json").write_text(json.dumps({**fields, "batch": 2}))
    out = work / "r.html"
    for words, message in (
        ((tmp_path / "none.json", "-o", out), "none.json: cannot be read"),
        ((work / "empty", "-o", out), "empty: holds no result.json; allowed: a result.json, or the folder of"),
        ((bad / "version.json", "-o", out), "`schema_version`: 99 cannot be read; allowed: 1..2"),
        ((bad / "list.json", "-o", out), "not a result file"),
        ((bad / "short.json", "-o", out), "not a result file"),
        ((bad / "bytes.json", "-o", out), "it is not UTF-8 text"),
        ((bad / "chip.json", "-o", out), "array"),
        ((bad / "clock.json", "-o", out), "field `clock_hz`: must be at least 1 (got 0)"),
        ((bad / "macs.json", "-o", out), "field `frames.0.layers.0.macs`: must be a whole number (got 'many')"),
        ((bad / "bits.json", "-o", out), "field `frames.0.layers.0.traffic.0.bits`: must be at least 0 (got -8)"),
        ((saved / "raw", bad / "batch.json", "-o", out), "a comparison needs the same of both"),
        ((saved / "raw", "-o", work / "empty.html"), "is a folder"),
        ((saved / "raw", "-o", work / "result.json"), "a report must have a name that ends with .html or .htm"),
        ((saved / "raw", bad / "batch.json", "-o", work / "new" / "r.html"), "a comparison needs the same of both"),
        ((saved / "raw", "-o", "/dev/null/r.html"), "cannot be written"),
        ((saved / "raw", "--technology", "nangate54", "-o", out), "did you mean"),
        ((saved / "raw", "--technology", "./none.yaml", "-o", out), "no such file"),
    ):
        outcome = call(*words)
        assert outcome.exit_code == 2, (words, outcome.output)
        assert message in outcome.stderr, (words, outcome.stderr)
        assert "Traceback" not in outcome.output
        assert sorted(path.name for path in work.iterdir()) == ["empty", "empty.html"]


def test_an_old_report_stays_when_a_new_one_fails(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text("old")
    assert call(saved / "raw", tmp_path / "missing", "-o", tmp_path / "r.html").exit_code == 2
    assert (tmp_path / "r.html").read_text() == "old"

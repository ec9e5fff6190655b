"""`accelsim sweep`: its output, files and refusals."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.test_manners import call, refused
from tests.sweep.small_sweeps import write_sweep

TRACES = Path(__file__).parents[2] / "traces"
AXES = {"trace": ["tiny_vit_int8"], "codebook.ports": [1, 2, 4], "array.cols": [12, 16]}


@pytest.fixture
def file(tmp_path) -> Path:
    """Three points, three configurations that cannot be unless a constraint drops them."""
    return write_sweep(tmp_path / "small.yaml", axes=AXES, constraints=["array.cols % 8 == 0"])


def test_a_sweep_without_any_configuration_that_can_be_is_refused(tmp_path):
    file = write_sweep(tmp_path / "bad.yaml", axes={"trace": ["tiny_vit_int8"], "clock": ["1e999999999 Hz", "0x10 GHz"]})
    for options in (["--dry-run"], ["--workers", 1]):
        told = refused("sweep", file, "--store", tmp_path / "s.sqlite", *options)
        assert "has no point that can run" in told
        assert f"{file} with edge-32x32.yaml: field `clock`: " in told
        assert "is not a frequency" in told


def test_a_sweep_runs_says_what_it_did_and_continues(file, tmp_path):
    store = tmp_path / "s.sqlite"
    dry = call("sweep", file, "--store", store, "--dry-run")
    assert dry.stdout.splitlines() == [
        "small: 6 in the product, 3 points, 3 runs: 0 stored, 0 failed before, 3 to do",
        "  dropped by array.cols % 8 == 0: 3",
    ]
    assert not store.exists()
    first = call("sweep", file, "--store", store, "--workers", 1, "--quiet", "--limit", 2)
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout.startswith("small: 2 ran")
    second = call("sweep", file, "--store", store, "--workers", 1, "--json")
    assert second.exit_code == 0
    assert {name: json.loads(second.stdout)[name] for name in ("ok", "reused", "failed", "dropped", "size", "store")} == {
        "ok": 1, "reused": 2, "failed": 0, "dropped": {"array.cols % 8 == 0": 3}, "size": 6, "store": str(store),
    }  # fmt: skip
    dry = call("sweep", file, "--store", store, "--dry-run", "--json")
    assert (json.loads(dry.stdout)["points"], json.loads(dry.stdout)["stored"]) == (3, 3)


def test_a_point_without_a_result_is_exit_status_1(tmp_path):
    file = write_sweep(tmp_path / "small.yaml", axes=AXES, constraints=[])
    outcome = call("sweep", file, "--store", tmp_path / "s.sqlite", "--workers", 1)
    assert outcome.exit_code == 1
    assert outcome.stdout.startswith("small: 3 ran, 3 invalid in ")
    assert "\n  invalid configurations: 3\n" in outcome.stdout
    told = "".join(outcome.stdout.split())  # lines end within the path
    assert f"3x{file}withedge-32x32.yaml:codebook.codeword_length=8mustdividearray.cols=12" in told
    assert max(len(line) for line in outcome.stdout.splitlines() if str(tmp_path) not in line) <= 80


def test_the_runs_are_exported_as_csv_and_parquet(file, tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    store = tmp_path / "s.sqlite"
    assert call("sweep", file, "--store", store, "--workers", 1, "--export", tmp_path / "t.csv").exit_code == 0
    assert call("sweep", file, "--store", store, "--export", tmp_path / "t.parquet").exit_code == 0
    with (tmp_path / "t.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    table = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [int(row["codebook.ports"]) for row in rows] == [row["codebook.ports"] for row in table] == [1, 2, 4]
    assert [int(row["total_cycles"]) for row in rows] == [row["total_cycles"] for row in table]
    stated = json.loads((TRACES / "tiny_vit_int8" / "trace.json").read_text())["metrics"]["relative_mse"]
    assert all(row["limiting_basis"] == "estimated" for row in (*rows, *table))
    assert all(row["trace"] == "tiny_vit_int8" and row["energy_uj"] > 0 and row["model_error"] == stated for row in table)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.sqlite", "small.yaml", "t.csv", "t.parquet"]


def test_an_unknown_sweep_is_one_message(tmp_path):
    assert "unknown sweep 'nothing'" in refused("sweep", "nothing")
    assert "no such file" in refused("sweep", tmp_path / "none.yaml")


def test_a_store_that_is_none_is_one_message_and_stays_as_it_was(file, tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a store " * 100)
    assert "is not an accelsim store" in refused("sweep", file, "--store", text)
    assert text.read_text() == "not a store " * 100
    assert "cannot be opened" in refused("sweep", file, "--store", tmp_path / "no" / "s.sqlite")


def test_a_store_that_is_read_only_is_one_message(file, tmp_path, monkeypatch):
    store = tmp_path / "s.sqlite"
    assert call("sweep", file, "--store", store, "--workers", 1, "--limit", 1).exit_code == 0
    real = sqlite3.connect  # root may write everywhere: SQLite is told to open the file for reading only
    monkeypatch.setattr(sqlite3, "connect", lambda path, **options: real(f"file:{path}?mode=ro", uri=True, **options))
    assert "read-only" in refused("sweep", file, "--store", store)


def test_a_table_that_cannot_be_written_is_refused_before_anything_runs(file, tmp_path):
    store = tmp_path / "s.sqlite"
    for path, message in (("t.xlsx", "allowed: .csv, .parquet"), ("no/t.csv", "its folder is not there")):
        assert message in refused("sweep", file, "--store", store, "--export", tmp_path / path)
    assert not store.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cluster", "cloud"), "--cluster 'cloud': allowed: local"),
        (("--cluster", "local", "--scheduler", "tcp://127.0.0.1:1"), "exclude each other"),
        (("--scheduler", "tcp://127.0.0.1:1", "--workers", "2"), "--workers belongs to local processes"),
        (("--scheduler", "tcp://127.0.0.1:1", "--tls-cert", "x"), "go together"),
        (("--tls-cert", "x"), "belong to a cluster"),
        (("--search", "tpe", "--limit", "2"), "belong to a full sweep"),
        (("--trials", "2"), "belong to a search"),
        (("--search-seed", "2"), "belong to a search"),
    ],
)
def test_options_that_do_not_go_together_are_refused(file, tmp_path, words, message):
    assert message in refused("sweep", file, "--store", tmp_path / "s.sqlite", *words)


def test_a_store_of_a_newer_version_is_one_message(file, tmp_path):
    store = tmp_path / "s.sqlite"
    assert call("sweep", file, "--store", store, "--workers", 1).exit_code == 0
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "has schema 99 of a newer accelsim" in refused("sweep", file, "--store", store)


def test_the_interactive_page_has_a_plane_for_each_two_figures_and_is_refused_for_one(file, tmp_path):
    store, folder = tmp_path / "s.sqlite", tmp_path / "found"
    shown = call("sweep", file, "--store", store, "--workers", 1, "--interactive", "-o", folder)
    assert shown.exit_code == 0
    page = (folder / "points.html").read_text().replace("\\u00b5", "µ").replace("\\u00b2", "²")  # JSON may write both as escapes
    for label in ("energy (µJ); less is better", "area (mm²); less is better", "time per inference (ms); less is better"):
        assert page.count(f'"axis_label":"{label}"') + page.count(f'"axis_label": "{label}"') == 2  # three planes of two axes each
    assert "two or three figures in --pareto" in refused("sweep", file, "--store", store, "--interactive", "--pareto", "area_mm2")


def test_a_sweep_says_which_points_are_best_and_writes_what_it_found(file, tmp_path):
    store, folder = tmp_path / "s.sqlite", tmp_path / "found"
    first = call("sweep", file, "--store", store, "--workers", 1, "--plot", "-o", folder, "--pareto", "milliseconds,area_mm2")
    assert first.exit_code == 0
    assert "Pareto front of time (ms), area (mm2)" in first.stdout
    assert "x " in first.stdout.split("Sensitivity of area (mm2) to each axis")[1]
    assert max(len(line) for line in first.stdout.splitlines()[1:]) <= max(80, len(str(folder)) + 30)
    assert {"sweep.json", "points.csv", "pareto_front.csv", "sensitivity.csv"} <= {item.name for item in folder.iterdir()}
    with (folder / "points.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["codebook.ports"] for row in rows] == ["1", "2", "4"]
    again = call("sweep", file, "--store", store, "--json", "--under", "codebook.ports >= 2", "--best", 1)
    found = json.loads(again.stdout)["findings"]
    assert (found["points_ok"], found["points_considered"], len(found["best"])) == (3, 2, 1)
    assert [row["limiting_basis"] for row in (*rows, *found["best"])] == ["estimated"] * 4
    assert float(found["best"][0]["milliseconds_per_inference"]) == min(
        float(row["milliseconds"]) for row in rows if row["codebook.ports"] != "1"
    )


def test_a_search_proposes_points_of_the_axes_and_goes_on_from_the_store(tmp_path):
    pytest.importorskip("optuna")
    file = write_sweep(tmp_path / "small.yaml", axes={**AXES, "vector_unit.lanes": [4, 8, 16]}, constraints=["array.cols % 8 == 0"])
    options = ("--store", tmp_path / "s.sqlite", "--workers", 1, "--search", "nsga2", "--trials", 30, "--json")
    first = call("sweep", file, *options)
    assert first.exit_code == 0
    counts = json.loads(first.stdout)
    assert counts["ok"] + counts["equal"] + sum(counts["dropped"].values()) == 30
    assert 4 <= counts["ok"] <= 9
    second = json.loads(call("sweep", file, *options).stdout)
    assert (second["ok"], second["reused"], second["findings"]) == (0, counts["ok"], counts["findings"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pareto", "milisecond"), "did you mean 'milliseconds'"),
        (("--under", "aera_mm2 < 3"), "did you mean 'area_mm2'"),
        (("--under", "area_mm2 <"), "area_mm2 <"),
        (("--search", "annealing"), "allowed: nsga2, tpe"),
        (("--pareto", "milliseconds,milliseconds"), "one to three different"),
    ],
)
def test_a_question_that_cannot_be_is_refused_before_any_point_runs(file, tmp_path, options, words):
    assert words in refused("sweep", file, "--store", tmp_path / "s.sqlite", "--workers", 1, *options)
    assert not (tmp_path / "s.sqlite").exists()


def test_what_is_exported_is_the_state_of_the_file_that_was_run(tmp_path):
    store, table = tmp_path / "s.sqlite", tmp_path / "t.csv"
    found = []
    for ports in ([1, 2], [4], [1, 2]):
        file = write_sweep(tmp_path / "small.yaml", axes={"trace": ["tiny_vit_int8"], "codebook.ports": ports}, constraints=[])
        assert call("sweep", file, "--store", store, "--workers", 1, "--quiet", "--export", table).exit_code == 0
        with table.open(newline="") as text:
            found.append([row["codebook.ports"] for row in csv.DictReader(text)])
    assert found == [["1", "2"], ["4"], ["1", "2"]]


def test_a_search_counts_what_cannot_be_and_tries_what_failed_only_when_asked(tmp_path):
    pytest.importorskip("optuna")
    axes = {"trace": ["tiny_vit_int8"], "array.cols": [12, 16], "activation_buffer.capacity": ["1 KiB", "384 KiB"]}
    file = write_sweep(
        tmp_path / "small.yaml", axes=axes, base={"accelerator": "edge-32x32", "placement.activations": "none"}, constraints=[]
    )
    options = ("--store", tmp_path / "s.sqlite", "--workers", 1, "--search", "tpe", "--trials", 24, "--json")
    kinds = ("ok", "failed", "invalid", "reused", "failed_before")
    expected = ((1, 1, 2, 0, 0), (0, 0, 2, 1, 1), (0, 1, 2, 1, 0))
    for more, counts in zip(((), (), ("--retry-failed",)), expected, strict=True):
        outcome = call("sweep", file, *options, *more)
        assert outcome.exit_code == 1
        assert tuple(json.loads(outcome.stdout)[kind] for kind in kinds) == counts

"""accelsim timeline: its files, and one message for each thing that can be wrong, with nothing left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Outcome
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.simulation import simulate
from accelsim.stored_result import load_result
from accelsim.trace.manifest import Manifest
from accelsim.trace.trace import Trace
from tests.timeline.trace_reader import read_trace
from tests.timeline.vcd_reader import read_vcd
from tests.tiny_machines import SOURCE, tiny_accelerator


def call(*words: object) -> Outcome:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert call("run", "edge-32x32", "tiny_vit_ssvq", "-o", folder, "--quiet").exit_code == 0
    return folder


def test_a_saved_run_becomes_a_timeline_and_a_waveform(saved: Path, tmp_path: Path) -> None:
    outcome = call("timeline", saved, "-o", tmp_path / "t.json.gz", "--vcd", tmp_path / "w.vcd", "--json")
    assert outcome.exit_code == 0, outcome.output
    written = json.loads(outcome.stdout)
    result = load_result(saved)
    assert written["timeline"]["cycles"] == {name: count for name, count in result.cycles.items() if count}
    assert written["timeline"]["dma_bytes"] == result.counters["dma_received_bytes"] + result.counters["dma_sent_bytes"]
    assert "cycles by category and layer" in written["timeline"]["checked"]
    assert read_trace(tmp_path / "t.json.gz").header["run_id"] == result.run_id
    assert len(read_vcd(tmp_path / "w.vcd").changes) > 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json.gz", "w.vcd"]


def test_tables_fit_and_quiet_is_a_line(saved: Path, tmp_path: Path) -> None:
    full = call("timeline", saved / "result.json", "-o", tmp_path / "t.json", "--layers", "*mlp*")
    assert full.exit_code == 0
    assert max(map(len, full.stdout.splitlines())) <= 80
    line = call("timeline", saved, "-o", tmp_path / "t.json", "--cycles", "1000..2000", "--quiet")
    assert "cycles 1,000 to 2,000" in " ".join(line.stdout.split())


def test_run_writes_the_same_timeline_at_once(saved: Path, tmp_path: Path) -> None:
    assert call("timeline", saved, "-o", tmp_path / "later.json", "-q").exit_code == 0
    assert call("run", "edge-32x32", "tiny_vit_ssvq", "--timeline", tmp_path / "now.json", "-q").exit_code == 0
    assert (tmp_path / "now.json").read_bytes() == (tmp_path / "later.json").read_bytes()


def test_networks_in_turn_and_frames_are_repeated(tmp_path: Path) -> None:
    words = ("run", "edge-64x64", "tiny_vit_int8", "--then", "tiny_vit_ssvq", "--frames", 2, "-o", tmp_path / "run", "-q")
    assert call(*words).exit_code == 0
    outcome = call("timeline", tmp_path / "run", "-o", tmp_path / "t.json", "--layers", "tiny_vit_ssvq/*")
    assert outcome.exit_code == 0, outcome.output
    frames = {tile.args["frame"] for tile in read_trace(tmp_path / "t.json").track("MAC array")}
    assert frames == {1, 3}


def edited(saved: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    fields = json.loads((saved / "result.json").read_text())
    change(fields)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(fields))
    return path


def one_cycle_more(fields: dict[str, Any]) -> None:
    """A cycle more in a sum that still adds up."""
    layers = fields["frames"][0]["layers"]
    layers[3]["cycles"]["issue"] += 1
    max(layers, key=lambda layer: layer["end_cycle"])["end_cycle"] += 1


def moved_between_causes(fields: dict[str, Any]) -> None:
    cycles = fields["frames"][0]["layers"][0]["cycles"]
    cycles["issue"], cycles["dram"] = cycles["issue"] + 1, cycles["dram"] - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda fields: fields.update(schema_version=99), "schema_version"),
        (one_cycle_more, "cannot be reproduced: the result has"),
        (moved_between_causes, "has other cycles or bytes here"),
        (lambda fields: fields["counters"].update(weight_buffer_taken_bytes=1), "weight_buffer_taken_bytes is 1"),
        (lambda fields: fields["counters"].update(dma_received_bytes=1), "field `counters.dma_received_bytes`: 1 does not add up"),
        (lambda fields: fields.update(trace_sha256="0" * 64), "--trace DIR"),
        (
            lambda fields: [frame.update(trace="unheard_of") for frame in fields["frames"]],
            "'unheard_of' is not a known trace (accelsim list traces)",
        ),
        (lambda fields: fields.update(accelerator="- 1"), "field `accelerator`"),
        (lambda fields: fields.update(accelerator="clock: ["), "field `accelerator`"),
    ],
)
def test_a_result_that_cannot_be_repeated_is_refused(
    saved: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    outcome = call("timeline", edited(saved, tmp_path, change), "-o", tmp_path / "t.json")
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert not (tmp_path / "t.json").exists()


def test_a_result_of_other_sources_with_the_same_numbers_is_shown(saved: Path, tmp_path: Path) -> None:
    path = edited(saved, tmp_path, lambda fields: fields.update(run_id="0" * 64, versions={"accelsim": "0.0.1"}))
    assert call("timeline", path, "-o", tmp_path / "t.json", "-q").exit_code == 0


def test_a_timeline_finds_the_trace_that_the_run_read(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    fields = json.loads((Path(__file__).parents[2] / "traces" / "tiny_vit_ssvq" / "trace.json").read_text())
    folder.mkdir()
    (folder / "trace.json").write_text(json.dumps({**fields, "name": "mine", "payload": None}))
    assert call("run", "edge-32x32", folder, "-o", tmp_path / "run", "-q").exit_code == 0
    assert call("timeline", tmp_path / "run", "-o", tmp_path / "t.json", "-q").exit_code == 0
    shutil.move(folder, tmp_path / "elsewhere")
    gone = call("timeline", tmp_path / "run", "-o", tmp_path / "t.json", "-q")
    assert gone.exit_code == 2
    assert f"'mine' was read from {folder}, which is gone; give its directory with --trace DIR" in gone.stderr
    assert call("timeline", tmp_path / "run", "-o", tmp_path / "t.json", "-q", "--trace", tmp_path / "elsewhere").exit_code == 0


def test_a_timeline_finds_shapes_in_a_format(tmp_path: Path) -> None:
    assert call("run", "edge-32x32", "tiny_vit_float@ssvq:k=16,d=8", "-o", tmp_path / "run", "-q").exit_code == 0
    assert "trace_directories" not in json.loads((tmp_path / "run" / "result.json").read_text())
    assert call("timeline", tmp_path / "run", "-o", tmp_path / "t.json", "-q").exit_code == 0


def test_a_trace_of_another_place_is_given_by_its_folder(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[2] / "traces" / "tiny_vit_ssvq", tmp_path / "mine")
    assert call("timeline", saved, "-o", tmp_path / "t.json", "--trace", tmp_path / "mine", "-q").exit_code == 0
    shutil.copytree(Path(__file__).parents[2] / "traces" / "tiny_vit_int8", tmp_path / "other")
    wrong = call("timeline", saved, "-o", tmp_path / "t.json", "--trace", tmp_path / "other", "-q")
    assert wrong.exit_code == 2
    assert "was run with 'tiny_vit_ssvq'" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to write"),
        (("-o", "{}/t.json", "--cycles", "5-9"), "--cycles '5-9'"),
        (("-o", "{}/t.json", "--cycles", "9000000.."), "no cycle of the run"),
        (("-o", "{}/t.json", "--layers", "*fc3*"), "no layer has such a name"),
        (("-o", "{}/t.json", "--layers", "*fc2*", "--cycles", "0..10"), "the chosen layers have no activity"),
        (
            (
                "-o",
                "{}",
            ),
            "must have a name that ends with .json or .json.gz",
        ),
        (("-o", "/dev/null/t.json"), "cannot be written"),
        (("--vcd", "{}"), "must have a name that ends with .vcd or .vcd.gz"),
        (("-o", "{}/t.txt"), "must have a name that ends with .json or .json.gz"),
        (("--vcd", "{}/t.json"), "must have a name that ends with .vcd or .vcd.gz"),
        (("--vcd", "{}/t.vcd", "--layers", "*fc2*"), "--layers selects layers of a timeline"),
    ],
)
def test_a_wrong_word_is_one_message_and_leaves_nothing(saved: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    outcome = call("timeline", saved, *(word.format(tmp_path) for word in words))
    assert outcome.exit_code == 2
    assert message in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_where_one_of_two_files_cannot_be_neither_is_written(saved: Path, tmp_path: Path) -> None:
    """The last cycle of this run is a wait for the last write: the timeline has it, the core's waveform has ended."""
    last = load_result(saved).total_cycles - 1
    found = call("timeline", saved, "-o", tmp_path / "t.json", "--vcd", tmp_path / "w.vcd", "--cycles", f"{last}..")
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert "no cycle of the core lies in" in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_old_timeline_stays_when_a_new_one_fails_and_goes_when_it_does_not(saved: Path, tmp_path: Path) -> None:
    file = tmp_path / "t.json.gz"
    assert call("timeline", saved, "-o", file, "--cycles", "0..10", "-q").exit_code == 0
    old = file.read_bytes()
    assert call("timeline", saved, "-o", file, "--layers", "*fc2*", "--cycles", "0..10").exit_code == 2
    assert file.read_bytes() == old
    assert call("timeline", saved, "-o", file, "--cycles", "0..20", "-q").exit_code == 0
    assert file.read_bytes() != old


@pytest.mark.parametrize("name", ["t.json", "t.json.gz", "t.vcd", "t.vcd.gz"])
def test_a_slip_of_the_keyboard_does_not_cost_a_file(saved: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("years of work")
    option = "-o" if "json" in name else "--vcd"
    found = call("timeline", saved, option, tmp_path / name)
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert "allowed: a new file, or an earlier one to replace" in found.stderr
    assert (tmp_path / name).read_text() == "years of work"


def test_a_timeline_never_replaces_a_result(saved: Path) -> None:
    file = saved / "result.json"
    before = file.read_bytes()
    assert "holds something that is not a timeline" in call("timeline", saved, "-o", file).stderr
    assert "holds something that is not a timeline" in call("run", "edge-32x32", "tiny_vit_ssvq", "--timeline", file).stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "is not the result of a run: it has no field `schema_version`"),
        ('{"schema_version": 2}', "not a result file: field `run_id` is missing"),
        ('{"schema_version": 3}', "field `schema_version`: 3 cannot be read; allowed: 1..2"),
        ("\xff", "it is not UTF-8 text"),
        ("text", "not a result file"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_result_is_one_message(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "r.json").write_text(content, encoding="latin-1")
    for words in (("timeline", tmp_path / "r.json", "-o", tmp_path / "t.json"), ("report", tmp_path / "r.json", "-o", tmp_path / "r.html")):
        found = call(*words)
        assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
        assert message in found.stderr
        assert "Errno" not in found.stderr


def test_names_cannot_break_the_files(tmp_path: Path) -> None:
    name = '</script>"\\\x9b31m$end \u202e{}'
    layer = {
        "op": "gemm", "name": name, "inputs": ["x"], "bounds": {"K": 8, "C": 8, "OX": 3}, "output": {"groups": 1, "rows": 3, "width": 8},
        "weight": {"format": {"kind": "uniform", "bits": 8}, "k": 8, "n": 8},
    }  # fmt: skip
    inputs = [{"name": "x", "shape": {"rows": 3, "width": 8}}]
    fields = {"schema_version": 1, "name": "odd", "source": SOURCE, "inputs": inputs, "outputs": [name], "layers": [layer]}
    trace = Trace(Manifest.model_validate_json(json.dumps(fields)))
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "trace.json").write_text(json.dumps(fields))
    (tmp_path / "result.json").write_text(simulate(tiny_accelerator(), trace).to_json())
    words = ("-o", tmp_path / "t.json", "--vcd", tmp_path / "w.vcd", "--trace", folder)
    outcome = call("timeline", tmp_path / "result.json", *words)
    assert outcome.exit_code == 0, outcome.output
    assert "\x9b" not in outcome.stdout
    assert all(tile.args["layer"] == name for tile in read_trace(tmp_path / "t.json").track("MAC array"))
    assert "\x9b" not in (tmp_path / "t.json").read_text()
    read_vcd(tmp_path / "w.vcd")

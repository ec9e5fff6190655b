"""Results of the face: the figures of the command line, short on a screen, safe in a page, and whole in files."""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

import accelsim
from accelsim.api.display import REPR_LINES
from accelsim.cli import app
from accelsim.report.export.run import PICTURES, RUN_FOLDER
from tests import synthetic_results

CHIP, NETWORK = "edge-32x32", "tiny_vit_int8"


def printed(*words: object) -> dict:
    outcome = CliRunner().invoke(app, [str(word) for word in words], prog_name="accelsim")
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


@pytest.fixture(scope="module")
def run() -> accelsim.Result:
    return accelsim.simulate(CHIP, NETWORK)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory) -> Path:
    """The run as it is saved."""
    return run.save(tmp_path_factory.mktemp("saved") / "run")


def lines(text: str) -> int:
    return len(text.splitlines())


def test_a_run_says_what_the_command_line_says(run):
    found = json.loads(json.dumps(run.to_dict()))
    assert found == printed("run", CHIP, NETWORK, "--json")
    assert (run.cycles, run.milliseconds) == (found["summary"]["total_cycles"], found["summary"]["milliseconds"])
    assert (run.verdict, run.limiting_resource) == (found["summary"]["limiting_sentence"], found["summary"]["limiting_resource"])


def test_every_option_of_a_run_is_the_command_lines():
    options = {"frames": 2, "batch": 3, "seed": 7, "what_if": True, "functional": True, "then": ["tiny_vit_ssvq"]}
    run = accelsim.simulate(CHIP, NETWORK, set={"codebook.ports": 2, "weight_buffer.capacity": "64 KiB"}, **options)
    words = ["--frames", "2", "--batch", "3", "--seed", "7", "--what-if", "--functional", "--then", "tiny_vit_ssvq", "--json"]
    sets = ["--set", "codebook.ports=2", "--set", "weight_buffer.capacity=64 KiB"]
    found = printed("run", CHIP, NETWORK, *words, *sets)
    assert json.loads(json.dumps(run.to_dict())) == found
    assert run.what_if().to_dict() == found["what_if"]
    assert (run.functional().to_dict(), run.bit_exact) == (found["functional"]["layers"], True)


def test_another_technology_prices_the_same_run(run):
    found = printed("run", CHIP, NETWORK, "--technology", "mvq40", "--json")
    assert json.loads(json.dumps(run.to_dict("mvq40"))) == found
    assert run.cost("mvq40").energy_uj.nominal == pytest.approx(found["energy"]["energy_uj"]["value"])


def test_names_paths_mappings_and_objects_are_the_same(run, tmp_path):
    chip, network = accelsim.load_accelerator(CHIP), accelsim.load_trace(NETWORK)
    file = tmp_path / "chip.yaml"
    file.write_text(chip.dump_yaml())
    given = [
        (chip, network),
        (file, network.record),
        (str(file), network.record.directory),
        (chip.writable(), str(network.record.directory)),
    ]
    assert {accelsim.simulate(*item).record.run_id for item in given} == {run.record.run_id}


def test_overrides_are_a_mapping_or_a_list_of_texts():
    by_mapping = accelsim.load_accelerator(CHIP, set={"codebook.ports": 2, "codebook.banks": None})
    assert by_mapping == accelsim.load_accelerator(CHIP, set=["codebook.ports=2", "codebook.banks=null"])
    assert accelsim.load_accelerator(by_mapping, set={"codebook.ports": 4}).codebook.ports == 4


def test_layers_traffic_and_limits_add_up(run):
    assert sum(run.layers["total_cycles"]) == run.cycles == sum(run.cycles_by_cause.values())
    assert sum(run.traffic["bytes"]) == run.bus_bytes
    limits = run.limits()
    assert sum(row["cycles"] for row in limits if row["kind"] != "bound") == run.cycles
    bounds = {row["name"]: row["cycles"] for row in limits if row["kind"] == "bound"}
    assert bounds == dict(run.bounds)
    assert limits[0]["percent"] == pytest.approx(100 * max(bounds.values()) / run.cycles)


def test_what_a_screen_shows_is_short(run):
    other = accelsim.simulate(CHIP, "tiny_vit_ssvq", frames=20, then=[NETWORK])
    shown = [run, other, run.layers, run.limits(), run.cost(), run.plot, accelsim.load_trace(NETWORK), accelsim.load_accelerator(CHIP)]
    shown += [accelsim.compare(run, *[run] * 30), accelsim.compare(run, run).plot, run.record, run.record.frames[0]]
    for item in shown:
        assert lines(repr(item)) <= REPR_LINES == 15, repr(item)
        assert len(repr(item)) < 4000


def test_pages_show_escaped_text_and_nothing_from_outside(run):
    wicked = accelsim.simulate(accelsim.load_accelerator(CHIP, set={"name": "<script src='http://x'>&"}), NETWORK)
    items = [wicked, accelsim.compare(wicked, run), wicked.cost(), wicked.layers, accelsim.load_trace(NETWORK)]
    for item in items:
        page = item._repr_html_()
        assert page.startswith("<table>")
        assert len(page) < 20_000
        assert not any(word in page for word in ("<script", "<img", "<link", "href=", "url("))
    assert "&lt;script src=&#x27;http://x&#x27;&gt;&amp;" in wicked._repr_html_()


def test_a_saved_folder_is_the_command_lines(run, folder, tmp_path):
    assert CliRunner().invoke(app, ["run", CHIP, NETWORK, "-q", "-o", str(tmp_path / "theirs")]).exit_code == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert set(files) <= set(RUN_FOLDER.names)
    assert accelsim.load_result(folder).record == run.decided


def test_a_result_is_saved_as_a_file_and_as_a_page(run, tmp_path):
    assert accelsim.load_result(run.save(tmp_path / "run.json")).to_dict() == run.to_dict()
    assert run.save(tmp_path / "run.html").read_text().startswith("<!DOCTYPE html>")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(accelsim.AccelsimError, match="is a folder"):
        run.save(tmp_path / "folder.json")


def test_every_picture_of_a_run_has_a_method(run, tmp_path):
    methods = {name for name in dir(type(run.plot)) if not name.startswith("_")} - {"styled"}
    assert methods == set(PICTURES)
    for name in sorted(methods):
        figure = getattr(run.plot, name)(file=tmp_path / f"{name}.svg")
        assert figure.axes
        assert (tmp_path / f"{name}.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(accelsim.AccelsimError, match=r"layers\.txt: must end with \.svg, \.png, \.pdf"):
        run.plot.layers(file=tmp_path / "layers.txt")


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_a_picture_is_written_by_the_rule_of_all_outputs(run, tmp_path, ending):
    """Folders above it are made, an earlier picture is replaced, anything else is left alone."""
    file = tmp_path / "new" / "folder" / f"cycles.{ending}"
    for _ in range(2):
        run.plot.cycles(file=file)
    assert [item.name for item in file.parent.iterdir()] == [file.name]
    other = tmp_path / f"notes.{ending}"
    other.write_text("notes of mine")
    with pytest.raises(accelsim.AccelsimError, match=r"holds something that is not a picture; allowed: a new file"):
        run.plot.cycles(file=other)
    assert other.read_text() == "notes of mine"


def test_nothing_is_written_in_the_place_of_a_pipe(run, tmp_path):
    pipe, picture = tmp_path / "rows.csv", tmp_path / "cycles.svg"
    for path in (pipe, picture):
        os.mkfifo(path)
    for act in (lambda: run.limits().save(pipe), lambda: run.plot.cycles(file=picture)):
        with pytest.raises(
            accelsim.AccelsimError, match="is no regular file but a pipe, a socket or a device; allowed: the name of a file"
        ):
            act()
    assert pipe.is_fifo()
    assert picture.is_fifo()


def test_frames_of_pandas_hold_one_row_per_layer(run, monkeypatch):
    made = types.ModuleType("pandas")
    made.DataFrame = lambda rows, columns: (rows, columns)
    monkeypatch.setitem(sys.modules, "pandas", made)
    rows, columns = run.to_frame()
    assert (rows, columns) == (run.layers.to_dict(), list(run.layers.columns))
    assert len(rows) == len(run.record.layers)
    assert len(accelsim.compare(run, run).to_frame()[0]) == 2
    assert len(accelsim.load_trace(NETWORK).to_frame()[0]) == len(accelsim.load_trace(NETWORK).layers)


def test_without_pandas_the_message_names_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(accelsim.AccelsimError, match=r"needs pandas; .*'accelsim\[pandas\]'"):
        run.to_frame()


def test_a_table_is_read_by_row_column_and_slice(run, folder, tmp_path):
    table = run.layers
    assert table[0] == table.to_dict()[0]
    assert table["layer"][:2] == [row["layer"] for row in table[:2]]
    assert table.save(tmp_path / "layers.csv").read_text() == (folder / "layers.csv").read_text()
    with pytest.raises(accelsim.AccelsimError, match="no column 'laier'; did you mean 'layer'"):
        table["laier"]
    assert repr(accelsim.Table("nothing", [])) == "nothing: 0 rows"


def test_progress_is_told_to_a_function(run):
    seen = []
    accelsim.simulate(CHIP, NETWORK, functional=True, progress=lambda *state: seen.append(state))
    assert seen
    assert all(len(state) == 3 for state in seen)


def test_nothing_is_printed(run, capsys):
    accelsim.compare(f"{CHIP}:{NETWORK}", "tiny_vit_ssvq", progress=True).summary(full=True)
    assert capsys.readouterr() == ("", "")


def test_a_core_result_made_by_hand_is_shown_in_a_line():
    assert repr(synthetic_results.int8()) == "<Result chip:net_int8: 1,000 cycles, 0.001 ms, 3 layers>"


@pytest.mark.parametrize("path", ["nowhere", Path("nowhere/result.json")])
def test_a_missing_result_is_one_message(path):
    with pytest.raises(accelsim.AccelsimError, match="cannot be read"):
        accelsim.load_result(path)

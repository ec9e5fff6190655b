"""A user's own folders of presets: where names are looked for, which one wins, and the message for a wrong folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import accelsim
from accelsim.accelerator import load_accelerator
from accelsim.cli import app
from accelsim.presets import PATH_VARIABLE, built_in, find_preset, find_trace
from accelsim.result import Result
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace

DATA = built_in()


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder on the search path: a chip, a replaced chip, a replaced device, and one of everything else."""
    folder = tmp_path / "mine"
    chip = yaml.safe_load((DATA.configs / "accelerators" / "edge-32x32.yaml").read_text())
    device = yaml.safe_load((DATA.configs / "dram" / "lpddr4-3200-x16.yaml").read_text())
    write(folder / "accelerators" / "npu.yaml", {**chip, "name": "npu", "array": {**chip["array"], "rows": 16}})
    write(folder / "accelerators" / "edge-64x64.yaml", {**chip, "name": "edge-64x64"})
    write(folder / "dram" / "lpddr4-3200-x16.yaml", {**device, "n_rcd": device["n_rcd"] + 10})
    write(folder / "technology" / "fab.yaml", yaml.safe_load((DATA.configs / "technology" / "nangate45.yaml").read_text()))
    points = {"name": "few", "base": {"accelerator": "npu", "trace": "net"}, "axes": {"codebook.ports": [1, 2]}}
    write(folder / "sweeps" / "few.yaml", points)
    shutil.copytree(DATA.traces / "tiny_vit_int8", folder / "traces" / "net")
    (folder / "references" / "systolic").mkdir(parents=True)
    shutil.copy(DATA.references / "systolic" / "random_gemms.csv", folder / "references" / "systolic" / "ours.csv")
    monkeypatch.setenv(PATH_VARIABLE, str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def write(path: Path, fields: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(fields))


def call(*words: str) -> str:
    outcome = CliRunner().invoke(app, words, prog_name="accelsim")
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def refused(*words: str) -> str:
    """The one message of a call that must end with status 2."""
    outcome = CliRunner().invoke(app, words, prog_name="accelsim")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1), outcome.output
    return outcome.stderr


def listed(what: str) -> dict[str, str]:
    """Names and origins in `accelsim list`: name -> origin."""
    entries = re.split(r"\n(?=\S)", call("list", what))  # what goes on in a further line is indented
    columns = (entry.split("  ", 1) for entry in entries)
    return {name: " ".join(text.split()).rpartition("(")[2].removesuffix(")") for name, text in columns}


def test_without_folders_of_ones_own_every_preset_is_built_in() -> None:
    for what in ("presets", "dram", "technologies", "traces", "sweeps", "references"):
        assert set(listed(what).values()) == {"built-in"}


def test_lists_say_where_each_name_comes_from(mine: Path) -> None:
    found = listed("presets")
    assert list(found) == sorted(found)
    assert found["npu"] == str(mine)
    assert found["edge-64x64"] == f"{mine}, replaces the one of built-in"
    assert found["edge-32x32"] == "built-in"
    assert listed("traces")["net"] == listed("technologies")["fab"] == listed("sweeps")["few"] == str(mine)
    assert listed("references")["systolic ours"] == str(mine)
    assert "npu" in json.loads(call("list", "presets", "--json"))


def test_names_of_every_kind_are_found_in_the_users_folder(mine: Path) -> None:
    assert call("run", "npu", "net", "--technology", "fab", "-q").startswith("npu tiny_vit_int8: ")
    assert "2 points" in call("sweep", "few", "--dry-run")
    assert "ours.csv: 72 of 72 figures" in call("validate", "systolic", "ours", "-q")
    assert call("inspect", "net").startswith("tiny_vit_int8\n32 layers")


def test_a_users_preset_replaces_the_built_in_one_of_its_name(mine: Path) -> None:
    assert find_preset("accelerators", "edge-64x64", "accelerator") == mine / "accelerators" / "edge-64x64.yaml"
    assert load_accelerator("edge-64x64").array.rows == 32
    shutil.copytree(DATA.traces / "tiny_vit_ssvq", mine / "traces" / "tiny_vit_int8")
    assert load_trace(find_trace("tiny_vit_int8")).name == "tiny_vit_ssvq"


def test_the_first_of_several_folders_wins_and_an_empty_entry_is_none(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = mine.parent / "first"
    write(first / "accelerators" / "npu.yaml", {**yaml.safe_load((mine / "accelerators" / "npu.yaml").read_text()), "clock": "500 MHz"})
    monkeypatch.setenv(PATH_VARIABLE, os.pathsep.join([str(first), "", str(mine)]))
    assert load_accelerator("npu").clock == 500_000_000
    assert listed("presets")["npu"] == f"{first}, replaces the one of {mine}"


def broken(*words: str) -> tuple[str, list[str]]:
    """Stdout, and the lines on stderr, of a list in which some files cannot be used."""
    outcome = CliRunner().invoke(app, words, prog_name="accelsim")
    assert outcome.exit_code == 1, outcome.output  # 1: a check failed; 2 would blame the call
    return outcome.stdout, outcome.stderr.splitlines()


def test_a_list_goes_on_after_a_file_that_cannot_be_used_and_names_it(mine: Path) -> None:
    chips = mine / "accelerators"
    (chips / "edge-64x64.yaml").write_text("name: [")
    (chips / "gone.yaml").symlink_to(mine / "nowhere.yaml")
    (chips / "loop.yaml").symlink_to(chips / "loop.yaml")
    write(chips / "npu.yaml", {"name": "npu", "clock": "1 GHz", "arry": {}})
    stdout, lines = broken("list", "presets")
    assert [line.split("  ")[0] for line in stdout.splitlines() if line[0] != " "] == [
        "edge-32x32", "edge-32x32-x32", "edge-64x64-x16", "mcu-16x16", "sbc-6tops", "soc-1tops"
    ]  # fmt: skip
    assert [line.split(":")[1] for line in lines] == [f" cannot use {name!r}" for name in ("edge-64x64", "gone", "loop", "npu")]
    assert f"{chips / 'edge-64x64.yaml'}: not valid YAML: line 2, column 1" in lines[0]
    assert "no such file" in lines[1]
    assert "field `arry`: unknown field; allowed: name," in lines[3]
    assert json.loads(broken("list", "presets", "--json")[0]) == [
        "edge-32x32", "edge-32x32-x32", "edge-64x64-x16", "mcu-16x16", "sbc-6tops", "soc-1tops"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "file", "problem"),
    [
        ("dram", "dram/mine.yaml", "field `t_ck_fs`: is missing"),
        ("technologies", "technology/mine.yaml", "field `node_nm`: is missing"),
        ("sweeps", "sweeps/mine.yaml", "there is no `accelerator`"),
        ("traces", "traces/mine/trace.json", "is not JSON"),
        ("references", "references/core/mine.csv", "has a header but no rows"),
    ],
)
def test_a_file_of_each_kind_that_cannot_be_used_is_named(what: str, file: str, problem: str, mine: Path) -> None:
    (mine / file).parent.mkdir(parents=True, exist_ok=True)
    (mine / file).write_text("name: mine")
    stdout, (line,) = broken("list", what)
    assert str(mine / file) in line
    assert problem in line
    assert "built-in" in stdout


def test_a_folder_that_is_called_as_a_preset_is_none(mine: Path) -> None:
    (mine / "accelerators" / "folder.yaml").mkdir()
    (mine / "traces" / "folder" / "trace.json").mkdir(parents=True)
    assert "folder" not in listed("presets")
    assert "folder" not in listed("traces")
    assert "unknown accelerator 'folder'" in refused("run", "folder", "net")


def test_a_link_that_leads_nowhere_is_named_where_it_is_used(mine: Path) -> None:
    link = mine / "dram" / "gone.yaml"
    link.symlink_to(mine / "nowhere.yaml")
    assert f"DRAM device 'gone': {link} is a link to a file that does not exist" in refused(
        "run", "npu", "net", "--set", "dram.device=gone"
    )


def test_a_folder_that_cannot_be_read_is_named(mine: Path) -> None:
    loop = mine / "technology"
    shutil.rmtree(loop)
    loop.symlink_to(loop)
    assert refused("list", "technologies").startswith(f"accelsim: {loop}: cannot be read: ")


def test_a_message_about_a_users_file_names_its_folder(mine: Path) -> None:
    for kind, words in {"accelerators": ("area", "edge-64x64"), "sweeps": ("sweep", "codebook", "--dry-run")}.items():
        path = mine / kind / f"{words[1]}.yaml"
        write(path, {"nmae": "x"})
        assert f"{path}: field `nmae`: unknown field" in CliRunner().invoke(app, words).stderr
    assert "accelsim: edge-32x32.yaml --set clock=1: field `clock`" in refused("area", "edge-32x32", "--set", "clock=1")


def test_a_folder_may_be_named_relative_to_the_current_one(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATH_VARIABLE, "mine")
    assert listed("presets")["npu"] == "mine"
    assert find_preset("accelerators", "npu", "accelerator") == mine / "accelerators" / "npu.yaml"


def test_a_device_of_the_same_name_is_another_run(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def result() -> Result:
        return simulate(load_accelerator("edge-32x32"), load_trace(DATA.traces / "tiny_vit_int8"))

    slow = result()
    monkeypatch.delenv(PATH_VARIABLE)
    fast = result()
    assert slow.run_id != fast.run_id
    assert slow.total_cycles > fast.total_cycles  # n_rcd is ten cycles longer


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("nowhere", "accelsim: ACCELSIM_PATH: 'nowhere' does not exist; allowed: folders of presets, separated by ':'\n"),
        ("file", "accelsim: ACCELSIM_PATH: 'file' is not a folder; allowed: folders of presets, separated by ':'\n"),
        (
            "mine/accelerators",
            "accelsim: ACCELSIM_PATH: 'mine/accelerators' holds no presets; allowed: a folder with any of accelerators/, ",
        ),
    ],
)
@pytest.mark.parametrize("words", [("run", "edge-32x32", "tiny_vit_int8"), ("list", "presets"), ("sweep", "codebook"), ("area", "npu")])
def test_a_folder_that_is_wrong_is_one_message(
    words: tuple[str, ...], entry: str, message: str, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mine.parent / "file").touch()
    monkeypatch.setenv(PATH_VARIABLE, os.pathsep.join([str(mine), entry]))
    assert refused(*words).startswith(message)


def test_a_completion_offers_the_users_names_and_is_silent_where_the_path_is_wrong(mine: Path) -> None:
    def offered(path: Path) -> str:
        asked = {"_ACCELSIM_COMPLETE": "complete_bash", "COMP_WORDS": "accelsim\nrun\nnp", "COMP_CWORD": "2", PATH_VARIABLE: str(path)}
        done = subprocess.run([sys.executable, "-m", "accelsim"], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    assert offered(mine).split() == ["npu"]
    assert offered(mine / "nowhere").split() == []


def test_references_are_named_or_given_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA.references / "systolic" / "random_gemms.csv", "table")
    for reference in ("random_gemms", "table", str(DATA.references / "systolic" / "random_gemms.csv")):
        assert "72 of 72 figures" in call("validate", "systolic", reference, "-q")
    said = refused("validate", "systolic", "random_gem")
    assert "unknown systolic reference 'random_gem'; known: deit_tiny_layers, random_gemms (or the path of a .csv file)" in said
    assert "did you mean 'random_gemms'?" in said


def test_an_accelsim_without_data_says_so(tmp_path: Path) -> None:
    shutil.copytree(Path(accelsim.__file__).parent, tmp_path / "accelsim", ignore=shutil.ignore_patterns("_data", "__pycache__"))
    for words in (["list", "presets"], ["run", "edge-32x32", "tiny_vit_int8"], ["validate", "core", "core_cycles"], ["demo"]):
        command = [sys.executable, "-m", "accelsim", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"accelsim: this accelsim has no presets and no traces: there is no folder {tmp_path / 'accelsim'}")
        assert done.stderr.count("\n") == 1

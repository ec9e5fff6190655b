"""Conventions that every command keeps: fast help, one message for a mistake, and nothing half-written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from accelsim import __version__
from accelsim.api.pairs import pairs
from accelsim.cli import app
from accelsim.errors import ConfigError

CORE_CSV = Path(__file__).parents[1] / "validation" / "data" / "core" / "core_cycles.csv"


def call(*words: object):
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="accelsim")


def refused(*words: object) -> str:
    """The one message of a call that must end with status 2 and no traceback."""
    outcome = call(*words)
    assert (outcome.exit_code, outcome.stdout) == (2, ""), outcome.output
    assert outcome.stderr.startswith("accelsim: ")
    return outcome.stderr


def test_help_names_every_command():
    outcome = call("--help")
    assert outcome.exit_code == 0
    for command in ("run", "compare", "sweep", "import", "compress", "inspect", "formats", "area", "validate", "dram", "list"):
        assert f"\n  {command} " in outcome.stdout
    assert not [line for line in outcome.stdout.splitlines()[1:] if line.endswith("...")]  # each command's line is whole
    assert max(map(len, outcome.stdout.splitlines())) <= 80


@pytest.mark.parametrize("words", [["run"], ["compare"], ["sweep"], ["formats"], ["validate", "core"], ["dram", "replay"], ["compress"]])
def test_help_of_a_command_fits_80_columns(words):
    outcome = call(*words, "--help")
    assert outcome.exit_code == 0
    assert max(map(len, outcome.stdout.splitlines())) <= 80


def test_help_imports_nothing_heavy():
    code = (
        "import sys, typer.testing, accelsim.cli\n"
        "assert typer.testing.CliRunner().invoke(accelsim.cli.app, ['--help']).exit_code == 0\n"
        "print([name for name in ('numba', 'numpy', 'simpy', 'matplotlib', 'rich', 'yaml') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_version_is_printed():
    assert call("--version").stdout == f"accelsim {__version__}\n"


@pytest.mark.parametrize(
    ("what", "member"),
    [
        ("formats", "ssvq"),
        ("dram", "lpddr4-3200-x16"),
        ("presets", "edge-32x32"),
        ("technologies", "nangate45"),
        ("traces", "tiny_vit_ssvq"),
    ],
)
def test_lists_name_their_members(what, member):
    assert member in [line.partition(" ")[0] for line in call("list", what).stdout.splitlines()]
    assert member in json.loads(call("list", what, "--json").stdout)


def test_a_mistyped_list_is_answered_with_the_known_ones():
    assert "cannot list 'fromats'; known: formats, operations" in refused("list", "fromats")
    assert "did you mean 'formats'?" in refused("list", "fromats")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "edge-32x23", "tiny_vit_ssvq"], "unknown accelerator 'edge-32x23'"),
        (["run", "edge-32x23", "tiny_vit_ssvq"], "did you mean 'edge-32x32'?"),
        (["run", "no/such.yaml", "tiny_vit_ssvq"], "accelerator 'no/such.yaml': no such file"),
        (["run", "edge-32x32", "tiny_vit_svq"], "unknown trace 'tiny_vit_svq'; known: "),
        (["run", "edge-32x32", "tiny_vit_svq"], "did you mean 'tiny_vit_ssvq'?"),
        (["run", "edge-32x32", "no/such/trace"], "no/such/trace: is not a directory"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--set", "array.rows"], "must look like path.to.field=value"),
        (
            ["run", "edge-32x32", "tiny_vit_ssvq", "--set", "array.rows=-3"],
            "field `array.rows`: must be at least 1 (got -3)",
        ),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--set", "array.rwos=3"], "did you mean 'rows'?"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--set", "clock.fast=3"], "'clock' is a value, not a group of fields"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--set", "array={"], "is not a YAML value"),
        (["run", "x" * 5000 + "/", "tiny_vit_ssvq"], "is too long; allowed: at most 4095 bytes, 255 per name"),
        (["compare", "edge-32x32:tiny_vit_int8"], "needs a baseline and at least one other"),
        (["compare", "tiny_vit_int8", "tiny_vit_ssvq"], "the first item of compare must be ACCEL:TRACE; given: 'tiny_vit_int8'"),
        (["inspect", "nothing"], "unknown trace 'nothing'"),
        (["area", "edge-32x32", "--technology", "nangate54"], "did you mean 'nangate45'?"),
        (["compress", "tiny_vit_float", "--format", "svq:k=16", "-o", "unused"], "unknown format 'svq'"),
        (["compress", "tiny_vit_float", "--format", "ssvq:k=16,d=8,z=3", "-o", "unused"], "unknown parameter 'z'"),
        (["import", "resnet:depth=3", "-o", "unused", "--seed", "1"], "is not understood; allowed"),
        (["validate", "core", "nothing.csv"], "accelsim: nothing.csv: cannot be read: No such file or directory\n"),
        (
            ["dram", "replay", "no.txt", "--device", "ddr4-2400-x64"],
            "accelsim: no.txt: cannot be read: No such file or directory\n",
        ),
        (["report", "no.json", "-o", "r.html"], "accelsim: no.json: cannot be read: No such file or directory\n"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--frames", "0"], "--frames"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--frames", "0"], "accelsim: run: --frames has value '0': must be at least 1 (see"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--frames", "two"], "--frames has value 'two': must be a whole number (see"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--frames"], "'--frames' requires an argument"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "--frmes", "2"], "run: there is no option '--frmes'; did you mean '--frames'? (see"),
        (["run", "edge-32x32", "tiny_vit_ssvq", "another"], "got unexpected extra argument(s) (another)"),
        (["--vresion"], "accelsim: there is no option '--vresion'; did you mean '--version'?"),
        (["import", "vit:"], "import: --out is missing (see accelsim import --help)"),
        (
            ["validate", "croe", "x.csv"],
            "no command 'croe' of accelsim validate; known: core, cluster, systolic, dram, area, outside, silicon; did you mean 'core'?",
        ),
        (["run", "edge-32x32"], "run: TRACE is missing (see accelsim run --help)"),
        (["rnu"], "there is no command 'rnu' of accelsim; known: run, "),
        (["rnu"], "did you mean 'run'?"),
    ],
)
def test_a_wrong_input_is_one_message(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refused(*words)
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a list", "must be a mapping of fields to values, is a list"),
        ("name: [", "not valid YAML"),
        ("name: a\nname: b", "field 'name' is given twice"),
        ("name: a", "field `clock`: is missing"),
        ("\x00", "not valid YAML"),
    ],
)
def test_a_wrong_accelerator_file_is_named_with_what_is_wrong(text, message, tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_text(text)
    found = refused("run", path, "tiny_vit_ssvq")
    assert message in found
    assert "chip.yaml" in found


def test_an_accelerator_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "chip.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refused("area", path)


def test_an_array_beyond_the_memory_is_one_message(monkeypatch):
    def too_large(*_: object) -> None:
        np.empty(1 << 60, np.float32)

    monkeypatch.setattr("accelsim.compression.open_trace.open_trace", too_large)
    assert refused("inspect", "tiny_vit_float") == (
        "accelsim: out of memory: Unable to allocate 4.00 EiB for an array with shape (1152921504606846976,) and data type float32\n"
    )


def test_a_message_about_a_hostile_name_cannot_steer_the_terminal():
    found = refused("list", "\x1b]0;owned\x07")
    assert "\x1b" not in found
    assert "\\x1b" in found


def test_an_output_folder_in_use_is_refused_before_the_simulation(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for words in (["run", "edge-32x32", "tiny_vit_ssvq"], ["compare", "edge-32x32:tiny_vit_int8", "tiny_vit_ssvq"]):
        assert "holds thesis.tex; allowed: a new folder" in refused(*words, "-o", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_unwritable_output_is_refused_before_the_simulation(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written: " in refused("run", "edge-32x32", "tiny_vit_ssvq", "-o", tmp_path / "file" / "run")


def test_a_reader_who_leaves_ends_the_command_quietly():
    command = f"{sys.executable} -m accelsim validate core {CORE_CSV} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_pairs_fill_in_the_first_accelerator_and_trace():
    assert pairs(["a:t", "u", ":v", "b:", "b:w"]) == [("a", "t"), ("a", "u"), ("a", "v"), ("b", "t"), ("b", "w")]


def test_pairs_need_a_first_item_with_both_parts():
    for first in ("a", "a:", ":t"):
        with pytest.raises(ConfigError, match="must be ACCEL:TRACE"):
            pairs([first, "b:t"])


# A file of the kind that SCALE-Sim reads, with fields that have no counterpart here.
SCALE_SIM = """\
[general]
run_name = x
[architecture_presets]
ArrayHeight: 32
ArrayWidth: 32
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
Dataflow : ws
Bandwidth : 10
[run_presets]
InterfaceBandwidth: CALC
"""


@pytest.mark.parametrize("words", [("area", "mcu-16x16"), ("run", "mcu-16x16", "tiny_vit_int8")], ids=lambda words: words[0])
def test_every_command_takes_the_overrides_of_a_cfg_file_and_names_what_it_ignores(words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "chip.cfg"
    file.write_text(SCALE_SIM)
    done = CliRunner().invoke(app, [*words, "-q", "--set", str(file)])
    assert done.exit_code == 0, done.output
    for field in ("ifmapoffset", "bandwidth", "interfacebandwidth"):
        assert re.search(rf"\] {field} = .* has no counterpart and is ignored", done.stderr)

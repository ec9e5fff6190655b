"""`accelsim choose`: tables, one line, JSON and files of the choice that the Python face makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import accelsim
from accelsim.cli import app
from tests.format_choice.tiny_choice import CHIP, FORMATS, NETWORK, PATTERN, samples

CANDIDATES = [word for text in FORMATS for word in ("--format", text)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.save(tmp_path / "samples.npy", samples())
    return tmp_path / "samples.npy"


def call(*words: object):
    return CliRunner().invoke(app, ["choose", CHIP, NETWORK, *CANDIDATES, "--layers", PATTERN, *map(str, words)])


def test_the_command_makes_the_choice_of_the_python_face(file: Path, tmp_path: Path) -> None:
    found = accelsim.choose_formats(CHIP, NETWORK, FORMATS, samples(), layers=PATTERN, milliseconds=0.12)
    outcome = call("--input", file, "--ms", 0.12, "--json", "-o", tmp_path / "choice")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout) == json.loads((tmp_path / "choice" / "choice.json").read_text()) == found.to_dict()
    assert accelsim.compress(NETWORK, tmp_path / "choice" / "recipe.yaml", name="again").layers == found.trace.layers
    own = {f"codebook.{field}": value for field, value in found.to_dict()["codebook"].items()}
    assert accelsim.simulate(CHIP, found.trace, set=own).cycles == found.record.mix.cycles
    again = call("--errors", tmp_path / "choice" / "errors.csv", "--ms", 0.12, "-q")
    assert again.stdout.startswith(f"{len(set(found.formats.values()))} formats, error {found.record.mix.error:.4g}, ")
    assert call("--input", file, "-q", "-o", tmp_path / "choice").exit_code == 0  # replaces a choice


def test_the_tables_have_80_columns(file: Path) -> None:
    outcome = call("--input", file, "--ms", 0.12)
    assert outcome.exit_code == 0, outcome.output
    assert max(map(len, outcome.stdout.splitlines())) <= 80
    assert "Formats per layer on mcu-16x16" in outcome.stdout


def test_mistakes_end_with_one_sentence(file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("")
    for words, message in (
        ((), "choose needs one of --input FILE.npy"),
        (("--input", file, "--errors", file), "choose needs one of --input FILE.npy"),
        (("--input", file, "--ms", 0.001), "no choice of formats keeps to 400 cycles (0.001 ms); the fewest of "),
        (("--input", tmp_path / "none.npy"), f"{tmp_path / 'none.npy'}: cannot be read"),
        (("--input", file, "-o", tmp_path / "mine"), f"{tmp_path / 'mine'}: holds notes.txt"),
    ):
        outcome = call(*words)
        assert outcome.exit_code == 2, words
        assert outcome.stderr.splitlines()[-1].startswith(f"accelsim: {message}")
        assert "Traceback" not in outcome.stderr

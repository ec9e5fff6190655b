"""Columns of JSON in a store that another program changed: one message wherever they are read."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim.cli import app
from accelsim.errors import ConfigError
from accelsim.sweeps.export import export_sweep
from accelsim.sweeps.spec import load_sweep
from accelsim.sweeps.store import open_store
from accelsim.sweeps.table import read_table

SWEEP = "name: stored\nbase: {accelerator: mcu-16x16, trace: tiny_vit_int8}\naxes: {codebook.ports: [1, 2]}\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("stored")
    (folder / "s.yaml").write_text(SWEEP)
    found = CliRunner().invoke(app, ["sweep", str(folder / "s.yaml"), "--store", str(folder / "s.sqlite"), "-q"])
    assert found.exit_code == 0, found.output
    return (folder / "s.sqlite").read_bytes()


def changed(store: bytes, statement: str) -> None:
    """The store, here, after another program changed it."""
    Path("s.yaml").write_text(SWEEP)
    Path("s.sqlite").write_bytes(store)
    connection = sqlite3.connect("s.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(("value", "told"), [("'9223372036854775807'",) * 2, ("'[1]'",) * 2, ("NULL", "null"), ("'['",) * 2])
def test_warnings_that_no_sweep_writes_are_one_message(
    store: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    changed(store, f"UPDATE runs SET warnings = {value}")
    found = CliRunner().invoke(app, ["sweep", "s.yaml", "--store", "s.sqlite"])
    assert found.exit_code == 2, found.output
    assert f"column 'warnings' has value {told}; allowed: a JSON list of texts" in " ".join(found.stderr.split())


@pytest.mark.parametrize("value", ["[]", "{", "7", '{"x": 1}'])
def test_axes_that_no_sweep_writes_are_one_message(store: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Out of the store as it is: a sweep that is started again writes them anew."""
    monkeypatch.chdir(tmp_path)
    changed(store, f"UPDATE members SET axes = '{value}'")
    message = rf"column 'axes' of a point has value '{re.escape(value)}'; allowed: a JSON object with a value for codebook\.ports"
    with open_store(Path("s.sqlite")) as opened:
        sweep, number = load_sweep("s.yaml"), opened.sweep("stored").id
        with pytest.raises(ConfigError, match=message):
            read_table(opened, sweep, number)
        with pytest.raises(ConfigError, match=message):
            export_sweep(opened, sweep, number, Path("points.csv"))
    assert not Path("points.csv").exists()

"""Commands that write: what each needs, what it writes, and how a folder after a fault is judged."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from accelsim.accelerator import load_accelerator
from accelsim.presets import find_trace
from accelsim.simulation import simulate
from accelsim.sweeps.runner import run_sweep
from accelsim.sweeps.spec import load_sweep
from accelsim.sweeps.store import open_store
from accelsim.trace.trace import load_trace
from tests.sweep.small_sweeps import TECHNOLOGY, Here, write_sweep

AXES = {"trace": ["tiny_vit_int8"], "codebook.ports": [1, 2, 4, 8]}
_TOPOLOGY = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\nconv1,16,16,3,3,3,8,1,\n"
_CLOCK_READING = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?|\d+\.\d+ s\b")


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes
    ----------
    words, earlier : of the command line, and of the run before, whose output is there when the fault comes
    output : file or folder that it writes
    prepare : makes its inputs in a folder
    """

    name: str
    words: tuple[str, ...]
    earlier: tuple[str, ...]
    output: str
    prepare: Callable[[Path], object]

    def state(self, folder: Path) -> str | None:
        """Digest of the output; None if there is none, and a digest of its own for each content that is not whole."""
        path = folder / self.output
        if not path.exists():
            return None
        if path.suffix == ".sqlite":
            return _rows(path)
        files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
        digest = hashlib.sha256()
        for item in files:
            digest.update(str(item.relative_to(folder)).encode() + b"\0" + _CLOCK_READING.sub(b"", item.read_bytes()))
        return digest.hexdigest()

    def is_whole(self, state: str, before: str | None, after: str | None) -> bool:
        """Whether an output is the earlier one, the new one or, of a sweep, the earlier one with some of the new points."""
        if not self.output.endswith(".sqlite"):
            return state in (before, after)
        rows, first, last = ({tuple(row) for row in json.loads(text or "[]")} for text in (state, before, after))
        return first <= rows <= last


def _rows(store: Path) -> str:
    """What a store says of its runs; '[["damaged"]]' if SQLite finds it so."""
    connection = sqlite3.connect(store)
    try:
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            return '[["damaged"]]'
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone()
        query = "SELECT run_id, status, total_cycles, energy_uj FROM runs ORDER BY run_id"
        return json.dumps(connection.execute(query).fetchall() if known else [])
    finally:
        connection.close()


def _prepare_report(folder: Path) -> None:
    for trace in ("tiny_vit_int8", "tiny_vit_ssvq"):
        result = simulate(load_accelerator("mcu-16x16"), load_trace(find_trace(trace)))
        (folder / f"{trace}.json").write_text(result.to_json())


def _prepare_import(folder: Path) -> None:
    (folder / "t.csv").write_text(_TOPOLOGY)


def _prepare_sweep(folder: Path) -> None:
    """A sweep of four points, of which two are in the store."""
    write_sweep(folder / "s.yaml", axes=AXES, constraints=[])
    half = load_sweep({"name": "half", "base": {"accelerator": "edge-32x32"}, "axes": {**AXES, "codebook.ports": [1, 2]}})
    with open_store(folder / "s.sqlite") as store:
        run_sweep(half, store, Here(), TECHNOLOGY)


_RUN = ("run", "mcu-16x16", "tiny_vit_int8", "-q", "-o", "out")
_COMPRESS = ("compress", "tiny_vit_float", "-q", "--force", "-o", "out", "--format")
_IMPORT = ("import", "t.csv", "-q", "-o", "out", "--seed")
COMMANDS = (
    Command("run", _RUN, (*_RUN, "--frames", "2"), "out", lambda folder: None),
    Command("compress", (*_COMPRESS, "ssvq:k=16,d=8"), (*_COMPRESS, "uniform:bits=8"), "out", lambda folder: None),
    Command("import", (*_IMPORT, "1"), (*_IMPORT, "2"), "out", _prepare_import),
    Command("sweep", ("sweep", "s.yaml", "-q", "--store", "s.sqlite", "-o", "tables"), (), "s.sqlite", _prepare_sweep),
    Command(
        "report", ("report", "tiny_vit_int8.json", "-q", "-o", "r.html"), ("report", "tiny_vit_ssvq.json", "-q", "-o", "r.html"), "r.html",
        _prepare_report,
    ),
)  # fmt: skip


def copy(template: Path, folder: Path) -> Path:
    """A folder of its own for one try."""
    shutil.copytree(template, folder)
    folder.chmod(0o755)
    return folder

"""Nothing is lost and nothing is half-written, whatever strikes a command while it writes: a corner of the table of docs/faults.md."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from accelsim import folder_swap
from accelsim.errors import OutputError
from accelsim.folder_swap import put_in_place
from accelsim.report.export.folder import FolderKind, write_folder
from tests.processes import HANG_S

ROOT = Path(__file__).parents[2]
KIND = FolderKind("a", ("a", "b"))


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a run per try is too slow as plain Python")
def test_commands_outlive_faults(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    page.write_text("head\n<!-- table -->\nold\n<!-- end of the table -->\nrest\n")
    corner = ("--tries", "1", "--command", "run", "import", "sweep", "--fault", "SIGKILL", "disk full", "two at once")
    words = [sys.executable, "-m", "tests.faults.table", *corner, "--page", str(page)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    head, table, rest = page.read_text().partition("| all | all | 9 |")  # three commands, three faults
    assert head.startswith("head\n<!-- table -->\n1 tries per cell")
    assert table
    assert rest.endswith("<!-- end of the table -->\nrest\n")


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "a").write_text(text)
    return path


@pytest.fixture(params=["exchange", "two renames"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "two renames":
        monkeypatch.setattr(folder_swap.ctypes, "CDLL", lambda *args, **options: object())


@pytest.mark.usefixtures("_both_ways")
def test_a_folder_takes_the_place_of_none_of_an_empty_one_and_of_a_full_one(tmp_path: Path) -> None:
    target = tmp_path / "target"
    put_in_place(folder(tmp_path / "1", "one"), target)
    assert (target / "a").read_text() == "one"
    put_in_place(folder(tmp_path / "2", "two"), target)
    assert (target / "a").read_text() == "two"
    (tmp_path / "empty").mkdir()
    put_in_place(folder(tmp_path / "3", "three"), tmp_path / "empty")
    assert (tmp_path / "empty" / "a").read_text() == "three"


def test_an_interrupt_between_two_renames_puts_the_earlier_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, fresh = folder(tmp_path / "target", "old"), folder(tmp_path / "fresh", "new")
    monkeypatch.setattr(folder_swap.ctypes, "CDLL", lambda *args, **options: object())
    rename = Path.rename

    def interrupted(path: Path, to: Path) -> Path:
        if path == fresh:
            raise KeyboardInterrupt
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put_in_place(fresh, target)
    assert (target / "a").read_text() == "old"


def test_a_failed_exchange_is_an_error_and_leaves_both_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "out", KIND, {"a": b"old"})

    def refused(fresh: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(target))

    monkeypatch.setattr(folder_swap, "_exchange", refused)
    with pytest.raises(OutputError, match="out: cannot be written: Operation not permitted"):
        write_folder(tmp_path / "out", KIND, {"a": b"new"})
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_sigterm_ends_a_command_with_its_own_status() -> None:
    code = (
        "import accelsim.cli, os, signal\n"
        "accelsim.cli.main = lambda: os.kill(os.getpid(), signal.SIGTERM)\n"
        "from accelsim.__main__ import main\n"
        "try:\n    main()\nfinally:\n    print('cleaned up')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + signal.SIGTERM, "cleaned up\n", "")


@pytest.mark.parametrize("moment", ["mkdtemp", "rmtree"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_scratch_folder_is_made_or_removed_leaves_none(
    moment: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Struck(BaseException):
        pass

    def strike(signum: int, frame: object) -> None:
        raise Struck

    owner = {"mkdtemp": folder_swap.tempfile, "rmtree": folder_swap.shutil}[moment]
    whole = getattr(owner, moment)

    def struck(*args: object, **options: object) -> object:
        signal.raise_signal(number)
        made = whole(*args, **options)
        signal.raise_signal(number)
        return made

    before = signal.signal(number, strike)
    try:
        monkeypatch.setattr(owner, moment, struck)
        with pytest.raises(Struck):
            write_folder(tmp_path / "out", KIND, {"a": b"new"})
    finally:
        signal.signal(number, before)
    assert list(tmp_path.glob(".*")) == []


# The signal comes while an object is destroyed; the command's work would go on for ever.
IN_A_DESTRUCTOR = """
import os, signal, sys, time
import accelsim.cli
from accelsim.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests in the background ignores it

class Struck:
    def __del__(self):
        os.kill(os.getpid(), signal.{signal})
        time.sleep(0.1)

def work():
    Struck()
    for _ in range({wait} * 100):
        time.sleep(0.01)

accelsim.cli.main = work
main()
"""


@pytest.mark.parametrize(("number", "status", "message"), [("SIGTERM", 143, ""), ("SIGINT", 130, "accelsim: interrupted\n")])
def test_a_signal_within_a_destructor_ends_a_command_all_the_same(number: str, status: int, message: str) -> None:
    script = IN_A_DESTRUCTOR.format(signal=number, wait=HANG_S)
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=2 * HANG_S)
    assert (ended.returncode, ended.stderr) == (status, message)

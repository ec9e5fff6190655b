"""What must hold for every file that is kept: it is small, and it names no machine's folders and no package index."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import TORCH_FILE

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 2 * 2**20

# Written in pieces, so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(rb"(?<![\w.])/(?:" + rb"|".join([rb"wor" + rb"k", rb"roo" + rb"t", rb"hom" + rb"e", rb"User" + rb"s"]) + rb")/")
INDEX_HOST = re.compile(rb"pypi" + rb"\.org|pythonhos" + rb"ted\.org|download\.pyt" + rb"orch\.org|--(?:extra-)?index" + rb"-url")


def kept_files() -> list[Path]:
    """The files that git keeps."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git work tree")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_kept_file_is_larger_than_two_mebibytes() -> None:
    assert [path.name for path in kept_files() if path.stat().st_size > MAX_BYTES] == []


@pytest.mark.parametrize("pattern", [MACHINE_PATH, INDEX_HOST], ids=["machine path", "package index"])
def test_no_kept_file_names_a_machines_folder_or_a_package_index(pattern: re.Pattern[bytes]) -> None:
    found = {str(path.relative_to(ROOT)): match.group() for path in kept_files() if (match := pattern.search(path.read_bytes()))}
    assert found == {}


def test_every_pinned_version_is_a_name_and_a_version_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []


def test_a_file_of_tests_that_cannot_be_imported_without_pytorch_runs_with_the_extras() -> None:
    asks = re.compile(rb'^(?:torch = )?pytest\.importorskip\("torch"\)', re.MULTILINE)
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if asks.search(path.read_bytes())]
    assert len(files) > 10
    assert [path.name for path in files if TORCH_FILE not in path.read_bytes()] == []

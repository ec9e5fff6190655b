"""Fresh environments with the wheel in them, one for each Python that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
VERSIONS = ("3.11", "3.12", "3.13")
_ASK_VERSION = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel in it, and an empty folder to work in."""

    version: str
    bin: Path
    folder: Path
    environment: Mapping[str, str]

    def run(self, program: str, *words: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / program), *words]
        return subprocess.run(command, cwd=folder or self.folder, env=self.environment, capture_output=True, text=True, check=False)


@cache
def interpreter(version: str) -> str | None:
    """A Python of that version that can make environments: the one that runs the tests, one on PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [sys.executable, shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")), reverse=True)]
    for candidate in filter(None, found):
        answer = subprocess.run([candidate, "-c", _ASK_VERSION], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return candidate
    return None


def pip(python: str | Path, *words: str | Path, cwd: Path) -> None:
    """Call pip; packages, and those that build them, have the versions of constraints.txt."""
    pinned = {"PIP_CONSTRAINT": CONSTRAINTS.name, "PIP_BUILD_CONSTRAINT": CONSTRAINTS.name}
    command = [str(word) for word in (python, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)]
    subprocess.run(command, cwd=cwd, env={**os.environ, **pinned}, check=True)


def install(version: str, wheel: Path, folder: Path) -> Installed:
    """Make the environment of a Python that is there, with the extra that reads ONNX files, and compile the kernels.

    Nothing of the caller's own settings reaches it.
    """
    subprocess.run([str(interpreter(version)), "-m", "venv", str(folder / "venv")], check=True)
    binaries = folder / "venv" / "bin"
    pip(binaries / "python", "install", "--no-compile", f"{wheel}[import]", cwd=ROOT)
    (folder / "empty").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NUMBA_", "ACCELSIM_"))}
    made = Installed(version, binaries, folder / "empty", {**kept, "ACCELSIM_CACHE_DIR": str(folder / "cache")})
    made.run("accelsim", "run", "edge-32x32", "tiny_vit_int8", "-q")
    return made

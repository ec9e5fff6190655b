"""Figures of earlier runs of `make bench`, one JSON file per commit, and the nearest of them beside today's."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

_DIRTY = "-changed"


@dataclass(frozen=True)
class Figures:
    """The figures of one run.

    Attributes
    ----------
    commit : abbreviated; with '-changed' if files differed from it
    processor, python, numpy : the machine that measured
    values : name of a figure -> its value
    """

    commit: str
    processor: str
    python: str
    numpy: str
    values: Mapping[str, float]


def measured(commit: str, values: Mapping[str, float]) -> Figures:
    """The figures of this machine."""
    return Figures(commit, processor(), platform.python_version(), np.__version__, dict(values))


def processor() -> str:
    """The model of the processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def save(folder: Path, figures: Figures) -> Path:
    """Write figures to their commit's file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{figures.commit}.json"
    path.write_text(json.dumps(asdict(figures), indent=1) + "\n", encoding="utf-8")
    return path


def nearest(folder: Path, commits: Sequence[str]) -> Figures | None:
    """The figures of the first of `commits` that has any; only those of this processor compare with today's."""
    for commit in commits:
        path = folder / f"{commit}.json"
        if path.is_file():
            found = Figures(**json.loads(path.read_text(encoding="utf-8")))
            if found.processor == processor():
                return found
    return None


def commits_of(root: Path) -> tuple[str, list[str]]:
    """(the commit under test, those before it, newest first); ('none', []) outside a git checkout."""
    names = _git(root, "rev-list", "--abbrev-commit", "-n", "200", "HEAD").split()
    if not names:
        return "none", []
    if _git(root, "status", "--porcelain", "--untracked-files=no"):
        return names[0] + _DIRTY, names
    return names[0], names[1:]


def _git(root: Path, *words: str) -> str:
    try:
        return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""

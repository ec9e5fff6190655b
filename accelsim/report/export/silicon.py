"""A validation against measured boards as files: silicon.json (everything), silicon.csv (one row per measured row) and the picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json

SILICON_FILE = "silicon.json"
SILICON_FOLDER = FolderKind(SILICON_FILE, (SILICON_FILE, "silicon.csv", "silicon.*"))


def check_silicon_folder(folder: Path) -> None:
    """OutputError if `folder` cannot take a validation against boards."""
    check_replaceable(folder, SILICON_FOLDER)


def write_silicon(folder: Path, report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> Path:
    """Write the folder, all or nothing.

    Raises
    ------
    OutputError
        The folder holds something that is not a validation against boards, or cannot be written.
    """
    files = {SILICON_FILE: to_json(report).encode(), "silicon.csv": to_csv(report["rows"]).encode(), **pictures}
    return write_folder(folder, SILICON_FOLDER, files)

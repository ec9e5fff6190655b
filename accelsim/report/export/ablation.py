"""An ablation as files: ablation.json, parts.csv and signs.csv."""

from __future__ import annotations

from pathlib import Path

from accelsim.cost.ablation import Ablation
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json

ABLATION_FILE = "ablation.json"
ABLATION_FOLDER = FolderKind(ABLATION_FILE, (ABLATION_FILE, "parts.csv", "signs.csv"))


def check_ablation_folder(folder: Path) -> None:
    """OutputError, before the simulations, if `folder` cannot take an ablation."""
    check_replaceable(folder, ABLATION_FOLDER)


def write_ablation(folder: Path, ablation: Ablation) -> Path:
    """Write the folder, all or nothing.

    Raises
    ------
    OutputError
        The folder holds something that is not an ablation, or cannot be written.
    """
    files = {
        ABLATION_FILE: to_json(ablation.to_dict()).encode(),
        "parts.csv": to_csv(ablation.rows()).encode(),
        "signs.csv": to_csv(item.to_row() for item in ablation.signs).encode(),
    }
    return write_folder(folder, ABLATION_FOLDER, files)

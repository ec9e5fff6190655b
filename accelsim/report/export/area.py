"""A chip's area as files: area.json (everything), area.csv (one row per component) and the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from accelsim.cost.area import AreaReport
from accelsim.report.export.folder import FolderKind, check_replaceable, write_folder
from accelsim.report.export.run import to_csv, to_json

AREA_FILE = "area.json"
AREA_FOLDER = FolderKind(AREA_FILE, (AREA_FILE, "area.csv", "area_bars.*", "area_treemap.*"))


def check_area_folder(folder: Path) -> None:
    """OutputError if `folder` cannot take a chip's area."""
    check_replaceable(folder, AREA_FOLDER)


def write_area(folder: Path, report: AreaReport, pictures: Mapping[str, bytes]) -> Path:
    """Write the folder, all or nothing.

    Raises
    ------
    OutputError
        The folder holds something that is not a chip's area, or cannot be written.
    """
    files = {AREA_FILE: to_json(report.to_dict()).encode(), "area.csv": to_csv(report.rows()).encode(), **pictures}
    return write_folder(folder, AREA_FOLDER, files)

"""A page as a file that appears whole under its name or not at all, and that replaces nothing but a page."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from accelsim.errors import OutputError

SUFFIXES = (".html", ".htm")


def check_page(path: Path) -> None:
    """OutputError, before long work, if `path` cannot take a page."""
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: must end with {' or '.join(SUFFIXES)}")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise OutputError(f"{path}: is not a file; allowed: a new file, or a page to replace")
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_page(path: Path, text: str) -> None:
    """Write beside `path` and rename; OutputError as `check_page`, or when the disk refuses."""
    check_page(path)
    target = path.absolute()
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
            fresh = Path(scratch) / target.name
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error

"""Atomic output folders: written completely or not at all, and replacing only earlier results of the same kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from accelsim.errors import OutputError
from accelsim.folder_swap import put_in_place, scratch_beside


@dataclass(frozen=True)
class FolderKind:
    """A kind of output folder: its marker file, and shell patterns of every name allowed at its top level."""

    marker: str
    names: tuple[str, ...]

    def knows(self, name: str) -> bool:
        """Whether results of this kind hold a file or folder of that name."""
        return any(fnmatchcase(name, pattern) for pattern in self.names)


def check_replaceable(folder: Path, kind: FolderKind) -> None:
    """Fail before long work if `folder` cannot take the results.

    Raises
    ------
    OutputError
        It is a file, holds something of another kind, or is not writable.
    """
    allowed = "allowed: a new folder, an empty one, or earlier results to replace"
    try:
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise OutputError(f"{folder}: is not a folder; {allowed}")
        found = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        strange = sorted(name for name in found if not kind.knows(name))
        if strange:
            raise OutputError(f"{folder}: holds {', '.join(strange[:3])}{', ...' if len(strange) > 3 else ''}; {allowed}")
        if found and kind.marker not in found:
            raise OutputError(f"{folder}: holds files but no {kind.marker}; {allowed}")
        target = folder.absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(target):
            pass
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def write_folder(folder: Path, kind: FolderKind, files: Mapping[str, bytes]) -> Path:
    """Write `files` (path inside the folder -> content) as `folder`; earlier results are removed completely.

    The files are written beside the folder and moved there in one step.

    Raises
    ------
    OutputError
        As `check_replaceable`, or the disk refuses.
    """
    check_replaceable(folder, kind)
    target = folder.absolute()
    try:
        with scratch_beside(target) as scratch:
            fresh = scratch / "fresh"
            for name, content in files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            put_in_place(fresh, target)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder

"""Zip archives that users hand in (.npz, .pt2, checkpoints): what they say they unpack to is bounded before anything reads them.

Disputable assumption: what NumPy and PyTorch write is hardly ever compressed, so an archive that unpacks to far more than it holds is
refused, even where the memory would do.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from accelsim.errors import AccelsimError
from accelsim.reading import check_file

SPARE = 1 << 28  # bytes beyond the file's own, for entries that are compressed


def open_archive(path: Path, error: type[AccelsimError], spare: int = SPARE) -> zipfile.ZipFile:
    """An archive whose entries unpack to at most `spare` bytes more than its file has; to be closed by the caller.

    Raises
    ------
    AccelsimError
        They unpack to more, or it is a pipe or a device; of the class `error`.
    OSError, zipfile.BadZipFile
        There is no such file, or it is no archive.
    """
    check_file(path, error)
    archive = zipfile.ZipFile(path)
    allowed = path.stat().st_size + spare
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > allowed:
        archive.close()
        raise error(f"{path}: its {len(archive.infolist()):,} entries unpack to {unpacked:,} bytes; allowed: {allowed:,}")
    return archive

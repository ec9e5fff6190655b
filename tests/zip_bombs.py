"""Archives that unpack to far more than they hold."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

_CHUNK = bytes(1 << 20)


def add_bomb(archive: Path, name: str = "bomb", mebibytes: int = 300) -> Path:
    """Add an entry of zeros to an archive, or make one; about a thousandth of its size."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as out, out.open(name, "w") as entry:
        for _ in range(mebibytes):
            entry.write(_CHUNK)
    return archive


def bombed_copy(whole: Path, copy: Path) -> Path:
    """A copy of an archive with such an entry."""
    shutil.copy(whole, copy)
    with zipfile.ZipFile(whole) as source:
        root = source.namelist()[0].split("/")[0]
    return add_bomb(copy, f"{root}/data/bomb")

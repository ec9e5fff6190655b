"""Headers of safetensors files that users hand in: their size is bounded before anything reads them.

Disputable assumption: no network has more tensors in one file than a header of 16 MiB names, some 150,000.
"""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import AccelsimError
from accelsim.reading import check_file

LARGEST_HEADER = 16 << 20  # bytes of JSON


def check_header(path: Path, error: type[AccelsimError]) -> None:
    """Bound the header of a file; whether it is one, safetensors itself tells.

    Raises
    ------
    AccelsimError
        The header is in the file and larger, or it is a pipe or a device; of the class `error`.
    OSError
        There is no such file, or it cannot be read.
    """
    check_file(path, error)
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if LARGEST_HEADER < size <= path.stat().st_size - 8:
        raise error(f"{path}: its header has {size:,} bytes; allowed: {LARGEST_HEADER:,}")

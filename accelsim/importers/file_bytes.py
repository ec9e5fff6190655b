"""Read a tensor's bytes from a large file without reading the rest; one message on failure."""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import ImportModelError


def read_bytes(path: Path, offset: int, length: int, what: str) -> bytes:
    """`length` bytes from `offset` on.

    Raises
    ------
    ImportModelError
        The file cannot be read, ends before, or does not fit in memory; the message starts with `what`.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(length)
    except OSError as error:
        raise ImportModelError(f"{what}: {path} cannot be read: {error.strerror}") from None
    except MemoryError:
        raise ImportModelError(f"{what}: its {length} bytes in {path} do not fit in memory") from None
    if len(content) != length:
        raise ImportModelError(f"{what}: {path} ends after {len(content)} of its {length} bytes")
    return content

"""Atomic output files: written completely or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from accelsim.errors import OutputError
from accelsim.folder_swap import scratch_beside

_MARKED_BYTES = 4096  # bytes that identify a file's kind


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under `path` if the block succeeds, and not at all otherwise; gzipped if `path` ends in .gz.

    Raises
    ------
    OutputError
        Something that is no regular file has the name, or its folder cannot be written.
    """
    target = path.absolute()
    try:
        _check_place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(target) as scratch:
            fresh = scratch / target.name
            with fresh.open("wb") as raw:
                if path.suffix == ".gz":
                    with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0, filename="") as packed:
                        yield cast(IO[bytes], packed)
                else:
                    yield raw
            fresh.replace(target)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_writable(path: Path) -> None:
    """OutputError, before long work, if `new_file` could not write `path`."""
    target = path.absolute()
    try:
        _check_place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(target):
            pass
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _check_place(path: Path) -> None:
    """OutputError if a folder, a pipe, a socket or a device has the name, in whose place a file would come."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file but a pipe, a socket or a device"
        raise OutputError(f"{path}: is {what}; allowed: the name of a file to write")


@dataclass(frozen=True)
class FileKind:
    """A kind of output file: its description, its suffixes, and the text that marks its first bytes."""

    what: str
    suffixes: tuple[str, ...]
    marker: bytes


def check_replaceable_file(path: Path, kind: FileKind) -> None:
    """Fail before long work if `path` cannot take a file of this kind: a typing error must not overwrite a result.

    Raises
    ------
    OutputError
        It has another suffix, is taken by something else, or cannot be written.
    """
    if not path.name.lower().endswith(kind.suffixes):
        raise OutputError(f"{path}: {kind.what} must have a name that ends with {' or '.join(kind.suffixes)}")
    check_writable(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(_MARKED_BYTES)
    except FileNotFoundError:
        return
    except (OSError, EOFError, zlib.error):
        start = b"?"  # no gzip file, or one that may not be read
    if start and kind.marker not in start:
        raise OutputError(f"{path}: holds something that is not {kind.what}; allowed: a new file, or an earlier one to replace")

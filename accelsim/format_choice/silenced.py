"""Standard output closed to a library that prints past its own options, as HiGHS does: a command's JSON is all that it may hold."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced() -> Iterator[None]:
    """Drop what C code prints meanwhile; nothing of what was printed before. A closed standard output is left as it is."""
    flush = ctypes.CDLL(None).fflush  # C's own buffer, beside Python's
    sys.stdout.flush()
    flush(None)
    try:
        kept = os.dup(1)
    except OSError:  # closed: nothing can be printed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        flush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)

"""Python's search for reference cycles, put off while a program is compiled: its records have none, and grow by hundreds of thousands.

Disputable assumption: nothing else in the process makes so many cycles meanwhile that memory would run short.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cycles_kept() -> Iterator[None]:
    """Collect no reference cycles inside; afterwards as before."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

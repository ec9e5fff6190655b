"""Processes that do not hear Ctrl-C, which reaches the whole group of a terminal: who started them ends them, without a word of theirs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """What is started within never gets SIGINT: threads and processes inherit what their starter blocks. One that comes meanwhile waits."""
    resource_tracker.ensure_running()  # `multiprocessing` starts it before anything else, and lets SIGINT through after that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

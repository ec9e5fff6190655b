"""Ctrl-C while processes start: the terminal signals the whole group, but only the parent handles it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


@contextmanager
def sigint_held() -> Iterator[None]:
    """Processes and threads that are started within never get SIGINT; for this one it is held back until the end.

    Children inherit the signals that its starter blocks, from its first instruction on. That alone does not hold a signal back
    here: another thread, say one of a BLAS library, may take it, and Python then interrupts the main thread all the same.
    """
    resource_tracker.ensure_running()  # `multiprocessing` would start it first of all, and unblock SIGINT after that
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number)) if main else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if main:
            signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


class WorkerPool(ProcessPoolExecutor):
    """Spawned processes that never get SIGINT. Who interrupts the pool's owner ends it by `shutdown`."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, get_context("spawn"))

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Hand out work; that is when an executor starts processes."""
        with sigint_held():
            return super().submit(fn, *args, **kwargs)

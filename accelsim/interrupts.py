"""Signals at moments that must not be cut: while processes start, and while a scratch folder is made or removed."""

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


@contextmanager
def signals_held() -> Iterator[None]:
    """SIGINT and SIGTERM come at the end of the block, not within it; only the main thread can hold them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if came:
            signal.raise_signal(came[0])


class WorkerPool(ProcessPoolExecutor):
    """Spawned processes that never get SIGINT. Who interrupts the pool's owner ends it by `shutdown`."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, get_context("spawn"))

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Hand out work; that is when an executor starts processes."""
        with sigint_held():
            return super().submit(fn, *args, **kwargs)

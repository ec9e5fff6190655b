"""Points in processes of this machine: each has its own pipe, so a process that dies loses only its current point.

Disputable assumption: a point during which three processes died is to blame, and is recorded as failed (`--retry-failed` runs it again);
one or two deaths (the kernel's memory killer, a person's SIGKILL) are not held against it. A process ends with its parent.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import chain, islice
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from accelsim.cost.technology import Technology
from accelsim.errors import AccelsimError, ConfigError
from accelsim.interrupts import sigint_held
from accelsim.provenance import model_hash
from accelsim.sweeps.blocks import Blocks
from accelsim.sweeps.points import Point
from accelsim.sweeps.worker import check_model, failed_row, run_point

AHEAD = 4  # points queued per process: enough to keep it busy, few enough to balance the load at the end
DEATHS = 3  # deaths after which a point is to blame
FALSE_STARTS = 3  # consecutive start-up failures tolerated
GRACE_SECONDS = 2.0  # time limit of a requested exit
LONGEST_LIMIT = 365 * 86400  # seconds
_AGAIN = "--retry-failed runs it again"


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def serve(connection: Connection, technology: Technology, model: str) -> None:
    """A process of the pool: runs what comes through the pipe, in order, until its other end is closed or its parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        check_model(model)
        connection.send(None)  # ready
        while True:
            connection.send(run_point(connection.recv(), technology))
    except AccelsimError as error:
        connection.send(error)
    except (EOFError, OSError):
        return  # the parent is gone or done


def _end_with_parent() -> None:
    """End this process when its parent has ended, also within a point: nobody would take its row."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Worker:
    """A process, its end of the pipe, and the points that it was given and has not answered, the running one first."""

    def __init__(self, context: ForkServerContext, technology: Technology) -> None:
        self.connection, theirs = context.Pipe()
        self.points: deque[Point] = deque()
        self.ready = False
        self.since = 0.0  # when it began with the first of its points
        self.process: ForkServerProcess = context.Process(target=serve, args=(theirs, technology, model_hash()), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, point: Point) -> None:
        """Hand over a point; if the process is dead, `answers` will say so."""
        if not self.points:
            self.since = time.monotonic()
        self.points.append(point)
        with suppress(OSError):
            self.connection.send(point)

    def answers(self) -> Iterator[dict[str, Any]]:
        """Rows received so far; EOFError once the process is dead and its pipe is drained."""
        while self.connection.poll():
            try:
                answer = self.connection.recv()
            except OSError as error:
                raise EOFError from error  # it died while it was sending
            if isinstance(answer, AccelsimError):
                raise answer
            self.since = time.monotonic()
            if answer is None:
                self.ready = True
            else:
                self.points.popleft()
                yield answer

    def seconds_left(self, limit: float) -> float:
        """Until its point has run for `limit` seconds; a process that is starting has them all."""
        return limit - (time.monotonic() - self.since) if self.ready else limit

    def end(self) -> int:
        """End the process; its exit status, negative for a signal."""
        self.connection.close()
        self.process.terminate()
        self.process.join(GRACE_SECONDS)
        if self.process.exitcode is None:
            self.process.kill()  # it is stopped, or hangs where no signal reaches it
            self.process.join()
        return self.process.exitcode or 0


class ProcessPool:
    """Runs points in `workers` processes, which start with the first point and run until the pool is closed.

    A point that runs for more than `time_limit` seconds is recorded as failed, and its process is replaced; None: however long it takes.
    """

    def __init__(self, workers: int, technology: Technology, time_limit: float | None = None) -> None:
        if workers < 1:
            raise ConfigError(f"--workers {workers}: allowed: at least 1")
        if time_limit is not None and not 0 < time_limit <= LONGEST_LIMIT:
            raise ConfigError(f"time limit {time_limit:g} s: allowed: more than 0 and at most {LONGEST_LIMIT:,} s, a year")
        self.size = workers
        self._time_limit = time_limit
        self._technology = technology
        self._workers: list[_Worker] = []
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["accelsim.sweeps.warm"])

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        """A row for each point, as they are done; points are taken from the iterator as processes get free.

        Raises
        ------
        ConfigError
            The processes import another accelsim than this one, or do not start.
        """
        first = list(islice(points, 1))
        if not first:
            return
        with ExitStack() as unless_done:
            unless_done.callback(self.close)  # drop the processes' queued points
            self._workers += [self._start() for _ in range(self.size - len(self._workers))]
            yield from self._run(Blocks(chain(first, points)))
            unless_done.pop_all()

    def close(self) -> None:
        """End the processes; another `run` starts others."""
        while self._workers:
            self._workers[-1].end()
            self._workers.pop()

    def _run(self, source: Blocks) -> Iterator[dict[str, Any]]:
        workers = self._workers
        deaths: Counter[str] = Counter()
        false_starts = 0
        while True:
            for index, worker in enumerate(workers):
                while len(worker.points) < AHEAD and (point := source.take(index)) is not None:
                    worker.give(point)
            busy = [worker for worker in workers if worker.points]
            if not busy:
                return
            limit = self._time_limit
            patience = None if limit is None else max(0.0, min(worker.seconds_left(limit) for worker in busy))
            wait([worker.connection for worker in busy], patience)
            for index, worker in enumerate(workers):
                if not worker.points:
                    continue
                try:
                    yield from worker.answers()
                except EOFError:
                    status = worker.end()
                    false_starts = 0 if worker.ready else false_starts + 1
                    if false_starts > FALSE_STARTS:
                        guard = "a script that runs a sweep must do so below `if __name__ == '__main__':`"
                        raise ConfigError(f"the pool's processes fail to start: exit status {status}; {guard}") from None
                    workers[index] = self._start()
                    yield from self._blame(worker, status, deaths)
                    source.give_back(index, worker.points)
                    continue
                if limit is not None and worker.points and worker.seconds_left(limit) <= 0:
                    worker.end()
                    workers[index] = self._start()
                    yield failed_row(worker.points.popleft(), self._technology, f"ran for more than {limit:g} s, the time limit; {_AGAIN}")
                    source.give_back(index, worker.points)

    def _start(self) -> _Worker:
        """Another process. Ctrl-C waits for it: the fork server complains at length about half an order."""
        with sigint_held():
            forkserver.ensure_running()  # before the pipe: a server that starts later would inherit its ends
            return _Worker(self._context, self._technology)

    def _blame(self, worker: _Worker, status: int, deaths: Counter[str]) -> Iterator[dict[str, Any]]:
        """A failed row for the point a dead process was running, if its deaths are used up; the point is then removed from its queue."""
        if not worker.ready or not worker.points:
            return
        point = worker.points[0]
        deaths[point.run_id] += 1
        if deaths[point.run_id] == DEATHS:
            worker.points.popleft()
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            yield failed_row(point, self._technology, f"its process died {DEATHS} times ({how}); {_AGAIN}")

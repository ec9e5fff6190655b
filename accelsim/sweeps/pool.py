"""Points in processes of this machine: each has its own pipe, so a process that dies loses only its current point.

Disputable assumption: a point during which three processes died is to blame, and is recorded as failed; one or two deaths (the
kernel's memory killer, a person's SIGKILL) are not held against it.
"""

from __future__ import annotations

import multiprocessing
import os
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


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def serve(connection: Connection, technology: Technology, model: str) -> None:
    """A process of the pool: runs what comes through the pipe, in order, until its other end is closed."""
    try:
        check_model(model)
        connection.send(None)  # ready
        while True:
            connection.send(run_point(connection.recv(), technology))
    except AccelsimError as error:
        connection.send(error)
    except (EOFError, OSError):
        return  # the parent is gone or done


class _Worker:
    """A process, its end of the pipe, and the points that it was given and has not answered, the running one first."""

    def __init__(self, context: ForkServerContext, technology: Technology) -> None:
        self.connection, theirs = context.Pipe()
        self.points: deque[Point] = deque()
        self.ready = False
        self.process: ForkServerProcess = context.Process(target=serve, args=(theirs, technology, model_hash()), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, point: Point) -> None:
        """Hand over a point; if the process is dead, `answers` will say so."""
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
            if answer is None:
                self.ready = True
            else:
                self.points.popleft()
                yield answer

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
    """Runs points in `workers` processes, which start with the first point and run until the pool is closed."""

    def __init__(self, workers: int, technology: Technology) -> None:
        if workers < 1:
            raise ConfigError(f"--workers {workers}: allowed: at least 1")
        self.size = workers
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
            wait([worker.connection for worker in busy])
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
            yield failed_row(point, self._technology, f"its process died {DEATHS} times ({how})")

"""Workers and a scheduler that come and go under a sweep, played by a client of Dask's kind, so that nothing depends on time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from accelsim.errors import ConfigError
from accelsim.sweeps import cluster
from accelsim.sweeps.cluster import DaskCluster, run_batch
from accelsim.sweeps.points import Point, expand
from tests.sweep.small_sweeps import TECHNOLOGY, sweep

distributed = pytest.importorskip("distributed")


class Future:
    """A task: done at once with what `answer` gives or raises, or never."""

    def __init__(self, answer: Callable[[], Any] | None) -> None:
        self.answer = answer
        self.cancelled = False

    def add_done_callback(self, callback: Callable[[Future], None]) -> None:
        if self.answer is not None:
            callback(self)

    def result(self) -> Any:
        assert self.answer is not None
        return self.answer()

    def cancel(self) -> None:
        self.cancelled = True


class Client:
    """A scheduler whose workers are those of `stages`, one stage at each look; `behave` says what a worker makes of a task."""

    def __init__(self, stages: list[list[str]], behave: Callable[[str, list[Point]], Callable[[], Any] | None]) -> None:
        self.stages, self.behave = iter(stages), behave
        self.workers: list[str] = []
        self.futures: list[Future] = []
        self.closed = False

    def nthreads(self) -> dict[str, int]:
        self.workers = next(self.stages, self.workers)
        return dict.fromkeys(self.workers, 1)

    def submit(self, function: Any, points: list[Point], *rest: Any, workers: list[str], **options: Any) -> Future:
        assert function is run_batch
        self.futures.append(Future(self.behave(workers[0], points)))
        return self.futures[-1]

    def close(self) -> None:
        self.closed = True


POINTS = [item for item in expand(sweep()) if isinstance(item, Point)]


@pytest.fixture(autouse=True)
def hurried(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "BATCH", 4)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.001)


def rows_of(client: Client) -> Iterator[dict[str, Any]]:
    return DaskCluster(TECHNOLOGY, lambda: (client,)).run(iter(POINTS))


def done(points: list[Point]) -> Callable[[], Any]:
    return lambda: [{"run_id": point.run_id} for point in points]


def test_a_worker_that_comes_late_gets_points():
    busy: set[str] = set()

    def behave(worker: str, points: list[Point]) -> Callable[[], Any]:
        busy.add(worker)
        return done(points)

    assert len(list(rows_of(Client([["a"], ["a", "b"]], behave)))) == len(POINTS)
    assert busy == {"a", "b"}


def test_what_the_last_worker_had_in_hand_is_given_to_those_that_come_after_it():
    client = Client([["a"], [], ["b"]], lambda worker, points: done(points) if worker == "b" else None)
    assert {row["run_id"] for row in rows_of(client)} == {point.run_id for point in POINTS}
    assert sum(future.cancelled for future in client.futures) == 1 + cluster.AHEAD


def test_a_cluster_without_workers_is_one_message(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0)
    client = Client([["a"], []], lambda worker, points: None)
    with pytest.raises(ConfigError, match="no worker left; finished points are stored, and the same command continues"):
        list(rows_of(client))
    assert client.closed


def test_a_scheduler_that_goes_away_is_one_message():
    def lost() -> Any:
        raise CancelledError

    client = Client([["a"]], lambda worker, points: lost)
    with pytest.raises(ConfigError, match="the scheduler of the cluster went away; finished points are stored"):
        list(rows_of(client))

    def unreachable() -> dict[str, int]:
        raise OSError("connection refused")

    client.nthreads = unreachable  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="the scheduler of the cluster went away"):
        list(rows_of(client))


def test_of_a_task_that_kills_its_workers_one_point_is_to_blame():
    bad = POINTS[5].run_id

    def behave(worker: str, points: list[Point]) -> Callable[[], Any]:
        def killed() -> Any:
            raise distributed.KilledWorker("task", None, 3)

        return killed if bad in [point.run_id for point in points] else done(points)

    found = {row["run_id"]: row for row in rows_of(Client([["a"]], behave))}
    assert len(found) == len(POINTS)
    assert found[bad]["status"] == "failed"
    assert found[bad]["message"] == "the workers that ran it died, one after the other"

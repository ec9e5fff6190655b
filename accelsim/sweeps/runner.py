"""A sweep from its first point to its last: stored runs are not repeated, new runs are stored at once.

Points are made, looked up, handed out and stored in a stream, so memory does not grow with their number. Only this process writes the
store; whoever runs the points sends rows back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.sweeps.claims import Claims
from accelsim.sweeps.metrics import FAILED, OK, costing_id
from accelsim.sweeps.points import Point, candidate, expand
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.store import Store
from accelsim.sweeps.tally import SweepProgress, SweepSummary, Tally

MAX_POINTS = 1_000_000  # of a sweep without a limit: the product of a few long axes is easily a mistake
LOOKUP = 256  # points that are looked up in the store at once
FLUSH_SECONDS = 0.2  # a row waits no longer for others before it is stored
WAIT_SECONDS = 0.2  # between two looks at points that another sweep runs


class Backend(Protocol):
    """Backend that runs points: a pool of processes or a cluster."""

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        """A row for each point, in any order; takes points from the iterator as capacity allows. Started processes are kept."""

    def close(self) -> None:
        """End what `run` started."""


class _UnderWay:
    """Run ids that were handed out and that a look-up in the store cannot have seen: those not stored yet, or stored after it."""

    def __init__(self) -> None:
        self._handed_out: set[str] = set()
        self._stored: set[str] = set()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._handed_out or run_id in self._stored

    def hand_out(self, run_id: str) -> None:
        """A run begins."""
        self._handed_out.add(run_id)

    def store(self, run_ids: Iterable[str]) -> None:
        """Runs were stored."""
        ids = set(run_ids)
        self._handed_out -= ids
        self._stored |= ids

    def look_up(self) -> None:
        """A look-up is about to see all that was stored so far."""
        self._stored.clear()


def run_sweep(
    sweep: Sweep,
    store: Store,
    backend: Backend,
    technology: Technology,
    *,
    limit: int | None = None,
    retry_failed: bool = False,
    progress: Callable[[SweepProgress], None] | None = None,
) -> SweepSummary:
    """Run the points of a sweep that the store does not hold; those that another sweep is running are awaited, not run again.

    Parameters
    ----------
    backend : it is closed at the end
    limit : settle at most this many points (dropped and invalid ones do not count)
    retry_failed : also run points again whose run is stored as failed
    progress : called now and then

    Raises
    ------
    ConfigError, TraceError
        The sweep itself is wrong (see `expand`), or has more than MAX_POINTS points and no limit.
    OutputError
        The store cannot be written.
    KeyboardInterrupt
        After what had come back was stored.
    """
    check_size(sweep, limit)
    costing = costing_id(technology)
    tally = Tally(sweep, limit)
    number = store.add_sweep(sweep, costing)
    under_way, claims = _UnderWay(), Claims(store, costing)
    sorter = _Sorter(store, costing, tally, under_way, claims, retry_failed)
    pending: list[dict[str, Any]] = []
    flushed = time.monotonic()

    def flush() -> None:
        nonlocal flushed
        store.add_runs(pending)
        under_way.store(row["run_id"] for row in pending)
        pending.clear()
        flushed = time.monotonic()
        if progress is not None:
            progress(tally.progress())

    def run(points: Iterator[Point]) -> None:
        for row in backend.run(points):
            tally.came_back(row)
            pending.append(row)
            if time.monotonic() - flushed > FLUSH_SECONDS:
                flush()

    try:
        run(_to_run(sweep, number, sorter, limit))
        while claims.elsewhere:
            flush()
            before = len(claims.elsewhere)
            run(_freed(sweep, sorter))
            if len(claims.elsewhere) == before:
                time.sleep(WAIT_SECONDS)
    finally:
        backend.close()
        flush()
        claims.release()
        store.set_dropped(number, tally.dropped)
    return tally.summary(number)


def check_size(sweep: Sweep, limit: int | None) -> None:
    """ConfigError for a sweep that is too large to run in full."""
    if limit is None and sweep.size > MAX_POINTS:
        raise ConfigError(
            f"sweep {sweep.name!r} has {sweep.size:,} points before constraints; allowed: {MAX_POINTS:,}, or the first N with --limit N"
        )


@dataclass(frozen=True)
class _Sorter:
    """Tells runs that this sweep has to do from those that are settled, and from those that another sweep is doing."""

    store: Store
    costing: str
    tally: Tally
    under_way: _UnderWay
    claims: Claims
    retry_failed: bool

    def to_run(self, points: Sequence[Point]) -> Iterator[Point]:
        """The points that this sweep has to run; the others are counted."""
        self.under_way.look_up()
        fresh: dict[str, Point] = {}
        for point in points:
            if point.run_id in self.under_way or point.run_id in fresh or point.run_id in self.claims.elsewhere:
                self.tally.counts["equal"] += 1
            else:
                fresh[point.run_id] = point
        for run_id in self.settle({point.run_id: point.position for point in fresh.values()}):
            yield fresh[run_id]

    def settle(self, places: Mapping[str, int]) -> Iterator[str]:
        """Of runs with the positions of their points, those that this sweep has to do; what another one does goes to `claims.elsewhere`."""
        settled = (OK,) if self.retry_failed else (OK, FAILED)
        stored = self.store.statuses(self.costing, list(places))
        todo = [run_id for run_id in places if stored.get(run_id) not in settled]
        mine = self.claims.take(todo)
        stored |= self.store.statuses(self.costing, todo)  # another sweep stores a run before its claim ends
        for run_id, position in places.items():
            known = stored.get(run_id)
            if known in settled:
                self.tally.counts["reused" if known == OK else "failed_before"] += 1
            elif run_id in mine:
                self.under_way.hand_out(run_id)
                yield run_id
            else:
                self.claims.elsewhere[run_id] = position


def _to_run(sweep: Sweep, number: int, sorter: _Sorter, limit: int | None) -> Iterator[Point]:
    """The points that have to run, each noted in the store as a point of the sweep when it is seen."""
    left = sweep.size if limit is None else limit
    candidates = expand(sweep)
    while left > 0:
        part = list(islice(candidates, min(LOOKUP, left)))
        if not part:
            return
        points = sorter.tally.keep(part, number, sorter.store)
        left -= len(points)
        sorter.store.add_members(number, sorter.costing, points)
        yield from sorter.to_run(points)


def _freed(sweep: Sweep, sorter: _Sorter) -> Iterator[Point]:
    """Points that another sweep had claimed and did not run; those that it stored meanwhile are counted."""
    elsewhere = sorter.claims.elsewhere
    places = {run_id: elsewhere.pop(run_id) for run_id in list(islice(elsewhere, LOOKUP))}
    for run_id in sorter.settle(places):
        point = candidate(sweep, places[run_id])
        if isinstance(point, Point):
            yield point

"""A sweep from its first point to its last: stored runs are not repeated, new runs are stored at once.

Points are made, looked up, handed out and stored in a stream, so memory does not grow with their number. Only this process writes the
store; whoever runs the points sends rows back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.sweeps.metrics import FAILED, OK, costing_id
from accelsim.sweeps.points import Point, expand
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.store import Store
from accelsim.sweeps.tally import SweepProgress, SweepSummary, Tally

MAX_POINTS = 1_000_000  # of a sweep without a limit: the product of a few long axes is easily a mistake
LOOKUP = 256  # points that are looked up in the store at once
FLUSH_SECONDS = 0.2  # a row waits no longer for others before it is stored


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
    """Run the points of a sweep that the store does not hold.

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
    under_way = _UnderWay()
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

    fresh = _to_run(sweep, number, store, costing, tally, under_way, limit, retry_failed)
    try:
        for row in backend.run(fresh):
            tally.came_back(row)
            pending.append(row)
            if time.monotonic() - flushed > FLUSH_SECONDS:
                flush()
    finally:
        backend.close()
        flush()
        store.set_dropped(number, tally.dropped)
    return tally.summary(number)


def check_size(sweep: Sweep, limit: int | None) -> None:
    """ConfigError for a sweep that is too large to run in full."""
    if limit is None and sweep.size > MAX_POINTS:
        raise ConfigError(
            f"sweep {sweep.name!r} has {sweep.size:,} points before constraints; allowed: {MAX_POINTS:,}, or the first N with --limit N"
        )


def _to_run(
    sweep: Sweep, number: int, store: Store, costing: str, tally: Tally, under_way: _UnderWay, limit: int | None, retry_failed: bool
) -> Iterator[Point]:
    """The points that have to run, each noted in the store as a point of the sweep when it is seen."""
    left = sweep.size if limit is None else limit
    candidates = expand(sweep)
    while left > 0:
        part = list(islice(candidates, min(LOOKUP, left)))
        if not part:
            return
        points = tally.keep(part, number, store)
        left -= len(points)
        store.add_members(number, costing, points)
        under_way.look_up()
        stored = store.statuses(costing, [point.run_id for point in points])
        for point in points:
            known = stored.get(point.run_id)
            if point.run_id in under_way:
                tally.counts["equal"] += 1
            elif known == OK:
                tally.counts["reused"] += 1
            elif known == FAILED and not retry_failed:
                tally.counts["failed_before"] += 1
            else:
                under_way.hand_out(point.run_id)
                yield point

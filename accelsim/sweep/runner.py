"""A sweep from its first point to its last: what is stored is not run again, what is run is stored at once.

Points are made, looked up, handed out and stored in a stream, so memory does not grow with their number. Only this process writes the
store; whoever runs the points sends rows back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from accelsim.errors import ConfigError
from accelsim.report.technology import Technology
from accelsim.sweep.metrics import FAILED, OK, costing_id
from accelsim.sweep.points import Candidate, Dropped, Invalid, Point, expand
from accelsim.sweep.spec import Sweep
from accelsim.sweep.store import Store

MAX_POINTS = 1_000_000  # of a sweep without a limit: the product of a few long axes is easily a mistake
LOOKUP = 256  # points that are looked up in the store at once
FLUSH_SECONDS = 0.2  # a row waits no longer for others before it is stored


class Backend(Protocol):
    """Who runs points: a pool of processes or a cluster."""

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        """A row for each point, in any order; takes points from the iterator as it can run them."""


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: of `total` points (as far as is known, without those that are refused) `done` are settled."""

    done: int
    total: int
    ran: int
    failed: int
    points_per_s: float

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None while there is none."""
        return (self.total - self.done) / self.points_per_s if self.points_per_s else None


@dataclass(frozen=True)
class SweepSummary:
    """What a sweep came to.

    Attributes
    ----------
    sweep : id in the store; size : points before constraints
    ok, failed : points that ran now; reused : points whose run was stored already as ok; equal : points whose run is another point's
    failed_before : points whose run failed at an earlier time and was not tried again
    dropped : constraint -> points that it refuses; invalid : points whose configuration cannot be; messages : of some of these and of
        failed points, with how many have it
    """

    sweep: int
    name: str
    size: int
    ok: int
    failed: int
    reused: int
    equal: int
    failed_before: int
    dropped: Mapping[str, int]
    invalid: int
    messages: Mapping[str, int]
    seconds: float

    @property
    def points_per_s(self) -> float:
        """Points that ran now over the time that it took."""
        return (self.ok + self.failed) / self.seconds if self.seconds else 0.0


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


class _Tally:
    """Counts of a sweep under way."""

    def __init__(self, sweep: Sweep, limit: int | None) -> None:
        self.whole = min(sweep.size, limit) if limit is not None else sweep.size
        self.size = sweep.size
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter({constraint.text: 0 for constraint in sweep.constraints})
        self.messages: Counter[str] = Counter()
        self.started = time.monotonic()
        self.first_row: float | None = None

    def came_back(self, row: Mapping[str, Any]) -> None:
        """Count a point that ran."""
        if self.first_row is None:
            self.first_row = time.monotonic()
        self.counts[row["status"]] += 1
        if row["status"] == FAILED:
            self.message(row["message"])

    def message(self, text: str) -> None:
        """Count a message; of a thousand different ones the first hundred."""
        if text in self.messages or len(self.messages) < 100:
            self.messages[text] += 1

    @property
    def ran(self) -> int:
        return self.counts[OK] + self.counts[FAILED]

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def progress(self) -> Progress:
        refused = self.dropped.total() + self.counts["invalid"]
        total = min(self.whole, self.size - refused)
        done = self.ran + sum(self.counts[name] for name in ("reused", "equal", "failed_before"))
        since = time.monotonic() - self.first_row if self.first_row is not None else 0.0
        return Progress(done, max(done, total), self.ran, self.counts[FAILED], self.ran / since if since > 0.5 else 0.0)


def run_sweep(
    sweep: Sweep,
    store: Store,
    backend: Backend,
    technology: Technology,
    *,
    limit: int | None = None,
    retry_failed: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SweepSummary:
    """Run what the store does not have of a sweep.

    Parameters
    ----------
    limit : settle no more than so many points (dropped and invalid ones do not count)
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
    tally = _Tally(sweep, limit)
    number = store.add_sweep(sweep)
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
        flush()
        store.set_dropped(number, tally.dropped)
    return _summary(sweep, number, tally)


def check_size(sweep: Sweep, limit: int | None) -> None:
    """ConfigError for a sweep that nobody can want in full."""
    if limit is None and sweep.size > MAX_POINTS:
        raise ConfigError(
            f"sweep {sweep.name!r} has {sweep.size:,} points before constraints; allowed: {MAX_POINTS:,}, or the first N with --limit N"
        )


def _to_run(
    sweep: Sweep, number: int, store: Store, costing: str, tally: _Tally, under_way: _UnderWay, limit: int | None, retry_failed: bool
) -> Iterator[Point]:
    """The points that have to run, each noted in the store as a point of the sweep when it is seen."""
    left = sweep.size if limit is None else limit
    candidates = expand(sweep)
    while left > 0:
        part = list(islice(candidates, min(LOOKUP, left)))
        if not part:
            return
        points = _kept(part, number, store, tally)
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


def _kept(part: list[Candidate], number: int, store: Store, tally: _Tally) -> list[Point]:
    """The points among candidates; the others are counted, and those that are invalid are stored."""
    invalid = [item for item in part if isinstance(item, Invalid)]
    for item in part:
        if isinstance(item, Dropped):
            tally.dropped[item.constraint] += 1
        elif isinstance(item, Invalid):
            tally.counts["invalid"] += 1
            tally.message(item.message)
    if invalid:
        store.add_invalid(number, invalid)
    return [item for item in part if isinstance(item, Point)]


def _summary(sweep: Sweep, number: int, tally: _Tally) -> SweepSummary:
    counts = tally.counts
    return SweepSummary(
        sweep=number,
        name=sweep.name,
        size=sweep.size,
        ok=counts[OK],
        failed=counts[FAILED],
        reused=counts["reused"],
        equal=counts["equal"],
        failed_before=counts["failed_before"],
        dropped=dict(tally.dropped),
        invalid=counts["invalid"],
        messages=dict(tally.messages),
        seconds=tally.seconds,
    )

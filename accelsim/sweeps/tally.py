"""Counts of a sweep or a search: progress and outcome."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.sweeps.metrics import FAILED, OK
from accelsim.sweeps.points import Candidate, Dropped, Invalid, Point
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.store import Store


@dataclass(frozen=True)
class SweepProgress:
    """Progress of a sweep: of `total` points (as far as known, refused ones excluded) `done` are settled."""

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
    """Outcome of a sweep.

    Attributes
    ----------
    sweep : id in the store; size : points before constraints
    ok, failed : points that ran now; reused : points whose run was stored already as ok; equal : points whose run is another point's
    failed_before : points whose run failed at an earlier time and was not tried again
    dropped : constraint -> points that it refuses; invalid : points with an invalid configuration; messages : of some of these and of
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
    def settled(self) -> int:
        """Points with a configuration that can be: each has a run, now or before."""
        return self.ok + self.failed + self.reused + self.equal + self.failed_before

    @property
    def points_per_s(self) -> float:
        """Points that ran now over the time that it took."""
        return (self.ok + self.failed) / self.seconds if self.seconds else 0.0


class Tally:
    """Counts of a sweep under way."""

    def __init__(self, sweep: Sweep, limit: int | None) -> None:
        self.name = sweep.name
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

    def progress(self) -> SweepProgress:
        refused = self.dropped.total() + self.counts["invalid"]
        total = min(self.whole, self.size - refused)
        done = self.ran + sum(self.counts[name] for name in ("reused", "equal", "failed_before"))
        since = time.monotonic() - self.first_row if self.first_row is not None else 0.0
        return SweepProgress(done, max(done, total), self.ran, self.counts[FAILED], self.ran / since if since > 0.5 else 0.0)

    def keep(self, part: Sequence[Candidate], number: int, store: Store) -> list[Point]:
        """The points among candidates; the others are counted, and those that are invalid are stored."""
        invalid = [item for item in part if isinstance(item, Invalid)]
        self.dropped.update(item.constraint for item in part if isinstance(item, Dropped))
        self.counts["invalid"] += len(invalid)
        for item in invalid:
            self.message(item.message)
        if invalid:
            store.add_invalid(number, invalid)
        return [item for item in part if isinstance(item, Point)]

    def summary(self, number: int) -> SweepSummary:
        """The outcome, of sweep `number` of a store."""
        return SweepSummary(
            sweep=number,
            name=self.name,
            size=self.size,
            ok=self.counts[OK],
            failed=self.counts[FAILED],
            reused=self.counts["reused"],
            equal=self.counts["equal"],
            failed_before=self.counts["failed_before"],
            dropped=dict(self.dropped),
            invalid=self.counts["invalid"],
            messages=dict(self.messages),
            seconds=self.seconds,
        )

"""Dry run of a sweep: how many points there are, which are refused and why, and which are already stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.sweeps.metrics import FAILED, OK
from accelsim.sweeps.points import Dropped, Invalid, expand
from accelsim.sweeps.runner import check_size
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.store import Store


@dataclass(frozen=True)
class DryRun:
    """Points of a sweep by expected outcome; `size` counts them before constraints.

    Attributes
    ----------
    runs : different simulations that the points are; stored, failed : of them, those that the store has
    """

    name: str
    size: int
    points: int
    runs: int
    stored: int
    failed: int
    dropped: Mapping[str, int]
    invalid: int
    messages: Mapping[str, int]


def dry_run(sweep: Sweep, store: Store | None, costing: str, limit: int | None = None) -> DryRun:
    """Walk through the points; raises as `run_sweep`."""
    check_size(sweep, limit)
    run_ids: set[str] = set()
    dropped = Counter({constraint.text: 0 for constraint in sweep.constraints})
    messages: Counter[str] = Counter()
    points = invalid = 0
    for item in expand(sweep):
        if limit is not None and points == limit:
            break
        if isinstance(item, Dropped):
            dropped[item.constraint] += 1
        elif isinstance(item, Invalid):
            invalid += 1
            messages[item.message] += 1
        else:
            points += 1
            run_ids.add(item.run_id)
    known = Counter(store.statuses(costing, list(run_ids)).values()) if store is not None else Counter()
    return DryRun(
        sweep.name, sweep.size, points, len(run_ids), known[OK], known[FAILED], dict(dropped), invalid, dict(messages.most_common(100))
    )

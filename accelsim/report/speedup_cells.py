"""One cell of a map of speed-ups: its position, the time of both runs, and the limiter of each.

Disputable assumption: a cell names the resource of the tightest bound, which need not be the one that gains most if it is free: the array
always seems busiest where loads hide under its work, though a faster array would change nothing there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelsim.report.metrics import tightest_bound
from accelsim.result import BOUND_RESOURCES, RESOURCES, Result, own_cycles

# Bounds of a Result as a reader calls them.
_PLAIN = {"MAC array": "array", "weight buffer width": "buffer width"}
RESOURCE_OF_BOUND = {bound: _PLAIN.get(resource, resource) for bound, resource in BOUND_RESOURCES.items()}


_SHORT = {"memory": "mem", "vector unit": "vec", "decoder": "dec", "buffer width": "width"}


@dataclass(frozen=True)
class Point:
    """One cell to be simulated: its position in the map, its accelerator and its batch."""

    map: str
    row: str
    column: str
    preset: str
    overrides: tuple[str, ...]
    batch: int = 1


@dataclass(frozen=True)
class Limiter:
    """The resource of a run's tightest bound, and its least cycles in percent of the cycles taken.

    `waits_most_for` is the resource that the array spends most cycles on or waiting for (its own categories), which is the array
    itself where loads hide under work.
    """

    resource: str
    percent: float
    waits_most_for: str

    @staticmethod
    def of(result: Result) -> Limiter:
        """The limiter of a run."""
        name, bound = tightest_bound(result.bounds)
        waits_most_for = max(RESOURCES, key=lambda resource: own_cycles(result.cycles, resource))
        return Limiter(RESOURCE_OF_BOUND.get(name, name), 100 * bound / result.total_cycles, waits_most_for)


@dataclass(frozen=True)
class Cell:
    """A point with both runs' figures."""

    point: Point
    baseline_cycles: int
    other_cycles: int
    baseline_ms: float
    other_ms: float
    baseline_weight_bytes: int
    other_weight_bytes: int
    baseline_limiter: Limiter
    other_limiter: Limiter

    @property
    def limits(self) -> str:
        """Short limiters of both runs, once if they are the same: 'mem→array'."""
        both = (self.baseline_limiter.resource, self.other_limiter.resource)
        return "→".join(dict.fromkeys(_SHORT.get(name, name) for name in both))

    @property
    def speedup(self) -> float:
        """Baseline cycles over the other's."""
        return self.baseline_cycles / self.other_cycles

    def to_dict(self) -> dict[str, Any]:
        """One row of a CSV or JSON file, units in the names."""
        return {
            "map": self.point.map,
            "row": self.point.row,
            "column": self.point.column,
            "preset": self.point.preset,
            "overrides": " ".join(self.point.overrides),
            "batch": self.point.batch,
            "speed_up": self.speedup,
            "baseline_cycles": self.baseline_cycles,
            "other_cycles": self.other_cycles,
            "baseline_ms": self.baseline_ms,
            "other_ms": self.other_ms,
            "baseline_weight_bytes": self.baseline_weight_bytes,
            "other_weight_bytes": self.other_weight_bytes,
            "baseline_limiter": self.baseline_limiter.resource,
            "baseline_of_bound_pct": self.baseline_limiter.percent,
            "baseline_waits_most_for": self.baseline_limiter.waits_most_for,
            "other_limiter": self.other_limiter.resource,
            "other_of_bound_pct": self.other_limiter.percent,
            "other_waits_most_for": self.other_limiter.waits_most_for,
        }

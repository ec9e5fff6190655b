"""Times of one run, and their ratios beside targets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

Work = Callable[[], object]


@dataclass(frozen=True)
class Speed:
    """Measures and judges where benchmarks are enabled; elsewhere all work runs once, unmeasured as far as anybody can see.

    Attributes
    ----------
    judged : benchmarks are enabled
    rows : what, target and measured, of the table that closes the run
    """

    judged: bool
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def seconds(self, *works: Work, clock: Callable[[], float] = time.perf_counter, turns: int = 5, calls: int = 4) -> tuple[float, ...]:
        """Shortest call of each. They take turns of some calls, so that a machine that slows down slows all of them."""
        best = [float("inf")] * len(works)
        for _ in range(turns if self.judged else 1):
            for index, work in enumerate(works):
                for _ in range(calls if self.judged else 1):
                    start = clock()
                    work()
                    best[index] = min(best[index], clock() - start)
        return tuple(best)

    def show(self, what: str, target: str, measured: str) -> None:
        """A line of the table; for what depends on the machine, such as seconds."""
        if self.judged:
            self.rows.append((what, target, measured))

    def judge(self, what: str, ratio: float, at_least: float) -> None:
        """A line of the table, and a failure of `make bench` if a ratio of two times of this run misses its target."""
        self.show(what, f">= {at_least:g}", f"{ratio:.2f}{' (missed)' if ratio < at_least else ''}")
        if self.judged and ratio < at_least:
            pytest.fail(f"{what}: {ratio:.2f}, target at least {at_least:g}", pytrace=False)

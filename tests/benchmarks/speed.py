"""Times of one run, and their ratios beside targets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

Work = Callable[[], object]


@dataclass(frozen=True)
class Speed:
    """Measures and judges where benchmarks are enabled; elsewhere work runs once, on less input, and its time is told to nobody.

    Attributes
    ----------
    judged : benchmarks are enabled
    rows : what, target and measured, of the table that closes the run
    values : what -> measured
    """

    judged: bool
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    def size(self, full: int, small: int) -> int:
        """Amount of input: `full` where it is measured, `small` where it only has to work."""
        return full if self.judged else small

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

    def show(self, what: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> None:
        """A line of the table, of what depends on the machine: a target that is missed is marked."""
        target = f">= {at_least:,g}" if at_least is not None else f"<= {at_most:,g}" if at_most is not None else ""
        missed = (at_least is not None and value < at_least) or (at_most is not None and value > at_most)
        measured = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        if self.judged:
            self.rows.append((what, target, f"{measured}{'  missed' if missed else ''}"))
            self.values[what] = value

    def judge(self, what: str, ratio: float, *, at_least: float) -> None:
        """A line of the table, of a ratio of two times of this run: `make bench` fails if it misses its target."""
        self.show(what, ratio, at_least=at_least)
        if self.judged and ratio < at_least:
            pytest.fail(f"{what}: {ratio:.3g}, target at least {at_least:g}", pytrace=False)

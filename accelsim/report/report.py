"""The contents of a report: saved runs, costed in a technology and compared; shown in a terminal, as JSON or as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.cost.compare_costs import RunCost, costs_of
from accelsim.cost.technology import Technology
from accelsim.report.compare import Comparison, compare
from accelsim.result import Result
from accelsim.run_labels import label, short_labels


@dataclass(frozen=True)
class Report:
    """Runs with their costs in one technology, the baseline first, and their comparison if there are several."""

    costs: tuple[RunCost, ...]
    comparison: Comparison | None

    @property
    def names(self) -> tuple[str, ...]:
        """Distinct names of the runs, numbered, because two may have the same name."""
        results = [item.result for item in self.costs]
        if len(results) == 1:
            return (label(results[0]),)
        return tuple(f"{index} · {name}" for index, name in enumerate(short_labels(results)))


def make_report(results: Sequence[Result], technology: Technology) -> Report:
    """`results` costed in `technology`, the first one the baseline; nothing is simulated.

    Raises
    ------
    ConfigError
        As `recost` and `compare`.
    """
    return Report(costs_of(results, technology), compare(results[0], results[1:]) if len(results) > 1 else None)

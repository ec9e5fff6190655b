"""A section of the page, and the inputs of a run's sections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.cost.compare_costs import RunCost
from accelsim.report.html.elements import Child, Node
from accelsim.report.metrics import Summary, summarize
from accelsim.result import Result


@dataclass(frozen=True)
class Section:
    """A part of the page; `key` is its id."""

    key: str
    title: str
    body: tuple[Child, ...]


@dataclass(frozen=True)
class Run:
    """One of the page's runs: result, costs, drawings, and the prefix of its ids."""

    cost: RunCost
    figures: Mapping[str, Node]
    prefix: str

    @property
    def result(self) -> Result:
        return self.cost.result

    @property
    def summary(self) -> Summary:
        return summarize(self.result)

    def name(self, key: str) -> str:
        """A page-wide unique id."""
        return f"{self.prefix}{key}"

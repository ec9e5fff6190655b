"""A part of the page, and what each part of a run is made from."""

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
    """One of the page's runs: what it took, what it costs, its drawings, and what its ids start with."""

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
        """An id that no other run has."""
        return f"{self.prefix}{key}"

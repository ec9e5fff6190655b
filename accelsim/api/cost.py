"""Area and energy of a run in a technology, each figure with its range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelsim.api.display import html_table, short_text
from accelsim.api.table import Table
from accelsim.cost.compare_costs import RunCost
from accelsim.cost.span import Span
from accelsim.report.tables.text import ends, short


@dataclass(frozen=True, repr=False)
class Cost:
    """Area of the chip and energy of one inference; a figure has `nominal`, `low` and `high`.

    Attributes
    ----------
    record : the costs as the reports read them
    """

    record: RunCost

    @property
    def technology(self) -> str:
        """Name of the technology."""
        return self.record.cost.energy.technology

    @property
    def area_mm2(self) -> Span:
        """Placed area of the chip."""
        return self.record.area_mm2

    @property
    def energy_uj(self) -> Span:
        """Energy of one inference, memories outside the chip included."""
        return self.record.energy_uj

    def area(self) -> Table:
        """Every component's area with its range and source, the rows of area.csv."""
        return Table(f"Area in {self.technology}", self.record.cost.area.rows())

    def energy(self) -> Table:
        """Every action's energy over the whole run with its range and source, the rows of energy.csv."""
        return Table(f"Energy in {self.technology}", self.record.cost.energy.rows())

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data, with units in their names."""
        return self.record.to_dict()

    def _facts(self) -> list[tuple[str, str]]:
        figures = [("area, mm2", self.area_mm2), ("energy per inference, uJ", self.energy_uj)]
        figures += [(f"  area of {name}, mm2", span) for name, span in self.record.area_by_group_mm2.items()]
        return [(what, f"{short(span.nominal)} ({ends(span)})") for what, span in figures]

    def __repr__(self) -> str:
        return short_text([f"Cost of {self.record.name} in {self.technology}", *(f"  {what}: {text}" for what, text in self._facts())])

    def _repr_html_(self) -> str:
        return html_table(f"Cost of {self.record.name} in {self.technology}", self._facts())

"""One component of an area report, and how gate equivalents become silicon."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from accelsim.cost.span import Span
from accelsim.cost.technology import Technology


@dataclass(frozen=True)
class AreaComponent:
    """A part of the chip.

    Attributes
    ----------
    name, group : of the component, and of the components drawn with it
    kind : logic (cells; divided by the placement density) or memory (macros; not divided)
    gates : gate equivalents; None for a macro
    area_um2 : cell or macro area at the node, um2
    source : where the figure comes from
    notes : extrapolations, assumptions and omissions
    shared : all cores have one together
    """

    name: str
    group: str
    kind: Literal["logic", "memory"]
    gates: Span | None
    area_um2: Span
    source: str
    notes: tuple[str, ...] = ()
    shared: bool = False

    def on_cores(self, count: int) -> AreaComponent:
        """The same of a chip with so many cores."""
        if count == 1 or self.shared:
            return self
        gates = None if self.gates is None else self.gates * count
        return replace(self, gates=gates, area_um2=self.area_um2 * count, source=f"{count} cores, of each: {self.source}")

    def to_row(self) -> dict[str, Any]:
        """Flat and plain, for a table, CSV or JSON."""
        return {
            "component": self.name,
            "group": self.group,
            "kind": self.kind,
            "gate_equivalents": None if self.gates is None else self.gates.nominal,
            "area_um2": self.area_um2.nominal,
            "area_low_um2": self.area_um2.low,
            "area_high_um2": self.area_um2.high,
            "source": self.source,
            "notes": "; ".join(self.notes),
        }


def logic(name: str, group: str, gates: Span, technology: Technology, source: str, notes: tuple[str, ...] = ()) -> AreaComponent:
    """A component of gates: its range is that of the count times that of um2 per GE."""
    per_gate = technology.logic.um2_per_ge
    return AreaComponent(
        name, group, "logic", gates, gates * per_gate.span, f"{source}; {per_gate.value:g} um2/GE: {per_gate.citation}", notes
    )

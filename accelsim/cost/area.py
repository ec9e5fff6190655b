"""Area of an accelerator by component: gate equivalents where there are any, um2 at a technology's node, each with a range.

Disputable assumptions: the logic's formulas are accelsim's own fits to synthesis (see `gate_counts`); wires and clock tree are
in the placement density alone; pads, PLL, memory controller and PHY, the CPU that issues runs and the memories outside the chip
are not counted. Blocks that were never synthesized (vector unit, DMA, switches) are estimates with a wide range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from accelsim.accelerator import Accelerator
from accelsim.cost.clock_limits import ClockLimit, clock_limits
from accelsim.cost.components import AreaComponent
from accelsim.cost.logic_area import logic_components
from accelsim.cost.memory_area import memory_components
from accelsim.cost.span import Span, total
from accelsim.cost.technology import Technology


@dataclass(frozen=True)
class AreaReport:
    """Components of one accelerator at one technology.

    Attributes
    ----------
    components : in the order of the data's way through the chip
    placement_density : cell area over placed area of the logic
    clock_limits : time that each component needs
    warnings : components that the node cannot clock as fast as the accelerator asks
    """

    accelerator: str
    technology: str
    node_nm: int
    components: tuple[AreaComponent, ...]
    placement_density: Span
    density_source: str
    clock_limits: tuple[ClockLimit, ...]
    warnings: tuple[str, ...]

    def of_kind(self, kind: Literal["logic", "memory"]) -> Span:
        """um2 of all logic (cells, before placement) or of all memory macros."""
        return total(component.area_um2 for component in self.components if component.kind == kind)

    @property
    def cells_um2(self) -> Span:
        """Cells and macros, before placement, um2."""
        return self.of_kind("logic") + self.of_kind("memory")

    @property
    def placed_um2(self) -> Span:
        """Cells over the placement density, and macros, um2."""
        return self.of_kind("logic") / self.placement_density + self.of_kind("memory")

    def placed(self, component: AreaComponent) -> Span:
        """A component's share of the placed area, um2: cells over the placement density, a macro as it is."""
        return component.area_um2 / self.placement_density if component.kind == "logic" else component.area_um2

    @property
    def gates(self) -> Span:
        """Gate equivalents of all logic."""
        return total(component.gates for component in self.components if component.gates is not None)

    def component(self, name: str) -> AreaComponent:
        """The component of that name; KeyError if this chip has none."""
        for component in self.components:
            if component.name == name:
                return component
        raise KeyError(name)

    @property
    def by_group(self) -> dict[str, Span]:
        """Group (array, decoder, buffers, ...) -> um2 before placement."""
        return self._by_group(lambda component: component.area_um2)

    @property
    def placed_by_group(self) -> dict[str, Span]:
        """Group -> placed um2; the sum is `placed_um2`."""
        return self._by_group(self.placed)

    def _by_group(self, area: Callable[[AreaComponent], Span]) -> dict[str, Span]:
        groups = dict.fromkeys(component.group for component in self.components)
        return {group: total(area(item) for item in self.components if item.group == group) for group in groups}

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per component, then the totals: units in the names, None where there are no gates."""
        rows = [component.to_row() for component in self.components]
        for name, gates, span, source in (
            ("total, cells and macros", self.gates, self.cells_um2, "sum of the lines above"),
            ("total, placed", None, self.placed_um2, f"logic over placement density: {self.density_source}"),
        ):
            rows.append(AreaComponent(name, "total", "logic", gates, span, source).to_row())
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON data."""
        return {
            "accelerator": self.accelerator,
            "technology": self.technology,
            "node_nm": self.node_nm,
            "placement_density": {
                "value": self.placement_density.nominal,
                "low": self.placement_density.low,
                "high": self.placement_density.high,
                "source": self.density_source,
            },
            "rows": self.rows(),
            "groups_um2": {name: span.nominal for name, span in self.by_group.items()},
            "clock_limits": [limit.to_row() for limit in self.clock_limits],
            "warnings": list(self.warnings),
        }


def area_of(accelerator: Accelerator, technology: Technology) -> AreaReport:
    """Area of every component of `accelerator` in `technology`.

    Raises
    ------
    ConfigError
        The codebook's circuit cannot hold what its store says (a RAM in a ROM's circuit).
    """
    memories = memory_components(accelerator, technology)
    limits = clock_limits(accelerator, technology, {component.name: cycle for component, cycle in memories})
    one_core = (*logic_components(accelerator, technology), *(component for component, _ in memories))
    components = (component.on_cores(accelerator.cores) for component in one_core)
    order = {name: place for place, name in enumerate(GROUPS)}
    density = technology.logic.placement_density
    return AreaReport(
        accelerator=accelerator.name,
        technology=technology.name,
        node_nm=technology.node_nm,
        components=tuple(sorted(components, key=lambda component: order[component.group])),
        placement_density=density.span,
        density_source=density.citation,
        clock_limits=limits,
        warnings=tuple(limit.warning(accelerator.clock, technology.name) for limit in limits if limit.exceeded(accelerator.clock)),
    )


GROUPS = ("array", "accumulators", "decoder", "codebook", "control", "buffers", "vector unit", "dma")

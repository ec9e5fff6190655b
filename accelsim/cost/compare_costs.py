"""Costs of several runs: latency, traffic, energy and area of each, and of its codebook.

Disputable assumption: the runs share one technology, so their ranges rise and fall together; ratios are of nominal figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.cost.recost import Cost, recost
from accelsim.cost.sign_cost import SignCost, sign_bits, sign_costs
from accelsim.cost.span import ZERO, Span, total
from accelsim.cost.technology import Technology
from accelsim.result import Result
from accelsim.run_labels import short_labels

# Component of an energy report -> group of an area report, so that both are drawn in the same colours.
ENERGY_GROUPS: Mapping[str, str] = {
    "PE array": "array",
    "GEMV multipliers": "array",
    "accumulators": "accumulators",
    "unpack buffer": "decoder",
    "sign decoder": "decoder",
    "mask decoder": "decoder",
    "codebook": "codebook",
    "control": "control",
    "activation buffer": "buffers",
    "weight buffer": "buffers",
    "vector unit": "vector unit",
    "DMA": "dma",
    "logic": "logic leakage",
}


@dataclass(frozen=True)
class RunCost:
    """One of several runs: name, result, costs; `signs`: by circuit, where its weights have any."""

    name: str
    result: Result
    cost: Cost
    signs: tuple[SignCost, ...] = ()

    def __repr__(self) -> str:
        return f"<RunCost {self.name}: area and energy of {self.result!r}>"

    @property
    def inferences(self) -> int:
        """Images of all frames."""
        return len(self.result.frames) * self.result.batch

    @property
    def milliseconds(self) -> float:
        """Time of an inference."""
        return self.result.milliseconds / self.inferences

    @property
    def bus_megabytes(self) -> float:
        """Bytes of an inference on all memory channels, 10^6."""
        return self.result.bus_bytes / 1e6 / self.inferences

    @property
    def sign_megabytes(self) -> float:
        """Signs of an inference on all memory channels, 10^6 bytes."""
        return sign_bits(self.result) / 8e6

    @property
    def energy_uj(self) -> Span:
        """Energy per inference, off-chip memories included."""
        return self.cost.energy.energy_pj() * (1e-6 / self.inferences)

    @property
    def area_mm2(self) -> Span:
        """Placed area of the chip."""
        return self.cost.area.placed_um2 * 1e-6

    @property
    def energy_by_group_uj(self) -> dict[str, Span]:
        """Group of components -> energy per inference; the sum is `energy_uj`."""
        parts = self.cost.energy.by_component
        groups = dict.fromkeys(ENERGY_GROUPS.get(name, name) for name in parts)
        scale = 1e-6 / self.inferences
        return {group: total(span for name, span in parts.items() if ENERGY_GROUPS.get(name, name) == group) * scale for group in groups}

    @property
    def area_by_group_mm2(self) -> dict[str, Span]:
        """Group of components -> placed area; the sum is `area_mm2`."""
        return {name: span * 1e-6 for name, span in self.cost.area.placed_by_group.items()}

    @property
    def codebook_energy_uj(self) -> Span:
        """Energy of an inference's lookups and loads; of the leakage only what is a macro's own."""
        return self.energy_by_group_uj.get("codebook", ZERO)

    @property
    def codebook_area_mm2(self) -> Span:
        """Placed area of storage, output registers and crossbar."""
        return self.area_by_group_mm2["codebook"]

    def to_row(self) -> dict[str, Any]:
        """Flat and plain, for CSV and JSON: units in the names."""
        energy, book = self.cost.energy, self.cost.accelerator.codebook
        scale = 1e-6 / self.inferences
        return {
            "accelerator": self.result.accelerator_name,
            "trace": self.result.trace_name,
            "technology": energy.technology,
            "milliseconds": self.milliseconds,
            "total_cycles": self.result.total_cycles,
            "useful_bytes": self.result.useful_bytes / self.inferences,
            "bus_bytes": self.result.bus_bytes / self.inferences,
            **_ends("energy_uj", self.energy_uj),
            **_ends("energy_on_chip_uj", energy.energy_pj(off_chip=False) * scale),
            "leakage_uj": energy.energy_pj(kind="leakage").nominal * scale,
            "energy_delay_product_js": energy.energy_delay_product_js.nominal / self.inferences**2,
            "tops_per_watt": energy.tops_per_watt().nominal,
            "tops_per_watt_on_chip": energy.tops_per_watt(off_chip=False).nominal,
            **_ends("area_mm2", self.area_mm2),
            "codebook_store": book.store,
            "codebook_circuit": book.circuit,
            "codebook_ports": book.ports,
            "codebook_banks": book.banks,
            "codebook_codewords": book.codewords,
            "codebook_codeword_length": book.codeword_length,
            "codebook_element_bits": book.element_bits,
            **_ends("codebook_energy_uj", self.codebook_energy_uj),
            **_ends("codebook_area_mm2", self.codebook_area_mm2),
        }

    def to_dict(self) -> dict[str, Any]:
        """The row, with energy and area by group, and every line of both with its source."""
        return {
            **self.to_row(),
            "signs": [item.to_row() for item in self.signs],
            "area_rows": self.cost.area.rows(),
            "energy_rows": self.cost.energy.rows(),
            "energy_by_group_uj": {name: _range(span) for name, span in self.energy_by_group_uj.items()},
            "area_by_group_mm2": {name: _range(span) for name, span in self.area_by_group_mm2.items()},
        }


def _range(span: Span) -> dict[str, float]:
    return {"value": span.nominal, "low": span.low, "high": span.high}


def _ends(name: str, span: Span) -> dict[str, float]:
    what, _, unit = name.rpartition("_")
    return {name: span.nominal, f"{what}_low_{unit}": span.low, f"{what}_high_{unit}": span.high}


def costs_of(results: Iterable[Result], technology: Technology) -> tuple[RunCost, ...]:
    """Each run on its own accelerator, in one technology.

    Raises
    ------
    ConfigError
        As `recost`.
    """
    runs = tuple(results)
    costs = [recost(run, technology) for run in runs]
    signs = [sign_costs(run, cost, technology) if sign_bits(run) else () for run, cost in zip(runs, costs, strict=True)]
    return tuple(map(RunCost, short_labels(runs), runs, costs, signs))

"""Costs and savings of decoding: a coded run against one of raw weights on the same chip without the decoder, part by part.

Disputable assumptions: the chip of the raw run lacks codebook, sign decoder and the registers where signs wait, and nothing else; it
has the same unpack buffer, which raw values need, and is as fast as the chip that was simulated. A gate costs as much as a MAC's gate,
also where a sign is applied in every PE and every cycle. Cycles that wait for P records per cycle count with the codebook in both runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.cost import gate_counts
from accelsim.cost.energy import EnergyLine
from accelsim.cost.recost import Cost, recost
from accelsim.cost.sign_cost import SignCost, sign_bits, sign_costs
from accelsim.cost.span import ZERO, Span, total
from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.result import CATEGORIES, MEMORIES, WEIGHT_STREAM, Result
from accelsim.run_labels import label

REST = "everything else"
DECODER_ONLY = ("codebook", "sign decoder")  # parts that a chip for raw weights does not have
_STALLS: Mapping[str, tuple[str, ...]] = {
    "weight stream": ("dram", "buffer_full"),
    "unpack buffer": ("buffer_width",),
    "codebook": ("decode", "bank_conflict", "codebook_port", "codebook_load"),
    "shadow weights": ("swap",),
}
_LINES: Mapping[str, Callable[[EnergyLine], bool]] = {
    "weight stream": lambda line: (
        line.component == "weight buffer" or (line.component in (*MEMORIES, "DMA") and line.operand in WEIGHT_STREAM)
    ),
    "unpack buffer": lambda line: line.component == "unpack buffer",
    "codebook": lambda line: line.component == "codebook",
    "sign decoder": lambda line: line.component == "sign decoder",
    "shadow weights": lambda line: line.action == "shadow_write",
}
# Components of an area report that a part's area is made of, or a share of.
_COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "weight stream": ("weight buffer",),
    "unpack buffer": ("unpack buffer",),
    "codebook": (),  # its whole group
    "sign decoder": ("sign decoder", "control"),
    "shadow weights": ("PE array", "second shadow weights"),
}


@dataclass(frozen=True)
class Usage:
    """Figures of a part in one of the runs: placed area, energy of an inference, core cycles of an inference that wait for it."""

    area_mm2: Span
    energy_uj: Span
    cycles: float


@dataclass(frozen=True)
class Part:
    """A part of the chip in both runs; `source` is that of its areas and of the energies of its actions."""

    name: str
    coded: Usage
    raw: Usage
    source: str

    def to_row(self) -> dict[str, Any]:
        """Flat and plain, for a table, CSV or JSON: units in the names."""
        row: dict[str, Any] = {"part": self.name}
        for run, usage in (("coded", self.coded), ("raw", self.raw)):
            for what, unit, span in (("area", "mm2", usage.area_mm2), ("energy", "uj", usage.energy_uj)):
                row |= {f"{run}_{what}{end}_{unit}": value for end, value in span.ends}
            row[f"{run}_cycles"] = usage.cycles
        return {**row, "source": self.source}


@dataclass(frozen=True)
class Ablation:
    """A coded run against a raw one.

    Attributes
    ----------
    parts : in the order of the weights' way through the chip; the last is everything else, so that sums are those of the runs
    signs : circuits that apply signs; sign_bits : bits of signs that an inference moves over the memories
    """

    coded: Result
    raw: Result
    technology: str
    parts: tuple[Part, ...]
    signs: tuple[SignCost, ...]
    sign_bits: float

    def whole(self, run: str) -> Usage:
        """Sum over the parts of 'coded' or 'raw': the run."""
        usages = [getattr(part, run) for part in self.parts]
        return Usage(total(item.area_mm2 for item in usages), total(item.energy_uj for item in usages), sum(item.cycles for item in usages))

    def rows(self) -> list[dict[str, Any]]:
        """One row per part, then the sum."""
        return [
            *(part.to_row() for part in self.parts),
            Part("whole", self.whole("coded"), self.whole("raw"), "sum of the lines above").to_row(),
        ]

    def to_dict(self) -> dict[str, Any]:
        """The ablation as plain JSON data."""
        return {
            "accelerator": self.coded.accelerator_name,
            "coded_trace": self.coded.trace_name,
            "raw_trace": self.raw.trace_name,
            "technology": self.technology,
            "parts": self.rows(),
            "signs": [item.to_row() for item in self.signs],
            "sign_bits": self.sign_bits,
        }


def ablate(coded: Result, raw: Result, technology: Technology) -> Ablation:
    """Cycles, energy and area of the decoder in `coded`, against `raw` on the chip without it.

    Raises
    ------
    ConfigError
        The runs are not of one accelerator and one number of inferences, `coded` decodes nothing, or `raw` decodes something.
    """
    if coded.accelerator != raw.accelerator or coded.clock_hz != raw.clock_hz:
        raise ConfigError(f"{label(coded)} and {label(raw)}: an ablation needs two runs of one accelerator")
    if (len(coded.frames), coded.batch) != (len(raw.frames), raw.batch):
        raise ConfigError(f"{label(coded)} and {label(raw)}: an ablation needs the same number of inferences and images of both")
    costs = recost(coded, technology), recost(raw, technology)
    lookups = [any(line.action == "lookup" for line in cost.energy.lines) for cost in costs]
    if not lookups[0]:
        raise ConfigError(f"{label(coded)}: decodes no codeword; the first trace of an ablation must be coded (ssvq, vq, ...)")
    if lookups[1]:
        raise ConfigError(f"{label(raw)}: looks up codewords; the second trace of an ablation must hold raw weights (uniform)")
    gates = _decoder_gates(costs[0])
    usages = [_usage(cost, result, technology, gates, cost is costs[0]) for cost, result in zip(costs, (coded, raw), strict=True)]
    parts = tuple(Part(name, usages[0][name], usages[1][name], _source(name, costs[0])) for name in usages[0])
    signs = sign_costs(coded, costs[0], technology)
    return Ablation(coded, raw, technology.name, parts, signs, sign_bits(coded))


def _decoder_gates(cost: Cost) -> dict[str, Span]:
    """Gate equivalents of the parts that are logic: they leak, and of some the chip for raw weights has none."""
    array, cores = cost.accelerator.array, cost.accelerator.cores
    codebook = total(item.gates for item in cost.area.components if item.group == "codebook" and item.gates is not None)
    unpack, signs = (cost.area.component(name).gates or ZERO for name in ("unpack buffer", "sign decoder"))
    waiting = Span.exact(gate_counts.FLOP_ENABLE * cost.accelerator.decode_width.coded * cores)  # signs wait a cycle for their codeword
    shadow = Span.exact(array.rows * array.cols * 8 * gate_counts.FLOP_ENABLE * cores)
    shadow += total(item.gates for item in cost.area.components if item.name == "second shadow weights" and item.gates is not None)
    return {"weight stream": ZERO, "unpack buffer": unpack, "codebook": codebook, "sign decoder": signs + waiting, "shadow weights": shadow}


def _source(name: str, cost: Cost) -> str:
    """Sources of a part's areas and of its actions, each once."""
    if name == REST:
        return "the areas and energies of the coded run, less the lines above"
    areas = [item.source for item in cost.area.components if name == item.group or item.name in _COMPONENTS[name]]
    energies = [line.source for line in cost.energy.lines if _LINES[name](line)]
    return "; ".join(dict.fromkeys((*areas, *energies)))


def _usage(cost: Cost, result: Result, technology: Technology, gates: Mapping[str, Span], decodes: bool) -> dict[str, Usage]:
    """Part -> what it takes in a run; the chip of a run that does not decode lacks the decoder."""
    inferences = len(result.frames) * result.batch
    area, energy, cycles = cost.area, cost.energy, result.cycles
    leak = technology.energy.logic_leakage_nw_per_ge.span * (energy.seconds * 1e3)  # pJ per GE
    out: dict[str, Usage] = {}
    absent_area = absent_energy = ZERO
    macros = {
        "weight stream": area.component("weight buffer").area_um2,
        "codebook": total(item.area_um2 for item in area.components if item.kind == "memory" and item.group == "codebook"),
    }
    for name in gates:
        placed = gates[name] * technology.logic.um2_per_ge.span / area.placement_density + macros.get(name, ZERO)
        spent = total(line.energy_pj for line in energy.lines if _LINES[name](line)) + gates[name] * leak
        if name in DECODER_ONLY and not decodes:
            absent_area, absent_energy = absent_area + placed, absent_energy + spent
            placed = spent = ZERO
        stalls = sum(cycles[category] for category in _STALLS.get(name, ()))
        out[name] = Usage(placed * 1e-6, spent * (1e-6 / inferences), stalls / inferences)
    named_area = total(item.area_mm2 for item in out.values()) + absent_area * 1e-6
    named_energy = total(item.energy_uj for item in out.values()) + absent_energy * (1e-6 / inferences)
    out[REST] = Usage(
        _less(area.placed_um2 * 1e-6, named_area),
        _less(energy.energy_pj() * (1e-6 / inferences), named_energy),
        sum(cycles[name] for name in CATEGORIES if not any(name in stalls for stalls in _STALLS.values())) / inferences,
    )
    return out


def _less(whole: Span, part: Span) -> Span:
    """The whole less the part, bound by bound, as both come from one technology's lows and highs."""
    return Span.around(whole.nominal - part.nominal, max(0.0, whole.low - part.low), max(0.0, whole.high - part.high))

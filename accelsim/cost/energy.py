"""Energy of a run: action counts times energy per action, leakage over the time, background power of the memories; each with a range.

Disputable assumptions: nothing is power-gated, so logic and SRAM leak for the whole run; a memory channel draws its background power
for the whole run; the CPU, pads and clock generation are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import yaml

from accelsim.accelerator import Accelerator, load_accelerator
from accelsim.cost.action_counts import Action, Counts, add_counts, count_actions
from accelsim.cost.action_energy import ActionEnergy, action_energies
from accelsim.cost.area import area_of
from accelsim.cost.span import Span, total
from accelsim.cost.sram_grid import SramPoint
from accelsim.cost.sram_macros import accumulator_macro, activation_macro, codebook_macro, l2_macro, weight_macro
from accelsim.cost.technology import MemoryTable, Technology
from accelsim.errors import ConfigError
from accelsim.hw.memory import IDEAL
from accelsim.reading import parse_yaml, yaml_problem
from accelsim.result import MEMORIES, Result

Kind = Literal["dynamic", "leakage", "background"]
KINDS: tuple[Kind, ...] = ("dynamic", "leakage", "background")


@dataclass(frozen=True)
class EnergyLine:
    """One component, operand and action.

    Attributes
    ----------
    kind : dynamic (count x energy), leakage or background (power x time; count is the time in seconds, pj_each the power in pW)
    count, pj_each, energy_pj : with their ranges
    source : of the energy
    """

    component: str
    operand: str
    action: str
    kind: Kind
    count: Span
    pj_each: Span
    energy_pj: Span
    source: str

    def to_row(self) -> dict[str, Any]:
        """Flat and plain, for a table, CSV or JSON."""
        return {
            "component": self.component,
            "operand": self.operand,
            "action": self.action,
            "kind": self.kind,
            "count": self.count.nominal,
            "pj_each": self.pj_each.nominal,
            "energy_uj": self.energy_pj.nominal / 1e6,
            "energy_low_uj": self.energy_pj.low / 1e6,
            "energy_high_uj": self.energy_pj.high / 1e6,
            "source": self.source,
        }


@dataclass(frozen=True)
class EnergyReport:
    """Energy of all frames of a run.

    Attributes
    ----------
    seconds : time of the run; operations : 2 x useful MACs
    lines : one per component, operand and action
    layers : (name, action counts) of each layer of each frame, in order; energies : of each action
    """

    accelerator: str
    trace: str
    technology: str
    device: str
    seconds: float
    operations: int
    lines: tuple[EnergyLine, ...]
    layers: tuple[tuple[str, Counts], ...]
    energies: Mapping[str, ActionEnergy]

    @cached_property
    def layers_pj(self) -> tuple[tuple[str, Span], ...]:
        """(name, dynamic energy) of each layer of each frame, in order."""
        return tuple((name, _dynamic(counts, self.energies)) for name, counts in self.layers)

    def energy_pj(self, *, off_chip: bool = True, kind: Kind | None = None) -> Span:
        """Sum of the lines; without the memories outside the chip, or of one kind only."""
        return total(
            line.energy_pj for line in self.lines if (off_chip or line.component not in MEMORIES) and (kind is None or line.kind == kind)
        )

    def tops_per_watt(self, *, off_chip: bool = True) -> Span:
        """Useful operations (2 per MAC) over energy: 10^12 per joule."""
        energy = self.energy_pj(off_chip=off_chip)
        return Span.exact(float(self.operations)) / energy

    @property
    def energy_delay_product_js(self) -> Span:
        """Energy of the run times its time, joule seconds."""
        return self.energy_pj() * (self.seconds * 1e-12)

    @property
    def by_component(self) -> dict[str, Span]:
        """Component -> energy, pJ."""
        return self._by(lambda line: line.component)

    @property
    def by_operand(self) -> dict[str, Span]:
        """Operand -> energy, pJ."""
        return self._by(lambda line: line.operand)

    def _by(self, key: Callable[[EnergyLine], str]) -> dict[str, Span]:
        names = dict.fromkeys(key(line) for line in self.lines)
        return {name: total(line.energy_pj for line in self.lines if key(line) == name) for name in names}

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per line."""
        return [line.to_row() for line in self.lines]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON data."""
        chip, everything = self.tops_per_watt(off_chip=False), self.tops_per_watt()
        return {
            "accelerator": self.accelerator,
            "trace": self.trace,
            "technology": self.technology,
            "sram_device": self.device,
            "seconds": self.seconds,
            "energy_uj": _range(self.energy_pj() * 1e-6),
            "energy_on_chip_uj": _range(self.energy_pj(off_chip=False) * 1e-6),
            **{f"{kind}_uj": _range(self.energy_pj(kind=kind) * 1e-6) for kind in KINDS},
            "by_component_uj": {name: _range(span * 1e-6) for name, span in self.by_component.items()},
            "by_operand_uj": {name: _range(span * 1e-6) for name, span in self.by_operand.items()},
            "tops_per_watt": _range(everything),
            "tops_per_watt_on_chip": _range(chip),
            "energy_delay_product_js": _range(self.energy_delay_product_js),
            "rows": self.rows(),
            "layers": [{"layer": name, "dynamic_energy_uj": span.nominal / 1e6} for name, span in self.layers_pj],
        }


def _range(span: Span) -> dict[str, float]:
    return {"value": span.nominal, "low": span.low, "high": span.high}


def energy_of(result: Result, accelerator: Accelerator, technology: Technology) -> EnergyReport:
    """Energy of `result`, which ran on `accelerator`, in `technology`; no simulation is repeated.

    Raises
    ------
    ConfigError
        As `area_of`.
    """
    energies = action_energies(accelerator, technology)
    layers = count_actions(result, accelerator)
    lines = [_line(action, count, energies) for action, count in sorted(add_counts(layers).items())]
    seconds = result.total_cycles / accelerator.clock
    return EnergyReport(
        accelerator=result.accelerator_name,
        trace=result.trace_name,
        technology=technology.name,
        device=technology.memory.device,
        seconds=seconds,
        operations=2 * result.macs,
        lines=(*lines, *_leakage(accelerator, technology, seconds), *_background(accelerator, technology, seconds)),
        layers=tuple((layer.name, counts) for layer, counts in zip(result.layers, layers, strict=True)),
        energies=energies,
    )


def accelerator_of(result: Result) -> Accelerator:
    """The accelerator that a result, perhaps a saved one, ran on: the resolved configuration that it carries.

    Raises
    ------
    ConfigError
        The configuration in the result is not one that this version reads.
    """
    try:
        fields = parse_yaml(result.accelerator)
    except yaml.YAMLError as error:
        raise ConfigError(f"result {result.run_id[:12]}: field `accelerator` is not YAML: {yaml_problem(error)}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"result {result.run_id[:12]}: field `accelerator` must be a mapping, is a {type(fields).__name__}")
    return load_accelerator(fields)


def _line(action: Action, count: Span, energies: Mapping[str, ActionEnergy]) -> EnergyLine:
    each = energies[action.name]
    return EnergyLine(action.component, action.operand, action.name, "dynamic", count, each.pj, count * each.pj, each.source)


def _dynamic(counts: Counts, energies: Mapping[str, ActionEnergy]) -> Span:
    return total(energies[action.name].pj * count for action, count in counts.items())


def _power(component: str, name: str, kind: Kind, milliwatts: Span, seconds: float, source: str) -> EnergyLine:
    picowatts = milliwatts * 1e9
    return EnergyLine(component, "idle", name, kind, Span.exact(seconds), picowatts, picowatts * seconds, source)


def _leakage(accelerator: Accelerator, technology: Technology, seconds: float) -> tuple[EnergyLine, ...]:
    """Logic by its gates, SRAM by CACTI's device."""
    figure, memory = technology.energy.logic_leakage_nw_per_ge, technology.memory
    gates = area_of(accelerator, technology).gates
    source = f"{gates.nominal:.3g} GE of all logic (PEs by {technology.logic.mac_array_factor.citation}): {figure.citation}"
    lines = [_power("logic", "leakage", "leakage", gates * figure.span * 1e-6, seconds, source)]
    cores = accelerator.cores
    for name, macro, count in (
        ("weight buffer", weight_macro(accelerator), cores),
        ("activation buffer", activation_macro(accelerator), cores),
        ("accumulators", accumulator_macro(accelerator), cores),
        *((("L2", l2_macro(accelerator.l2), 1),) if accelerator.l2 is not None else ()),
    ):
        point = macro.point(memory)
        milliwatts = memory.leakage_factor.span * (point.leakage_mw * macro.count * count)
        lines.append(_power(name, "leakage", "leakage", milliwatts, seconds, _cacti_leakage(point, memory)))
    lines += _codebook_leakage(accelerator, technology, seconds)
    return tuple(lines)


def _cacti_leakage(point: SramPoint, memory: MemoryTable) -> str:
    """The source of an SRAM's leakage, with what was extrapolated."""
    outside = "".join(f" ({note})" for note in point.notes)
    return f"CACTI 7, device {memory.device}{outside}; {memory.leakage_factor.citation}"


def _codebook_leakage(accelerator: Accelerator, technology: Technology, seconds: float) -> list[EnergyLine]:
    """Of a codebook in macros; one in gates is part of the logic."""
    codebook, memory = accelerator.codebook, technology.memory
    if codebook.circuit not in ("sram", "rom_macro"):
        return []
    macro = codebook_macro(accelerator)
    point = macro.point(memory)
    rom = codebook.circuit == "rom_macro"
    share = Span(0.5, 0.1, 1.0) if rom else Span.exact(1.0)  # a ROM's cells leak less, its periphery as much: estimate
    source = f"{'0.1-1 of an SRAM (estimate): ' if rom else ''}{_cacti_leakage(point, memory)}"
    copies = macro.count * (accelerator.cores if codebook.shared_ports is None else 1)
    milliwatts = memory.leakage_factor.span * share * (point.leakage_mw * copies)
    return [_power("codebook", "leakage", "leakage", milliwatts, seconds, source)]


def _background(accelerator: Accelerator, technology: Technology, seconds: float) -> tuple[EnergyLine, ...]:
    lines = []
    if accelerator.dram is not None and accelerator.dram.device != IDEAL:
        figure = technology.energy.dram_background_mw
        lines.append(_power("dram", "background", "background", figure.span * accelerator.dram.channels, seconds, figure.citation))
    if accelerator.flash is not None:
        figure = technology.energy.flash_background_mw
        lines.append(_power("flash", "background", "background", figure.span, seconds, figure.citation))
    return tuple(lines)

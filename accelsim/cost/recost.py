"""Costs of a saved result in a technology, without simulation: area and energy of the accelerator that the result carries.

Disputable assumption: a technology changes no cycle. A clock that its components cannot reach is a warning of the area, not a slower run.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.accelerator import Accelerator
from accelsim.cost.area import AreaReport, area_of
from accelsim.cost.energy import EnergyReport, accelerator_of, energy_of
from accelsim.cost.technology import Technology
from accelsim.result import Result


@dataclass(frozen=True)
class Cost:
    """Area of the chip of a run and energy of the run, in one technology."""

    accelerator: Accelerator
    area: AreaReport
    energy: EnergyReport


def recost(result: Result, technology: Technology) -> Cost:
    """Area and energy of `result`, perhaps a saved one, in `technology`.

    Raises
    ------
    ConfigError
        The configuration in the result is not one that this version reads, or as `area_of`.
    """
    accelerator = accelerator_of(result)
    return Cost(accelerator, area_of(accelerator, technology), energy_of(result, accelerator, technology))

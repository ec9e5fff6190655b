"""Records of idealized machines: cells of a closed form, and the steps of a walk from there to a real chip."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.result import Result


@dataclass(frozen=True)
class LimitCell:
    """Cycles of both traces on an ideal machine, load then compute (serial) and overlapped."""

    array: int
    bytes_per_cycle: float
    serial_cycles: tuple[int, int]
    overlapped_cycles: tuple[int, int]

    @property
    def serial(self) -> float:
        """Speed-up of the second trace over the first, a layer's load before its compute."""
        return self.serial_cycles[0] / self.serial_cycles[1]

    @property
    def overlapped(self) -> float:
        """Speed-up of the second trace over the first, load under compute."""
        return self.overlapped_cycles[0] / self.overlapped_cycles[1]


@dataclass(frozen=True)
class WalkStep:
    """One step: the effect it adds, and both runs with it.

    Attributes
    ----------
    baseline, other : runs of this step; None for the first step, which counts bits
    """

    name: str
    meaning: str
    speedup: float
    baseline: Result | None
    other: Result | None


@dataclass(frozen=True)
class Walk:
    """The steps on one chip; the last is the chip itself."""

    accelerator_name: str
    steps: tuple[WalkStep, ...]

    @property
    def start(self) -> float:
        """Ratio of the weights' bits."""
        return self.steps[0].speedup

    @property
    def end(self) -> float:
        """The chip's own speed-up."""
        return self.steps[-1].speedup

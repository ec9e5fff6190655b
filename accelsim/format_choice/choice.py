"""Records of a choice of formats: the budget, mixes that were simulated whole, and the choice with the uniform ones beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.accelerator import Accelerator
from accelsim.compression.recipe import Recipe
from accelsim.cost.span import Span
from accelsim.format_choice.assignment import Options
from accelsim.result import Result
from accelsim.trace.trace import Trace

MIX = "mix"  # the name of a choice that is no uniform one
_ROUNDING = 1e-12  # of a limit in mm2: a figure that was printed in full and given back is kept to


@dataclass(frozen=True)
class Budget:
    """The most cycles of an inference, placed mm2 of the chip, and bytes of all weights' streams; None: any."""

    cycles: int | None = None
    area_mm2: float | None = None
    stored_bytes: int | None = None

    def allows_area(self, area_um2: Span) -> bool:
        """Whether a chip is small enough, by its nominal area."""
        return self.area_mm2 is None or area_um2.nominal <= 1e6 * self.area_mm2 * (1 + _ROUNDING)

    def allows(self, mix: Mix) -> bool:
        """Whether a mix keeps to it, by its simulated cycles."""
        fast = self.cycles is None or mix.cycles <= self.cycles
        small = self.stored_bytes is None or mix.stored_bytes <= self.stored_bytes
        return fast and small and self.allows_area(mix.area_um2)


@dataclass(frozen=True, repr=False)
class Mix:
    """A format for each layer, simulated whole.

    Attributes
    ----------
    name : the candidate of a uniform choice, or MIX
    formats : the format of each layer with weights, in order
    error : sum of the layers' errors
    whole_error : error with all layers in their formats at once; None if it was not measured
    predicted_cycles : sum of the cycles that each layer takes in the run of its format; `cycles`: of the whole, simulated
    area_um2 : placed, of the chip with the codebook and the decoder of all formats in use
    stored_bytes : streams of all layers' weights; a codebook of the chip is not among them
    chip, trace, result : what was simulated
    """

    name: str
    formats: tuple[str, ...]
    error: float
    whole_error: float | None
    predicted_cycles: int
    area_um2: Span
    stored_bytes: int
    chip: Accelerator
    trace: Trace
    result: Result

    @property
    def cycles(self) -> int:
        """Simulated cycles of an inference."""
        return self.result.total_cycles

    @property
    def order(self) -> tuple[float, int, float]:
        """Less is better: the error, then cycles, then area."""
        return self.error, self.cycles, self.area_um2.nominal

    def __repr__(self) -> str:
        return f"<Mix {self.name}: error {self.error:.4g}, {self.cycles:,} cycles, {self.area_um2.nominal / 1e6:.4g} mm2>"


@dataclass(frozen=True, repr=False)
class Choice:
    """The chosen mix.

    Attributes
    ----------
    budget : as it was asked for
    layers : names of the layers with weights, in order
    formats : those that a layer may take
    options : what each layer costs in each of `formats`
    mix : the choice
    recipe : its formats by layer
    uniform : the uniform choice of each candidate, within the budget or not
    tried : mixes that were simulated whole, the uniform ones apart
    complete : whether every better mix was simulated, so that none within the budget has a smaller sum of errors
    left_out : sets of formats that do not run on one chip -> why
    """

    budget: Budget
    layers: tuple[str, ...]
    formats: tuple[str, ...]
    options: Options
    mix: Mix
    recipe: Recipe
    uniform: tuple[Mix, ...]
    tried: tuple[Mix, ...]
    complete: bool
    left_out: Mapping[str, str]

    @property
    def best_uniform(self) -> Mix | None:
        """The uniform choice with the least error that keeps to the budget; None if none does."""
        return min((item for item in self.uniform if self.budget.allows(item)), key=lambda item: item.order, default=None)

    def __repr__(self) -> str:
        return f"<Choice {self.mix!r} out of {len(self.uniform)} formats for {len(self.layers)} layers>"

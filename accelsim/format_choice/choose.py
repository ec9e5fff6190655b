"""The format of each layer by simulated cost: the least output error under a budget that the simulated whole network keeps.

Layers interact in time (weights are prefetched, results chained), so a layer's cycles in a uniform run only predict those in a mix. Each
mix that the program finds is therefore simulated whole, and the limit for the next one is moved by as much as its prediction was wrong.
Disputable assumption: unless all better mixes were simulated, this ends at a good one, not the best; never at one worse than the best
uniform choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from accelsim.accelerator import Accelerator
from accelsim.cost.span import Span
from accelsim.cost.technology import Technology
from accelsim.errors import CompileError, ConfigError
from accelsim.format_choice.assignment import Assignment, Limits, Options, assign, check_solver
from accelsim.format_choice.candidates import Candidates, Encoded, candidates_of
from accelsim.format_choice.chip_cost import area_with, chip_for
from accelsim.format_choice.choice import MIX, Budget, Choice, Mix
from accelsim.format_choice.given_errors import Errors, given_errors
from accelsim.format_choice.output_errors import output_errors
from accelsim.progress import Progress
from accelsim.result import Result
from accelsim.simulation import Shared, simulate
from accelsim.trace.trace import Trace
from accelsim.trace.trace_name import SIGN

MOST_MIXES = 24  # that are simulated whole, the uniform ones apart
MOST_LAYERS = 400  # in these: a network of fewer than 17 layers with weights has more mixes simulated, for its layers interact more
_GAIN = 1e-8  # of the largest error of a layer: a mix that is better by less is not tried
Inputs = Mapping[str, npt.NDArray[Any]]


def choose_formats(
    accelerator: Accelerator,
    trace: Trace,
    formats: Sequence[str],
    budget: Budget,
    technology: Technology,
    *,
    inputs: Inputs | None = None,
    errors: Errors | None = None,
    layers: str | None = None,
    fit: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Choice:
    """Choose the format of each layer of a float trace.

    Parameters
    ----------
    formats : candidates, such as 'ssvq:k=16,d=8'
    inputs : samples on which errors of the outputs are measured, (samples, groups, rows, width) by name
    errors : in place of inputs: layer -> format -> error, in any unit that adds up
    layers : pattern of the layers whose format is chosen, the others keep 8 bits; None: all
    fit : give the chip the codebook that each set of formats needs; False takes it as it is

    Raises
    ------
    ConfigError, TraceError, FormatError, CompileError
        As of `candidates_of`, `given_errors` and `output_errors`; a uniform choice does not run on the chip; no choice keeps to the budget:
        says the least that was reached.
    """
    check_solver()
    if (inputs is None) == (errors is None):
        raise ConfigError("a choice of formats takes one of `inputs` (samples to measure errors on) and `errors` (measured before)")
    candidates = candidates_of(trace, formats, layers, seed)
    given = None if errors is None else given_errors(candidates, errors)
    encoded = Encoded(candidates, progress)
    runs = _Runs(accelerator, candidates, encoded, technology, fit)
    cycles = runs.layer_cycles(progress)
    measured = given if given is not None else _measured(candidates, encoded, inputs or {}, progress)
    return _Search(budget, runs, Options(candidates.allowed, measured, cycles, encoded.stored_bytes()), inputs, progress).choice()


def _measured(candidates: Candidates, encoded: Encoded, inputs: Inputs, progress: Progress | None) -> npt.NDArray[np.float64]:
    """The output error of each layer in each format, all others float."""
    places = np.argwhere(candidates.allowed)
    changes = [encoded.changes({int(layer): int(place)}) for layer, place in places]
    found = np.zeros(candidates.allowed.shape)
    found[candidates.allowed] = output_errors(candidates.trace, inputs, changes, progress)
    return found


class _Runs:
    """Simulations of whole networks, each made once."""

    def __init__(self, accelerator: Accelerator, candidates: Candidates, encoded: Encoded, technology: Technology, fit: bool) -> None:
        self.accelerator, self.candidates, self.encoded, self.technology, self.fit = accelerator, candidates, encoded, technology, fit
        self._shared = Shared()
        self._known: dict[Assignment, tuple[Accelerator, Trace, Result]] = {}

    def run(self, assignment: Assignment, name: str) -> tuple[Accelerator, Trace, Result]:
        """The chip, the packed network and its run; CompileError if the chip cannot serve the formats together."""
        if assignment not in self._known:
            chip = chip_for(self.accelerator, self.names(assignment), self.fit)
            source = self.candidates.trace.name
            trace = self.encoded.trace(assignment, f"{source}_{MIX}" if name == MIX else f"{source}{SIGN}{name}")
            self._known[assignment] = chip, trace, simulate(chip, trace, shared=self._shared)
        return self._known[assignment]

    def names(self, used: Sequence[int] | frozenset[int]) -> list[str]:
        """Texts of the formats at these places, each once."""
        return [self.candidates.formats[place] for place in sorted(set(used))]

    def area(self, used: Sequence[int] | frozenset[int]) -> Span:
        """Area of the chip with a set of formats."""
        names = self.names(used)
        return area_with(chip_for(self.accelerator, names, self.fit), names, self.technology)

    def layer_cycles(self, progress: Progress | None) -> npt.NDArray[np.int64]:
        """Cycles of each layer in each format that it may take, [layers, formats], in a run where most layers have that format.

        That is the uniform run, and for layers that keep 8 bits in it a second one in which all that may take the format do.
        """
        own = self.candidates
        assignments: dict[Assignment, str] = {assignment: text for text, assignment in own.uniform.items()}
        for text, assignment in own.uniform.items():
            place = own.formats.index(text)
            everywhere = tuple(place if own.allowed[layer, place] else other for layer, other in enumerate(assignment))
            assignments.setdefault(everywhere, text)
        found = np.full(own.allowed.shape, -1, np.int64)
        for done, (assignment, text) in enumerate(assignments.items()):
            if progress is not None:
                progress("formats simulated", done, len(assignments))
            try:
                _, _, result = self.run(assignment, text)
            except CompileError as error:
                raise CompileError(f"format {text!r}: {error}") from None
            cycles = _cycles_of_layers(result, own.layers)
            for layer, place in enumerate(assignment):
                own_run = own.formats[place] == text
                if found[layer, place] < 0 or (own_run and own.uniform.get(text) == assignment):
                    found[layer, place] = cycles[own.layers[layer]]
        return found


def _cycles_of_layers(result: Result, layers: Sequence[str]) -> dict[str, int]:
    """Cycles by layer with weights; those of a layer without belong to the one with weights that runs before it, or to the first."""
    found = dict.fromkeys(layers, 0)
    owner = layers[0]
    for item in result.layers:
        owner = item.name if item.name in found else owner
        found[owner] += item.total_cycles
    return found


class _Search:
    """The way from the uniform choices to the best mix within a budget."""

    def __init__(self, budget: Budget, runs: _Runs, options: Options, inputs: Inputs | None, progress: Progress | None) -> None:
        self.budget, self.runs, self.options, self.inputs, self.progress = budget, runs, options, inputs, progress
        self.known: dict[Assignment, Mix] = {}  # simulated whole, the uniform ones first
        self.left_out: dict[frozenset[int], str] = {}  # sets of formats that one chip cannot serve
        self.too_large: frozenset[frozenset[int]] = frozenset()  # sets whose chip exceeds the area
        self.most_mixes = max(MOST_MIXES, MOST_LAYERS // len(runs.candidates.layers))

    def choice(self) -> Choice:
        """The best mix; ConfigError if none keeps to the budget."""
        candidates = self.runs.candidates
        for text, assignment in candidates.uniform.items():
            self.known[assignment] = self._mix(assignment, text)
        uniform = list(self.known.values())
        self.too_large = self._too_large()
        self._check_bytes()
        complete = self._try_mixes()
        best = self._best
        if best is None:
            self._refuse_cycles(complete)
        tried = list(self.known.values())[len(uniform) :]
        if self.inputs is not None:
            measured = self._whole_errors([best, *uniform])
            best, *uniform = (replace(item, whole_error=error) for item, error in zip((best, *uniform), measured, strict=True))
        places = tuple(candidates.formats.index(text) for text in best.formats)
        return Choice(
            budget=self.budget,
            layers=candidates.layers,
            formats=candidates.formats,
            options=self.options,
            mix=best,
            recipe=candidates.recipe(places),
            uniform=tuple(uniform),
            tried=tuple(tried),
            complete=complete,
            left_out={" + ".join(self.runs.names(used)): why for used, why in self.left_out.items()},
        )

    @property
    def _best(self) -> Mix | None:
        """The best mix within the budget so far."""
        return min((item for item in self.known.values() if self.budget.allows(item)), key=lambda item: item.order, default=None)

    def _try_mixes(self) -> bool:
        """Simulate mixes whole, each better than the best one before, until none is left (True) or `most_mixes` are simulated."""
        limit, tried = self.budget.cycles, 0
        while (assignment := self._next(limit)) is not None:
            if tried == self.most_mixes:
                return False
            if self.progress is not None:
                self.progress("mixes simulated", tried, self.most_mixes)
            try:
                mix = self.known[assignment] = self._mix(assignment, MIX)
            except CompileError as error:  # no chip serves these formats together
                self.left_out[frozenset(assignment)] = str(error)
                continue
            tried += 1
            if self.budget.cycles is not None:
                limit = self.budget.cycles - (mix.cycles - mix.predicted_cycles)
        return True

    def _next(self, limit: int | None) -> Assignment | None:
        """A mix to simulate, with less error than the best: the least error within a limit of cycles, or else the fewest cycles."""
        best = self._best
        below = None if best is None else best.error - _GAIN * self.options.largest("errors")
        return self._assign("errors", below, limit) or self._assign("cycles", below, None)

    def _assign(self, objective: str, below: float | None, cycles: int | None) -> Assignment | None:
        limits = Limits(below, cycles, self.budget.stored_bytes)
        sets = self.too_large | self.left_out.keys()
        return assign(self.options, limits, objective, forbidden=self.known, forbidden_sets=sets)

    def _mix(self, assignment: Assignment, name: str) -> Mix:
        chip, trace, result = self.runs.run(assignment, name)
        return Mix(
            name=name,
            formats=tuple(self.runs.candidates.formats[place] for place in assignment),
            error=self.options.total("errors", assignment),
            whole_error=None,
            predicted_cycles=self.options.total("cycles", assignment),
            area_um2=self.runs.area(assignment),
            stored_bytes=self.options.total("stored_bytes", assignment),
            chip=chip,
            trace=trace,
            result=result,
        )

    def _whole_errors(self, mixes: Sequence[Mix]) -> list[float]:
        """Errors of the outputs with all layers in their formats at once."""
        own = self.runs.candidates
        changes = [self.runs.encoded.changes({layer: own.formats.index(text) for layer, text in enumerate(item.formats)}) for item in mixes]
        return output_errors(own.trace, self.inputs or {}, changes, self.progress)

    def _too_large(self) -> frozenset[frozenset[int]]:
        """Sets of formats whose chip exceeds the area; ConfigError with the least area if no choice is left."""
        if self.budget.area_mm2 is None:
            return frozenset()
        places = range(len(self.runs.candidates.formats))
        sets = [frozenset(item) for count in range(1, len(places) + 1) for item in combinations(places, count)]
        areas = {item: self.runs.area(item) for item in sets}
        found = frozenset(item for item, area in areas.items() if not self.budget.allows_area(area))
        if assign(self.options, Limits(), "cycles", forbidden_sets=found) is not None:
            return found
        for least in sorted({area.nominal for area in areas.values()}):
            over = frozenset(item for item, area in areas.items() if area.nominal > least)
            assignment = assign(self.options, Limits(), "cycles", forbidden_sets=over)
            if assignment is not None:
                raise ConfigError(
                    f"no choice of formats keeps to {self.budget.area_mm2:g} mm2; the least area is {least / 1e6:.6g} mm2, "
                    f"with {', '.join(self.runs.names(assignment))}"
                )
        raise AssertionError("every network has a choice: the uniform ones")

    def _check_bytes(self) -> None:
        """ConfigError with the fewest bytes if no choice keeps to those allowed."""
        if self.budget.stored_bytes is None:
            return
        least = assign(self.options, Limits(), "stored_bytes", forbidden_sets=self.too_large)
        assert least is not None  # `too_large` leaves a choice
        fewest = self.options.total("stored_bytes", least)
        if fewest > self.budget.stored_bytes:
            raise ConfigError(
                f"no choice of formats keeps to {self.budget.stored_bytes:,} B of weights{self._beside('area_mm2')}; "
                f"the fewest are {fewest:,} B, with {', '.join(self.runs.names(least))}"
            )

    def _refuse_cycles(self, complete: bool) -> NoReturn:
        """ConfigError with the fewest cycles of what else keeps to the budget."""
        without = replace(self.budget, cycles=None)
        mixes = [item for item in self.known.values() if without.allows(item)]
        if not mixes:
            raise ConfigError(f"no choice of formats runs on {self.runs.accelerator.name!r}: {'; '.join(self.left_out.values())}")
        fastest = min(mixes, key=lambda item: item.cycles)
        assert self.budget.cycles is not None  # the fastest keeps to all else
        what = "no choice of formats" if complete else "no choice of formats that was simulated"
        raise ConfigError(
            f"{what} keeps to {self.budget.cycles:,} cycles ({self._ms(self.budget.cycles)} ms)"
            f"{self._beside('area_mm2', 'stored_bytes')}; the fewest of {len(self.known)} that were simulated are {fastest.cycles:,} "
            f"({self._ms(fastest.cycles)} ms), with {', '.join(dict.fromkeys(fastest.formats))}"
        )

    def _beside(self, *limits: str) -> str:
        """The other limits, where they are given."""
        units = {"area_mm2": "mm2", "stored_bytes": "B"}
        given = [f"{getattr(self.budget, name):,} {units[name]}" for name in limits if getattr(self.budget, name) is not None]
        return f" within {' and '.join(given)}" if given else ""

    def _ms(self, cycles: int) -> str:
        return f"{1e3 * cycles / self.runs.accelerator.clock:.6g}"

"""The format of each layer with the least sum of errors under limits on sums, as a mixed-integer program.

The solver is HiGHS (Huangfu and Hall, Math. Prog. Comp. 10, 2018) in SciPy, of the extra `[search]`. Errors are taken to be additive over
layers, and so are cycles and bytes; hardware is not: it depends on the set of formats in use, for which a binary variable each stands.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.errors import ConfigError
from accelsim.format_choice.silenced import silenced

Assignment = tuple[int, ...]  # the place of each layer's format
_OBJECTIVE = 1e6  # the largest coefficient of an objective: HiGHS stops at an absolute gap of 1e-6
_ROW = 1.0  # and of a limit: HiGHS takes 1e-6 for an integer, and times a larger coefficient that is a violated limit
_TOLERANCE = 1e-6  # of HiGHS, of a row and of an integer
_NEAR = 16  # assignments that exceed a limit by less are forbidden one by one; more lower the limits, which loses those as near to them
_EQUAL = 1e-12  # of the largest sum of errors: sums nearer than this are ties, and the fewest cycles decide


@dataclass(frozen=True)
class Options:
    """Costs of each layer in each format, [layers, formats].

    Attributes
    ----------
    allowed : bool; whether the layer may take the format
    errors : float64; cycles, stored_bytes : int64. Read where `allowed`
    """

    allowed: npt.NDArray[np.bool_]
    errors: npt.NDArray[np.float64]
    cycles: npt.NDArray[np.int64]
    stored_bytes: npt.NDArray[np.int64]

    def largest(self, figure: str) -> float:
        """The largest magnitude of a figure; 1 if all are 0."""
        return float(np.abs(getattr(self, figure)[self.allowed]).max(initial=0.0)) or 1.0

    def total(self, figure: str, assignment: Assignment) -> Any:
        """The sum of a figure (an attribute's name) over the layers."""
        values = getattr(self, figure)
        return sum(values[layer, place].item() for layer, place in enumerate(assignment))


@dataclass(frozen=True)
class Limits:
    """The most of each sum; None: any."""

    errors: float | None = None
    cycles: int | None = None
    stored_bytes: int | None = None

    @property
    def given(self) -> dict[str, float]:
        """Figure -> limit, of those that there are."""
        limits = {"errors": self.errors, "cycles": self.cycles, "stored_bytes": self.stored_bytes}
        return {figure: most for figure, most in limits.items() if most is not None}

    def hold(self, options: Options, assignment: Assignment) -> bool:
        """Whether an assignment keeps to them."""
        return all(options.total(figure, assignment) <= most for figure, most in self.given.items())


def check_solver() -> None:
    """ConfigError if SciPy is not installed."""
    if find_spec("scipy") is None:
        raise ConfigError("a choice of formats needs SciPy; install accelsim with its extra: pip install 'accelsim[search]'")


def assign(
    options: Options,
    limits: Limits,
    objective: str = "errors",
    *,
    forbidden: Collection[Assignment] = (),
    forbidden_sets: Collection[frozenset[int]] = (),
) -> Assignment | None:
    """The assignment with the least sum of `objective`, of equal ones that with the fewest cycles; None if there is none.

    Parameters
    ----------
    objective : 'errors', 'cycles' or 'stored_bytes'
    forbidden : assignments that are not taken
    forbidden_sets : places of formats that are not used together, exactly these and no others
    """
    program = _Program(options, forbidden, forbidden_sets)
    best = program.solved(limits, objective)
    if best is None or objective == "cycles":
        return best
    margin = _EQUAL * options.largest(objective) * len(options.allowed) if objective == "errors" else 0
    tied = program.solved(replace(limits, **{objective: options.total(objective, best) + margin}), "cycles")
    return best if tied is None else tied


class _Program:
    """Constraints of all solutions: a format per layer, formats in use, and what is forbidden."""

    def __init__(self, options: Options, forbidden: Collection[Assignment], forbidden_sets: Collection[frozenset[int]]) -> None:
        self.options = options
        self.layers, self.formats = options.allowed.shape
        self.column = {(int(layer), int(place)): column for column, (layer, place) in enumerate(np.argwhere(options.allowed))}
        self.rows: list[npt.NDArray[np.float64]] = []
        self.low: list[float] = []
        self.high: list[float] = []
        for layer in range(self.layers):
            self._add({self.column[layer, place]: 1 for place in range(self.formats) if (layer, place) in self.column}, 1, 1)
        for place in range(self.formats):  # in use if and only if a layer takes it
            taking = {self.column[layer, place]: 1.0 for layer in range(self.layers) if (layer, place) in self.column}
            self._add({**taking, self._used(place): -1}, 0, np.inf)
            for column in taking if forbidden_sets else ():
                self._add({column: 1, self._used(place): -1}, -np.inf, 0)
        for assignment in forbidden:
            self._forbid(assignment)
        for used in forbidden_sets:
            signs = {self._used(place): -1.0 if place in used else 1.0 for place in range(self.formats)}
            self._add(signs, 1 - len(used), np.inf)

    def solved(self, limits: Limits, objective: str) -> Assignment | None:
        """The best assignment within the limits; None if there is none."""
        rows, high = list(self.rows), list(self.high)
        for figure, most in limits.given.items():
            unit = _ROW / self.options.largest(figure)
            rows.append(unit * self._values(figure))
            high.append(unit * most)
        low = [*self.low, *[-np.inf] * len(limits.given)]
        values = _OBJECTIVE / self.options.largest(objective) * self._values(objective)
        own = len(self.rows)
        for tried in count():
            found = _minimum(values, rows, low, high)
            if found is None:
                return None
            assignment = self._assignment(found)
            if limits.hold(self.options, assignment):
                return assignment
            self._forbid(assignment)  # it exceeds a limit by less than the solver's tolerance
            if tried == _NEAR:  # and so may all that tie with it, which are too many to be forbidden one by one
                high[own : own + len(limits.given)] = [most - self._slack for most in high[own : own + len(limits.given)]]
            rows, low, high = [*rows, self.rows[-1]], [*low, self.low[-1]], [*high, self.high[-1]]
        raise AssertionError("count() does not end")

    @property
    def _slack(self) -> float:
        """More than a solution may exceed a limit by: the solver's tolerance of the row, and of each variable in it."""
        return _TOLERANCE * (2 + len(self.column))

    def _used(self, place: int) -> int:
        return len(self.column) + place

    def _add(self, coefficients: dict[int, float], low: float, high: float) -> None:
        row = np.zeros(len(self.column) + self.formats)
        row[list(coefficients)] = list(coefficients.values())
        self.rows.append(row)
        self.low.append(low)
        self.high.append(high)

    def _forbid(self, assignment: Assignment) -> None:
        self._add({self.column[layer, place]: 1 for layer, place in enumerate(assignment)}, -np.inf, self.layers - 1)

    def _values(self, figure: str) -> npt.NDArray[np.float64]:
        values = getattr(self.options, figure)[self.options.allowed].astype(np.float64)
        return np.concatenate([values, np.zeros(self.formats)])

    def _assignment(self, found: npt.NDArray[np.float64]) -> Assignment:
        taken = {layer: place for (layer, place), column in self.column.items() if found[column] > 0.5}
        return tuple(taken[layer] for layer in range(self.layers))


def _minimum(
    objective: npt.NDArray[np.float64], rows: Sequence[npt.NDArray[np.float64]], low: Sequence[float], high: Sequence[float]
) -> npt.NDArray[np.float64] | None:
    """The binary variables with the least objective; None if there are none."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    constraints = LinearConstraint(csr_array(np.stack(rows)), np.array(low), np.array(high))
    with silenced():
        found = milp(
            objective, integrality=np.ones(len(objective)), bounds=Bounds(0, 1), constraints=constraints, options={"mip_rel_gap": 0.0}
        )
    values: npt.NDArray[np.float64] | None = found.x
    return values

"""Least squares over fields of a chip, and the verdict on the fit.

The residual of a row is (simulated - measured) / measured. Cycles are whole numbers, so slopes are differences over one hundredth of a
parameter's axis. An interval is that of linear least squares: scale^2 (J^T J)^-1 with Student's t at 95 % (Seber and Wild, Nonlinear
Regression, 1989, section 5.1); it needs more rows than parameters.

A disputable choice: two parameters whose slopes over all rows have a cosine beyond 0.995 are called indistinguishable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import stdtrit

from accelsim.calibration.measurements import Measurement
from accelsim.calibration.parameters import Parameter
from accelsim.trace.trace_name import TraceName

STEP = 0.01  # of a parameter's axis, for slopes
SAME_DIRECTION = 0.995  # cosine of two columns of slopes
NO_EFFECT = 1e-6  # relative change of the times along a parameter's whole axis
AT_BOUND = 0.005  # distance from a bound, of the axis
MOST_EVALUATIONS = 60  # of all fitted rows; each iteration takes one and one for each parameter

Floats = npt.NDArray[np.float64]
Simulated = Callable[[Sequence[int], Sequence[Measurement]], Floats]


@dataclass(frozen=True)
class Fitted:
    """A parameter after the fit, in its smallest unit; `low` and `high` bound the 95 % interval (None: rows cannot give one)."""

    path: str
    start: int
    value: int
    low: int | None
    high: int | None
    shown: str
    interval: str


@dataclass(frozen=True)
class RowError:
    """A row after the fit; `error` is relative, positive where the simulation is slower than the measurement."""

    row: int
    network: str
    layer: str
    held: bool
    measured_ms: float
    simulated_ms: float
    error: float


@dataclass(frozen=True)
class Calibration:
    """Outcome of a fit.

    Attributes
    ----------
    verdict : `fitted` (the rows determine the parameters), `reproduced` (as many parameters as rows: nothing is predicted) or
        `indistinguishable` (the rows do not tell parameters apart)
    notes : caveats, a sentence each
    """

    verdict: str
    parameters: tuple[Fitted, ...]
    rows: tuple[RowError, ...]
    notes: tuple[str, ...]

    def rms(self, *, held: bool) -> float | None:
        """Root mean square of the relative errors of the fitted or of the held rows; None without such a row."""
        errors = [row.error for row in self.rows if row.held is held]
        return math.sqrt(sum(error**2 for error in errors) / len(errors)) if errors else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "rms_fitted": self.rms(held=False), "rms_held": self.rms(held=True)}


def fit(parameters: Sequence[Parameter], rows: Sequence[Measurement], simulated_ms: Simulated) -> Calibration:
    """Fit parameters to the rows that are not held.

    Parameters
    ----------
    simulated_ms : milliseconds [rows] of these rows with the parameters at these values
    """
    seen = [row for row in rows if not row.held]
    measured = np.array([row.milliseconds for row in seen])

    def residuals(places: Floats) -> Floats:
        values = [parameter.at(place) for parameter, place in zip(parameters, places, strict=True)]
        errors: Floats = simulated_ms(values, seen) / measured - 1
        return errors

    start = np.array([parameter.place(parameter.start) for parameter in parameters])
    slopes_at = _slopes(residuals)
    found = least_squares(
        residuals, np.clip(start, STEP, 1 - STEP), jac=slopes_at, bounds=(0.0, 1.0), x_scale=1.0, xtol=1e-6, ftol=1e-10, gtol=1e-10,
        max_nfev=MOST_EVALUATIONS,
    )  # fmt: skip
    slopes = slopes_at(found.x)
    values = [parameter.at(place) for parameter, place in zip(parameters, found.x, strict=True)]
    notes, verdict = _judge(parameters, seen, found.x, slopes)
    ends = _intervals(parameters, found.x, found.fun, slopes) if verdict == "fitted" else [None] * len(parameters)
    fitted = tuple(_fitted(*item) for item in zip(parameters, values, ends, strict=True))
    return Calibration(verdict, fitted, _errors(rows, simulated_ms(values, rows)), tuple(notes))


def _slopes(residuals: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """The Jacobian by central differences of `STEP`, one-sided at a bound."""

    def at(places: Floats) -> Floats:
        columns = []
        for index in range(len(places)):
            low, high = places.copy(), places.copy()
            low[index], high[index] = max(places[index] - STEP, 0.0), min(places[index] + STEP, 1.0)
            columns.append((residuals(high) - residuals(low)) / (high[index] - low[index]))
        return np.stack(columns, axis=1)

    return at


def _judge(parameters: Sequence[Parameter], seen: Sequence[Measurement], places: Floats, slopes: Floats) -> tuple[list[str], str]:
    """Notes on the fit, and its verdict."""
    notes = [f"{len(seen)} rows fitted with {len(parameters)} parameters"]
    lengths = np.linalg.norm(slopes, axis=0)
    idle = [parameter.path for parameter, length in zip(parameters, lengths, strict=True) if length < NO_EFFECT]
    notes += [f"{path} changes no fitted row: its value is the file's" for path in idle]
    same = [
        (parameters[one].path, parameters[other].path)
        for one, other in combinations(range(len(parameters)), 2)
        if min(lengths[one], lengths[other]) >= NO_EFFECT
        and abs(slopes[:, one] @ slopes[:, other]) > SAME_DIRECTION * lengths[one] * lengths[other]
    ]
    notes += [f"{one} and {other} change all fitted rows in the same proportion: the rows cannot tell them apart" for one, other in same]
    for parameter, place in zip(parameters, places, strict=True):
        if place < AT_BOUND or place > 1 - AT_BOUND:
            bound = parameter.low if place < AT_BOUND else parameter.high
            notes.append(f"{parameter.path} ends at its bound, {parameter.shown(bound)}: the rows ask for more than it allows")
    if len(seen) <= len(parameters):
        notes.append("as many parameters as rows: the fit reproduces these rows and predicts nothing")
        return notes, "reproduced"
    networks = {TraceName.parse(row.network).source for row in seen}
    if len(networks) == 1 and len(seen) < 3 * len(parameters) and not any(row.layer for row in seen):
        notes.append(
            "all fitted rows are of one network, so effects that depend on its size cannot be told apart; hold out rows of another network"
        )
    return notes, "indistinguishable" if idle or same else "fitted"


def _intervals(parameters: Sequence[Parameter], places: Floats, residuals: Floats, slopes: Floats) -> list[tuple[int, int] | None]:
    """The 95 % interval of each parameter."""
    free = len(residuals) - len(parameters)
    variance = float(residuals @ residuals) / free
    spread = np.sqrt(variance * np.diag(np.linalg.inv(slopes.T @ slopes))) * float(stdtrit(free, 0.975))
    return [
        (parameter.at(place - width), parameter.at(place + width))
        for parameter, place, width in zip(parameters, places.tolist(), spread.tolist(), strict=True)
    ]


def _fitted(parameter: Parameter, value: int, ends: tuple[int, int] | None) -> Fitted:
    low, high = ends or (None, None)
    interval = f"{parameter.shown(ends[0])} to {parameter.shown(ends[1])}" if ends else "-"
    return Fitted(parameter.path, parameter.start, value, low, high, parameter.shown(value), interval)


def _errors(rows: Sequence[Measurement], simulated: Floats) -> tuple[RowError, ...]:
    return tuple(
        RowError(row.number, row.network, row.layer, row.held, row.milliseconds, ms, ms / row.milliseconds - 1)
        for row, ms in zip(rows, simulated.tolist(), strict=True)
    )

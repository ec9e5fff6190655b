"""The points of a sweep that ran, as columns: axes, the steps that they stand at, and figures.

A step is a place on an axis (of linked axes, on all of them): neighbours differ by one step of one axis, whatever the values are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelsim.compiler.accumulator_range import is_range_warning
from accelsim.errors import ConfigError
from accelsim.registry import suggest
from accelsim.sweeps.axis import axis_text
from accelsim.sweeps.columns import COLUMNS, NUMERIC
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.store import Store
from accelsim.sweeps.stored_json import texts, values_of_axes

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class Table:
    """Points that are ok, in the order of the sweep.

    Attributes
    ----------
    sweep : whose points the rows are
    positions : int64 (points,), places in the sweep's product
    steps : int64 (points, groups of axes)
    columns : axis or figure -> (points,); numbers as float64 (NaN where there is none), the rest as objects
    """

    sweep: Sweep
    positions: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    columns: Mapping[str, Column]

    def __repr__(self) -> str:
        return f"<Table of {self.sweep.name!r}: {len(self)} points, {len(self.columns)} columns>"

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, name: str) -> Column:
        """A column; ConfigError with the known ones."""
        if name not in self.columns:
            known = list(self.columns)
            known_text = f"{suggest(name, known)}; known: {', '.join(known)}"
            raise ConfigError(f"sweep {self.sweep.name!r}: there is no axis or figure {name!r}{known_text}")
        return self.columns[name]

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers; ConfigError for one that has others."""
        column = self[name]
        if column.dtype != np.float64:
            raise ConfigError(f"sweep {self.sweep.name!r}: {name!r} is not a number at every point; allowed: an axis or figure that is")
        return column

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the columns that are numbers at every point."""
        return tuple(name for name, column in self.columns.items() if column.dtype == np.float64)

    def where(self, chosen: npt.NDArray[Any]) -> Table:
        """The points of a mask or of indices."""
        columns = {name: column[chosen] for name, column in self.columns.items()}
        return Table(self.sweep, self.positions[chosen], self.steps[chosen], columns)

    @property
    def can_overflow(self) -> npt.NDArray[np.bool_]:
        """Points whose accumulators are narrower than their sums can need: bool (points,)."""
        found = (any(map(is_range_warning, warnings)) for warnings in self["warnings"].tolist())
        return np.fromiter(found, np.bool_, len(self))

    def labels(self, axis: str) -> list[str]:
        """The values of an axis at each point as the sweep's file writes them."""
        group, place = self.axis(axis)
        texts = [axis_text(step[place]) for step in self.sweep.groups[group].steps]
        return [texts[step] for step in self.steps[:, group]]

    def axis(self, name: str) -> tuple[int, int]:
        """(group, place in it) of an axis; ConfigError with the known ones."""
        for number, group in enumerate(self.sweep.groups):
            if name in group.names:
                return number, group.names.index(name)
        known = self.sweep.axes
        raise ConfigError(f"sweep {self.sweep.name!r} has no axis {name!r}{suggest(name, known)}; known: {', '.join(known)}")


# Needed by every answer and every map of speed-ups, besides the requested figures.
ALWAYS = (
    *("total_cycles", "milliseconds", "weight_bytes", "tightest_bound", "achieved_of_tightest_pct"),
    *("limiting_resource", "limiting_basis", "warnings"),
)


def read_table(store: Store, sweep: Sweep, number: int, figures: Sequence[str] = NUMERIC) -> Table:
    """The points of sweep `number` of a store that are ok.

    Parameters
    ----------
    figures : columns of `columns.COLUMNS` beside those of ALWAYS; by default all numbers

    Raises
    ------
    ConfigError
        An unknown column.
    """
    wanted = tuple(dict.fromkeys((*figures, *ALWAYS)))
    rows = list(store.rows(("position", "axes", *wanted), sweep=number))
    positions = np.array([row[0] for row in rows], np.int64)
    axes = [values_of_axes(store.path, sweep.axes, row[1]) for row in rows]
    columns = {name: _column([row[place] for row in rows], name in NUMERIC) for place, name in enumerate(wanted, start=2)}
    for name in sweep.axes:
        values = [item[name] for item in axes]
        columns[name] = _column(values, all(isinstance(value, int | float) and not isinstance(value, bool) for value in values))
    warnings = (texts(store.path, "warnings", text) for text in columns["warnings"].tolist())
    columns["warnings"] = np.fromiter(warnings, object, len(rows))
    return Table(sweep, positions, steps_of(sweep, positions), columns)


def steps_of(sweep: Sweep, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64 (points, groups): where each position of the product stands on each group of axes; the last group moves fastest."""
    steps = np.empty((len(positions), len(sweep.groups)), np.int64)
    rest = positions
    for number in reversed(range(len(sweep.groups))):
        rest, steps[:, number] = np.divmod(rest, len(sweep.groups[number].steps))
    return steps


def _column(values: list[Any], numeric: bool) -> Column:
    if numeric:
        return np.array([np.nan if value is None else value for value in values], np.float64)
    out = np.empty(len(values), object)
    out[:] = values
    return out


_UNITS = {"_uj": "uJ", "_mm2": "mm2", "_pct": "%", "_bytes": "B", "_bits": "bit", "_cycles": "cycles", "_hz": "Hz", "_seconds": "s"}
_NAMES = {"milliseconds": "time (ms)", "milliseconds_per_inference": "time per inference (ms)", "bus_bytes": "traffic (B)"}


def title(name: str) -> str:
    """Title of a figure, with its unit: 'energy_uj' -> 'energy (uJ)'; an axis stays as it is written."""
    if name in _NAMES or name not in COLUMNS:
        return _NAMES.get(name, name)
    for end, unit in _UNITS.items():
        if name.endswith(end):
            return f"{name.removesuffix(end).replace('_', ' ')} ({unit})"
    return name.replace("_", " ")


def unit_name(name: str) -> str:
    """The unit of a figure as its title has it: 'uJ'; '' for one without."""
    return title(name).rpartition(" (")[2].removesuffix(")") if title(name).endswith(")") else ""


def with_unit(name: str, value: float | None) -> str:
    """'energy 12.3 uJ': a figure with its value, '-' where there is none."""
    unit = unit_name(name)
    said = title(name).removesuffix(f" ({unit})")
    return f"{said} {'-' if value is None else f'{value:.4g}'}{f' {unit}' if unit and value is not None else ''}"


def drawn_title(name: str) -> str:
    """The same where every sign can be drawn, as a picture or a page: 'energy (µJ)', 'area (mm²)'."""
    return title(name).replace("(uJ)", "(µJ)").replace("(mm2)", "(mm²)")

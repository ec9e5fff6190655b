"""Sensitivity to each axis: a figure's ratio between points that differ in one axis alone, over all places of the others.

Rising numbers are compared step by step, other values with the first of their axis. Disputable assumption: steps of a numeric axis are
compared as if the figure followed a power law between them: a step from 16 to 64 counts as two doublings of equal ratio. Constraints
leave gaps; a pair counts where both of its points ran.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.sweeps.axis import axis_text
from accelsim.sweeps.table import Table

DOUBLING = "doubling"


@dataclass(frozen=True)
class Ratio:
    """Effect of a change of one axis on a figure: after over before.

    Attributes
    ----------
    axis : its name; linked ones joined by ' + '
    before, after : values of it, linked ones joined by ', '; before is None and after 'doubling' for the effect of a doubling
    pairs : points compared
    median, least, most : of the ratios
    """

    axis: str
    before: str | None
    after: str
    pairs: int
    median: float
    least: float
    most: float

    @property
    def change(self) -> str:
        """'doubling', or 'VALUE -> VALUE'."""
        return self.after if self.before is None else f"{self.before} -> {self.after}"


def sensitivity(table: Table, figure: str) -> tuple[Ratio, ...]:
    """For each axis, the effect on `figure` of a doubling (where its values are rising numbers), or of each value in place of the first."""
    values = table.numbers(figure)
    out: list[Ratio] = []
    for number, group in enumerate(table.sweep.groups):
        if len(group.steps) < 2:
            continue
        name = " + ".join(group.names)
        before, after = _pairs(table, number, table.steps[:, number], 1)
        doublings = _doublings(table, group.names, before, after)
        if doublings is not None:
            ratios = _ratios(values, before, after)
            known = np.isfinite(ratios)
            out += _summed(name, None, DOUBLING, ratios[known] ** (1 / doublings[known]))
            continue
        first = np.zeros(len(table), np.int64)
        for step in range(1, len(group.steps)):
            ratios = _ratios(values, *_pairs(table, number, first, step))
            out += _summed(name, _text(group.steps[0]), _text(group.steps[step]), ratios[np.isfinite(ratios)])
    return tuple(out)


def _ratios(values: npt.NDArray[np.float64], before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """values[after] / values[before]; NaN where that is no positive number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = values[after] / values[before]
    return np.where(np.isfinite(ratios) & (ratios > 0), ratios, np.nan)


def _pairs(table: Table, number: int, start: npt.NDArray[np.int64], further: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of the points at step `start` of a group of axes for which one `further` steps on ran too, and of those."""
    stride = math.prod(len(group.steps) for group in table.sweep.groups[number + 1 :])
    inner = np.flatnonzero((table.steps[:, number] == start) & (start + further < len(table.sweep.groups[number].steps)))
    wanted = table.positions[inner] + further * stride
    found = np.searchsorted(table.positions, wanted)
    there = np.append(table.positions, -1)[found] == wanted
    return inner[there], found[there]


def _doublings(
    table: Table, names: tuple[str, ...], before: npt.NDArray[np.int64], after: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64] | None:
    """Number of doublings between neighbours; None for linked axes, and for one that is not rising positive numbers."""
    column = table[names[0]]
    if len(names) > 1 or column.dtype != np.float64 or not len(column) or np.isnan(column).any() or column.min() <= 0:
        return None
    doublings = np.log2(column[after] / column[before])
    return doublings if (doublings > 0).all() else None


def _summed(axis: str, before: str | None, after: str, ratios: npt.NDArray[np.float64]) -> Iterator[Ratio]:
    if ratios.size:
        yield Ratio(axis, before, after, ratios.size, float(np.median(ratios)), float(ratios.min()), float(ratios.max()))


def _text(step: tuple[object, ...]) -> str:
    return ", ".join(map(axis_text, step))

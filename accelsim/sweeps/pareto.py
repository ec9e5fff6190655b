"""Pareto fronts: the points that no other is at least as good as in every figure and better than in one.

Points with equal figures are all on the front or all off it. A point without one of the figures (NaN) is never on it.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import numpy.typing as npt


def pareto_front(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Rows on the front, less being better in each column.

    Parameters
    ----------
    costs : float64 (points, figures), 1 to 3 figures

    Returns
    -------
    bool (points,)

    Notes
    -----
    Points in lexicographic order: only earlier ones can beat a later one, and of them only their second and third figures matter. Those
    that are not beaten form a staircase, in which one bisection tells whether a point lies above it (Kung, Luccio and Preparata, Journal
    of the ACM 22, 1975, "On finding the maxima of a set of vectors"). Time O(n log n) but for the staircase's own moves.
    """
    if costs.ndim != 2 or not 1 <= costs.shape[1] <= 3:
        raise ValueError(f"costs of shape {costs.shape}: allowed: (points, 1..3)")
    known = ~np.isnan(costs).any(axis=1)
    front = np.zeros(len(costs), bool)
    if not known.any():
        return front
    unique, place = np.unique(costs[known], axis=0, return_inverse=True)  # sorted by the first figure, then the second, the third
    padded = np.zeros((len(unique), 3))
    padded[:, : unique.shape[1]] = unique
    front[known] = _unbeaten(padded[:, 1].tolist(), padded[:, 2].tolist())[place.reshape(-1)]
    return front


def first_of_equals(costs: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.bool_]:
    """Rows that differ by more than `tolerance` in a figure from each row that is kept before them.

    Parameters
    ----------
    costs : float64 (points, figures), no NaN
    tolerance : relative to the larger magnitude of the two

    Returns
    -------
    bool (points,)
    """
    kept: list[int] = []
    for number, mine in enumerate(costs):
        others = costs[kept]
        near = np.abs(others - mine) <= tolerance * np.maximum(np.abs(others), np.abs(mine))
        if not near.all(axis=1).any():
            kept.append(number)
    out = np.zeros(len(costs), bool)
    out[kept] = True
    return out


def _unbeaten(second: list[float], third: list[float]) -> npt.NDArray[np.bool_]:
    """Of points in lexicographic order and all different: which no earlier one is at most as large as in both figures."""
    out = np.zeros(len(second), bool)
    stairs: list[float] = []  # second figures, rising
    heights: list[float] = []  # the least third figure up to there, falling
    for number, (x, y) in enumerate(zip(second, third, strict=True)):
        step = bisect_right(stairs, x)
        if step and heights[step - 1] <= y:
            continue
        out[number] = True
        start = step - 1 if step and stairs[step - 1] == x else step
        end = step
        while end < len(heights) and heights[end] >= y:
            end += 1
        stairs[start:end], heights[start:end] = [x], [y]
    return out

"""Layout of a treemap: rectangles whose areas are given, as near to squares as one pass makes them.

The squarified layout of Bruls, Huizing and van Wijk, "Squarified Treemaps" (2000). Disputable assumption: the largest comes first, so two
treemaps of similar figures may differ in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rectangle:
    """Lower left corner and size, in the units of the rectangle that was divided."""

    x: float
    y: float
    width: float
    height: float


def squarify(weights: Sequence[float], whole: Rectangle) -> tuple[Rectangle, ...]:
    """`whole` divided in proportion to `weights`, in their order.

    Parameters
    ----------
    weights : none negative; those of zero get an empty rectangle at the end of the layout
    whole : with an area above zero

    Returns
    -------
    tuple of Rectangle
        One per weight: disjoint, and together `whole` (empty if all weights are zero).
    """
    scale = whole.width * whole.height / (sum(weights) or 1)
    order = sorted(range(len(weights)), key=lambda index: -weights[index])
    out: list[Rectangle] = [whole] * len(weights)
    rest = whole
    while order:
        side = min(rest.width, rest.height)
        taken = 1
        while taken < len(order) and _worst(weights, order[: taken + 1], scale, side) <= _worst(weights, order[:taken], scale, side):
            taken += 1
        strip, order = order[:taken], order[taken:]
        rest = _lay(weights, strip, scale, rest, out)
    return tuple(out)


def _worst(weights: Sequence[float], strip: Sequence[int], scale: float, side: float) -> float:
    """Largest ratio of two sides in a strip along `side`."""
    total = sum(weights[index] for index in strip) * scale
    least = min(weights[index] for index in strip) * scale
    thinnest = side * side * least
    if not thinnest or not total * total:
        return float("inf")
    most = max(weights[index] for index in strip) * scale
    return max(side * side * most / (total * total), total * total / thinnest)


def _lay(weights: Sequence[float], strip: Sequence[int], scale: float, rest: Rectangle, out: list[Rectangle]) -> Rectangle:
    """Place a strip along the shorter side of `rest`; what remains of it."""
    total = sum(weights[index] for index in strip) * scale
    along = rest.width >= rest.height  # the strip stands at the left
    side, reach = (rest.height, rest.width) if along else (rest.width, rest.height)
    depth = min(total / side, reach) if side else 0.0  # a sliver's own rounding must not reach out of the rectangle
    at = 0.0
    for index in strip:
        length = side * weights[index] * scale / total if total else 0.0
        out[index] = Rectangle(rest.x, rest.y + at, depth, length) if along else Rectangle(rest.x + at, rest.y, length, depth)
        at += length
    if along:
        return Rectangle(rest.x + depth, rest.y, max(0.0, rest.width - depth), rest.height)
    return Rectangle(rest.x, rest.y + depth, rest.width, max(0.0, rest.height - depth))

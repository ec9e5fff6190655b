"""An estimate of the limiting resource from the stalls and bounds of each layer, for runs whose idealizations were not simulated.

Disputable assumptions: a nearly reached bound decides; else, without a resource, the cycles of its categories are gone from each layer,
but no fewer remain than the bounds of the others. Where the array waits for units that work beside it, its own cycles pass under theirs
and none are gone; where it waits behind the swap wave, which no decoder shortens, half of the decoder's remain. The gains themselves are
too uncertain to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Protocol

import numpy as np
import numpy.typing as npt

from accelsim.result import BOUND_RESOURCES, RESOURCES, own_cycles, total

NEARLY_BOUND = 0.9  # share of the cycles from which a bound alone decides: there is no more to gain
_WAITS = 0.05  # share of a layer's cycles from which the array's waits set the pace
# Units that work beside the array, tile by tile, under whose work its cycles pass. A memory works ahead of it: its bound says what is left.
_LOADING = ("decoder", "weight buffer width", "shadow weights", "activation buffer ports")
_BESIDE = (*_LOADING, "accumulators", "accumulator ports", "vector unit")
_COLUMN = {resource: column for column, resource in enumerate(RESOURCES)}
_CATEGORIES = tuple(category for categories in RESOURCES.values() for category in categories)
_OF_RESOURCE = np.array([[float(category in own) for own in RESOURCES.values()] for category in _CATEGORIES])  # (categories, resources)

Floats = npt.NDArray[np.float64]


class Part(Protocol):
    """A layer, or several."""

    @property
    def cycles(self) -> Mapping[str, int]: ...
    @property
    def bounds(self) -> Mapping[str, int]: ...


def nearest_bound(cycles: Mapping[str, int], bounds: Mapping[str, int]) -> str | None:
    """The bound that the cycles nearly reach; None if there is none.

    Loads hidden under compute cause no stalls, so the array looks busiest although a faster one would gain nothing.
    """
    if not bounds:
        return None
    name = max(bounds, key=lambda item: bounds[item])
    return name if bounds[name] >= NEARLY_BOUND * sum(cycles.values()) > 0 else None


def limiting_resource(layers: Sequence[Part], *, free: str = "") -> str:
    """The resource of a nearly reached bound, else the one without which fewest cycles remain; never the one that is `free` already."""
    cycles, bounds = total(layer.cycles for layer in layers), total(layer.bounds for layer in layers)
    bounds = {name: least for name, least in bounds.items() if BOUND_RESOURCES.get(name) != free}
    near = nearest_bound(cycles, bounds)
    if near is not None:
        return BOUND_RESOURCES[near]
    kept = dict(zip(RESOURCES, _left(layers).sum(axis=0).tolist(), strict=True))

    def left(resource: str) -> tuple[float, int]:
        least = max((bound for name, bound in bounds.items() if BOUND_RESOURCES.get(name) != resource), default=0)
        return max(kept[resource], least), -own_cycles(cycles, resource)

    return min((name for name in RESOURCES if name != free), key=left)


def _left(layers: Sequence[Part]) -> Floats:
    """Cycles of each layer without those of each resource: float64 (layers, resources), exact up to 2^53."""
    own = _table([layer.cycles for layer in layers], _CATEGORIES) @ _OF_RESOURCE
    whole = np.array([[sum(layer.cycles.values())] for layer in layers], np.float64)
    return np.maximum(whole - _gone(own, whole), np.minimum(whole, _floors(layers)))


def _gone(own: Floats, whole: Floats) -> Floats:
    """Cycles of each resource that nothing takes the place of, (layers, resources)."""
    gone = own.copy()
    gone[_waits(own, whole, *_BESIDE), _COLUMN["MAC array"]] = 0.0
    behind, decoder = _waits(own, whole, "shadow weights"), _COLUMN["decoder"]
    gone[behind, decoder] = own[behind, decoder] // 2
    return gone


def _waits(own: Floats, whole: Floats, *others: str) -> npt.NDArray[np.bool_]:
    """Layers whose pace is set by waits for some resources, (layers,)."""
    waits: npt.NDArray[np.bool_] = own[:, [_COLUMN[other] for other in others]].sum(axis=1) > _WAITS * whole[:, 0]
    return waits


def _floors(layers: Sequence[Part]) -> Floats:
    """The largest bound of all other resources, of each layer: float64 (layers, resources)."""
    names = sorted({name for layer in layers for name in layer.bounds})
    bounds = _table([layer.bounds for layer in layers], names)
    others = [[column for column, name in enumerate(names) if BOUND_RESOURCES.get(name) != resource] for resource in RESOURCES]
    return np.stack([bounds[:, columns].max(axis=1, initial=0.0) for columns in others], axis=1)


def _table(rows: Sequence[Mapping[str, int]], names: Sequence[str]) -> Floats:
    """Counts by name, 0 where there are none: float64 (rows, names)."""
    return np.array([list(map(row.get, names, repeat(0))) for row in rows], np.float64).reshape(len(rows), len(names))

"""An estimate of the limiting resource from the stalls and bounds of each layer, for runs whose idealizations were not simulated.

Disputable assumptions: a nearly reached bound decides; else, without a resource, the cycles of its categories are gone from each layer,
but no fewer remain than the bounds of the others. Where the array waits for units that work beside it, its own cycles pass under theirs
and none are gone; where it waits behind the swap wave, which no decoder shortens, half of the decoder's remain. The gains themselves are
too uncertain to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from accelsim.result import BOUND_RESOURCES, RESOURCES, own_cycles, total

NEARLY_BOUND = 0.9  # share of the cycles from which a bound alone decides: there is no more to gain
_WAITS = 0.05  # share of a layer's cycles from which the array's waits set the pace
# Units that work beside the array, tile by tile, under whose work its cycles pass. A memory works ahead of it: its bound says what is left.
_LOADING = ("decoder", "weight buffer width", "shadow weights", "activation buffer ports")
_BESIDE = (*_LOADING, "accumulators", "accumulator ports", "vector unit")


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
    spans = [_Span(layer) for layer in layers]

    def left(resource: str) -> tuple[int, int]:
        kept = sum(span.left(resource) for span in spans)
        return max(kept, _floor(bounds, resource)), -own_cycles(cycles, resource)

    return min((name for name in RESOURCES if name != free), key=left)


class _Span:
    """Cycles of a layer by resource, and what they leave."""

    def __init__(self, layer: Part) -> None:
        self._bounds = layer.bounds
        self._own = {resource: own_cycles(layer.cycles, resource) for resource in RESOURCES}
        self._whole = sum(layer.cycles.values())

    def left(self, resource: str) -> int:
        """Cycles without those of a resource."""
        return max(self._whole - self._gone(resource), min(self._whole, _floor(self._bounds, resource)))

    def _gone(self, resource: str) -> int:
        """Cycles of a resource that nothing takes the place of."""
        own = self._own[resource]
        if resource == "MAC array" and self._waits(*_BESIDE):
            return 0
        return own // 2 if resource == "decoder" and self._waits("shadow weights") else own

    def _waits(self, *others: str) -> bool:
        """Whether waits for some resources set the layer's pace."""
        return sum(self._own[other] for other in others) > _WAITS * self._whole


def _floor(bounds: Mapping[str, int], resource: str) -> int:
    """The largest bound of the other resources."""
    return max((least for name, least in bounds.items() if BOUND_RESOURCES.get(name) != resource), default=0)

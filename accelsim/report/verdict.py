"""The verdict on a run: the resource whose idealization shortens it most, or, where no idealization was simulated, an estimate from bounds.

Disputable assumption: without the resource's own cycles a run takes what is left, but no less than the bounds of the others. The
estimate does not see that removed cycles may turn into waits for something else; only the simulated idealizations do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from accelsim.result import BOUND_RESOURCES, RESOURCES, Result, limiting_resource, nearest_bound, own_cycles

NO_RESOURCE = "none"
LEAST_GAIN = 1.005  # a smaller speed-up is none


class IdealizedRun(Protocol):
    """Outcome of one idealization."""

    @property
    def name(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def result(self) -> Result: ...
    @property
    def speedup(self) -> float: ...
    @property
    def explanation(self) -> str: ...


@dataclass(frozen=True)
class Gain:
    """Speed-up of a run if `resource` were free."""

    resource: str
    speed_up: float


@dataclass(frozen=True)
class Verdict:
    """The limiting resource of a run.

    Attributes
    ----------
    resource : a key of RESOURCES, or 'none'
    gain : speed-up if it were free; None for an estimate from bounds
    second : the resource that gains most after it, if any gains
    then : what limits, by bounds, after `resource` is removed; '' for an estimate
    sentence : the same in words
    """

    resource: str
    gain: float | None
    second: Gain | None
    then: str
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain JSON data; `basis` says whether it was simulated or estimated."""
        second = None if self.second is None else {"resource": self.second.resource, "gain": self.second.speed_up}
        basis = "bounds" if self.gain is None else "what-if"
        return {"resource": self.resource, "gain": self.gain, "basis": basis, "second": second, "then": self.then}


@dataclass(frozen=True)
class LimitRow:
    """A resource in the table of gains, cycles and bounds.

    Attributes
    ----------
    speed_up : if it were free; None unless simulated
    own_cycles : cycles in which the array works (the MAC array's) or waits for the resource
    bound : least cycles that the run needs of it; None for a resource without a bound
    anomaly : why the run is slower if it is free; '' where it is not
    """

    resource: str
    speed_up: float | None
    own_cycles: int
    bound: int | None
    anomaly: str


def decide(result: Result, ideals: Sequence[IdealizedRun] | None = None) -> Verdict:
    """The verdict on `result`, measured if its idealizations are given."""
    if not result.total_cycles:
        return Verdict(NO_RESOURCE, None, None, "", "Nothing runs on the array.")
    if not ideals:
        return Verdict(limiting_resource(result.cycles, result.bounds), None, None, "", _estimate(result))
    ranked = sorted(ideals, key=lambda item: -item.speedup)  # stable: ties keep the order of the table
    first, *others = ranked
    rest = [Gain(item.resource, item.speedup) for item in others if item.speedup >= LEAST_GAIN]
    if first.speedup < LEAST_GAIN:
        sentence = f"No resource limits alone: none gains more than {100 * (max(first.speedup, 1) - 1):.1f} % if it were free."
        return Verdict(NO_RESOURCE, first.speedup, None, limiting_resource(result.cycles, result.bounds), sentence)
    then = limiting_resource(first.result.cycles, first.result.bounds)
    return Verdict(first.resource, first.speedup, rest[0] if rest else None, then, _measured(result, ranked, then))


def limit_rows(result: Result, ideals: Sequence[IdealizedRun] | None = None) -> tuple[LimitRow, ...]:
    """Every resource that gains, has cycles or has a bound: by gain where simulated, else by its larger share."""
    runs = {item.resource: item for item in ideals or ()}
    bounds: dict[str, int] = {}
    for name, least in result.bounds.items():
        resource = BOUND_RESOURCES.get(name, name)
        bounds[resource] = max(least, bounds.get(resource, 0))
    rows = []
    for resource in RESOURCES:
        run = runs.get(resource)
        anomaly = run.explanation if run is not None and run.speedup < 1 else ""
        own = own_cycles(result.cycles, resource)
        rows.append(LimitRow(resource, None if run is None else run.speedup, own, bounds.get(resource), anomaly))
    shown = (row for row in rows if row.own_cycles or row.bound or (row.speed_up is not None and row.speed_up != 1))
    return tuple(sorted(shown, key=lambda row: (-(row.speed_up or 0), -max(row.own_cycles, row.bound or 0))))


def _measured(result: Result, ranked: Sequence[IdealizedRun], then: str) -> str:
    first, *others = ranked
    after = f"then the {then}" if then != first.resource else "its rest is still the largest part then"
    parts = [f"{_limits(first.resource)}: {first.speedup:.2f}x if free; {after}"]
    second = next((item for item in others if item.speedup >= LEAST_GAIN), None)
    parts.append(f"next, {second.resource} {second.speedup:.2f}x" if second is not None else "nothing else gains")
    return "; ".join([*parts, *_why_not(result, ranked)]) + f"{_fill(result, first.resource)}."


def _why_not(result: Result, ranked: Sequence[IdealizedRun]) -> list[str]:
    """Why the verdict is not the resource with most cycles of its own; nothing if it is."""
    largest = max(RESOURCES, key=lambda name: own_cycles(result.cycles, name))
    if largest == ranked[0].resource:
        return []
    share = f"{100 * own_cycles(result.cycles, largest) / result.total_cycles:.1f} %"
    gain = next((item.speedup for item in ranked if item.resource == largest), 1.0)
    does = f"the array works in {share} of the cycles" if largest == "MAC array" else f"{share} of the cycles wait for the {largest}"
    return [f"{does}, but if they were gone, others would fill them ({gain:.2f}x)"]


def _limits(resource: str) -> str:
    """'The decoder limits', 'The accumulators limit'."""
    return f"The {resource} limit{'' if resource.endswith('s') else 's'}"


def _estimate(result: Result) -> str:
    """The verdict from bounds in a sentence."""
    cycles, bounds, whole = result.cycles, result.bounds, result.total_cycles
    name = limiting_resource(cycles, bounds)
    begin = f"By bounds, t{_limits(name)[1:]}"
    parts = sorted(((cycles.get(item, 0), item) for item in RESOURCES[name]), reverse=True)
    causes = ", ".join(f"{item} {100 * value / whole:.1f} %" for value, item in parts if value)
    share = f"{100 * own_cycles(cycles, name) / whole:.1f} %"
    if name == "MAC array":
        return f"{begin}: it works in {share} of the cycles ({causes}){_fill(result, name)}."
    near = nearest_bound(cycles, bounds)
    if near is not None:
        busy = f"{100 * cycles.get('busy', 0) / whole:.1f} %"
        need = f"it needs at least {100 * bounds[near] / whole:.1f} % of the cycles taken"
        return f"{begin}: {need}; the array is busy in {busy} and waits for it in {share}."
    return f"{begin}: the array waits for it in {share} of the cycles ({causes})."


def _fill(result: Result, resource: str) -> str:
    """Utilization of the multipliers in a busy cycle, if the array limits and it is below one half; else ''.

    An array that is not filled limits by its shape, not by its size.
    """
    busy = result.cycles["busy"]
    if resource != "MAC array" or not busy or not result.utilization:
        return ""
    filled = result.utilization * result.total_cycles / busy
    return "" if filled >= 0.5 else f", but a busy cycle uses {100 * filled:.1f} % of its multipliers"

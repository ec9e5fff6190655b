"""The verdict on a run: the resource whose idealization shortens it most, or, where none was simulated, an estimate.

Disputable assumption: the estimate (`limit_estimate`) guesses what takes the place of the cycles that an ideal resource removes; only the
simulated idealizations know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from accelsim.report.limit_estimate import limiting_resource, nearest_bound
from accelsim.report.tables.text import percent, times
from accelsim.result import ALIKE, BOUND_RESOURCES, ESTIMATED, RESOURCES, Gain, Result, Verdict, own_cycles

NO_RESOURCE = "none"
LEAST_GAIN = 1.005  # a smaller speed-up is none
_TOLERANCE = f"{100 * (LEAST_GAIN - 1):.1f} %"


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
    @property
    def replanned(self) -> float | None: ...


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


def decide(result: Result, ideals: Sequence[IdealizedRun] = ()) -> Verdict:
    """The verdict on `result`: measured if its idealizations are given, else the one stored with it, else an estimate."""
    if not result.total_cycles:
        return Verdict(NO_RESOURCE, None, None, "", "Nothing runs on the array.")
    if not ideals:
        if result.verdict is not None:
            return result.verdict
        name = limiting_resource(result.layers)
        return Verdict(name, None, None, "", _estimate(result, name))
    ranked = sorted(ideals, key=lambda item: -item.speedup)  # stable: ties keep the order of the table
    gains = tuple(Gain(item.resource, item.speedup, item.explanation if item.speedup < 1 else "") for item in ranked)
    first = ranked[0]
    if first.speedup < LEAST_GAIN:
        none = f"No resource limits alone: none gains {_TOLERANCE} or more if free (the {first.resource}: {first.speedup:.3f}x)"
        decided = Verdict(NO_RESOURCE, first.speedup, None, limiting_resource(result.layers), "", gains)
        return replace(decided, sentence="; ".join([none, *_another_plan(ranked), *_why_not(result, decided)]) + ".")
    second = gains[1] if len(gains) > 1 and gains[1].speed_up >= LEAST_GAIN else None
    then = limiting_resource(first.result.layers, free=first.resource)
    decided = Verdict(first.resource, first.speedup, second, then, "", gains)
    return replace(decided, sentence=_measured(result, decided, ranked))


def limit_rows(result: Result) -> tuple[LimitRow, ...]:
    """Every resource that gains, has cycles or has a bound: by gain where simulated, else by its larger share."""
    gains = {item.resource: item for item in decide(result).gains}
    bounds: dict[str, int] = {}
    for name, least in result.bounds.items():
        resource = BOUND_RESOURCES.get(name, name)
        bounds[resource] = max(least, bounds.get(resource, 0))
    rows = []
    for resource in RESOURCES:
        gain = gains.get(resource)
        speed_up, anomaly = (None, "") if gain is None else (gain.speed_up, gain.anomaly)
        rows.append(LimitRow(resource, speed_up, own_cycles(result.cycles, resource), bounds.get(resource), anomaly))
    shown = (row for row in rows if row.own_cycles or row.bound or (row.speed_up is not None and row.speed_up != 1))
    return tuple(sorted(shown, key=lambda row: (-(row.speed_up or 0), -max(row.own_cycles, row.bound or 0))))


def _measured(result: Result, verdict: Verdict, ranked: Sequence[IdealizedRun]) -> str:
    """The sentence of a simulated verdict; `ranked` are the idealizations, the largest gain first."""
    alike = [item for item in verdict.gains if item.resource in verdict.alike]
    shown = list(dict.fromkeys(times(item.speed_up) for item in alike))
    each = "" if len(alike) == 1 else ("either " if len(alike) == 2 else "each ") if len(shown) == 1 else ""
    after = f"{limits(verdict.then)} ({ESTIMATED}){_left_over(verdict.resource, ranked[0].result)}"
    joint = " if free, and then the " if len(alike) == 1 else f" if free; with the {verdict.resource} free, the "
    *others, last = verdict.alike
    who = f"{', the '.join(others)} or the {limits(last)}" if others else limits(last)
    parts = [f"The {who}: {each}{' or '.join(dict.fromkeys((shown[0], shown[-1])))}{joint}{after}", _runner_up(verdict)]
    return "; ".join([*parts, *_another_plan(ranked), *_why_not(result, verdict)]) + f"{_fill(result, verdict.resource)}."


def _another_plan(ranked: Sequence[IdealizedRun]) -> list[str]:
    """The largest gain of a chip that would have another plan, if it is more than any resource but the first gains in the plan as it is."""
    gain, resource = max((item.replanned or 0.0, item.resource) for item in ranked)
    least = max(LEAST_GAIN, *(ALIKE * item.speedup for item in ranked[1:2]))
    return [f"a new plan with more {resource} gains {times(gain)}"] if gain >= least else []


def _left_over(resource: str, freed: Result) -> str:
    """The cycles that a free resource still has, if it would be named once more; '' if not."""
    if limiting_resource(freed.layers) != resource:
        return ""
    return f", though {_does(resource, percent(own_cycles(freed.cycles, resource), freed.total_cycles), 'still ')}"


def _does(resource: str, share: str, still: str = "") -> str:
    """'the array works in 60.0 % of the cycles', '20.0 % of the cycles wait for the memory'."""
    if resource == "MAC array":
        return f"the array {still}works in {share} of the cycles"
    return f"{share} of the cycles {still}wait for the {resource}"


def _runner_up(verdict: Verdict) -> str:
    """The gain after those that are alike."""
    after = _next_gain(verdict)
    if after is None:
        return "no other resource gains"
    return f"{'second' if len(verdict.alike) == 1 else 'next'} gain: {after.resource}, {times(after.speed_up)}"


def _next_gain(verdict: Verdict) -> Gain | None:
    """The largest gain after those that are alike; None if there is none."""
    return next((item for item in verdict.gains[len(verdict.alike) :] if item.speed_up >= LEAST_GAIN), None)


def _why_not(result: Result, verdict: Verdict) -> list[str]:
    """Why the verdict is not the resource with most cycles of its own; nothing if it is."""
    largest = max(RESOURCES, key=lambda name: own_cycles(result.cycles, name))
    if largest in verdict.alike:
        return []
    own = own_cycles(result.cycles, largest)
    gain = next((item.speed_up for item in verdict.gains if item.resource == largest), 1.0)
    after = _next_gain(verdict)
    if after is not None and after.resource == largest:
        freed = "freeing it gains less"
    elif gain >= LEAST_GAIN:
        freed = f"freeing it gains less, {times(gain)}"
    elif gain >= 1:
        freed = f"freeing it alone gains less than {_TOLERANCE}"
    else:
        freed = f"freeing it alone costs time, {gain:.3f}x"
    kept = ", as other work takes the place of some of them" if gain * (1 - own / result.total_cycles) < 1 else ""
    return [f"{_does(largest, percent(own, result.total_cycles))}, but {freed}{kept}"]


def in_brief(verdict: Verdict) -> str:
    """'memory limits (1.94x if free)', 'memory limits (estimated)', 'no resource limits alone'."""
    if verdict.resource == NO_RESOURCE:
        return "no resource limits alone"
    return f"{limits(' or '.join(verdict.alike))} ({ESTIMATED if verdict.gain is None else f'{times(verdict.gain)} if free'})"


def limits(resource: str) -> str:
    """'decoder limits', 'accumulators limit'."""
    return f"{resource} limit{'' if resource.endswith('s') else 's'}"


def _estimate(result: Result, name: str) -> str:
    """An estimate, that the resource `name` limits, in a sentence."""
    cycles, bounds, whole = result.cycles, result.bounds, result.total_cycles
    begin = f"The {limits(name)} ({ESTIMATED})"
    parts = sorted(((cycles.get(item, 0), item) for item in RESOURCES[name]), reverse=True)
    causes = ", ".join(f"{item} {percent(value, whole)}" for value, item in parts if value)
    share = percent(own_cycles(cycles, name), whole)
    them = "them" if name.endswith("s") else "it"
    near = nearest_bound(cycles, bounds)
    if name == "MAC array":
        hidden = "" if near is not None else "; loads may hide under its work, and then a free array gains less"
        return f"{begin}: it works in {share} of the cycles ({causes}){_fill(result, name)}{hidden}."
    if near is not None:
        busy = percent(cycles.get("busy", 0), whole)
        need = f"it needs at least {percent(bounds[near], whole)} of the cycles taken"
        return f"{begin}: {need}; the array is busy in {busy} and waits for {them} in {share}."
    return f"{begin}: the array waits for {them} in {share} of the cycles ({causes}){_more_cycles(cycles, name)}."


def _more_cycles(cycles: Mapping[str, int], name: str) -> str:
    """Why the estimate is not the resource with most cycles of its own; '' if it is."""
    largest, whole = max(RESOURCES, key=lambda resource: own_cycles(cycles, resource)), sum(cycles.values())
    if largest == name:
        return ""
    them, does = "they" if largest.endswith("s") else "it", _does(largest, percent(own_cycles(cycles, largest), whole))
    return f"; {does}, but if {them} were free, other waits would take the place of most"


def _fill(result: Result, resource: str) -> str:
    """Utilization of the multipliers in a busy cycle, if the array limits and it is below one half; else ''.

    An array that is not filled limits by its shape, not by its size.
    """
    busy = result.cycles["busy"]
    if resource != "MAC array" or not busy or not result.utilization:
        return ""
    filled = result.utilization * result.total_cycles
    return "" if filled >= 0.5 * busy else f", but a busy cycle uses {percent(filled, busy)} of the multipliers"

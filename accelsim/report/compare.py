"""Where a speed-up comes from: the difference of two runs, split exactly by category and by layer.

Time is counted in ticks of the least common multiple of both clocks, so that both are integers; with equal clocks a tick is a cycle.
The split is additive in time and unordered; only the running speed-up of a waterfall depends on the order of its steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import lcm
from typing import Any

from accelsim.errors import ConfigError, ConservationError
from accelsim.report.metrics import category_cycles, pattern, useful_bits, weight_bits
from accelsim.report.verdict import decide
from accelsim.result import Result, total
from accelsim.run_labels import label

SAME_TIME = 0.001  # of the baseline's time: a smaller difference is reported as none


@dataclass(frozen=True)
class Contribution:
    """Time of one category or layer in both runs, in ticks."""

    name: str
    baseline_ticks: int
    other_ticks: int

    @property
    def saved_ticks(self) -> int:
        """Positive where the other run is faster."""
        return self.baseline_ticks - self.other_ticks


@dataclass(frozen=True)
class Step:
    """One step of a waterfall: its saving, the remaining time, and the cumulative speed-up."""

    name: str
    saved_ticks: int
    remaining_ticks: int
    speedup: float


@dataclass(frozen=True)
class TrafficRatio:
    """Traffic of both runs.

    Attributes
    ----------
    matrices
        Names of the layers whose weight format differs; the "block matrices" of the papers.
    matrix_baseline_bits, matrix_other_bits
        Their weights (indices, signs, codebooks, raw values), as papers count a compression.
    """

    useful_baseline_bits: int
    useful_other_bits: int
    bus_baseline_bits: int
    bus_other_bits: int
    matrices: tuple[str, ...]
    matrix_baseline_bits: int
    matrix_other_bits: int

    @property
    def whole_model(self) -> float | None:
        """Ratio of all useful bytes; None if the other run moves none."""
        return self.useful_baseline_bits / self.useful_other_bits if self.useful_other_bits else None

    @property
    def matrices_alone(self) -> float | None:
        """Ratio of the weight bytes of the layers whose format differs; None if there are none."""
        return self.matrix_baseline_bits / self.matrix_other_bits if self.matrix_other_bits else None


@dataclass(frozen=True)
class Speedup:
    """One run against the baseline.

    Attributes
    ----------
    by_cause, by_layer
        Exact splits: the savings sum to baseline_ticks - other_ticks. Layers are matched by name over all inferences.
    only_in_baseline, only_in_other
        Layers without a partner; they are in `by_layer` with 0 on the other side.
    """

    baseline: Result
    other: Result
    tick_hz: int
    baseline_ticks: int
    other_ticks: int
    by_cause: tuple[Contribution, ...]
    by_layer: tuple[Contribution, ...]
    only_in_baseline: tuple[str, ...]
    only_in_other: tuple[str, ...]
    traffic: TrafficRatio

    def __repr__(self) -> str:
        return f"<Speedup of {self.other!r}: {self.speedup:.4g}>"

    @property
    def speedup(self) -> float:
        """Time of the baseline over time of the other."""
        return self.baseline_ticks / self.other_ticks

    @property
    def same(self) -> bool:
        """Whether both take the same time, within SAME_TIME: the parts of so small a difference explain nothing."""
        return abs(self.baseline_ticks - self.other_ticks) <= SAME_TIME * self.baseline_ticks

    @property
    def share_of(self) -> tuple[str, int]:
        """Name and ticks of the whole of which parts are shares: the change; the baseline's time if a part exceeds the change."""
        change = self.baseline_ticks - self.other_ticks
        if any(abs(part.saved_ticks) > abs(change) for part in (*self.by_cause, *self.by_layer)):
            return "baseline", self.baseline_ticks
        return "change", change

    @property
    def ticks_are_cycles(self) -> bool:
        """True when both clocks are equal."""
        return self.baseline.clock_hz == self.other.clock_hz


@dataclass(frozen=True)
class Comparison:
    """Several runs relative to the first."""

    baseline: Result
    limit: str
    speedups: tuple[Speedup, ...]

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.results)} runs with {self.baseline!r}>"

    @property
    def results(self) -> tuple[Result, ...]:
        """All runs, the baseline first."""
        return (self.baseline, *(item.other for item in self.speedups))

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain JSON data: identities, speed-ups, both splits, traffic."""
        return {
            "baseline": {**_identity(self.baseline), "limit": self.limit},
            "others": [
                {
                    **_identity(item.other),
                    "speed_up": item.speedup,
                    "same_time": item.same,
                    "tick_hz": item.tick_hz,
                    "baseline_ticks": item.baseline_ticks,
                    "other_ticks": item.other_ticks,
                    "by_cause": [_contribution(part) for part in item.by_cause],
                    "by_layer": [_contribution(part) for part in item.by_layer],
                    "only_in_baseline": list(item.only_in_baseline),
                    "only_in_other": list(item.only_in_other),
                    "traffic": {
                        **asdict(item.traffic),
                        "whole_model_ratio": item.traffic.whole_model,
                        "matrices_alone_ratio": item.traffic.matrices_alone,
                    },
                }
                for item in self.speedups
            ],
        }


def _identity(result: Result) -> dict[str, Any]:
    return {
        "accelerator": result.accelerator_name,
        "trace": result.trace_name,
        "run_id": result.run_id,
        "clock_hz": result.clock_hz,
        "total_cycles": result.total_cycles,
        "milliseconds": result.milliseconds,
    }


def _contribution(part: Contribution) -> dict[str, Any]:
    return {**asdict(part), "saved_ticks": part.saved_ticks}


def compare(baseline: Result, others: Iterable[Result]) -> Comparison:
    """Compare each of `others` with `baseline`.

    Raises
    ------
    ConfigError
        A run took no cycles, or has another number of inferences than the baseline.
    ConservationError
        The parts of a split do not add up to the difference of the totals.
    """
    limit = decide(baseline).sentence
    return Comparison(baseline, limit, tuple(_speedup(baseline, other) for other in others))


def _speedup(baseline: Result, other: Result) -> Speedup:
    for result in (baseline, other):
        if result.total_cycles <= 0:
            raise ConfigError(f"{label(result)}: took {result.total_cycles} cycles; a comparison needs runs that take time")
    if (len(baseline.frames), baseline.batch) != (len(other.frames), other.batch):
        raise ConfigError(
            f"{label(other)}: has {len(other.frames)} frames of batch {other.batch}, the baseline {len(baseline.frames)} "
            f"of batch {baseline.batch}; a comparison needs the same of both"
        )
    tick_hz = lcm(baseline.clock_hz, other.clock_hz)
    scale, other_scale = tick_hz // baseline.clock_hz, tick_hz // other.clock_hz
    base_layers, other_layers = _layer_cycles(baseline), _layer_cycles(other)
    out = Speedup(
        baseline=baseline,
        other=other,
        tick_hz=tick_hz,
        baseline_ticks=baseline.total_cycles * scale,
        other_ticks=other.total_cycles * other_scale,
        by_cause=_contributions(category_cycles(baseline), scale, category_cycles(other), other_scale),
        by_layer=_contributions(base_layers, scale, other_layers, other_scale),
        only_in_baseline=tuple(name for name in base_layers if name not in other_layers),
        only_in_other=tuple(name for name in other_layers if name not in base_layers),
        traffic=_traffic_ratio(baseline, other),
    )
    for what, parts in (("categories", out.by_cause), ("layers", out.by_layer)):
        found = sum(part.saved_ticks for part in parts)
        if found != out.baseline_ticks - out.other_ticks:
            raise ConservationError(
                f"{label(other)}: the {what} save {found} ticks, but the runs differ by {out.baseline_ticks - out.other_ticks}"
            )
    return out


def in_brief(speedup: Speedup, digits: int = 2) -> str:
    """'2.20x', 'no difference'."""
    return "no difference" if speedup.same else f"{speedup.speedup:.{digits}f}x"


def no_difference(speedup: Speedup) -> str:
    """A sentence on two runs that take the same time, with the categories that offset each other if any moved by more than SAME_TIME."""
    change, whole = speedup.baseline_ticks - speedup.other_ticks, speedup.baseline_ticks
    if not change:
        text = f"No difference: both take {ticks_text(speedup, whole)}"
    else:
        text = (
            f"No difference: {ticks_text(speedup, abs(change))} of {ticks_text(speedup, whole)}, "
            f"{100 * abs(change) / whole:.2g} % (below {100 * SAME_TIME:g} %)"
        )
    moved = [part for part in speedup.by_cause if abs(part.saved_ticks) > SAME_TIME * whole]
    parts = [f"{part.name} {'saves' if part.saved_ticks > 0 else 'adds'} {ticks_text(speedup, abs(part.saved_ticks))}" for part in moved]
    return f"{text}; categories offset each other: {', '.join(parts)}." if parts else f"{text}."


def ticks_text(speedup: Speedup, ticks: int) -> str:
    """Cycles, or microseconds where the clocks of both runs differ."""
    return f"{ticks:,} cycles" if speedup.ticks_are_cycles else f"{1e6 * ticks / speedup.tick_hz:,.3f} us"


def _layer_cycles(result: Result) -> dict[str, int]:
    """Layer name -> cycles of all inferences, in program order."""
    return total({layer.name: layer.total_cycles} for layer in result.layers)


def _contributions(
    baseline: Mapping[str, int], baseline_scale: int, other: Mapping[str, int], other_scale: int
) -> tuple[Contribution, ...]:
    names = dict.fromkeys((*baseline, *other))
    return tuple(Contribution(name, baseline.get(name, 0) * baseline_scale, other.get(name, 0) * other_scale) for name in names)


def _traffic_ratio(baseline: Result, other: Result) -> TrafficRatio:
    weights = _layer_weight_bits(baseline), _layer_weight_bits(other)
    formats = {layer.name: layer.format for layer in baseline.layers}
    changed = {layer.name for layer in other.layers if layer.format != formats.get(layer.name, layer.format)}
    matrices = tuple(name for name, bits in weights[0].items() if name in changed and bits and weights[1].get(name))
    return TrafficRatio(
        useful_baseline_bits=sum(useful_bits(layer.traffic) for layer in baseline.layers),
        useful_other_bits=sum(useful_bits(layer.traffic) for layer in other.layers),
        bus_baseline_bits=sum(baseline.traffic.values()),
        bus_other_bits=sum(other.traffic.values()),
        matrices=matrices,
        matrix_baseline_bits=sum(weights[0][name] for name in matrices),
        matrix_other_bits=sum(weights[1][name] for name in matrices),
    )


def _layer_weight_bits(result: Result) -> dict[str, int]:
    return total({layer.name: weight_bits(layer.traffic)} for layer in result.layers)


def fold_layers(parts: Iterable[Contribution]) -> tuple[Contribution, ...]:
    """The same split with repeated layers summed: 'blocks.0.fc', 'blocks.1.fc', ... become 'blocks.*.fc x12'."""
    groups: dict[str, list[Contribution]] = {}
    for part in parts:
        groups.setdefault(pattern(part.name), []).append(part)
    return tuple(
        Contribution(
            found[0].name if len(found) == 1 else f"{name} x{len(found)}",
            sum(part.baseline_ticks for part in found),
            sum(part.other_ticks for part in found),
        )
        for name, found in groups.items()
    )


def waterfall(speedup: Speedup, parts: Iterable[Contribution], top: int | None = None) -> tuple[Step, ...]:
    """Steps from the baseline's time to the other run's: largest saving first, losses last, zero steps omitted.

    Parameters
    ----------
    top
        Number of largest steps (by magnitude) shown individually; the rest is summed into one last step. None: all.
    """
    moved = sorted((part for part in parts if part.saved_ticks), key=lambda part: -abs(part.saved_ticks))
    kept = moved if top is None or len(moved) <= top else moved[:top]
    rest = moved[len(kept) :]
    named = sorted(((part.name, part.saved_ticks) for part in kept), key=lambda item: -item[1])
    if rest:
        named.append((f"{len(rest)} others", sum(part.saved_ticks for part in rest)))
    steps, remaining = [], speedup.baseline_ticks
    for name, saved in named:
        remaining -= saved
        steps.append(Step(name, saved, remaining, speedup.baseline_ticks / remaining if remaining > 0 else float("inf")))
    return tuple(steps)

"""Search in a sweep's axes where its grid is too large: an optimizer proposes points, the same store keeps them.

The optimizer is Optuna's (the extra `[search]`): NSGA-II (Deb et al., IEEE TEC 6, 2002) or TPE. It is seeded, and a run is a function
of its point, so the same command makes the same proposals again: what is stored is told to it at once, and a search that was stopped
goes on where it was. Disputable assumption: a point that a constraint refuses, or that fails, is told as failed, not as bad.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from accelsim.errors import ConfigError
from accelsim.registry import suggest
from accelsim.report.technology import Technology
from accelsim.sweep.columns import METRICS, NUMERIC
from accelsim.sweep.metrics import OK, costing_id
from accelsim.sweep.points import Dropped, Invalid, Point, candidate
from accelsim.sweep.runner import Backend
from accelsim.sweep.spec import AxisGroup, Sweep
from accelsim.sweep.store import Store

if TYPE_CHECKING:
    import optuna

Sampler = Literal["nsga2", "tpe"]
MAX_OBJECTIVES = 3
GENERATION = 24  # points that are proposed before the first of them is told


@dataclass(frozen=True)
class SearchSummary:
    """What a search came to: proposals, and of them those that ran now, were stored, are another's point again, or were refused."""

    sweep: int
    name: str
    objectives: tuple[str, ...]
    trials: int
    ran: int
    reused: int
    again: int
    refused: int
    failed: int


def search(
    sweep: Sweep,
    store: Store,
    backend: Backend,
    technology: Technology,
    objectives: Sequence[str],
    trials: int,
    *,
    sampler: Sampler = "nsga2",
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> SearchSummary:
    """Propose `trials` points of a sweep's product that have little of the objectives, and run those that the store does not have.

    Parameters
    ----------
    objectives : one to three figures, less being better
    progress : called with ("trials", done, trials)

    Raises
    ------
    ConfigError
        An objective that is no figure, a sampler that is not known, or Optuna is not installed; otherwise as `run_sweep`.
    """
    check_objectives(objectives)
    study = _study(sampler, seed, len(objectives))
    costing = costing_id(technology)
    number = store.add_sweep(sweep)
    known: dict[int, tuple[float, ...] | None] = {}  # position -> figures; None: refused or failed
    counts = dict.fromkeys(("ran", "reused", "again", "refused", "failed"), 0)
    import optuna

    done = 0
    while done < trials:
        asked = [study.ask(_space(sweep)) for _ in range(min(GENERATION, trials - done))]
        places = [_position(sweep, trial.params) for trial in asked]
        counts["again"] += len(places) - len(dict.fromkeys(place for place in places if place not in known))
        fresh = _fresh(sweep, [place for place in dict.fromkeys(places) if place not in known], known, counts)
        store.add_members(number, costing, fresh)
        known |= _figures(fresh, store, backend, costing, objectives, counts)
        for trial, place in zip(asked, places, strict=True):
            values = known[place]
            if values is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, list(values))
        done += len(asked)
        if progress is not None:
            progress("trials", done, trials)
    return SearchSummary(sweep=number, name=sweep.name, objectives=tuple(objectives), trials=trials, **counts)


def check_objectives(objectives: Sequence[str]) -> None:
    """ConfigError unless there are one to three different figures."""
    allowed = [name for name in NUMERIC if name in METRICS]
    for name in objectives:
        if name not in allowed:
            raise ConfigError(f"objective {name!r} is not a figure of a run{suggest(name, allowed)}; allowed: {', '.join(allowed)}")
    if not 1 <= len(objectives) <= MAX_OBJECTIVES or len(set(objectives)) != len(objectives):
        raise ConfigError(f"objectives {', '.join(objectives) or 'none'}: allowed: one to {MAX_OBJECTIVES} different figures")


def _study(sampler: Sampler, seed: int, objectives: int) -> optuna.Study:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("a search needs Optuna: install the extra, pip install 'accelsim[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sampler not in ("nsga2", "tpe"):
        raise ConfigError(f"sampler {sampler!r}: allowed: nsga2, tpe")
    made = (
        optuna.samplers.NSGAIISampler(population_size=GENERATION, seed=seed)
        if sampler == "nsga2"
        else optuna.samplers.TPESampler(seed=seed)
    )
    return optuna.create_study(directions=["minimize"] * objectives, sampler=made)


def _space(sweep: Sweep) -> dict[str, Any]:
    """One parameter for each group of axes: its step, in order where the values are rising numbers, one of several otherwise."""
    import optuna

    return {
        str(number): optuna.distributions.IntDistribution(0, len(group.steps) - 1)
        if _ordered(group)
        else optuna.distributions.CategoricalDistribution(tuple(range(len(group.steps))))
        for number, group in enumerate(sweep.groups)
    }


def _ordered(group: AxisGroup) -> bool:
    """Whether the values of an axis are numbers that rise; a range is."""
    values = [step[0] for step in group.steps]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return len(numbers) == len(values) and numbers == sorted(numbers)


def _position(sweep: Sweep, steps: Mapping[str, int]) -> int:
    """The place in the product of the steps of all groups; the last moves fastest."""
    position = 0
    for number, group in enumerate(sweep.groups):
        position = position * len(group.steps) + int(steps[str(number)])
    return position


def _fresh(sweep: Sweep, places: Sequence[int], known: dict[int, tuple[float, ...] | None], counts: dict[str, int]) -> list[Point]:
    """The points at places that were not seen; those that are refused are noted."""
    out: list[Point] = []
    for place in places:
        item = candidate(sweep, place)
        if isinstance(item, Dropped | Invalid):
            known[place] = None
            counts["refused"] += 1
        else:
            out.append(item)
    return out


def _figures(
    points: Sequence[Point], store: Store, backend: Backend, costing: str, objectives: Sequence[str], counts: dict[str, int]
) -> dict[int, tuple[float, ...] | None]:
    """Position -> objectives of points: out of the store, or run and stored now; None for one that failed."""
    stored = store.statuses(costing, [point.run_id for point in points])
    todo = {point.run_id: point for point in points if stored.get(point.run_id) != OK}
    for row in backend.run(iter(todo.values())):
        store.add_runs([row])
    counts["ran"] += len(todo)
    counts["reused"] += len(points) - len(todo)
    out: dict[int, tuple[float, ...] | None] = {}
    for point in points:
        rows = list(store.rows(objectives, where={"run_id": point.run_id, "costing": costing}))
        out[point.position] = rows[0] if rows and None not in rows[0] else None
        counts["failed"] += out[point.position] is None
    return out

"""Search in a sweep's axes where its grid is too large: an optimizer proposes points, the same store keeps them.

The optimizer is Optuna's (the extra `[search]`): NSGA-II (Deb et al., IEEE TEC 6, 2002) or TPE. It is seeded, and a run is a function
of its point, so the same command makes the same proposals again: stored results are reported to it at once, and a search that was stopped
goes on where it was. Disputable assumption: a point that a constraint refuses, or that fails, is reported as failed, not as bad.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from accelsim.cost.technology import Technology
from accelsim.errors import ConfigError
from accelsim.registry import suggest
from accelsim.sweeps.best import check_figures
from accelsim.sweeps.columns import METRICS, NUMERIC
from accelsim.sweeps.metrics import FAILED, OK, costing_id
from accelsim.sweeps.points import candidate
from accelsim.sweeps.runner import Backend
from accelsim.sweeps.spec import AxisGroup, Sweep
from accelsim.sweeps.store import Store
from accelsim.sweeps.tally import SweepProgress, SweepSummary, Tally

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("nsga2", "tpe")
GENERATION = 24  # points that are proposed before the first of them is reported


def search(
    sweep: Sweep,
    store: Store,
    backend: Backend,
    technology: Technology,
    objectives: Sequence[str],
    trials: int,
    *,
    sampler: str = "nsga2",
    seed: int = 0,
    retry_failed: bool = False,
    progress: Callable[[SweepProgress], None] | None = None,
) -> SweepSummary:
    """Propose `trials` points of a sweep's product that have little of the objectives, and run those that the store does not have.

    Parameters
    ----------
    backend : it is closed at the end
    objectives : one to three figures, less being better
    retry_failed : also run points again whose run is stored as failed
    progress : called after each generation

    Returns
    -------
    SweepSummary
        `equal` are proposals of a point that was proposed before, or that is the same run.

    Raises
    ------
    ConfigError
        An objective that is no figure, a sampler that is not known, or Optuna is not installed; otherwise as `run_sweep`.
    """
    check_search(sampler, objectives)
    study = _study(sampler, seed, len(objectives))
    from optuna.trial import TrialState

    space = _space(sweep)
    runs = _Runs(sweep, store, backend, costing_id(technology), tuple(objectives), retry_failed)
    done = 0
    try:
        while done < trials:
            asked = [study.ask(space) for _ in range(min(GENERATION, trials - done))]
            places = [_position(sweep, trial.params) for trial in asked]
            values = runs.figures(places)
            for trial, place in zip(asked, places, strict=True):
                found = values[place]
                study.tell(trial, found, state=TrialState.COMPLETE if found is not None else TrialState.FAIL)
            done += len(asked)
            if progress is not None:
                tally = runs.tally
                progress(SweepProgress(done, trials, tally.ran, tally.counts[FAILED], done / tally.seconds if tally.seconds else 0.0))
    finally:
        backend.close()
    return runs.tally.summary(runs.number)


class _Runs:
    """State of a search: the figures of every proposed point."""

    def __init__(self, sweep: Sweep, store: Store, backend: Backend, costing: str, objectives: tuple[str, ...], retry_failed: bool) -> None:
        self.sweep, self.store, self.backend, self.costing, self.objectives = sweep, store, backend, costing, objectives
        self.settled = (OK,) if retry_failed else (OK, FAILED)
        self.number = store.add_sweep(sweep, costing)
        self.known: dict[int, list[float] | None] = {}  # position -> figures; None: refused or failed
        self.tally = Tally(sweep, None)

    def figures(self, places: Sequence[int]) -> Mapping[int, list[float] | None]:
        """The objectives at each place: known, stored, or run now."""
        counts = self.tally.counts
        fresh = [place for place in dict.fromkeys(places) if place not in self.known]
        counts["equal"] += len(places) - len(fresh)
        self.known.update(dict.fromkeys(fresh))
        points = self.tally.keep([candidate(self.sweep, place) for place in fresh], self.number, self.store)
        self.store.add_members(self.number, self.costing, points)
        stored = self.store.statuses(self.costing, [point.run_id for point in points])
        todo = {point.run_id: point for point in points if stored.get(point.run_id) not in self.settled}
        known = [stored[point.run_id] for point in points if point.run_id not in todo]
        counts["reused"] += known.count(OK)
        counts["failed_before"] += known.count(FAILED)
        counts["equal"] += len(points) - len(known) - len(todo)
        for row in self.backend.run(iter(todo.values())):
            self.tally.came_back(row)
            self.store.add_runs([row])
        for point in points:
            rows = list(self.store.rows(self.objectives, where={"run_id": point.run_id, "costing": self.costing}))
            self.known[point.position] = list(rows[0]) if rows and None not in rows[0] else None
        return self.known


def check_search(sampler: str, objectives: Sequence[str]) -> None:
    """ConfigError unless the sampler is known, the objectives are one to three figures of a run, and Optuna is there."""
    if sampler not in SAMPLERS:
        raise ConfigError(f"--search {sampler!r}: allowed: {', '.join(SAMPLERS)}")
    check_figures(objectives)
    allowed = [name for name in NUMERIC if name in METRICS]
    for name in objectives:
        if name not in allowed:
            raise ConfigError(f"objective {name!r} is not a figure of a run{suggest(name, allowed)}; allowed: {', '.join(allowed)}")
    if find_spec("optuna") is None:
        raise ConfigError("a search needs Optuna: install the extra, pip install 'accelsim[search]'")


def _study(sampler: str, seed: int, objectives: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = optuna.samplers
    made = samplers.NSGAIISampler(population_size=GENERATION, seed=seed) if sampler == "nsga2" else samplers.TPESampler(seed=seed)
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

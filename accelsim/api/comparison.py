"""Several runs against the first: speed-ups, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.accelerator import Accelerator
from accelsim.api.checks import check_flags, count_of, wrong_type
from accelsim.api.display import html_table, rendered, short_text, watched
from accelsim.api.inputs import DEFAULT_TECHNOLOGY, Overrides, technology_of
from accelsim.api.pairs import load_pairs
from accelsim.api.paths import saved
from accelsim.api.plots import ComparisonPlots
from accelsim.api.result import Result
from accelsim.api.simulate import simulate
from accelsim.api.table import Table
from accelsim.cost.compare_costs import RunCost, costs_of
from accelsim.errors import ConfigError
from accelsim.progress import Progress
from accelsim.report.compare import Comparison as ComparisonRecord
from accelsim.report.compare import compare as compare_results
from accelsim.report.compare import in_brief
from accelsim.report.export.compare import comparison_dict, split_rows, write_comparison
from accelsim.report.export.run import to_json
from accelsim.report.metrics import summarize
from accelsim.report.report import make_report
from accelsim.report.tables.compare import render_comparison
from accelsim.report.tables.cost import render_costs
from accelsim.report.tables.text import duration, times
from accelsim.report.verdict import decide
from accelsim.result import Result as RunRecord
from accelsim.run_labels import short_labels
from accelsim.trace.trace import Trace

if TYPE_CHECKING:
    from accelsim.api.inputs import TechnologyLike
    from accelsim.report.plots.picture import Picture
    from accelsim.studies.study_records import Walk


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """Runs against the first one, the baseline; their differences are split exactly by stall reason and by layer.

    Attributes
    ----------
    record : the comparison as the reports read it
    results : all runs, the baseline first
    """

    record: ComparisonRecord
    results: tuple[Result, ...]

    @cached_property
    def decided(self) -> ComparisonRecord:
        """`record` with the verdict of each run, see `Result.decided`."""
        first, *others = (item.decided for item in self.results)
        return compare_results(first, others)

    @property
    def speed_up(self) -> float | tuple[float, ...]:
        """Time of the baseline over time of the other run; a tuple in the order of the runs if there are several others."""
        found = tuple(item.speedup for item in self.record.speedups)
        return found[0] if len(found) == 1 else found

    @property
    def names(self) -> tuple[str, ...]:
        """The part of each run's name that tells it from the others, the baseline first."""
        return short_labels(self.record.results)

    def runs(self) -> Table:
        """One row per run: time, cycles, speed-up, traffic, verdict."""
        ratios = (1.0, *(item.speedup for item in self.record.speedups))
        rows = (
            {
                "run": name,
                "milliseconds": result.milliseconds,
                "total_cycles": result.cycles,
                "speed_up": ratio,
                "bus_bytes": result.bus_bytes,
                "verdict": result.verdict,
            }
            for name, result, ratio in zip(self.names, self.results, ratios, strict=True)
        )
        return Table("Runs", rows)

    def by_cause(self) -> Table:
        """Time of each stall reason in the baseline and in each run; the savings add up to the difference."""
        return Table("By stall reason", split_rows(self.record, "by_cause"))

    def by_layer(self) -> Table:
        """Time of each layer in the baseline and in each run; the savings add up to the difference."""
        return Table("By layer", split_rows(self.record, "by_layer"))

    def limits(self) -> Table:
        """Bounds and stalls of each run, as `Result.limits` has them."""
        rows = ({"run": name, **row} for name, result in zip(self.names, self.results, strict=True) for row in result.limits())
        return Table("Limits", rows)

    def cost(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> Table:
        """Time, traffic, energy and area of one inference of each run."""
        return Table("Costs", (item.to_row() for item in self._costs(technology)))

    def costs(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> Table:
        """The older name of `cost`."""
        return self.cost(technology)

    def _costs(self, technology: TechnologyLike) -> tuple[RunCost, ...]:
        return costs_of(self.record.results, technology_of(technology))

    def walk(self, run: int = 1, *, progress: bool | Progress = False) -> Table:
        """From the ratio of the weights' bits to the baseline chip's speed-up, one effect at a time; each step is simulated.

        Raises
        ------
        AccelsimError
            The runs were loaded from files, which hold no network, or differ in more than the format of their weights.
        """
        with watched(progress) as update:
            steps = self._walk(run, update).steps
        return Table("Walk", ({"step": item.name, "speed_up": item.speedup, "meaning": item.meaning} for item in steps))

    def _walk(self, run: int, progress: Progress | None = None) -> Walk:
        from accelsim.studies.walk import walk

        baseline, other = self.results[0], self._other(run)
        if len(baseline.traces) != 1 or len(other.traces) != 1:
            raise ConfigError("a walk simulates again: it needs runs of one network each that were made in this process, not loaded ones")
        return walk(baseline.accelerator, baseline.traces[0], other.traces[0], progress)

    def _other(self, run: int) -> Result:
        return self.results[count_of("run", run, 1, len(self.results) - 1)]

    @property
    def plot(self) -> ComparisonPlots:
        """The comparison's pictures: `comparison.plot.waterfall_cause()`."""
        return ComparisonPlots(f"a comparison of {len(self.results)} runs", self._pictures, self._walk_picture, len(self.results) - 1)

    def _pictures(self, technology: TechnologyLike) -> list[Picture]:
        from accelsim.report.plots.pictures import comparison_pictures

        return comparison_pictures(self.record, self._costs(technology))

    def _walk_picture(self, run: int) -> Picture:
        from accelsim.studies.walk_plot import walk_picture

        traces = self.results[0].record.trace_name, self._other(run).record.trace_name
        return walk_picture("walk", self._walk(run), traces)

    def summary(self, *, full: bool = False, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> str:
        """One line per run, or, with `full`, every table of `accelsim compare`."""
        if not full:
            return "\n".join(self._lines(self.results[0].verdict, self.results[-1].verdict))
        costs = self._costs(technology)

        def render(console: Any) -> None:
            render_comparison(console, self.decided)
            render_costs(console, costs)

        return rendered(render)

    def _lines(self, first: str, last: str) -> list[str]:
        """The runs, with the verdicts on the first and on the last one."""
        heading = f"{duration(self.results[0].milliseconds)}  {self.results[0].name}, the baseline"
        others = zip(self.names[1:], self.results[1:], self.record.speedups, strict=True)
        lines = [f"{duration(result.milliseconds)}  {name}: {in_brief(item)}" for name, result, item in others]
        return [heading, f"  {first}", *lines, f"  {last}"]

    def to_dict(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> dict[str, Any]:
        """Everything as plain data: the content of `accelsim compare --json`."""
        return comparison_dict(self.decided, self._costs(technology))

    def to_frame(self) -> Any:
        """One row per run as a `pandas.DataFrame`; AccelsimError without pandas."""
        return self.runs().to_frame()

    def save(self, path: str | Path, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> Path:
        """Write a '.json' file of `to_dict`, a '.html' page, or else a folder as `accelsim compare -o` does.

        Raises
        ------
        AccelsimError
            Something else is there, it cannot be written, or the ending is that of another kind of file ('c.csv').
        """
        return saved(path, lambda folder: self._write(folder, technology), lambda: self._json(technology), lambda: self._page(technology))

    def _write(self, folder: Path, technology: TechnologyLike) -> Path:
        from accelsim.report.plots.picture import files_of

        return write_comparison(folder, self.decided, files_of(self._pictures(technology)), self._costs(technology))

    def _json(self, technology: TechnologyLike) -> str:
        return to_json(self.to_dict(technology))

    def _page(self, technology: TechnologyLike) -> str:
        from accelsim.report.html.page import to_page

        return to_page(make_report(self.decided.results, technology_of(technology)))

    def __repr__(self) -> str:
        first, *_, last = (summarize(item.shown).limiting_sentence for item in self.results)
        return short_text(self._lines(first, last))

    def _repr_html_(self) -> str:
        ratios = (1.0, *(item.speedup for item in self.record.speedups))
        rows = [
            (name, duration(result.milliseconds), times(ratio), decide(result.shown).label)
            for name, result, ratio in zip(self.names, self.results, ratios, strict=True)
        ]
        return html_table("Comparison", rows, ("run", "time", "speed-up", "limited by"))


def compare(
    *runs: str | Result | RunRecord,
    set: Overrides | None = None,
    fit_codebook: bool = False,
    frames: int = 1,
    batch: int = 1,
    seed: int = 0,
    progress: bool | Progress = False,
) -> Comparison:
    """Compare runs with the first one.

    Parameters
    ----------
    runs : results of `simulate` or `load_result`; or texts ACCEL:TRACE, which are simulated: a part that a later one leaves out is that
        of the first, and NAME+path=value:TRACE changes a chip
    set, fit_codebook, frames, batch, seed : of runs given as texts, see `simulate`

    Raises
    ------
    AccelsimError
        Fewer than two runs, a mixture of texts and results, an unknown name, or runs of different frames or batch.
    """
    check_flags(fit_codebook=fit_codebook)
    texts = [item for item in runs if isinstance(item, str)]
    if texts or not runs:
        if len(texts) != len(runs):
            raise ConfigError("compare takes results, or texts ACCEL:TRACE, not both at once")
        return compare_pairs(load_pairs(texts, set, fit=fit_codebook), frames=frames, batch=batch, seed=seed, progress=progress)
    if set is not None or fit_codebook or (frames, batch, seed) != (1, 1, 0):
        raise ConfigError("set, fit_codebook, frames, batch and seed belong to runs that compare makes, given as texts ACCEL:TRACE")
    return compared([_result(item) for item in runs])


def compare_pairs(
    machines: Sequence[tuple[Accelerator, Trace]], *, frames: int, batch: int, seed: int, progress: bool | Progress = False
) -> Comparison:
    """Simulate each network on its chip and compare the runs with the first one."""
    results = []
    with watched(progress) as update:
        for index, (machine, network) in enumerate(machines):
            if update is not None:
                update("runs", index, len(machines))
            results.append(simulate(machine, network, frames=frames, batch=batch, seed=seed, progress=update or False))
    return compared(results)


def compared(results: Sequence[Result]) -> Comparison:
    """The comparison of runs with the first one; ConfigError for fewer than two."""
    if len(results) < 2:
        raise ConfigError(f"compare needs a baseline and at least one other run; given: {', '.join(item.name for item in results)}")
    first, *others = (item.record for item in results)
    return Comparison(compare_results(first, others), tuple(results))


def _result(item: object) -> Result:
    if isinstance(item, Result):
        return item
    if isinstance(item, RunRecord):
        return Result(item)
    raise wrong_type("a run", item, "a Result, or a text ACCEL:TRACE")

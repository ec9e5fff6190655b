"""A run as users get it: figures, tables, costs and pictures of one result record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.accelerator import Accelerator
from accelsim.api.cost import Cost
from accelsim.api.display import html_table, rendered, short_text
from accelsim.api.inputs import DEFAULT_TECHNOLOGY, technology_of
from accelsim.api.paths import path_of, saved
from accelsim.api.plots import RunPlots
from accelsim.api.table import Table
from accelsim.cost.compare_costs import RunCost, costs_of
from accelsim.cost.energy import accelerator_of
from accelsim.errors import CompileError
from accelsim.report.export.run import core_rows, layer_rows
from accelsim.report.findings import Findings, functional_rows, what_if_rows
from accelsim.report.metrics import CATEGORY_MEANING, Summary, category_cycles, summarize, traffic_lines
from accelsim.report.report import make_report
from accelsim.report.tables.run import render_headline
from accelsim.report.tables.text import count, decimal_bytes, duration
from accelsim.report.verdict import decide
from accelsim.result import BOUND_RESOURCES, CHEAP_CYCLES, RESOURCES
from accelsim.result import Result as RunRecord
from accelsim.run_labels import label
from accelsim.stored_result import load_result as read_result

if TYPE_CHECKING:
    from accelsim.api.inputs import TechnologyLike
    from accelsim.functional import FunctionalReport
    from accelsim.report.plots.picture import Picture
    from accelsim.trace.trace import Trace
    from accelsim.what_if import WhatIf


@dataclass(frozen=True, repr=False, eq=False)
class Result:
    """One run: its time, where the time goes, its traffic, and what limits it.

    Attributes
    ----------
    record : the result as the simulator wrote it, of whole numbers only
    idealized : the idealizations, where `simulate(what_if=True)` asked for them
    checked : the functional check, where `simulate(functional=True)` asked for it
    traces : the networks, where the run was made in this process
    seed : of the values that the networks leave open
    """

    record: RunRecord
    idealized: tuple[WhatIf, ...] | None = None
    checked: FunctionalReport | None = None
    traces: tuple[Trace, ...] = ()
    seed: int = 0

    @cached_property
    def decided(self) -> RunRecord:
        """`record` with its verdict: of a short run made in this process, its idealizations are simulated the first time."""
        ideals = self.idealized
        if ideals is None and self.traces and self.record.verdict is None and self.cycles <= CHEAP_CYCLES:
            from accelsim.what_if import what_if

            first, *others = self.traces
            try:
                ideals = what_if(self.accelerator, first, self.record, then=others, seed=self.seed)
            except CompileError:  # an ideal chip that the network does not fit leaves the estimate
                return self.record
        return replace(self.record, verdict=decide(self.record, ideals)) if ideals and self.cycles else self.record

    @property
    def shown(self) -> RunRecord:
        """`decided` if nothing is left to be simulated for it, else `record`, whose verdict is an estimate: what a repr says."""
        return self.decided if self.idealized is not None or "decided" in vars(self) else self.record

    @cached_property
    def _summary(self) -> Summary:
        return summarize(self.decided)

    @cached_property
    def accelerator(self) -> Accelerator:
        """The chip, resolved."""
        return accelerator_of(self.record)

    @property
    def name(self) -> str:
        """'ACCELERATOR:TRACE'."""
        return label(self.record)

    @property
    def cycles(self) -> int:
        """Core cycles of the whole run."""
        return self.record.total_cycles

    @property
    def milliseconds(self) -> float:
        """Time of the whole run."""
        return self.record.milliseconds

    @property
    def cycles_by_cause(self) -> dict[str, int]:
        """'busy' or a stall reason -> core cycles; the sum is `cycles`."""
        return {name: value for name, value in category_cycles(self.record).items() if value}

    @property
    def bounds(self) -> Mapping[str, int]:
        """Resource -> the least core cycles that the run needs of it."""
        return self.record.bounds

    @property
    def bus_bytes(self) -> int:
        """Bytes on all memory channels, whole bursts."""
        return self.record.bus_bytes

    @property
    def useful_bytes(self) -> int:
        """The same without padding and burst rounding."""
        return self.record.useful_bytes

    @property
    def traffic(self) -> Table:
        """Bytes by operand, memory and direction."""
        rows = (
            {"operand": item.operand, "memory": item.memory, "direction": "write" if item.write else "read", "bytes": _bytes(item.bits)}
            for item in traffic_lines(self.record)
        )
        return Table(f"Traffic of {self.name}", rows)

    @property
    def layers(self) -> Table:
        """One row per layer and inference: cycles by stall reason, MACs, bytes, bounds; the rows of layers.csv."""
        return Table(f"Layers of {self.name}", layer_rows(self.record))

    @property
    def cores(self) -> Table:
        """One row per core of a chip with several: MACs, utilization, cycles by stall reason; without rows on a chip with one."""
        return Table(f"Cores of {self.name}", core_rows(self.record))

    @property
    def verdict(self) -> str:
        """The limiting resource, in a sentence: with its gain if the run is short or `simulate(what_if=True)` asked, else estimated.

        Of a short run, the first call simulates its idealizations.
        """
        return self._summary.limiting_sentence

    @property
    def limiting_resource(self) -> str:
        """The resource that the verdict names."""
        return self._summary.limiting_resource

    @property
    def warnings(self) -> tuple[str, ...]:
        """Remarks of the compiler and the machine that a reader of the figures should know."""
        return self.record.warnings

    @property
    def bit_exact(self) -> bool | None:
        """Whether every layer that was decoded and multiplied for real is right; None if none was."""
        return None if self.checked is None else self.checked.ok

    def limits(self) -> Table:
        """Bounds and stalls in cycles and percent of those taken, each with its resource's gain; the first bound is the tightest."""
        gains = {gain.resource: gain.speed_up for gain in decide(self.decided).gains}
        resources = {reason: resource for resource, reasons in RESOURCES.items() for reason in reasons}
        bounds = sorted(self.bounds.items(), key=lambda item: -item[1])
        stalls = sorted(self.cycles_by_cause.items(), key=lambda item: -item[1])
        rows = [("bound", name, value, BOUND_RESOURCES.get(name, name)) for name, value in bounds]
        rows += [("busy" if name == "busy" else "stall", name, value, resources.get(name, name)) for name, value in stalls]
        named = (
            {
                "kind": kind,
                "name": name,
                "cycles": value,
                "percent": self._percent(value),
                "resource": resource,
                "speed_up": gains.get(resource),
                "meaning": f"least cycles of the {resource}" if kind == "bound" else CATEGORY_MEANING.get(name, ""),
            }
            for kind, name, value, resource in rows
        )
        return Table(f"Limits of {self.name}", named)

    def _percent(self, value: int) -> float:
        return 100 * value / self.cycles if self.cycles else 0.0

    def what_if(self) -> Table:
        """Speed-up of each idealization; without rows unless `simulate(what_if=True)` asked for them."""
        rows = what_if_rows(self.idealized or ())
        return Table(f"What if, {self.name}", rows)

    def functional(self) -> Table:
        """One row per layer that was decoded and multiplied; without rows unless `simulate(functional=True)` asked for it."""
        return Table(f"Functional check of {self.name}", functional_rows(self.checked))

    def cost(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> Cost:
        """Area and energy in a technology; nothing is simulated again."""
        return Cost(self._cost(technology))

    def _cost(self, technology: TechnologyLike) -> RunCost:
        (cost,) = costs_of([self.record], technology_of(technology))
        return cost

    def findings(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> Findings:
        """The record of `accelsim run`: result, costs and checks together."""
        (cost,) = costs_of([self.decided], technology_of(technology))
        return Findings(cost, self.idealized, self.checked)

    @property
    def plot(self) -> RunPlots:
        """The run's pictures: `result.plot.layers(file="layers.svg")`."""
        return RunPlots(self.name, self._pictures)

    def _pictures(self, technology: TechnologyLike) -> list[Picture]:
        from accelsim.report.plots.pictures import run_pictures

        return run_pictures(self._cost(technology))

    def summary(self, *, full: bool = False, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> str:
        """The headline as text, or, with `full`, every table of `accelsim run`."""
        if full:
            return rendered(lambda console: self.findings(technology).render(console, all_layers=False))
        return self._headline(self._summary)

    def _headline(self, figures: Summary) -> str:
        return rendered(lambda console: render_headline(console, self.record, figures))

    def to_dict(self, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> dict[str, Any]:
        """Everything as plain data: the content of `accelsim run --json`."""
        return self.findings(technology).to_dict()

    def to_frame(self) -> Any:
        """One row per layer and inference as a `pandas.DataFrame`; AccelsimError without pandas."""
        return self.layers.to_frame()

    def save(self, path: str | Path, technology: TechnologyLike = DEFAULT_TECHNOLOGY) -> Path:
        """Write a '.json' file, which `load_result` reads; a '.html' page; or else a folder as `accelsim run -o` does ('run', 'run.v2').

        Raises
        ------
        AccelsimError
            Something else is there, it cannot be written, or the ending is that of another kind of file ('run.csv').
        """
        return saved(path, lambda folder: self.findings(technology).write(folder), self.decided.to_json, lambda: self._page(technology))

    def _page(self, technology: TechnologyLike) -> str:
        from accelsim.report.html.page import to_page

        return to_page(make_report([self.decided], technology_of(technology)))

    def __repr__(self) -> str:
        return short_text(self._headline(summarize(self.shown)).splitlines())

    def _repr_html_(self) -> str:
        figures = summarize(self.shown)
        facts = [
            ("chip", self.record.accelerator_name),
            ("network", self.record.trace_name),
            ("time of all networks", duration(figures.milliseconds))
            if self.record.at_once
            else ("time per inference", duration(figures.milliseconds_per_inference)),
            ("cycles", count(self.cycles)),
            ("on the bus", decimal_bytes(self.bus_bytes)),
            ("verdict", figures.limiting_sentence),
        ]
        return html_table("Run", facts)


def _bytes(bits: int) -> int | float:
    return bits / 8 if bits % 8 else bits // 8


def load_result(path: str | Path) -> Result:
    """The run in a folder of `accelsim run -o`, of `Result.save`, or in a 'result.json'.

    Raises
    ------
    AccelsimError
        There is no such file, or it is not the result of a run that this version reads.
    """
    return Result(read_result(path_of("path", path, "the path of a run's folder or of a result.json")))

"""Tables of checks and estimates: a validation's rows, an energy by component and by operand, named figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import Console

from accelsim.cost.energy import KINDS, EnergyReport
from accelsim.cost.span import Span
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import count, percent


class Verdict(Protocol):
    """One judged figure."""

    @property
    def row(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def expected(self) -> float: ...
    @property
    def got(self) -> float: ...
    @property
    def error(self) -> float: ...
    @property
    def tolerance(self) -> float: ...
    @property
    def ok(self) -> bool: ...


class Validation(Protocol):
    """All verdicts on a reference file."""

    @property
    def kind(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def rows(self) -> Sequence[Verdict]: ...
    @property
    def ok(self) -> bool: ...
    @property
    def median_error(self) -> float: ...
    @property
    def largest_error(self) -> float: ...


def render_validation(console: Console, report: Validation) -> None:
    """Every judged figure with its error, then the verdict."""
    out = table(["row", "figure", ">reference", ">accelsim", ">error", ">allowed", ""], dense=True)
    for item in report.rows:
        cells = (_figure(item.expected), _figure(item.got), _figure(item.error), _figure(item.tolerance), "" if item.ok else "OUT")
        row(out, item.row, item.column, *cells, style=None if item.ok else "red")
    show(console, f"{report.kind}: {report.source}", out)
    wrong = sum(not item.ok for item in report.rows)
    judged = f"{len(report.rows)} figures judged, median error {_figure(report.median_error)}, largest {_figure(report.largest_error)}"
    verdict = "all inside their tolerance" if report.ok else f"{wrong} outside their tolerance"
    say(console, f"{judged}: {verdict}", style="green" if report.ok else "red")


def _figure(value: float) -> str:
    if math.isinf(value):
        return "inf"
    return count(int(value)) if value == int(value) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"


def render_energy(console: Console, report: EnergyReport, inferences: int) -> None:
    """Energy per inference by component and by operand with ranges, its kinds, and the efficiency with and without off-chip memories."""
    whole = report.energy_pj()
    for what, parts in (("component", report.by_component), ("operand", report.by_operand)):
        out = table([what, ">uJ", ">low", ">high", ">share"])
        for name, energy_pj in parts.items():
            row(out, name, *_microjoules(energy_pj, inferences), percent(energy_pj.nominal, whole.nominal))
        row(out, "total", *_microjoules(whole, inferences), percent(whole.nominal, whole.nominal), style="bold")
        show(console, f"Energy per inference in {report.technology}, by {what}", out)
    dynamic, leakage, background = (percent(report.energy_pj(kind=kind).nominal, whole.nominal) for kind in KINDS)
    say(console, f"{dynamic} dynamic, {leakage} leakage (SRAM of device {report.device}), {background} background of memories")
    if whole.low > 0:
        on_chip, everything = report.tops_per_watt(off_chip=False), report.tops_per_watt()
        delay = report.energy_delay_product_js.nominal / inferences**2
        say(
            console,
            f"{_range(everything)} TOPS/W with off-chip memories, {_range(on_chip)} without (2 operations per useful MAC); "
            f"energy-delay product {delay:.3g} Js",
        )
    say(
        console,
        f"--json, energy.csv of -o, and the page of accelsim report -o have the source of each of the {len(report.lines)} actions.",
    )


def _range(span: Span) -> str:
    return f"{span.nominal:.3g} ({span.low:.3g} to {span.high:.3g})"


def _microjoules(energy_pj: Span, inferences: int) -> tuple[str, str, str]:
    low, nominal, high = (f"{value / inferences / 1e6:,.3f}" for value in (energy_pj.low, energy_pj.nominal, energy_pj.high))
    return nominal, low, high


def render_figures(console: Console, title: str, figures: Mapping[str, object]) -> None:
    """Named figures, one per line; units are in the names."""
    out = table(["figure", ">value"])
    for name, value in figures.items():
        row(out, name, _figure(value) if isinstance(value, (int, float)) else str(value))
    show(console, title, out)

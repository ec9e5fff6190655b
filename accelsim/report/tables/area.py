"""Areas as tables: by component with the source of each figure below, or by group as a run shows them."""

from __future__ import annotations

from rich.console import Console

from accelsim.cost.area import AreaReport
from accelsim.cost.span import Span
from accelsim.report.tables.terminal import row, say, show, table
from accelsim.report.tables.text import count


def render_area(console: Console, report: AreaReport) -> None:
    """Area by component with its range and the number of its source; the totals; sources; extrapolations and assumptions."""
    say(console, f"{report.accelerator} in {report.technology} ({report.node_nm} nm)", style="bold")
    sources = list(dict.fromkeys(component.source for component in report.components))
    out = table(["component", ">gates", ">um2", ">low", ">high", ">source"], dense=True)
    for component in report.components:
        gates = count(round(component.gates.nominal)) if component.gates is not None else ""
        row(out, component.name, gates, *_square_um(component.area_um2), str(1 + sources.index(component.source)))
    row(out, "total, cells and macros", count(round(report.gates.nominal)), *_square_um(report.cells_um2), "", style="bold")
    row(out, "total, placed", "", *_square_um(report.placed_um2), str(1 + len(sources)), style="bold")
    show(console, "Area; gates in gate equivalents (GE) of a two-input NAND", out)
    _render_sources(console, [*sources, f"logic over the placement density, macros as they are: {report.density_source}"])
    for component in report.components:
        if component.notes:
            say(console, f"{component.name}: {'; '.join(component.notes)}")
    _render_warnings(console, report)


def _render_warnings(console: Console, report: AreaReport) -> None:
    for warning in report.warnings:
        say(console, f"warning: {warning}", style="yellow")


def _render_sources(console: Console, sources: list[str]) -> None:
    out = table([">", "source"])
    for number, source in enumerate(sources, start=1):
        row(out, str(number), source)
    show(console, "Sources", out)
    console.print()


def render_area_groups(console: Console, report: AreaReport) -> None:
    """Area by group of components, as a run shows it."""
    out = table(["part", ">mm2", ">low", ">high"])
    for name, area_um2 in report.by_group.items():
        row(out, name, *_square_mm(area_um2))
    row(out, "total, cells and macros", *_square_mm(report.cells_um2), style="bold")
    row(out, "total, placed", *_square_mm(report.placed_um2), style="bold")
    show(console, f"Area in {report.technology}, {report.node_nm} nm (accelsim area: by component, with sources)", out)
    _render_warnings(console, report)


def _square_um(area_um2: Span) -> tuple[str, str, str]:
    return count(round(area_um2.nominal)), count(round(area_um2.low)), count(round(area_um2.high))


def _square_mm(area_um2: Span) -> tuple[str, str, str]:
    low, nominal, high = (f"{value / 1e6:.4f}" for value in (area_um2.low, area_um2.nominal, area_um2.high))
    return nominal, low, high

"""Energy and area of a run in one technology, by component, each figure with its range."""

from __future__ import annotations

from accelsim.cost.area import AreaReport
from accelsim.cost.compare_costs import ENERGY_GROUPS
from accelsim.cost.energy import EnergyReport
from accelsim.cost.span import Span
from accelsim.report.html.elements import Child, element, folded, paragraph
from accelsim.report.html.figures import beside, figure
from accelsim.report.html.section import Run, Section
from accelsim.report.html.tables import Cell, Column, Row, integer, number, share, swatch, table, value
from accelsim.report.plots.style import group_paint
from accelsim.report.tables.text import short

_RANGE_NOTE = "low and high are the ends of each figure's range, with all errors assumed correlated"


def energy(run: Run) -> Section:
    """By component, per inference; each action with its source on demand."""
    report, inferences = run.cost.cost.energy, run.cost.inferences
    whole = report.energy_pj()
    columns = (Column("component"), number("energy", "µJ"), number("low to high", "µJ"), number("share", "%"))
    rows: list[Row] = [
        (swatch(name, group_paint(ENERGY_GROUPS.get(name, name))), *_range(span, 1e-6 / inferences), share(span.nominal, whole.nominal))
        for name, span in report.by_component.items()
    ]
    total: Row = ("all", *_range(whole, 1e-6 / inferences), share(whole.nominal, whole.nominal))
    body: list[Child] = [paragraph(f"Energy of one inference in {report.technology}; {_RANGE_NOTE}. {_efficiency(report)}", "note")]
    drawn = element(
        "div",
        figure(run.figures["energy"], "Energy per inference by part; the whisker is the range."),
        figure(run.figures["energy_kinds"], "Energy per inference by part and kind; whiskers are ranges."),
    )
    body.append(beside(drawn, table(run.name("t-energy"), "Energy by component", columns, rows, (total,))))
    body.append(folded(f"{len(report.lines)} actions, with the source of each energy", _actions(run, report)))
    return Section(run.name("energy"), "Energy", tuple(body))


def _efficiency(report: EnergyReport) -> str:
    if not report.energy_pj(off_chip=False).low > 0:
        return ""
    everything, chip = report.tops_per_watt(), report.tops_per_watt(off_chip=False)
    return (
        f"{_ends(everything)} TOPS/W with off-chip memories, {_ends(chip)} without (2 operations per useful MAC); "
        f"SRAM of type {report.device}."
    )


def _actions(run: Run, report: EnergyReport) -> Child:
    columns = (
        Column("component"),
        Column("operand"),
        Column("action"),
        Column("kind"),
        number("count", "or s"),
        number("each", "pJ, or pW"),
        number("whole run", "µJ"),
        Column("source", text=True),
    )
    rows: list[Row] = [
        (
            line.component,
            line.operand,
            line.action,
            line.kind,
            value(line.count.nominal, f"{line.count.nominal:,.6g}"),
            value(line.pj_each.nominal, f"{line.pj_each.nominal:,.4g}"),
            _figure(line.energy_pj.nominal / 1e6),
            line.source,
        )
        for line in report.lines
    ]
    return table(run.name("t-actions"), "Energy by action", columns, rows)


def area(run: Run) -> Section:
    """By component; cells and macros, then placed."""
    report = run.cost.cost.area
    columns = (
        Column("component"),
        Column("part"),
        Column("kind"),
        number("gates", "GE"),
        number("area", "mm²"),
        number("low to high", "mm²"),
    )
    rows: list[Row] = [
        (
            swatch(item.name, group_paint(item.group)),
            item.group,
            item.kind,
            integer(round(item.gates.nominal)) if item.gates is not None else "",
            *_square_mm(item.area_um2),
        )
        for item in report.components
    ]
    totals: list[Row] = [
        ("cells and macros", "", "", integer(round(report.gates.nominal)), *_square_mm(report.cells_um2)),
        ("placed", "", "", "", *_square_mm(report.placed_um2)),
    ]
    where = f"{report.technology}, {report.node_nm} nm; {_RANGE_NOTE}"
    note = f"{where}. Components are cell area; placed is logic over its density, and macros as they are."
    drawing = figure(run.figures["area_bars"], "Placed area by part; the whiskers are the ranges.")
    shown = beside(drawing, table(run.name("t-area"), "Area by component", columns, rows, totals))
    return Section(run.name("area"), "Area", (paragraph(note, "note"), shown, folded("Where each area comes from", _sources(run, report))))


def _sources(run: Run, report: AreaReport) -> Child:
    rows = [(item.name, item.source, "; ".join(item.notes)) for item in report.components]
    columns = (Column("component"), Column("source", text=True), Column("notes", text=True))
    return table(run.name("t-area-sources"), "Sources of the areas", columns, rows)


def _figure(figure: float) -> Cell:
    return value(figure, short(figure) if figure else "0")


def _range(span: Span, scale: float) -> tuple[Cell, Cell]:
    scaled = span * scale
    return _figure(scaled.nominal), value(scaled.high, f"{short(scaled.low)} to {short(scaled.high)}")


def _square_mm(area_um2: Span) -> tuple[Cell, Cell]:
    area = area_um2 * 1e-6
    return value(area.nominal, f"{area.nominal:.4f}"), value(area.high, f"{area.low:.4f} to {area.high:.4f}")


def _ends(span: Span) -> str:
    return f"{short(span.nominal)} ({short(span.low)} to {short(span.high)})"

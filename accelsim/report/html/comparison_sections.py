"""Several runs relative to the first: speed-ups and their sources, costs, traffic by operand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accelsim.cost.compare_costs import RunCost
from accelsim.cost.span import Span
from accelsim.report.compare import Comparison, Contribution, Speedup, fold_layers, no_difference, waterfall
from accelsim.report.html.elements import Child, Node, element, listing, paragraph
from accelsim.report.html.figures import beside, figure
from accelsim.report.html.section import Section
from accelsim.report.html.tables import Cell, Column, Row, number, share, swatch, table, value
from accelsim.report.metrics import traffic_lines
from accelsim.report.plots.style import operand_paint
from accelsim.report.tables.compare import traffic_sentence
from accelsim.report.tables.text import milliseconds, short, times
from accelsim.report.verdict import decide
from accelsim.result import OPERANDS
from accelsim.run_labels import label
from accelsim.wording import first_names

_LISTED_NAMES = 8


def comparison_sections(
    comparison: Comparison, costs: Sequence[RunCost], names: Sequence[str], figures: Mapping[str, Node]
) -> tuple[Section, ...]:
    """The comparison's sections; `names` identify the runs, the baseline first."""
    return (
        _speedups(comparison, names, figures),
        _side_by_side(costs, names, figures),
        *(_origin(index, item, names, figures, alone=len(comparison.speedups) == 1) for index, item in enumerate(comparison.speedups, 1)),
        _traffic(comparison, names, figures),
    )


def _speedups(comparison: Comparison, names: Sequence[str], figures: Mapping[str, Node]) -> Section:
    ratios = (1.0, *(item.speedup for item in comparison.speedups))
    columns = (Column("run"), number("time", "ms"), number("core cycles"), number("speed-up"), Column("limited by"))
    rows: list[Row] = [
        (
            name,
            value(result.milliseconds, milliseconds(result.milliseconds)),
            value(result.total_cycles, f"{result.total_cycles:,}"),
            value(ratio, times(ratio)),
            decide(result).label,
        )
        for name, result, ratio in zip(names, comparison.results, ratios, strict=True)
    ]
    sentences = (decide(result).sentence for result in comparison.results)
    limits = [f"{name}: {sentence}" for name, sentence in zip(names, sentences, strict=True)]
    shown = table("t-speedup", "Speed-up over the baseline", columns, rows)
    body = (
        paragraph(f"Relative to the baseline {label(comparison.baseline)}.", "note"),
        beside(figure(figures["cycles"], "Time of all runs by category."), shown),
        listing(limits),
    )
    return Section("speedup", "Speed-up", body)


def _side_by_side(costs: Sequence[RunCost], names: Sequence[str], figures: Mapping[str, Node]) -> Section:
    technology, first = costs[0].cost.area.technology, costs[0]
    columns = (
        Column("run"),
        number("time", "ms"),
        number("bus", "MB"),
        number("energy", "µJ"),
        number("low to high", "µJ"),
        number("area", "mm²"),
        number("low to high", "mm²"),
        number("energy x delay", "over run 0"),
        number("efficiency", "TOPS/W"),
        number("codebook", "µJ"),
        number("codebook", "mm²"),
    )
    rows: list[Row] = [
        (
            name,
            value(item.milliseconds, milliseconds(item.milliseconds)),
            value(item.bus_megabytes, f"{item.bus_megabytes:.3f}"),
            *_range(item.energy_uj),
            *_range(item.area_mm2),
            _ratio(item.cost.energy.energy_delay_product_js.nominal, first.cost.energy.energy_delay_product_js.nominal),
            _short(item.cost.energy.tops_per_watt().nominal),
            _short(item.codebook_energy_uj.nominal),
            _short(item.codebook_area_mm2.nominal),
        )
        for name, item in zip(names, costs, strict=True)
    ]
    body = (
        paragraph(f"One inference; energy and placed area in {technology}, off-chip memories included in the energy.", "note"),
        figure(figures["side_by_side"], "Time, traffic, energy and area of each run; whiskers are ranges."),
        element(
            "div",
            figure(figures["energy"], "Energy per inference by part."),
            figure(figures["area"], "Placed area by part."),
            *(figure(figures[name], "Energy by part and kind, runs in order.") for name in ("energy_kinds",) if name in figures),
            class_="figures",
        ),
        table("t-side-by-side", "Costs side by side", columns, rows),
    )
    return Section("side-by-side", "Side by side", body)


def _origin(index: int, item: Speedup, names: Sequence[str], figures: Mapping[str, Node], *, alone: bool) -> Section:
    suffix = "" if alone else f"_{index}"
    unit = "core cycles" if item.ticks_are_cycles else "µs"
    title = f"Where the {times(item.speedup)} of {names[index]} comes from"
    if item.same:
        return Section(f"origin-{index}", title, (paragraph(no_difference(item)),))
    body: list[Child] = [
        paragraph(f"The steps add up to the difference, largest saving first; times in {unit}.", "note"),
        element(
            "div",
            figure(figures[f"waterfall_cause{suffix}"], "From the baseline's time to this run's, by category."),
            figure(figures[f"waterfall_layer{suffix}"], "The same by layer, repeated blocks summed."),
            class_="figures",
        ),
        _split(f"t-causes-{index}", "category", item, item.by_cause),
        _split(f"t-layers-{index}", "layer", item, fold_layers(item.by_layer)),
    ]
    for where, found in (("the baseline", item.only_in_baseline), ("this run", item.only_in_other)):
        if found:
            body.append(paragraph(f"Only in {where}: {first_names(found, _LISTED_NAMES)}."))
    return Section(f"origin-{index}", title, tuple(body))


def _split(key: str, what: str, item: Speedup, parts: Sequence[Contribution]) -> Node:
    moved = {part.name: part for part in parts if part.saved_ticks}
    change = item.baseline_ticks - item.other_ticks
    of, whole = item.share_of
    columns = (
        Column(what),
        number("baseline"),
        number("this run"),
        number("saved"),
        number(f"of the {of}", "%"),
        number("so far"),
    )
    rows: list[Row] = [
        (
            step.name,
            _time(item, moved[step.name].baseline_ticks),
            _time(item, moved[step.name].other_ticks),
            _time(item, step.saved_ticks, "+"),
            share(step.saved_ticks, whole),
            value(step.speedup, times(step.speedup)),
        )
        for step in waterfall(item, moved.values())
    ]
    total: Row = (
        "all",
        _time(item, item.baseline_ticks),
        _time(item, item.other_ticks),
        _time(item, change, "+"),
        share(change, whole),
        value(item.speedup, times(item.speedup)),
    )
    return table(key, f"Savings by {what}", columns, rows, (total,))


def _time(item: Speedup, ticks: int, sign: str = "") -> Cell:
    return value(ticks, f"{ticks:{sign},}" if item.ticks_are_cycles else f"{1e6 * ticks / item.tick_hz:{sign},.3f}")


def _traffic(comparison: Comparison, names: Sequence[str], figures: Mapping[str, Node]) -> Section:
    bits = [dict.fromkeys(OPERANDS, 0) for _ in comparison.results]
    for found, result in zip(bits, comparison.results, strict=True):
        for line in traffic_lines(result):
            found[line.operand] = found.get(line.operand, 0) + line.bits
    operands = [name for name in dict.fromkeys(name for found in bits for name in found) if any(found.get(name) for found in bits)]
    rows: list[Row] = [
        (swatch(name, operand_paint(name)), *(value(found.get(name, 0) / 8, f"{found.get(name, 0) / 8:,.0f}") for found in bits))
        for name in operands
    ]
    totals: list[Row] = [
        ("useful", *(value(result.useful_bytes, f"{result.useful_bytes:,}") for result in comparison.results)),
        ("on the bus", *(value(result.bus_bytes, f"{result.bus_bytes:,}") for result in comparison.results)),
    ]
    columns = (Column("operand"), *(number(name, "bytes") for name in names))
    ratios = [f"{name}: {traffic_sentence(item)}" for name, item in zip(names[1:], comparison.speedups, strict=True)]
    picture = figure(figures["traffic"], "Memory traffic of all runs by operand.") if operands else None
    shown = beside(picture, table("t-traffic-of-all", "Traffic of all runs", columns, rows, totals))
    return Section("traffic-of-all", "Traffic", (shown, listing(ratios)))


def _ratio(part: float, whole: float) -> Cell:
    return value(part / whole, times(part / whole)) if whole else Cell("")


def _short(figure: float) -> Cell:
    return value(figure, short(figure) if figure else "0")


def _range(span: Span) -> tuple[Cell, Cell]:
    return _short(span.nominal), value(span.high, f"{short(span.low)} to {short(span.high)}")

"""The HTML report of one run or several: what limits, where cycles, bytes, energy and area go, on what it rests.

Disputable assumption: energy and area are those of the technology asked for now, not of the one that a run was first shown with; no
cycle depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from accelsim.presets import CONFIGS
from accelsim.report.area_plot import area_pictures
from accelsim.report.compare import Comparison, compare
from accelsim.report.compare_costs import RunCost
from accelsim.report.compare_tables import traffic_sentence
from accelsim.report.cost_plots import cost_pictures
from accelsim.report.html_page import Cell, Section, figure, page, paragraph, preformatted, table
from accelsim.report.metrics import CATEGORY_MEANING, category_cycles, group_layers, summarize, tightest_bound, traffic_lines
from accelsim.report.plots import comparison_pictures, run_pictures
from accelsim.report.span import Span
from accelsim.report.text import count, hertz, milliseconds, percent, times
from accelsim.result import Result

_CAPTIONS: Mapping[str, str] = {
    "cycles": "Core cycles by cause",
    "layers": "Core cycles of each layer by cause, repeated blocks summed",
    "traffic": "Memory traffic by operand",
    "side_by_side": "Time, traffic, energy and area of an inference",
    "energy": "Energy of an inference by component, with low and high",
    "area": "Placed area by component, with low and high",
    "area_bars": "Placed area by group, with low and high",
    "area_treemap": "Placed area, every component",
    "waterfall_cause": "Where the speed-up comes from, by cause",
    "waterfall_layer": "Where the speed-up comes from, by layer",
}


def html_report(costs: Sequence[RunCost]) -> str:
    """The whole page; several runs are compared with the first.

    Parameters
    ----------
    costs : the runs in one technology (`costs_of`), at least one
    """
    results = [item.result for item in costs]
    sections: list[Section] = []
    if len(results) > 1:
        sections += _comparison(compare(results[0], results[1:]), costs)
    for item in costs:
        sections += _run(item, f"{item.name}: " if len(costs) > 1 else "")
    sections.append(("Validation", _validation()))
    first = results[0]
    others = f" and {len(results) - 1} more" if len(results) > 1 else ""
    return page(f"accelsim: {first.accelerator_name} runs {first.trace_name}{others}", sections)


def _number(value: float, text: str | None = None) -> Cell:
    return Cell(f"{value:,}" if text is None else text, value)


def _figures(pictures: Mapping[str, bytes], suffix: str = "") -> Element:
    out = Element("div", {"class": "figures"})
    for name, content in pictures.items():
        stem, _, end = name.rpartition(".")
        if end == "svg":
            base = stem if stem in _CAPTIONS else stem.rpartition("_")[0]
            run = f", run {stem.rpartition('_')[2]}" if base != stem else ""
            out.append(figure(content, f"{_CAPTIONS.get(base, stem)}{run}{suffix}"))
    return out


def _comparison(comparison: Comparison, costs: Sequence[RunCost]) -> list[Section]:
    ratios = (1.0, *(item.speedup for item in comparison.speedups))
    rows = [
        (
            _number(index),
            Cell(item.name),
            _number(item.milliseconds, milliseconds(item.milliseconds)),
            _number(ratio, times(ratio)),
            _number(item.bus_megabytes, f"{item.bus_megabytes:.3f}"),
            _span(item.energy_uj),
            _span(item.area_mm2),
        )
        for index, (item, ratio) in enumerate(zip(costs, ratios, strict=True))
    ]
    headings = ("run", "name", "ms an inference", "speed-up", "bus MB", "energy µJ (low to high)", "area mm² (low to high)")
    elements = [
        paragraph(f"The baseline is run 0. {comparison.limit}", "headline"),
        table("The runs side by side", headings, rows),
        *(paragraph(f"{item.name}: {traffic_sentence(run)}") for item, run in zip(costs[1:], comparison.speedups, strict=True)),
    ]
    for item, run in zip(costs[1:], comparison.speedups, strict=True):
        for title, parts in (("cause", run.by_cause), ("layer", run.by_layer)):
            lines = [
                (Cell(part.name), *map(_number, (part.baseline_ticks, part.other_ticks, part.saved_ticks)))
                for part in parts
                if part.baseline_ticks or part.other_ticks
            ]
            saved = run.baseline_ticks - run.other_ticks
            whole = (Cell("all"), *map(_number, (run.baseline_ticks, run.other_ticks, saved)))
            unit = "cycles" if run.ticks_are_cycles else f"ticks of 1/{run.tick_hz} s"
            table_title = f"{item.name} against run 0, by {title}, in {unit}"
            elements.append(table(table_title, (title, "baseline", "this run", "saved"), lines, [whole]))
    elements.append(_figures({**comparison_pictures(comparison), **cost_pictures(costs)}))
    return [("Comparison", elements)]


def _span(span: Span) -> Cell:
    return _number(span.nominal, f"{span.nominal:,.4g} ({span.low:,.4g} to {span.high:,.4g})")


def _run(item: RunCost, prefix: str) -> list[Section]:
    result = item.result
    pictures = {**run_pictures(result), "energy.svg": cost_pictures([item])["energy.svg"], **area_pictures(item.cost.area)}
    return [
        (f"{prefix}Summary", [*_summary(item), _figures(pictures, f" ({item.name})")]),
        (f"{prefix}Cycles and bounds", [_cycles(result), _bounds(result), _layers(result)]),
        (f"{prefix}Traffic", [_traffic(result)]),
        (f"{prefix}Energy and area", [_energy(item), _area(item), *(paragraph(text, "warning") for text in item.cost.area.warnings)]),
        (f"{prefix}Configuration and provenance", [_choices(result), _provenance(result), preformatted(result.accelerator)]),
    ]


def _summary(item: RunCost) -> list[Element]:
    summary = summarize(item.result)
    energy, area = item.energy_uj, item.area_mm2
    cost = item.cost.energy
    inferences = "one inference" if summary.inferences == 1 else f"{summary.inferences} inferences"
    figures = (
        f"{milliseconds(summary.milliseconds_per_inference)} ms an inference, {summary.inferences_per_s:,.1f} frames/s: "
        f"{count(summary.total_cycles)} cycles at {hertz(summary.clock_hz)} for {inferences}. "
        f"{item.bus_megabytes:.3f} MB on the bus an inference; array utilization {summary.utilization_pct:.1f} %."
    )
    costs = (
        f"In {cost.technology}: {energy.nominal:,.4g} µJ an inference ({energy.low:,.4g} to {energy.high:,.4g}), "
        f"{area.nominal:,.4g} mm² placed ({area.low:,.4g} to {area.high:,.4g})."
    )
    warnings = [paragraph(text, "warning") for text in item.result.warnings]
    return [paragraph(summary.limiting_sentence, "headline"), paragraph(figures), paragraph(costs), *warnings]


def _cycles(result: Result) -> Element:
    whole = result.total_cycles
    rows = [
        (Cell(name), _number(value), _number(value, percent(value, whole)), Cell(CATEGORY_MEANING.get(name, "")))
        for name, value in category_cycles(result).items()
        if value
    ]
    total = (Cell("total"), _number(whole), Cell(percent(whole, whole)), Cell(""))
    return table("Where the cycles go", ("cause", "cycles", "share", "the array ..."), rows, [total])


def _bounds(result: Result) -> Element:
    rows = [(Cell(name), _number(value), _number(value, percent(value, result.total_cycles))) for name, value in result.bounds.items()]
    taken = (Cell("taken"), _number(result.total_cycles), Cell(percent(1, 1)))
    return table("The least cycles that each resource needs", ("resource", "least cycles", "of the cycles taken"), rows, [taken])


def _layers(result: Result) -> Element:
    rows = []
    for group in group_layers(result, fold=False):
        bound, stall = tightest_bound(group.bounds), group.top_stall
        rows.append(
            (
                Cell(group.name),
                Cell(group.op),
                Cell(group.format),
                _number(group.total_cycles),
                _number(group.total_cycles, percent(group.total_cycles, result.total_cycles)),
                _number(group.bus_bytes, f"{group.bus_bytes:,.0f}"),
                _number(group.macs),
                Cell(f"{bound[0]} {count(bound[1])}" if bound[0] else ""),
                Cell(f"{stall[0]} {count(stall[1])}" if stall[0] else ""),
            )
        )
    headings = ("layer", "operation", "format", "cycles", "share", "bus bytes", "MACs", "tightest bound, cycles", "waits most for, cycles")
    total = (Cell("total"), Cell(""), Cell(""), _number(result.total_cycles), Cell(""), _number(result.bus_bytes), _number(result.macs))
    return table("Layers, all frames summed", headings, rows, [(*total, Cell(""), Cell(""))])


def _traffic(result: Result) -> Element:
    rows = [
        (Cell(item.operand), Cell(item.memory), Cell("write" if item.write else "read"), _number(item.bits / 8, f"{item.bits / 8:,.0f}"))
        for item in traffic_lines(result)
    ]
    totals = [
        (Cell(name), Cell(""), Cell(""), _number(size))
        for name, size in (("useful", result.useful_bytes), ("on the bus", result.bus_bytes))
    ]
    return table("Traffic by operand", ("operand", "memory", "direction", "bytes"), rows, totals)


def _energy(item: RunCost) -> Element:
    rows = [
        (
            Cell(line.component),
            Cell(line.operand),
            Cell(line.action),
            Cell(line.kind),
            _span(line.energy_pj * (1e-6 / item.inferences)),
            Cell(line.source),
        )
        for line in item.cost.energy.lines
    ]
    total = (Cell("total"), Cell(""), Cell(""), Cell(""), _span(item.energy_uj), Cell(""))
    headings = ("component", "operand", "action", "kind", "µJ an inference (low to high)", "source")
    return table(f"Energy in {item.cost.energy.technology}", headings, rows, [total])


def _area(item: RunCost) -> Element:
    area = item.cost.area
    rows = [
        (Cell(part.name), Cell(part.group), Cell(part.kind), _span(part.area_um2 * 1e-6), Cell(part.source)) for part in area.components
    ]
    totals = [
        (Cell("total, cells and macros"), Cell(""), Cell(""), _span(area.cells_um2 * 1e-6), Cell("")),
        (Cell("total, placed"), Cell(""), Cell(""), _span(item.area_mm2), Cell(area.density_source)),
    ]
    return table(
        f"Area in {area.technology}, {area.node_nm} nm", ("component", "group", "kind", "mm² (low to high)", "source"), rows, totals
    )


def _choices(result: Result) -> Element:
    return table("What the compiler chose", ("choice", "taken"), [(Cell(name), Cell(str(value))) for name, value in result.choices.items()])


def _provenance(result: Result) -> Element:
    facts = {
        "run id": result.run_id,
        "trace": result.trace_name,
        "SHA-256 of the trace": result.trace_sha256,
        "weights": result.weights_source,
        "batch": str(result.batch),
        "frames": str(len(result.frames)),
        **{f"version of {name}": text for name, text in result.versions.items()},
        **{f"counter {name}": f"{value:,}" for name, value in result.counters.items()},
    }
    return table("Provenance", ("fact", "value"), [(Cell(name), Cell(text)) for name, text in facts.items()])


def _validation() -> list[Element]:
    """The first table of docs/validation.md: what each part of the model was held against."""
    path = CONFIGS.parent / "docs" / "validation.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    width = len(lines[0]) if lines else 0
    end = next((place for place, line in enumerate(lines) if len(line) != width), len(lines))
    if end < 3:
        return [paragraph("docs/validation.md is not installed beside the package.")]
    note = "Parts of the model against references; errors are in percent unless a row says otherwise. No silicon stands behind whole runs."
    rows = [[Cell(cell) for cell in line] for line in lines[2:end]]
    return [paragraph(note), table("Validation (docs/validation.md)", lines[0], rows)]

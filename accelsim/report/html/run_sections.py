"""A run's sections: cycles, layers, traffic, limits, inferences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accelsim.report.html.elements import Child, Node, element, folded, paragraph
from accelsim.report.html.figures import beside, figure
from accelsim.report.html.section import Run, Section
from accelsim.report.html.tables import (
    Cell,
    Column,
    Row,
    decimals,
    integer,
    named_number,
    number,
    share,
    stacked,
    swatch,
    table,
    value,
)
from accelsim.report.metrics import (
    CATEGORY_MEANING,
    OVERHEAD_OPERANDS,
    LayerGroup,
    bus_bits,
    category_cycles,
    group_layers,
    tightest_bound,
    traffic_lines,
)
from accelsim.report.plots.style import CATEGORY_PAINT, category_paint, operand_paint
from accelsim.report.tables.text import milliseconds, short, times
from accelsim.report.verdict import limit_rows
from accelsim.result import Result

_PLACED = ("cycles", "layers", "traffic", "roofline", "energy", "energy_kinds", "area_bars")  # figures with their own section


def sections(run: Run) -> tuple[Section, ...]:
    """The sections of a run, without headline, costs and provenance."""
    found = (cycles(run), cores(run), layers(run), traffic(run), limits(run), more_figures(run), frames(run))
    return tuple(section for section in found if section is not None)


def cycles(run: Run) -> Section:
    """Where the cycles go, by category."""
    whole = run.result.total_cycles
    found = {name: count for name, count in category_cycles(run.result).items() if count}
    columns = (Column("category"), number("core cycles"), number("share", "%"), Column("meaning: the array …", sorts=False, text=True))
    rows: list[Row] = [
        (swatch(name, category_paint(name)), integer(taken), share(taken, whole), CATEGORY_MEANING.get(name, ""))
        for name, taken in found.items()
    ]
    total: Row = ("all", integer(sum(found.values())), share(sum(found.values()), whole), "")
    return Section(
        run.name("cycles"),
        "Where the cycles go",
        (
            paragraph(
                "Each array cycle is booked to one category (busy, fill_drain or a stall reason); the categories add up to the run.", "note"
            ),
            beside(
                figure(run.figures["cycles"], "Core cycles by category."),
                table(run.name("t-cycles"), "Core cycles by category", columns, rows, (total,)),
            ),
        ),
    )


def cores(run: Run) -> Section | None:
    """Each of several cores; None of a chip with one."""
    result = run.result
    if not result.cores:
        return None
    columns = (
        number("core"), number("MACs", "M"), number("utilization", "%"), number("busy", "%"), Column("by category", sorts=False),
        named_number("main stall reason", "%"),
    )  # fmt: skip
    rows: list[Row] = []
    for index, core in enumerate(result.cores):
        whole = core.total_cycles
        wait, taken = max(((name, count) for name, count in core.cycles.items() if name != "busy"), key=lambda item: item[1])
        rows.append(
            (
                integer(index),
                decimals(core.macs / 1e6, 2),
                share(core.utilization, 1),
                share(core.cycles["busy"], whole),
                stacked(core.cycles, CATEGORY_PAINT, whole),
                _named_share((wait, taken), whole),
            )
        )
    told = "Of each layer its own core tells the cycles, of the run the core that ended last"
    told = told if result.core_of_frames else "All other cycles on this page are those of the core that ended last"
    note = f"The cycles of each core add up to those of the run. {told}; MACs, traffic and energy are those of all cores."
    return Section(run.name("cores"), "Cores", (paragraph(note, "note"), table(run.name("t-cores"), "Cores", columns, rows)))


_LAYER_COLUMNS = (
    Column("layer", text=True),
    number("layers"),
    Column("operation"),
    Column("weights"),
    number("core cycles"),
    number("share", "%"),
    Column("by category", sorts=False),
    number("MACs", "M"),
    named_number("main stall reason", "%"),
    named_number("tightest bound", "%"),
    number("bus", "kB"),
    number("dynamic energy", "µJ"),
)


def layers(run: Run) -> Section:
    """The layers, repeated blocks summed; each one on demand."""
    result = run.result
    energy = {id(layer): span.nominal for layer, (_, span) in zip(result.own_layers, run.cost.cost.energy.layers_pj, strict=True)}
    summed = group_layers(result, fold=True)
    note = "Repeated blocks are summed" + (f", and {len(result.frames)} frames." if len(result.frames) > 1 else ".")
    body: list[Child] = [paragraph(f"{note} Bar lengths are relative to the longest layer.", "note")]
    if any(group.total_cycles for group in summed):
        body.append(figure(run.figures["layers"], "Core cycles by layer and category."))
    body.append(_layer_table(run, "t-layers", summed, energy))
    if any(tightest_bound(group.bounds)[1] > group.total_cycles > 0 for group in summed):
        body.append(paragraph("A bound above 100 %: the layer's data was prefetched during earlier layers.", "note"))
    each = group_layers(result, fold=False)
    if len(each) > len(summed):
        body.append(folded(f"All {len(each)} layers", _layer_table(run, "t-all-layers", each, energy)))
    lowered = [(layer.name, layer.lowering) for layer in result.frames[0].layers if layer.lowering] if result.frames else []
    if lowered:
        columns = (Column("layer"), Column("compiler choices", text=True))
        body.append(folded("How each layer was lowered", table(run.name("t-lowering"), "How each layer was lowered", columns, lowered)))
    return Section(run.name("layers"), "Layers", tuple(body))


def _layer_table(run: Run, key: str, groups: Sequence[LayerGroup], energy: Mapping[int, float]) -> Node:
    longest = max((group.total_cycles for group in groups), default=0)
    rows = [_layer_row(group, run.result, longest, sum(energy[id(layer)] for layer in group.layers) / 1e6) for group in groups]
    total = group_layers(run.result, fold=False)
    every: Row = (
        "all",
        integer(len(total)),
        "",
        "",
        integer(run.result.total_cycles),
        share(1, 1),
        "",
        decimals(run.result.macs / 1e6, 2),
        "",
        "",
        decimals(sum(group.bus_bytes for group in total) / 1e3, 1),
        _figure(sum(energy.values()) / 1e6),
    )
    return table(run.name(key), "Layers", _LAYER_COLUMNS, rows, (every,))


def _layer_row(group: LayerGroup, result: Result, longest: int, energy_uj: float) -> Row:
    taken = group.total_cycles
    return (
        group.name,
        integer(len(group.names)),
        group.op,
        group.format,
        integer(taken),
        share(taken, result.total_cycles),
        stacked(group.cycles, CATEGORY_PAINT, longest),
        decimals(group.macs / 1e6, 2),
        _named_share(group.top_stall, taken),
        _named_share(tightest_bound(group.bounds), taken),
        decimals(group.bus_bytes / 1e3, 1),
        _figure(energy_uj),
    )


def _named_share(item: tuple[str, int], cycles: int) -> Cell:
    """'dram 60.0' percent of a layer's cycles, sorted by the share; empty where there is nothing to name."""
    name, part = item
    return value(part / cycles, f"{name} {100 * part / cycles:.1f}") if name and cycles else Cell("")


def _figure(figure: float) -> Cell:
    return value(figure, short(figure) if figure else "0")


def traffic(run: Run) -> Section:
    """Memory traffic by operand."""
    found = traffic_lines(run.result)
    whole = sum(item.bits for item in found) / 8
    useful = sum(item.bits for item in found if item.operand not in OVERHEAD_OPERANDS) / 8
    columns = (
        Column("operand"),
        Column("memory"),
        Column("direction"),
        number("bytes"),
        number("of the bus", "%"),
    )
    rows: list[Row] = [
        (
            swatch(item.operand, operand_paint(item.operand)),
            item.memory,
            "write" if item.write else "read",
            *_bytes(item.bits / 8, whole),
        )
        for item in found
    ]
    totals: list[Row] = [("useful", "", "", *_bytes(useful, whole)), ("on the bus", "", "", *_bytes(whole, whole))]
    summary = run.summary
    text = (
        f"{summary.bus_gb_per_s:.3f} GB/s, {summary.bus_bytes_per_cycle:.3f} bytes per core cycle, "
        f"{summary.bus_bytes_per_mac:.4f} bytes per multiply-accumulate on average. "
        "Padding is added by the packed image, burst rounding by whole bursts."
    )
    picture = figure(run.figures["traffic"], "Memory traffic by operand, reads and writes.") if whole else None
    shown = beside(picture, table(run.name("t-traffic"), "Traffic by operand", columns, rows, totals))
    return Section(run.name("traffic"), "Traffic", (paragraph(text, "note"), shown))


def _bytes(size: float, whole: float) -> tuple[Cell, Cell]:
    return value(size, f"{size:,.0f}"), share(size, whole)


def limits(run: Run) -> Section:
    """Gain, cycles and bound of each resource, side by side."""
    taken = run.result.total_cycles
    columns = (
        Column("resource"),
        number("speed-up if free"),
        number("works or is waited for", "%"),
        number("least core cycles"),
        number("of the cycles taken", "%"),
    )
    found = limit_rows(run.result)
    rows: list[Row] = [
        (
            item.resource,
            Cell("") if item.speed_up is None else value(item.speed_up, times(item.speed_up)),
            share(item.own_cycles, taken),
            *((Cell(""), Cell("")) if item.bound is None else (integer(item.bound), share(item.bound, taken))),
        )
        for item in found
    ]
    total: Row = ("taken", "", "", integer(taken), share(taken, taken))
    note = "No run can be shorter than the least cycles of a resource; the gap is latency, dependencies and imperfect overlap."
    if all(item.speed_up is None for item in found):
        note += " No idealization was simulated, so no speed-up stands here; accelsim run --what-if simulates them."
    anomalies = [paragraph(f"{item.resource} if free: {item.anomaly}.", "note") for item in found if item.anomaly]
    shown = table(run.name("t-limits"), "Gain, cycles and least cycles by resource", columns, rows, (total,))
    drawing = run.figures.get("roofline")
    caption = "Layers under the roofs of array, memory and decoder; a hollow one was fed while other layers ran."
    body = (paragraph(note, "note"), beside(None if drawing is None else figure(drawing, caption), shown), *anomalies)
    return Section(run.name("limits"), "Limits", body)


def more_figures(run: Run) -> Section | None:
    """The remaining pictures of `run_pictures`."""
    rest = [figure(drawing, name.replace("_", " ").capitalize()) for name, drawing in run.figures.items() if name not in _PLACED]
    return Section(run.name("figures"), "More figures", (element("div", *rest, class_="figures"),)) if rest else None


def frames(run: Run) -> Section | None:
    """Each inference, if there are several."""
    result = run.result
    if len(result.frames) < 2:
        return None
    own = result.core_of_frames
    at = (number("core"),) if own else ()
    columns = (number("frame"), *at, Column("network"), number("core cycles"), number("time", "ms"), number("bus", "kB"))
    rows: list[Row] = []
    for index, frame in enumerate(result.own_frames):
        moved = sum(bus_bits(layer.traffic) for layer in frame.layers) / 8
        ms = 1e3 * frame.total_cycles / result.clock_hz
        where = (integer(own[index]),) if own else ()
        rows.append(
            (integer(index), *where, frame.trace, integer(frame.total_cycles), value(ms, milliseconds(ms)), decimals(moved / 1e3, 1))
        )
    note = "The first inference of a network is its cold start, the last its steady state."
    return Section(run.name("frames"), "Frames", (paragraph(note, "note"), table(run.name("t-frames"), "Frames", columns, rows)))

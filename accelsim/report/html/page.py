"""The page: head, contents, headline, the runs' sections, a comparison if there are several, and the validation summary.

Nothing in it depends on the time, the place or the machine: equal results give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from accelsim import __version__
from accelsim.cost.compare_costs import RunCost
from accelsim.progress import Progress
from accelsim.report.compare import in_brief
from accelsim.report.export.whole_file import FileKind
from accelsim.report.html import cost_sections, origin_sections, run_sections
from accelsim.report.html.comparison_sections import comparison_sections
from accelsim.report.html.elements import Child, Node, element, paragraph, to_html, verbatim
from accelsim.report.html.figures import drawings
from accelsim.report.html.head import head_of
from accelsim.report.html.section import Run, Section
from accelsim.report.html.tables import Column, number, table
from accelsim.report.plots.pictures import comparison_pictures, run_pictures
from accelsim.report.report import Report
from accelsim.report.tables.text import decimal_bytes, hertz, milliseconds, short, times
from accelsim.report.validation_status import SOURCE, UNVALIDATED, VALIDATION_STATUS
from accelsim.report.verdict import decide
from accelsim.result import ESTIMATED, Verdict
from accelsim.run_labels import label

Tile = tuple[str, str, str]  # label, value, note
_ASSETS = Path(__file__).parent
PAGE_FILE = FileKind("a report", (".html", ".htm"), b'name="generator" content="accelsim')


def to_page(report: Report, progress: Progress | None = None) -> str:
    """The report as one HTML document; `progress` is called for each run whose figures are drawn."""
    pictures = _pictures(report, progress)
    drawn = drawings(pictures)
    runs = [
        Run(cost, _of(drawn.figures, f"run{index}/"), f"run{index}-" if report.comparison else "")
        for index, cost in enumerate(report.costs)
    ]
    parts: list[tuple[str, Sequence[Section]]] = []
    if report.comparison is not None:
        found = comparison_sections(report.comparison, report.costs, report.names, _of(drawn.figures, "all/"))
        parts.append(("Comparison", found))
    for name, run in zip(report.names, runs, strict=True):
        parts.append((name if report.comparison else "", _run_sections(run)))
    parts.append(("" if report.comparison is None else "Trust", (_validation(),)))
    title = f"accelsim report: {', '.join(dict.fromkeys(label(cost.result) for cost in report.costs))}"
    main: list[Child] = [_banner(report)]
    for index, (heading, contents) in enumerate(parts):
        main += _part(heading, contents, runs[index - 1] if heading and 0 < index <= len(runs) and report.comparison else None)
    body = element(
        "body",
        drawn.definitions,
        element("a", "Skip to the report", href="#report", class_="skip"),
        element("div", _contents(parts), element("main", *main, id="report"), class_="page"),
        element("footer", paragraph(f"Written by accelsim {__version__} from saved results; nothing was simulated again.")),
    )
    return to_html(element("html", *_head(title, body), lang="en"))


def _pictures(report: Report, progress: Progress | None) -> dict[str, bytes]:
    """'run0/cycles', ..., 'all/side_by_side' -> SVG; the page captions them."""
    out: dict[str, bytes] = {}
    for index, cost in enumerate(report.costs):
        if progress:
            progress("figures", index, len(report.costs))
        out |= {f"run{index}/{item.name}": item.for_page() for item in run_pictures(cost)}
    if report.comparison is not None:
        found = comparison_pictures(report.comparison, report.costs)
        out |= {f"all/{item.name}": item.for_page() for item in found}
    return out


def _of(figures: Mapping[str, Node], prefix: str) -> dict[str, Node]:
    return {name.removeprefix(prefix): drawing for name, drawing in figures.items() if name.startswith(prefix)}


def _run_sections(run: Run) -> tuple[Section, ...]:
    return (
        *run_sections.sections(run),
        origin_sections.choices(run),
        cost_sections.energy(run),
        cost_sections.area(run),
        origin_sections.configuration(run),
        origin_sections.provenance(run),
    )


def _head(title: str, body: Node) -> tuple[Node, Node]:
    """The head, and the body with the script at its end; only these very style and script may run."""
    style, script = (_ASSETS.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    body.append(verbatim("script", script))
    return head_of(title, style, [script]), body


def _contents(parts: Sequence[tuple[str, Sequence[Section]]]) -> Node:
    items: list[Node] = []
    for heading, contents in parts:
        if heading:
            items.append(element("li", heading, class_="part"))
        items += [element("li", element("a", section.title, href=f"#{section.key}")) for section in contents]
    return element("nav", element("ul", *items), aria_label="Contents")


def _part(heading: str, contents: Sequence[Section], run: Run | None) -> list[Child]:
    """Sections under a heading of their own, or directly under the page's."""
    level = "h3" if heading else "h2"
    out: list[Child] = [element("h2", heading, class_="part")] if heading else []
    if run is not None:
        out += [paragraph(run.summary.limiting_sentence, "limit"), _tiles(_headline(run.cost))]
    for section in contents:
        out.append(element("section", element(level, section.title), *section.body, id=section.key))
    return out


def _banner(report: Report) -> Node:
    """Title, verdict in a sentence, and headline figures."""
    first = report.costs[0]
    if report.comparison is None:
        title, names = label(first.result), "One run"
        said: list[Child] = [paragraph(Run(first, {}, "").summary.limiting_sentence, "limit"), _tiles(_headline(first))]
    else:
        title, names = f"{len(report.costs)} runs compared", "Comparison"
        gains = ", ".join(f"{name} {in_brief(item)}" for name, item in zip(report.names[1:], report.comparison.speedups, strict=True))
        speedups = [item.speedup for item in report.comparison.speedups]
        fastest = 1 + speedups.index(max(speedups))
        said = [
            paragraph(f"Speed-up over {report.names[0]}: {gains}.", "limit"),
            paragraph(f"The baseline: {report.comparison.limit}"),
            paragraph(f"{report.names[fastest]} relative to the baseline:", "note"),
            _tiles(_relative(_headline(report.costs[fastest]), _headline(first))),
        ]
    above = paragraph(f"accelsim · {names} · costs in {first.cost.area.technology}", "eyebrow")
    return element("header", above, element("h1", title), *said)


def _headline(cost: RunCost) -> list[Tile]:
    """The headline's figures."""
    summary, energy, area = Run(cost, {}, "").summary, cost.energy_uj, cost.area_mm2
    report, verdict = cost.cost.energy, decide(cost.result)
    efficiency = f"{short(report.tops_per_watt().nominal)} TOPS/W" if report.energy_pj().low > 0 else "-"
    time = ("Latency per inference", f"{milliseconds(summary.milliseconds_per_inference)} ms")
    if cost.result.at_once:
        time = ("Time of all networks", f"{milliseconds(summary.milliseconds)} ms")
    return [
        (*time, f"{summary.inferences_per_s:,.1f} inferences/s"),
        ("Core cycles", f"{summary.total_cycles:,}", f"at {hertz(summary.clock_hz)}, {_inferences(summary.frames, summary.batch)}"),
        ("Limited by", *_limited_by(verdict)),
        ("MAC utilization", f"{summary.utilization_pct:.1f} %", f"{summary.macs / 1e6:,.1f} M multiply-accumulates"),
        ("On the bus", decimal_bytes(summary.bus_bytes), f"{decimal_bytes(summary.useful_bytes)} of it useful"),
        ("Energy per inference", f"{short(energy.nominal)} µJ", f"{short(energy.low)} to {short(energy.high)} µJ"),
        ("Efficiency", efficiency, "2 operations per MAC; off-chip memories included"),
        ("Placed area", f"{short(area.nominal)} mm²", f"{short(area.low)} to {short(area.high)} mm²"),
    ]


def _limited_by(verdict: Verdict) -> tuple[str, str]:
    """The resources that limit alike, and the gain."""
    each = "it" if len(verdict.alike) == 1 else "either" if len(verdict.alike) == 2 else "each"
    return " or ".join(verdict.alike), ESTIMATED if verdict.gain is None else f"{times(verdict.gain)} if {each} were free"


def _relative(run: Sequence[Tile], baseline: Sequence[Tile]) -> list[Tile]:
    """A run's figures with the baseline's below them."""
    return [(name, figure, f"baseline: {other}") for (name, figure, _), (_, other, _) in zip(run, baseline, strict=True)]


def _tiles(tiles: Sequence[Tile]) -> Node:
    cells = [element("div", element("dt", name), element("dd", figure), element("dd", more, class_="more")) for name, figure, more in tiles]
    return element("dl", *cells, class_="tiles")


def _inferences(frames: int, batch: int) -> str:
    return "one inference" if frames * batch == 1 else f"{frames} frames x batch {batch}"


def _validation() -> Section:
    columns = (
        Column("part of the model", text=True),
        Column("compared with"),
        number("rows"),
        number("figures judged"),
        number("median error", "%"),
        number("largest", "%"),
        number("outside tolerance"),
        Column("not covered", sorts=False, text=True),
        Column(f"section of {SOURCE}"),
    )
    rows = [
        (row.part, row.reference, row.rows, row.judged, row.median_pct, row.largest_pct, row.outside, row.remark, row.section)
        for row in VALIDATION_STATUS
    ]
    note = (
        f"How far to trust these numbers: errors relative to external references. {SOURCE} has the commands, and each miss with its cause."
    )
    shown = table("t-validation", "Validation by reference", columns, rows)
    return Section("validation", "Validation", (paragraph(note, "note"), shown, paragraph(UNVALIDATED)))

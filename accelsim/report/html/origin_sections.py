"""Where a run's numbers come from: compiler choices and warnings, the resolved configuration, and how to reproduce them."""

from __future__ import annotations

from accelsim.report.html.elements import Child, folded, lines, listing, paragraph
from accelsim.report.html.section import Run, Section
from accelsim.report.html.tables import Column, integer, number, pairs, table
from accelsim.report.tables.text import hertz


def choices(run: Run) -> Section:
    """The compiler's choices, and the warnings of the compiler and the cost tables."""
    result, warnings = run.result, (*run.result.warnings, *run.cost.cost.area.warnings)
    body: list[Child] = []
    if result.choices:
        rows = [(name, str(what)) for name, what in result.choices.items()]
        body.append(table(run.name("t-choices"), "Compiler choices", (Column("choice"), Column("taken", text=True)), rows))
    body.append(listing(warnings, "warnings") if warnings else paragraph("No warnings.", "note"))
    return Section(run.name("choices"), "Compiler choices and warnings", tuple(body))


def configuration(run: Run) -> Section:
    """The accelerator as it was resolved, and the units' counters."""
    result = run.result
    body: list[Child] = [folded("Accelerator, all defaults written out", lines(result.accelerator))]
    if result.counters:
        rows = [(name, integer(count)) for name, count in result.counters.items()]
        counters = table(run.name("t-counters"), "Counters", (Column("counter"), number("count")), rows)
        body.append(folded(f"{len(rows)} counters of the units", counters))
    return Section(run.name("configuration"), "Configuration", tuple(body))


def provenance(run: Run) -> Section:
    """Everything needed to reproduce the numbers."""
    result = run.result
    what: dict[str, Child] = {
        "run id": result.run_id,
        "accelerator": result.accelerator_name,
        "trace": result.trace_name,
        "trace SHA-256": result.trace_sha256,
        "weights": result.weights_source,
        "batch": str(result.batch),
        "frames": str(len(result.frames)),
        "core clock": hertz(result.clock_hz),
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
        "result schema": str(result.schema_version),
    }
    note = "The run id is a SHA-256 over accelerator, trace, options and the model's sources: equal ids, equal numbers."
    return Section(run.name("provenance"), "Provenance", (paragraph(note, "note"), pairs(what)))

"""report: saved runs costed in any technology without being run again, as tables or as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.inputs import AsJson, Quiet, TechnologyName
from accelsim.cli.shell import print_json, print_line

if TYPE_CHECKING:
    from accelsim.report.report import Report


def report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT...", help="A result.json, or the folder of a run or of a comparison; the baseline first."),
    ],
    technology: TechnologyName = "nangate45",
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write one HTML file.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show saved runs again, in any technology, or as an HTML file.

    Nothing is simulated: area and energy follow from the runs' counts. Several runs are compared with the first.
    """
    from accelsim.cost.technology import load_technology
    from accelsim.report.export.compare import comparison_dict, runs_in
    from accelsim.report.findings import Findings
    from accelsim.report.report import make_report
    from accelsim.stored_result import load_result

    node = load_technology(technology)
    made = make_report([load_result(run) for path in results for run in runs_in(path)], node)
    if out is not None:
        _write(out, made, quiet=quiet)
    if as_json:
        findings = [Findings(item).to_dict() for item in made.costs]
        compared = None if made.comparison is None else comparison_dict(made.comparison, made.costs)
        print_json({"path": None if out is None else str(out), "technology": technology, "runs": findings, "comparison": compared})
    elif quiet or out is not None:
        _say(out, made, node.name, quiet=quiet)
    else:
        _print(made)


def _write(out: Path, made: Report, *, quiet: bool) -> None:
    """The HTML file, whole or not at all."""
    from accelsim.report.export.whole_file import check_replaceable_file, new_file
    from accelsim.report.html.page import PAGE_FILE, to_page
    from accelsim.report.tables.terminal import progress

    check_replaceable_file(out, PAGE_FILE)
    with progress(quiet=quiet) as update:
        page = to_page(made, update).encode()
    with new_file(out) as file:
        file.write(page)


def _say(out: Path | None, made: Report, technology: str, *, quiet: bool) -> None:
    """Report the written file, and time, energy and area of each run's inference."""
    from accelsim.report.metrics import summarize
    from accelsim.report.tables.terminal import say, stdout_console
    from accelsim.report.tables.text import decimal_bytes, duration, short

    file = [] if out is None else [f"{out}: {decimal_bytes(out.stat().st_size)}"]
    figures = [
        f"{name}: {duration(item.milliseconds)}, {short(item.energy_uj.nominal)} uJ, {short(item.area_mm2.nominal)} mm2 in {technology}"
        for name, item in zip(made.names, made.costs, strict=True)
    ]
    if quiet:
        print_line("; ".join([*file, *figures]))
        return
    for line in (*file, *figures):
        say(stdout_console(), line)
    for item in made.costs:
        say(stdout_console(), f"{item.name}: {summarize(item.result).limiting_sentence}")


def _print(made: Report) -> None:
    """The tables of `accelsim run`, or of `accelsim compare`."""
    from accelsim.report.findings import Findings
    from accelsim.report.tables.compare import render_comparison
    from accelsim.report.tables.cost import render_costs
    from accelsim.report.tables.terminal import stdout_console

    if made.comparison is None:
        Findings(made.costs[0]).render(stdout_console(), all_layers=False)
    else:
        render_comparison(stdout_console(), made.comparison)
        render_costs(stdout_console(), made.costs)

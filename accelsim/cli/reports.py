"""report: saved results as one HTML file, costed in any technology; nothing is simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli.inputs import AsJson, Quiet, TechnologyName
from accelsim.cli.shell import print_json


def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULT...", help="Run folders or result.json files; the baseline first.")],
    technology: TechnologyName = "nangate45",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.html", help="The file to write.")] = Path("report.html"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """One HTML file from saved results; energy and area in a technology."""
    from accelsim.report.compare_costs import costs_of
    from accelsim.report.page_file import check_page, write_page
    from accelsim.report.technology import load_technology
    from accelsim.result import load_result

    node = load_technology(technology)
    if not as_json:
        check_page(out)
    costs = costs_of([load_result(path) for path in results], node)
    if as_json:
        print_json([item.to_dict() for item in costs])
        return
    from accelsim.report.html_report import html_report

    write_page(out, html_report(costs))
    if not quiet:
        typer.echo(f"{out}: {len(costs)} {'run' if len(costs) == 1 else 'runs'} in {node.name}")

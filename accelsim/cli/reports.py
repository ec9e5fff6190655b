"""report: saved runs as one HTML file, costed in any technology without being run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli.inputs import AsJson, Quiet, TechnologyName
from accelsim.cli.shell import print_json, print_line
from accelsim.errors import OutputError

SUFFIXES = (".html", ".htm")  # a mistyped -o never replaces a result


def report(
    results: Annotated[list[Path], typer.Argument(metavar="RESULT...", help="A result.json, or the folder of a run; the baseline first.")],
    technology: TechnologyName = "nangate45",
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The HTML file to write.")] = Path("report.html"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write saved runs as one HTML file; several are compared with the first.

    Nothing is simulated: area and energy follow from what the runs counted, in any technology.
    """
    from accelsim.report.cost.technology import load_technology
    from accelsim.report.export.compare import comparison_dict
    from accelsim.report.export.whole_file import check_writable, new_file
    from accelsim.report.findings import Findings
    from accelsim.report.html.page import make_report, to_page
    from accelsim.report.metrics import summarize
    from accelsim.report.tables.terminal import progress, say, stdout_console
    from accelsim.report.tables.text import decimal_bytes
    from accelsim.result import load_result

    if out.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{out}: must end with {' or '.join(SUFFIXES)}")
    node = load_technology(technology)
    made = make_report([load_result(path) for path in results], node)
    check_writable(out)
    with progress(quiet=quiet) as update:
        page = to_page(made, update).encode()
    with new_file(out) as file:
        file.write(page)
    if as_json:
        findings = [Findings(item).to_dict() for item in made.costs]
        compared = None if made.comparison is None else comparison_dict(made.comparison, made.costs)
        print_json({"path": str(out), "technology": technology, "runs": findings, "comparison": compared})
        return
    line = f"{out}: {', '.join(made.names)}, costs in {node.name}, {decimal_bytes(len(page))}"
    if quiet:
        print_line(line)
    else:
        say(stdout_console(), line)
        for item in made.costs:
            say(stdout_console(), f"{item.name}: {summarize(item.result).limiting_sentence}")

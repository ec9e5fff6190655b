"""validate silicon: measured boards against simulations of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.completion import references
from accelsim.cli.inputs import AsJson, OutFolder, Quiet
from accelsim.cli.shell import EXIT_CHECK_FAILED, print_json, print_line
from accelsim.cli.simulating import simulating
from accelsim.presets import find_reference

if TYPE_CHECKING:
    from accelsim.validate.silicon import SiliconReport, SiliconRow

SiliconReference = Annotated[
    str,
    typer.Argument(metavar="REFERENCE", help="A name (accelsim list references) or a CSV file.", autocompletion=references("silicon")),
]


def validate_silicon(
    reference: SiliconReference,
    tolerance: Annotated[float | None, typer.Option(min=0, metavar="PCT", help="Allowed error of predicted rows; default 20.")] = None,
    out: OutFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measured boards: fitted and predicted rows apart, misses first.

    A row whose board, network or recipe is unknown is named, and counts as a miss if it is to be predicted.
    """
    from accelsim.report.export.silicon import check_silicon_folder, write_silicon
    from accelsim.validate.silicon import validate_silicon as validate

    if out is not None:
        check_silicon_folder(out)
    with simulating(quiet=quiet or as_json) as update:
        report = validate(find_reference("silicon", reference), tolerance, update)
    if out is not None:
        from accelsim.report.plots.picture import files_of
        from accelsim.report.plots.silicon import silicon_picture

        known = any(item.simulated_ms is not None for item in report.rows)
        pictures = [silicon_picture("Measured and simulated times", report.rows)] if known else []
        write_silicon(out, report.to_dict(), files_of(pictures))
    if as_json:
        print_json(report.to_dict())
    elif quiet:
        print_line(_verdict(report))
    else:
        _render(report)
    if not report.ok:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _render(report: SiliconReport) -> None:
    from accelsim.report.tables.terminal import row, say, show, stdout_console, table

    console = stdout_console()
    missed = set(report.misses)
    groups: dict[str, list[SiliconRow]] = {
        "Missed": list(report.misses),
        "Predicted": [item for item in report.rows if item.role == "predict" and item not in missed],
        "Fitted": [item for item in report.rows if item.role == "fit"],
        "Shown, not judged": [item for item in report.rows if item.role == "context"],
    }
    for title, items in groups.items():
        if items:
            out = table([">line", "board", "network", "recipe", ">measured", ">simulated", "unit", ">error of\nthe time"], dense=True)
            for item in items:
                row(out, str(item.line), item.chip, _network(item.network_id, item.context), item.recipe, *_figures(item),
                    style="red" if item in missed else None)  # fmt: skip
            show(console, title, out)
    if report.pairs:
        out = table(["board", "network", "encodings", ">measured", ">simulated", ">error", "role"], dense=True)
        for pair in report.pairs:
            speedups = f"{pair.measured_speedup:.2f}x", f"{pair.simulated_speedup:.2f}x", f"{pair.speedup_error_pct:+z.1f} %"
            row(out, pair.chip, _network(pair.network_id, pair.context), " -> ".join(pair.recipes), *speedups, pair.role)
        show(console, "Speed-ups of a network in two encodings", out)
    for item in report.rows:
        if item.problem:
            say(console, f"line {item.line} ({item.role}): {item.problem}")
    say(console, _verdict(report), style="green" if report.ok else "red")


def _network(network_id: str, context: str) -> str:
    """A network's name and options as words, which a narrow table breaks between; one word would lose its beginning, the name itself."""
    return " ".join((network_id.replace(":", ": ").replace(",", ", "), context)).strip()


def _figures(item: SiliconRow) -> tuple[str, str, str, str]:
    if item.simulated is None or item.error_pct is None:
        return f"{item.measured:,.4g}", "-", item.unit, "-"
    return f"{item.measured:,.4g}", f"{item.simulated:,.4g}", item.unit, f"{item.error_pct:+z.1f} %"


def _verdict(report: SiliconReport) -> str:
    predicted = sum(item.role == "predict" for item in report.rows)
    inside = predicted - len(report.misses)
    median = report.median_error_pct("predict")
    text = f"{report.source}: {inside} of {predicted} predicted rows within {report.tolerance_pct:g} %"
    if predicted:
        text += f", median error {median:.1f} %" if math.isfinite(median) else ", as most cannot be simulated"
    fitted = any(item.role == "fit" for item in report.rows)
    return f"{text}; fitted rows: {report.median_error_pct('fit'):.1f} %" if fitted else text

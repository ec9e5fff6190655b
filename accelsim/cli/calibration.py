"""calibrate: fit fields of a chip to measured times."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.inputs import AcceleratorName, AsJson, Overrides, Quiet, load_accelerator_of
from accelsim.cli.shell import print_json, print_line
from accelsim.cli.simulating import simulating
from accelsim.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from accelsim.calibration.fit import Calibration, RowError


def calibrate(
    accel: AcceleratorName,
    measured: Annotated[
        Path, typer.Argument(metavar="MEASURED.csv", help="Columns network and milliseconds; layer and batch if you like.")
    ],
    wanted: Annotated[
        str, typer.Option("--fit", metavar="FIELDS", help="Fields with commas between them: dram.bandwidth,clock=LOW..HIGH.")
    ],
    hold: Annotated[str | None, typer.Option("--hold", metavar="ROWS", help="Rows that the fit may not see: 2,5-7.")] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE.yaml", help="Write the chip with the fitted fields.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit fields of a chip to measured times; predict held-out rows.

    The verdict is `fitted`, `reproduced` (as many parameters as rows, which predicts nothing) or `indistinguishable` (the rows do not
    tell parameters apart). Needs the extra `search`.
    """
    if importlib.util.find_spec("scipy") is None:
        raise ConfigError("calibrate needs SciPy: pip install 'accelsim[search]'")
    if out is not None and out.exists() and not force:
        raise OutputError(f"{out}: exists; allowed: another name, or --force to replace it")
    from accelsim.calibration.calibrate import calibrate as fit_chip
    from accelsim.reading import dump_yaml
    from accelsim.report.export.whole_file import check_writable, new_file

    if out is not None:
        check_writable(out)
    accelerator = load_accelerator_of(accel, overrides)
    with simulating(quiet=quiet) as update:
        found = fit_chip(accelerator, measured, wanted, hold, update)
    if out is not None:
        with new_file(out) as file:
            file.write(dump_yaml(found.fields).encode())
    if as_json:
        print_json({**found.calibration.to_dict(), "accelerator": found.fields})
    elif quiet:
        values = ", ".join(f"{item.path} = {item.shown}" for item in found.calibration.parameters)
        print_line(f"{found.calibration.verdict}: {values}")
    else:
        _render(found.calibration)
        if out is not None:
            print_line(f"{out}: the chip with the fitted fields")


def _render(found: Calibration) -> None:
    from accelsim.report.tables.terminal import row, say, show, stdout_console, table

    console = stdout_console()
    fields = table(["field", ">fitted", ">95 % interval"])
    for item in found.parameters:
        row(fields, item.path, item.shown, item.interval)
    show(console, f"Calibration: {found.verdict}", fields)
    for title, held in (("Predicted rows (held out)", True), ("Fitted rows", False)):
        ranked = sorted((judged for judged in found.rows if judged.held is held), key=lambda judged: -abs(judged.error))
        if ranked:
            lines = table([">row", "network", ">measured ms", ">simulated ms", ">error"])
            for judged in ranked:
                figures = f"{judged.measured_ms:,.4g}", f"{judged.simulated_ms:,.4g}", f"{100 * judged.error:+.1f} %"
                row(lines, str(judged.row), _name(judged), *figures)
            show(console, title, lines)
    for note in found.notes:
        say(console, f"{note}.")


def _name(item: RowError) -> str:
    return f"{item.network}, {item.layer}" if item.layer else item.network

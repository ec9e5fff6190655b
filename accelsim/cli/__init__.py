"""The command line: each command parses, calls one public function and renders its result.

A command's dependencies are imported when it runs, so that `--help` is fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, TextIO

import typer

from accelsim import __version__
from accelsim.cli import (
    ablations,
    calibration,
    checks,
    choices,
    describe,
    doctor,
    formats,
    lists,
    overlays,
    reports,
    runs,
    studies,
    sweeps,
    timelines,
    traces,
)
from accelsim.cli.completion import bash_words
from accelsim.cli.networks import FunctionalCommand
from accelsim.cli.shell import GuardedGroup
from accelsim.errors import ConfigError
from accelsim.report.tables.markup import MARKUP, MARKUPS

app = typer.Typer(
    cls=GuardedGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    help="Cycle-level simulator of an edge NPU that runs vector-quantized networks.",
)
app.command("run", cls=FunctionalCommand)(runs.run)
app.command("compare")(runs.compare)
app.command("formats")(formats.formats)
app.command("choose")(choices.choose)
app.command("demo")(runs.demo)
app.command("report")(reports.report)
app.command("overlay")(overlays.overlay)
app.command("timeline")(timelines.timeline)
app.command("sweep")(sweeps.sweep)
app.command("import")(traces.import_)
app.command("compress")(traces.compress)
app.command("inspect")(traces.inspect)
app.command("area")(checks.area)
app.command("ablation")(ablations.ablation)
app.command("calibrate")(calibration.calibrate)
app.command("list")(lists.list_)
app.command("describe")(describe.describe)
app.command("schema")(describe.schema)
app.command("doctor")(doctor.doctor)
app.add_typer(describe.new_app, name="new")
app.add_typer(checks.validate_app, name="validate")
app.add_typer(studies.study_app, name="study")
app.add_typer(checks.dram_app, name="dram")


def main(command: Callable[..., object] | None = None) -> None:
    """Entry point of the command `accelsim`; who runs many commands builds their tree once (`typer.main.get_command(app)`) and gives it."""
    sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets a '?', not a traceback
    try:
        with bash_words():
            (command or app)(prog_name="accelsim")
    finally:
        exec("")  # CPython notes an interrupt that ends an exec of text (a class being made); unless one ends well, `-m` dies of SIGINT


def _nowhere() -> TextIO:
    """The null device, in place of a stream that the shell closed (`accelsim ... >&-`)."""
    return open(os.devnull, "w", encoding="utf-8")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"accelsim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")] = False,
    tables: Annotated[
        str,
        typer.Option("--tables", metavar="KIND", help="Tables as text, markdown or latex (booktabs): accelsim --tables latex compare ..."),
    ] = "text",
) -> None:
    if tables not in MARKUPS:
        raise ConfigError(f"--tables {tables!r}; allowed: {', '.join(MARKUPS)}")
    MARKUP.set(MARKUPS[tables])

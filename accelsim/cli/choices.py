"""choose: each layer's format by simulated cost, within a budget of time, area and bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli.completion import formats as complete_formats
from accelsim.cli.completion import traces as complete_traces
from accelsim.cli.inputs import AcceleratorName, AsJson, OutFolder, Overrides, Quiet, Seed, TechnologyName, load_accelerator_of
from accelsim.cli.networks import inputs_of
from accelsim.cli.shell import print_json, print_line
from accelsim.cli.simulating import simulating
from accelsim.errors import ConfigError


def choose(
    accel: AcceleratorName,
    trace: Annotated[
        str,
        typer.Argument(metavar="TRACE", help="A float trace: a name (accelsim list traces) or directory.", autocompletion=complete_traces),
    ],
    formats: Annotated[
        list[str],
        typer.Option("--format", metavar="FORMAT", help="A candidate: ssvq:k=16,d=8; repeated.", autocompletion=complete_formats),
    ],
    files: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="[NAME=]FILE.npy", help="Samples on which errors of the outputs are measured; may be repeated."),
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="In place of --input: CSV of layer, format, error, such as an earlier errors.csv.")
    ] = None,
    ms: Annotated[float | None, typer.Option("--ms", metavar="MS", help="The most time of an inference.")] = None,
    area: Annotated[float | None, typer.Option("--area", metavar="MM2", help="The most area of the chip.")] = None,
    stored_bytes: Annotated[int | None, typer.Option("--bytes", metavar="BYTES", help="The most bytes of all weights.")] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Layers whose format is chosen; the others get int8. Default: all.")
    ] = None,
    overrides: Overrides = None,
    fit: Annotated[bool, typer.Option("--fit/--as-is", help="Give the chip the formats' codebook, or take it as it is.")] = True,
    technology: TechnologyName = "nangate45",
    seed: Seed = 0,
    out: OutFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Each layer's format by simulated cost, within a budget."""
    if (files is None) == (errors is None):
        raise ConfigError("choose needs one of --input FILE.npy (samples to measure errors on) and --errors FILE.csv (measured before)")
    from accelsim.api.format_choice import choose_formats
    from accelsim.api.trace import float_trace_of
    from accelsim.format_choice.tables import check_choice_folder, in_brief, render_choice
    from accelsim.report.tables.terminal import stdout_console

    if out is not None:
        check_choice_folder(out)
    machine, network = load_accelerator_of(accel, overrides), float_trace_of(trace)
    with simulating(quiet=quiet) as update:
        found = choose_formats(
            machine,
            network,
            formats,
            inputs_of(network, files),
            errors=errors,
            milliseconds=ms,
            area_mm2=area,
            stored_bytes=stored_bytes,
            layers=layers,
            fit_codebook=fit,
            technology=technology,
            seed=seed,
            progress=update or False,
        )
    if out is not None:
        found.save(out)
    if as_json:
        print_json(found.to_dict())
    elif quiet:
        print_line(in_brief(found.record))
    else:
        render_choice(stdout_console(), found.record)

"""formats: traces of one network side by side on one chip, each with the codebook that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.completion import traces as complete_traces
from accelsim.cli.inputs import AcceleratorName, AsJson, Context, OutFolder, Overrides, Quiet, TechnologyName, load_accelerator_of
from accelsim.cli.shell import print_json, print_line
from accelsim.cli.simulating import simulating
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.trace.trace import Trace


def formats(
    accel: AcceleratorName,
    traces: Annotated[
        list[str],
        typer.Argument(
            metavar="TRACE...",
            help="The baseline first; 'deit_tiny_*': all that match; NAME@FORMAT; NAME@presets: those of the field.",
            autocompletion=complete_traces,
        ),
    ],
    overrides: Overrides = None,
    fit: Annotated[bool, typer.Option("--fit/--as-is", help="Give the chip each trace's codebook, or take it as it is.")] = True,
    decode: Annotated[
        bool, typer.Option("--decode", help="Of language models: one decode step, after --context tokens in the cache.")
    ] = False,
    context: Context = 0,
    technology: TechnologyName = "nangate45",
    out: OutFolder = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table for a page.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Formats on one chip: bits, time, limit, energy and area."""
    from accelsim.cost.technology import load_technology
    from accelsim.report.format_points import check_formats_folder, format_dict, markdown_table, render_formats, speedup, write_formats
    from accelsim.report.tables.terminal import stdout_console

    if context and not decode:
        raise ConfigError(f"--context {context}: allowed with --decode")
    if out is not None:
        check_formats_folder(out)
    machine, node = load_accelerator_of(accel, overrides), load_technology(technology)
    names, left_out = fitting(traces)
    networks = packed_traces(names)
    from accelsim.format_comparison import compare_formats

    with simulating(quiet=quiet) as update:
        points = compare_formats(machine, networks, node, fit=fit, decode_after=context if decode else None, progress=update)
    if out is not None:
        write_formats(out, points, left_out)
    if as_json:
        print_json(format_dict(points, left_out))
    elif markdown:
        typer.echo(markdown_table(points, left_out), nl=False)
    elif quiet:
        print_line(", ".join(f"{point.trace} {speedup(points[0], point):.3f}x" for point in points[1:]))
    else:
        render_formats(stdout_console(), points, left_out)


def fitting(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """(the names, with NAME@presets as its formats; NAME@FORMAT -> why, of those among them that fit no layer of the network).

    Raises
    ------
    FormatError
        None of NAME@presets fits: the reason of the first.
    """
    from accelsim.compression.decoder_presets import in_presets
    from accelsim.compression.open_trace import open_trace
    from accelsim.errors import FormatError

    found: list[str] = []
    left_out: dict[str, str] = {}
    for given in names:
        meant = in_presets(given)
        if meant == (given,):
            found.append(given)
            continue
        refusals: dict[str, FormatError] = {}
        for name in meant:
            try:
                open_trace(name)
            except FormatError as error:
                refusals[name] = error
        if len(refusals) == len(meant):
            raise next(iter(refusals.values()))
        found += [name for name in meant if name not in refusals]
        left_out |= {name: str(error) for name, error in refusals.items()}
    return found, left_out


def packed_traces(names: Sequence[str]) -> list[Trace]:
    """The traces that names, paths and patterns mean, each once; a pattern passes over float traces, NAME@presets is NAME in each preset.

    Raises
    ------
    ConfigError, TraceError
        A name or a pattern without a trace, or a trace that cannot be loaded.
    """
    from fnmatch import fnmatchcase

    from accelsim.compression.decoder_presets import in_presets
    from accelsim.compression.open_trace import open_trace
    from accelsim.presets import trace_names
    from accelsim.registry import suggest

    known = trace_names()
    found: dict[str, Trace] = {}
    for name in (name for given in names for name in in_presets(given)):
        if "*" not in name.partition("@")[0]:  # behind it, patterns are of layers
            trace = open_trace(name)
            found.setdefault(trace.sha256, trace)
            continue
        matching = [open_trace(item) for item in known if fnmatchcase(item, name)]
        packed = [trace for trace in matching if all(layer.weight.format.packed for layer in trace.weighted_layers())]
        if not packed:
            raise ConfigError(f"no packed trace matches {name!r}; known: {', '.join(known)}{suggest(name, known)}")
        for trace in packed:
            found.setdefault(trace.sha256, trace)
    return list(found.values())

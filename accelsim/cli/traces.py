"""import, compress and inspect: from a model to a trace, and its contents."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from accelsim.cli.completion import formats as complete_formats
from accelsim.cli.completion import traces as complete_traces
from accelsim.cli.inputs import AsJson, OutFolder, Quiet, Seed, TraceName
from accelsim.cli.shell import print_json, print_line
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.importers.obstacle import Obstacle
    from accelsim.trace.trace import Trace


def import_(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="vit:option=value,..., a .pt2, .onnx, .gguf or .csv file, or a folder.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="The trace's directory.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Draw the weights from this seed.")] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZE", help="Size of a symbolic dimension of a .onnx file; tokens of a .gguf file or folder."),
    ] = None,
    fill: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="One value for all elements of an integer input (attention_mask=1).")
    ] = None,
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="Take the weights of this .safetensors file.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="List all that a .onnx file has and an import cannot take.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Turn a model into a float trace."""
    from accelsim.api.models import import_model
    from accelsim.importers.import_model import explain_model, parse_numbers

    sizes, values = parse_numbers(bind or (), "--bind", 1), parse_numbers(fill or (), "--fill", 0)
    if explain:
        _show_obstacles(explain_model(model, sizes, values), as_json)
        return
    if out is None:
        raise ConfigError("import: --out is missing (see accelsim import --help)")
    _show_trace(import_model(model, out=out, seed=seed, bind=sizes, fill=values, weights=weights).record, as_json, quiet)


def _show_obstacles(obstacles: tuple[Obstacle, ...], as_json: bool) -> None:
    """One line per obstacle; exit status 1 if there is any."""
    if as_json:
        print_json([asdict(obstacle) for obstacle in obstacles])
    else:
        for obstacle in obstacles:
            shapes = ", ".join("x".join(str(size) for size in shape) or "number" for shape in obstacle.shapes)
            behind = f"; {obstacle.behind} nodes behind it are not judged" if obstacle.behind else ""
            print_line(f"{obstacle.message} [operands {shapes or 'unknown'}]{behind}")
        print_line(f"{len(obstacles)} obstacles" if obstacles else "no obstacles: the model imports")
    if obstacles:
        raise typer.Exit(1)


def compress(
    trace: Annotated[
        str,
        typer.Argument(metavar="TRACE", help="A float trace: a name (accelsim list traces) or directory.", autocompletion=complete_traces),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The packed trace's directory.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the trace that is in it.")] = False,
    format: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="ssvq:k=16,d=8, uniform:bits=8, ...", autocompletion=complete_formats)
    ] = None,
    layers: Annotated[str | None, typer.Option(metavar="PATTERN", help="Layers that take the format; the others get int8.")] = None,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="YAML: rules of layers (a pattern) and format, and the rest's.")
    ] = None,
    arrays: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=".npz or .safetensors: encoded weights by LAYER/STREAM; other layers get int8."),
    ] = None,
    companions: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="TRACE", help="Another float trace that shares a universal codebook.", autocompletion=complete_traces
        ),
    ] = None,
    payload: Annotated[bool, typer.Option("--payload/--no-payload", help="Write the bits, or the manifest alone.")] = True,
    seed: Seed = 0,
    per_layer: Annotated[bool, typer.Option("--per-layer", help="List each layer.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Encode the weights of a float trace in a format or by a recipe."""
    if (format is None) == (recipe_file is None) or (layers is not None and format is None):
        raise ConfigError("compress needs one of --format FORMAT (with --layers PATTERN if not the usual ones) and --recipe FILE")
    if not force and (out / "trace.json").exists():
        raise ConfigError(f"{out}: holds a trace; allowed: another directory, or --force to replace it")
    from accelsim.api.models import compress as compress_model
    from accelsim.report.tables.compression import compression_line, render_compression
    from accelsim.report.tables.terminal import progress, stdout_console
    from accelsim.report.tables.trace import inspect_trace

    wanted = format if format is not None else cast(Path, recipe_file)
    with progress(quiet=quiet) as update:
        made = compress_model(
            trace,
            wanted,
            out=out,
            layers=layers,
            arrays=arrays,
            companions=companions or (),
            payload=payload,
            seed=seed,
            progress=update or False,
        )
    packed, report = made.record, made.report
    assert report is not None  # of a trace that was just made
    if as_json:
        print_json({**inspect_trace(packed), "compression": report.to_dict()})
    elif quiet:
        print_line(compression_line(packed.name, report))
    else:
        render_compression(stdout_console(), report, per_layer=per_layer)


def inspect(
    trace: TraceName,
    regenerate: Annotated[bool, typer.Option("--regenerate", help="Make the bits of a seeded trace again, and count them.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="List each layer, also those that repeated blocks share.")] = False,
    out: OutFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Layers, shapes, formats and bits of a trace.

    With its weights stored, also the use of codebooks and the balance of signs.
    """
    from accelsim.compression.open_trace import open_trace
    from accelsim.report.export.trace import check_trace_folder, write_trace_folder

    if out is not None:
        check_trace_folder(out)
    found = open_trace(trace)
    if found.has_payload:
        found.verify_payload()
    if regenerate:
        from accelsim.compression.compress_trace import materialize
        from accelsim.report.tables.terminal import progress

        with progress(quiet=quiet) as update:
            found = materialize(found, update)
    if out is not None:
        write_trace_folder(out, found)
    _show_trace(found, as_json, quiet, layers)


def _show_trace(trace: Trace, as_json: bool, quiet: bool, all_layers: bool = False) -> None:
    from accelsim.report.tables.terminal import stdout_console
    from accelsim.report.tables.trace import inspect_trace, render_trace

    if as_json:
        print_json(inspect_trace(trace))
    elif quiet:
        print_line(f"{trace.name}: {len(trace.layers):,} layers, {trace.macs:,} MACs, {trace.parameters:,} parameters")
    else:
        render_trace(stdout_console(), trace, all_layers=all_layers)

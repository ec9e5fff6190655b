"""The command line: each command parses, calls one public function and renders what it returns.

What a command needs is imported when it runs, so that `--help` answers at once. Exit status: 0 done, 1 a check failed, 2 the user's
input was wrong, 130 interrupted, 141 the reader of our output went away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from accelsim import __version__
from accelsim.errors import AccelsimError, ConfigError

if TYPE_CHECKING:
    from accelsim.accelerator import Accelerator
    from accelsim.result import Result
    from accelsim.trace.trace import Trace
    from accelsim.validate.report import ValidationReport

EXIT_CHECK_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_BROKEN_PIPE = 141


class _Guarded(TyperGroup):
    """Turns what a user can cause into one message on stderr; what is left is a bug and shows its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            out = super().invoke(ctx)
            sys.stdout.flush()
        except AccelsimError as error:
            _fail(str(error))
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again
            raise typer.Exit(EXIT_BROKEN_PIPE) from None
        except OSError as error:
            _fail(f"{error.filename}: {error.strerror}" if error.filename is not None else str(error))
        return out


def _fail(message: str) -> NoReturn:
    from accelsim.report.text import clean

    text = "\n".join(clean(line) for line in message.splitlines())
    typer.echo(f"accelsim: {text}", err=True)
    raise typer.Exit(EXIT_BAD_INPUT)


app = typer.Typer(
    cls=_Guarded,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    help="Cycle-level simulator of an edge NPU that runs vector-quantized networks.",
)
validate_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Replay reference figures; print each row's error.")
app.add_typer(validate_app, name="validate")

AcceleratorName = Annotated[str, typer.Argument(metavar="ACCEL", help="A preset's name (accelsim list presets) or a YAML file.")]
TraceName = Annotated[str, typer.Argument(metavar="TRACE", help="A trace's directory, or the name of one in traces/.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field: --set dram.device=lpddr5-6400-x16.")
]
OutFolder = Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write tables, JSON, CSV and pictures to this folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no tables: one line.")]
Frames = Annotated[int, typer.Option(min=1, max=10_000, help="Inferences one after the other; the first is the cold start.")]
Batch = Annotated[int, typer.Option(min=1, max=1024, help="Images of one inference.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of what the trace leaves open.")]
Reference = Annotated[Path, typer.Argument(metavar="REFERENCE.csv", help="The reference figures.")]
Tolerance = Annotated[float | None, typer.Option(min=0, metavar="PCT", help="Allowed error where the file states none; default exact.")]


def main() -> None:
    """Entry point of the command `accelsim`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets a '?', not a traceback
    app(prog_name="accelsim")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"accelsim {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    pass


def find_trace(name: str) -> Path:
    """The directory of a trace given by path, or by its name in traces/; ConfigError with the known names."""
    from accelsim.registry import suggest

    path = Path(name)
    if path.is_dir() or "/" in name:
        return path
    known = _trace_names()
    if name not in known:
        raise ConfigError(f"unknown trace {name!r}; known: {', '.join(known)} (or the path of a trace's directory){suggest(name, known)}")
    return _traces() / name


def _traces() -> Path:
    from accelsim.presets import CONFIGS

    return CONFIGS.parent / "traces"


def _trace_names() -> list[str]:
    return sorted(item.parent.name for item in _traces().glob("*/trace.json"))


def _load(accelerator: str, trace: str, overrides: Sequence[str] | None) -> tuple[Accelerator, Trace]:
    from accelsim.accelerator import load_accelerator
    from accelsim.trace.trace import load_trace

    return load_accelerator(accelerator, overrides or ()), load_trace(find_trace(trace))


def _print_json(content: Any) -> None:
    from accelsim.report.export import to_json

    typer.echo(to_json(content))


@app.command()
def run(
    accel: AcceleratorName,
    trace: TraceName,
    functional: Annotated[bool, typer.Option("--functional", help="Also decode and multiply for real, and compare every bit.")] = False,
    what_if: Annotated[bool, typer.Option("--what-if", help="Also make one thing ideal at a time.")] = False,
    frames: Frames = 1,
    batch: Batch = 1,
    seed: Seed = 0,
    overrides: Overrides = None,
    out: OutFolder = None,
    as_json: AsJson = False,
    layers: Annotated[bool, typer.Option("--layers", help="List each layer, not sums over repeated blocks.")] = False,
    quiet: Quiet = False,
) -> None:
    """Time, stalls and traffic of a trace on a chip."""
    from dataclasses import asdict

    from accelsim.report import tables
    from accelsim.report.export import check_run_folder, to_csv, write_run
    from accelsim.report.metrics import summarize
    from accelsim.report.terminal import progress, say, stdout_console
    from accelsim.report.text import milliseconds

    if out is not None:
        check_run_folder(out)
    machine, network = _load(accel, trace, overrides)
    from accelsim.simulate import simulate  # after the checks: a wrong name is answered without loading the machine

    with progress(quiet=quiet) as update:
        result = simulate(machine, network, frames=frames, batch=batch, seed=seed, progress=update)
        ideals: Sequence[Any] = ()
        if what_if:
            from accelsim.what_if import what_if as run_what_if

            ideals = run_what_if(machine, network, result, progress=update)
        checked = None
        if functional:
            from accelsim.functional import check_functional

            checked = check_functional(machine, network, seed=seed, progress=update)
    what_if_rows = [
        {"if_free": item.name, "total_cycles": item.result.total_cycles, "speedup": item.speedup, "note": item.explanation}
        for item in ideals
    ]
    functional_rows = [asdict(item) for item in checked.layers] if checked else []
    if out is not None:
        from accelsim.report.plots import run_pictures

        extra = run_pictures(result)
        extra |= {"what_if.csv": to_csv(what_if_rows).encode()} if what_if else {}
        extra |= {"functional.csv": to_csv(functional_rows).encode()} if checked else {}
        write_run(out, result, extra)
    console = stdout_console()
    if as_json:
        parts: dict[str, Any] = {"summary": summarize(result).to_dict(), "result": asdict(result)}
        parts |= {"what_if": what_if_rows} if what_if else {}
        parts |= {"functional": {"ok": checked.ok, "layers": functional_rows}} if checked else {}
        _print_json(parts)
    elif quiet:
        say(console, f"{result.accelerator_name} {result.trace_name}: {milliseconds(result.milliseconds)} ms, {result.total_cycles} cycles")
    else:
        tables.render_run(console, result, all_layers=layers)
        if what_if:
            tables.render_what_if(console, ideals)
        if checked:
            tables.render_functional(console, checked.layers, checked.ok)
    if checked and not checked.ok:
        raise typer.Exit(EXIT_CHECK_FAILED)


def pairs(items: Sequence[str]) -> list[tuple[str, str]]:
    """(accelerator, trace) of each ACCEL:TRACE; ':TRACE', 'TRACE' and 'ACCEL:' take the missing part from the first item.

    Raises
    ------
    ConfigError
        Fewer than two items, or a first one that is not ACCEL:TRACE.
    """
    if len(items) < 2:
        raise ConfigError(f"compare needs a baseline and at least one other ACCEL:TRACE; given: {', '.join(items) or 'nothing'}")
    first_accel, _, first_trace = items[0].partition(":")
    if not first_accel or not first_trace:
        raise ConfigError(f"the first item of compare must be ACCEL:TRACE; given: {items[0]!r}")
    out = [(first_accel, first_trace)]
    for item in items[1:]:
        accel, colon, trace = item.partition(":")
        out.append((accel or first_accel, trace or first_trace) if colon else (first_accel, item))
    return out


@app.command()
def compare(
    items: Annotated[list[str], typer.Argument(metavar="ACCEL:TRACE...", help="The baseline first; later ACCEL may be left out.")],
    frames: Frames = 1,
    batch: Batch = 1,
    seed: Seed = 0,
    overrides: Overrides = None,
    out: OutFolder = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Speed-ups over the first run, by cause and layer."""
    from accelsim.report.compare import compare as compare_results
    from accelsim.report.compare import short_labels
    from accelsim.report.compare_export import check_comparison_folder, write_comparison
    from accelsim.report.compare_tables import render_comparison
    from accelsim.report.terminal import progress, say, stdout_console

    chosen = pairs(items)
    if out is not None:
        check_comparison_folder(out)
    machines = [_load(accel, trace, overrides) for accel, trace in chosen]
    from accelsim.simulate import simulate

    results: list[Result] = []
    with progress(quiet=quiet) as update:
        for index, (machine, network) in enumerate(machines):
            if update:
                update("runs", index, len(machines))
            results.append(simulate(machine, network, frames=frames, batch=batch, seed=seed, progress=update))
    comparison = compare_results(results[0], results[1:])
    if out is not None:
        from accelsim.report.plots import comparison_pictures

        write_comparison(out, comparison, comparison_pictures(comparison))
    if as_json:
        _print_json(comparison.to_dict())
    elif quiet:
        names = short_labels(comparison.results)[1:]
        say(stdout_console(), ", ".join(f"{name} {item.speedup:.3f}x" for name, item in zip(names, comparison.speedups, strict=True)))
    else:
        render_comparison(stdout_console(), comparison)


@app.command("import")
def import_(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="vit:option=value,... or a .pt2 file.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The trace's directory.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Draw the weights from this seed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a model into a float trace."""
    from accelsim.importers.import_model import import_model

    _show_trace(import_model(model, out, seed=seed), as_json)


@app.command()
def compress(
    trace: TraceName,
    format: Annotated[str, typer.Option("--format", metavar="FORMAT", help="ssvq:k=16,d=8, uniform:bits=8, ...")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The packed trace's directory.")],
    layers: Annotated[str | None, typer.Option(metavar="PATTERN", help="Layers that take the format; the others get int8.")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Encode a float trace's weights in a format."""
    from accelsim.compress.compress_trace import compress_trace, make_recipe
    from accelsim.report.check_tables import render_compression
    from accelsim.report.terminal import progress, stdout_console
    from accelsim.report.trace_tables import inspect_trace
    from accelsim.trace.trace import load_trace

    recipe = make_recipe(format, layers, seed)
    source = load_trace(find_trace(trace))
    with progress(quiet=quiet) as update:
        callback = (lambda done, whole, _: update("layers encoded", done, whole)) if update else None
        packed, report = compress_trace(source, recipe, out, progress=callback)
    if as_json:
        _print_json(inspect_trace(packed))
    elif not quiet:
        render_compression(stdout_console(), report.by_format, report.total)


@app.command()
def inspect(trace: TraceName, as_json: AsJson = False) -> None:
    """Layers, shapes, formats and bits of a trace."""
    from accelsim.trace.trace import load_trace

    _show_trace(load_trace(find_trace(trace)), as_json)


def _show_trace(trace: Trace, as_json: bool) -> None:
    from accelsim.report.terminal import stdout_console
    from accelsim.report.trace_tables import inspect_trace, render_trace

    if as_json:
        _print_json(inspect_trace(trace))
    else:
        render_trace(stdout_console(), trace)


@app.command()
def area(
    accel: AcceleratorName,
    technology: Annotated[str, typer.Option(metavar="NAME", help="A technology's name or a YAML file.")] = "nangate45",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Area of a chip by component, with its range."""
    from accelsim.accelerator import load_accelerator
    from accelsim.report.area import area_of
    from accelsim.report.check_tables import render_area
    from accelsim.report.technology import load_technology
    from accelsim.report.terminal import stdout_console

    report = area_of(load_accelerator(accel, overrides or ()), load_technology(technology))
    if as_json:
        _print_json(report.to_dict())
    else:
        render_area(stdout_console(), report)


LISTS = ("formats", "dataflows", "dram", "units", "presets", "technologies", "traces")


@app.command("list")
def list_(what: Annotated[str, typer.Argument(metavar="|".join(LISTS), help="What to list.")], as_json: AsJson = False) -> None:
    """Names that commands and files may use."""
    names = _listed(what)
    if as_json:
        _print_json(names)
    else:
        for name in names:
            typer.echo(name)


def _listed(what: str) -> list[str]:
    from accelsim.presets import preset_names
    from accelsim.registry import members, suggest

    folders = {"dram": "dram", "presets": "accelerators", "technologies": "technology"}
    packages = {"formats": "accelsim.formats", "dataflows": "accelsim.dataflows", "units": "accelsim.hw"}
    if what in folders:
        return preset_names(folders[what])
    if what in packages:
        return sorted(members(packages[what]))
    if what == "traces":
        return _trace_names()
    raise ConfigError(f"cannot list {what!r}; known: {', '.join(LISTS)}{suggest(what, LISTS)}")


@validate_app.command("core")
def validate_core(reference: Reference, tolerance: Tolerance = None, as_json: AsJson = False) -> None:
    """The decode-and-MAC core against cycles and counters of its RTL."""
    from accelsim.validate.core import validate_core as validate

    _verdict(validate(reference, tolerance), as_json)


@validate_app.command("systolic")
def validate_systolic(reference: Reference, tolerance: Tolerance = None, as_json: AsJson = False) -> None:
    """The array's fold loop against cycles of a systolic array simulator."""
    from accelsim.validate.systolic import validate_systolic as validate

    _verdict(validate(reference, tolerance), as_json)


@validate_app.command("dram")
def validate_dram(reference: Reference, tolerance: Tolerance = None, as_json: AsJson = False) -> None:
    """The memory channel against cycles, latency, row hits and refreshes of DRAM simulators."""
    from accelsim.validate.dram import validate_dram as validate

    _verdict(validate(reference, tolerance), as_json)


def _verdict(report: ValidationReport, as_json: bool) -> None:
    from accelsim.report.check_tables import render_validation
    from accelsim.report.terminal import stdout_console

    if as_json:
        _print_json(report.to_dict())
    else:
        render_validation(stdout_console(), report)
    if not report.ok:
        raise typer.Exit(EXIT_CHECK_FAILED)

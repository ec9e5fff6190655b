"""run and compare: one simulation, or several against the first."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.completion import pairs as complete_pairs
from accelsim.cli.inputs import (
    AcceleratorName,
    AsJson,
    Batch,
    CacheBits,
    Context,
    Decode,
    FitCodebook,
    Frames,
    OutFolder,
    Overrides,
    Prefill,
    Quiet,
    Seed,
    StyleText,
    TechnologyName,
    Then,
    TraceName,
    load_inputs,
    load_others,
    warn,
)
from accelsim.cli.networks import (
    Functional,
    InputFiles,
    OutputsFolder,
    checked_network,
    network_dict,
    print_execution,
    with_execution,
    write_execution,
)
from accelsim.cli.shell import EXIT_CHECK_FAILED, print_json, print_line
from accelsim.cli.simulating import simulating
from accelsim.cli.timelines import TimelineFile, check_timeline_file
from accelsim.cli.unused import WITH_FOLDER, refuse_given

if TYPE_CHECKING:
    from accelsim.accelerator import Accelerator
    from accelsim.api.result import Result
    from accelsim.cost.technology import Technology
    from accelsim.progress import Progress
    from accelsim.report.plots.picture_style import PictureStyle
    from accelsim.trace.trace import Trace


def run(
    ctx: typer.Context,
    accel: AcceleratorName,
    trace: TraceName,
    then: Then = None,
    functional: Functional = None,
    input_files: InputFiles = None,
    outputs: OutputsFolder = None,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Simulate each idealization to find the limiting resource; short runs do so anyway.")
    ] = False,
    frames: Frames = 1,
    batch: Batch = 1,
    prefill: Prefill = None,
    decode: Decode = None,
    context: Context = None,
    cache_bits: CacheBits = 8,
    seed: Seed = 0,
    overrides: Overrides = None,
    fit_codebook: FitCodebook = False,
    technology: TechnologyName = "nangate45",
    out: OutFolder = None,
    style: StyleText = "paper",
    as_json: AsJson = False,
    full: Annotated[bool, typer.Option("--full", help="Print all tables, not the summary.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="As --full, with each layer, not sums over repeated blocks.")] = False,
    timeline: TimelineFile = None,
    quiet: Quiet = False,
) -> None:
    """Simulate a trace on a chip: time, stalls, energy and area.

    With --then, several traces take turns on the chip, or have a core each (control.core_split=networks).
    """
    from accelsim.cost.area import area_of
    from accelsim.cost.technology import load_technology
    from accelsim.report.export.run import check_run_folder
    from accelsim.report.export.tokens import check_tokens_folder
    from accelsim.report.plots.picture_style import PictureStyle
    from accelsim.report.tables.terminal import stdout_console

    over_tokens = any(given is not None for given in (prefill, decode, context))
    _refuse_unused(ctx, over_tokens=over_tokens, pictures=out is not None)
    look = PictureStyle.parse(style)
    if out is not None:
        (check_tokens_folder if over_tokens else check_run_folder)(out)
    if timeline is not None:
        check_timeline_file(timeline)
    machine, network = load_inputs(accel, trace, overrides, fit=fit_codebook)
    others = load_others(then)
    node = load_technology(technology)
    if over_tokens:
        _run_tokens(
            machine, network, node, prefill or 0, decode or 0, context or 0, batch, cache_bits, seed, out, look,
            what_if=what_if, as_json=as_json, quiet=quiet,
        )  # fmt: skip
        return
    area_of(machine, node)  # a codebook that no circuit can hold is answered before the simulation
    arrays = checked_network(functional, machine, network, others, input_files, outputs)
    with simulating(quiet=quiet) as update:
        run = _simulated(
            machine, network, others, timeline, frames=frames, batch=batch, seed=seed, what_if=what_if, functional=functional == "layers",
            progress=update,
        )  # fmt: skip
        run, execution = with_execution(run, arrays, machine, network, seed, update)
        findings = run.findings(node) if not quiet or out is not None or as_json else None
    if findings is not None and out is not None:
        findings.write(out, look)
    write_execution(execution, outputs)
    if findings is not None and as_json:
        print_json(findings.to_dict() | network_dict(execution))
    elif findings is None or quiet:
        _print_line(run)
    elif full or layers:
        findings.render(stdout_console(), all_layers=layers)
        print_execution(execution)
    else:
        findings.render_summary(stdout_console(), elsewhere=_elsewhere(out, measured=findings.result.verdict is not None))
        print_execution(execution)
    if run.bit_exact is False:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _refuse_unused(ctx: typer.Context, *, over_tokens: bool, pictures: bool) -> None:
    """Answer options of `run` that would have no effect beside those that are given."""
    if over_tokens:
        unused = ("then", "functional", "input_files", "outputs", "frames", "timeline", "full", "layers")
        refuse_given(ctx, "without --prefill, --decode and --context", *unused)
    else:
        refuse_given(ctx, "with --prefill, --decode or --context", "cache_bits")
    if not pictures:
        refuse_given(ctx, WITH_FOLDER, "style")


def _simulated(
    machine: Accelerator, network: Trace, others: tuple[Trace, ...], timeline: Path | None, *,
    frames: int, batch: int, seed: int, what_if: bool, functional: bool, progress: Progress | None,
) -> Result:  # fmt: skip
    """The run with the checks that are asked for; its timeline is written if a file is named."""
    from accelsim.api.simulate import examined, simulate

    if timeline is None:
        return simulate(
            machine, network, then=others, frames=frames, batch=batch, seed=seed,
            what_if=what_if, functional=functional, progress=progress or False,
        )  # fmt: skip
    from accelsim.simulation import simulate_recorded
    from accelsim.timeline.timeline import write_timeline
    from accelsim.timeline.window import make_window

    recorded = simulate_recorded(machine, network, *others, frames=frames, batch=batch, seed=seed, progress=progress)
    networks = (network, *others)
    run = examined(machine, networks, recorded.result, what_if=what_if, functional=functional, seed=seed, progress=progress)
    write_timeline(replace(recorded, result=run.decided), make_window(recorded.result, None, None), timeline)
    return run


def _print_line(run: Result) -> None:
    """The time in a line, the outcome of the functional check (without one, that sums can overflow), and the verdict."""
    from accelsim.report.tables.text import count, duration
    from accelsim.report.verdict import decide, in_brief
    from accelsim.report.verdict_warnings import is_about_values

    checked, result = run.checked, run.decided
    line = f"{result.accelerator_name} {result.trace_name}: {duration(result.milliseconds)}, {count(result.total_cycles)} cycles"
    outcome = () if checked is None else ("bit-exact" if checked.ok else "the functional check failed",)
    if checked is None and any(map(is_about_values, result.warnings)):
        outcome = ("sums can overflow",)
    print_line("; ".join((line, *outcome, in_brief(decide(result)))))
    for wrong in (item for item in checked.layers if not item.ok) if checked else ():
        print_line(f"{wrong.name}: {wrong.message}")


def _run_tokens(
    machine: Accelerator, network: Trace, node: Technology, prefill: int, decode: int, context: int, batch: int, cache_bits: int,
    seed: int, out: Path | None, style: PictureStyle, *, what_if: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Print the steps of a language model, and write them."""
    from accelsim.api.tokens import run_tokens
    from accelsim.report.export.tokens import write_tokens
    from accelsim.report.plots.picture import files_of
    from accelsim.report.plots.tokens import tokens_picture
    from accelsim.report.tables.terminal import say, stdout_console
    from accelsim.report.tables.tokens import one_line, render_steps

    with simulating(quiet=quiet) as update:
        run = run_tokens(
            machine, network, node, prefill=prefill, decode=decode, context=context, batch=batch, cache_bits=cache_bits, seed=seed,
            what_if=what_if, progress=update,
        )  # fmt: skip
    if out is not None:
        title = f"Tokens per second of a decode\n{run.trace} on {run.accelerator}"
        write_tokens(out, run.to_dict(), files_of([tokens_picture(title, run.decode, run.widths)] if run.decode else [], style))
    if as_json:
        print_json(run.to_dict())
        return
    if quiet:
        print_line(f"{run.accelerator} {run.trace}: {one_line(run.prefill, run.decode)}; {run.widths}")
        return
    console = stdout_console()
    render_steps(console, f"{run.trace} on {run.accelerator}", run.prefill, run.decode)
    for line in run.sentences:
        say(console, line)


def _elsewhere(out: Path | None, *, measured: bool) -> str:
    """Where a run says all that its summary leaves out."""
    folder = "-o DIR writes tables, JSON and pictures" if out is None else f"tables, JSON and pictures are in {out}"
    limit = "" if measured else "--what-if simulates the limit; "
    return f"{limit}--full prints all tables, --layers each layer; {folder}"


def compare(
    ctx: typer.Context,
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="ACCEL:TRACE...",
            help="The baseline first; later ones may change it, NAME+path=value:TRACE, and omit its chip or trace.",
            autocompletion=complete_pairs,
        ),
    ],
    frames: Frames = 1,
    batch: Batch = 1,
    seed: Seed = 0,
    overrides: Overrides = None,
    fit_codebook: FitCodebook = False,
    technology: TechnologyName = "nangate45",
    out: OutFolder = None,
    style: StyleText = "paper",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Speed-ups over the first run, by stall reason and by layer.

    Energy and area stand beside them.
    """
    from accelsim.api.pairs import load_pairs
    from accelsim.cost.area import area_of
    from accelsim.cost.compare_costs import costs_of
    from accelsim.cost.technology import load_technology
    from accelsim.report.compare import in_brief
    from accelsim.report.export.compare import check_comparison_folder, comparison_dict, write_comparison
    from accelsim.report.plots.picture_style import PictureStyle
    from accelsim.report.tables.compare import render_comparison
    from accelsim.report.tables.cost import render_costs
    from accelsim.report.tables.terminal import stdout_console
    from accelsim.run_labels import short_labels

    look = PictureStyle.parse(style)
    if out is None:
        refuse_given(ctx, WITH_FOLDER, "style")
    else:
        check_comparison_folder(out)
    machines = load_pairs(items, overrides, fit=fit_codebook, warn=warn)
    node = load_technology(technology)
    for machine, _ in machines:
        area_of(machine, node)  # a codebook that no circuit can hold is answered before the simulations
    from accelsim.api.comparison import compare_pairs

    with simulating(quiet=quiet) as update:
        made = compare_pairs(machines, frames=frames, batch=batch, seed=seed, progress=update or False)
        comparison = made.record if quiet and out is None and not as_json else made.decided
    costs = costs_of(comparison.results, node)
    if out is not None:
        from accelsim.report.plots.picture import files_of
        from accelsim.report.plots.pictures import comparison_pictures

        write_comparison(out, comparison, files_of(comparison_pictures(comparison, costs), look), costs)
    if as_json:
        print_json(comparison_dict(comparison, costs))
    elif quiet:
        names = short_labels(comparison.results)[1:]
        print_line(", ".join(f"{name} {in_brief(item, 3)}" for name, item in zip(names, comparison.speedups, strict=True)))
    else:
        console = stdout_console()
        render_comparison(console, comparison)
        render_costs(console, costs)


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and pictures.")] = Path("out/demo"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare int8 with SSVQ on every preset; map their speed-ups."""
    from accelsim.presets import built_in
    from accelsim.report.tables.terminal import line_progress
    from accelsim.studies.demo import DEMO_FOLDER, Scope, run_demo

    built_in()  # an installation without presets is answered before kernels are announced
    if not quiet:
        pairs = Scope.full().pairs
        note = f"two networks on {pairs} designs, the ideal limits, and a walk on each preset"
        typer.echo(note, err=True)
    with simulating(quiet=quiet) as bar:
        update = bar if quiet or sys.stderr.isatty() else line_progress(partial(typer.echo, err=True))
        folder = run_demo(out, _unsaid if as_json or quiet else typer.echo, update)
    if as_json:
        typer.echo((folder / DEMO_FOLDER.marker).read_text(encoding="utf-8"), nl=False)
    elif quiet:
        print_line(f"tables and pictures in {folder}")


def _unsaid(text: str) -> None:
    """Take a part of the text that the folder holds anyway."""

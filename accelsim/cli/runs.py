"""run and compare: one simulation, or several against the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.completion import pairs as complete_pairs
from accelsim.cli.inputs import (
    AcceleratorName,
    AsJson,
    Batch,
    FitCodebook,
    Frames,
    OutFolder,
    Overrides,
    Quiet,
    Seed,
    TechnologyName,
    Then,
    TraceName,
    load_inputs,
    load_others,
)
from accelsim.cli.shell import EXIT_CHECK_FAILED, print_json, print_line
from accelsim.cli.timelines import TimelineFile, check_timeline_file
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.accelerator import Accelerator
    from accelsim.result import Result
    from accelsim.trace.trace import Trace

MAX_NAME = 100  # characters of an accelerator's name


def run(
    accel: AcceleratorName,
    trace: TraceName,
    then: Then = None,
    functional: Annotated[bool, typer.Option("--functional", help="Also decode and multiply for real, and compare every bit.")] = False,
    what_if: Annotated[bool, typer.Option("--what-if", help="Also make one thing ideal at a time.")] = False,
    frames: Frames = 1,
    batch: Batch = 1,
    seed: Seed = 0,
    overrides: Overrides = None,
    fit_codebook: FitCodebook = False,
    technology: TechnologyName = "nangate45",
    out: OutFolder = None,
    as_json: AsJson = False,
    full: Annotated[bool, typer.Option("--full", help="Print all tables, not the summary.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="As --full, with each layer, not sums over repeated blocks.")] = False,
    timeline: TimelineFile = None,
    quiet: Quiet = False,
) -> None:
    """Time, stalls, traffic, energy and area of a trace on a chip; of several traces that take turns, with --then."""
    from accelsim.cost.area import area_of
    from accelsim.cost.compare_costs import costs_of
    from accelsim.cost.technology import load_technology
    from accelsim.report.export.run import check_run_folder
    from accelsim.report.findings import Findings
    from accelsim.report.tables.terminal import progress, stdout_console
    from accelsim.report.tables.text import count, duration

    if out is not None:
        check_run_folder(out)
    if timeline is not None:
        check_timeline_file(timeline)
    machine, network = load_inputs(accel, trace, overrides, fit=fit_codebook)
    others = load_others(then)
    node = load_technology(technology)
    area_of(machine, node)  # a codebook that no circuit can hold is answered before the simulation
    from accelsim.simulation import simulate, simulate_recorded  # after the checks: a wrong name is answered without loading the machine

    with progress(quiet=quiet) as update:
        if timeline is None:
            result = simulate(machine, network, *others, frames=frames, batch=batch, seed=seed, progress=update)
        else:
            from accelsim.timeline.timeline import write_timeline
            from accelsim.timeline.window import make_window

            recorded = simulate_recorded(machine, network, *others, frames=frames, batch=batch, seed=seed, progress=update)
            result = recorded.result
            write_timeline(recorded, make_window(result, None, None), timeline)
        ideals = checked = None
        if what_if:
            from accelsim.what_if import what_if as run_what_if

            ideals = run_what_if(machine, network, result, progress=update, then=others, seed=seed)
        if functional:
            from accelsim.functional import check_functional

            checked = check_functional(machine, network, *others, seed=seed, progress=update)
    (cost,) = costs_of([result], node)
    findings = Findings(cost, ideals, checked)
    if out is not None:
        findings.write(out)
    if as_json:
        print_json(findings.to_dict())
    elif quiet:
        line = f"{machine.name} {result.trace_name}: {duration(result.milliseconds)}, {count(result.total_cycles)} cycles"
        print_line(line)
        for wrong in (item for item in checked.layers if not item.ok) if checked else ():
            print_line(f"{wrong.name}: {wrong.message}")
    elif full or layers:
        findings.render(stdout_console(), all_layers=layers)
    else:
        findings.render_summary(stdout_console(), elsewhere=_elsewhere(out))
    if not findings.ok:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _elsewhere(out: Path | None) -> str:
    """Where a run says all that its summary leaves out."""
    folder = "-o DIR writes tables, JSON and pictures" if out is None else f"tables, JSON and pictures are in {out}"
    return f"--full prints all tables, --layers each layer; {folder}"


def pairs(items: Sequence[str]) -> list[tuple[str, str]]:
    """(accelerator, trace) of each ACCEL:TRACE; ':TRACE', 'TRACE' and 'ACCEL:' take the missing part from the first item.

    An accelerator may carry changes, 'NAME+codebook.ports=4'; '+codebook.ports=4:' changes the first one.

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
        if "@" in accel:  # the colon is that of TRACE@FORMAT
            accel, colon, trace = "", "", item
        elif accel.startswith("+"):
            accel, colon = first_accel.partition("+")[0] + accel, ":"
        out.append((accel or first_accel, trace or first_trace) if colon else (first_accel, item))
    return out


def _changed(accel: str, trace: str, overrides: Sequence[str] | None, fit: bool) -> tuple[Accelerator, Trace]:
    """What 'NAME+path=value+...' and a trace name; the changes come after `--set` and are part of the chip's name."""
    name, *changes = accel.split("+")
    machine, network = load_inputs(name, trace, [*(overrides or ()), *changes], fit=fit)
    if not changes:
        return machine, network
    label = "+".join([machine.name, *changes])
    return machine.with_fields(name=label if len(label) <= MAX_NAME else f"{label[: MAX_NAME - 1]}…"), network


def compare(
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="ACCEL:TRACE...",
            help="The baseline first; later, NAME+path=value:TRACE; what is left out is the first's.",
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
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Speed-ups over the first run by cause and layer; energy and area."""
    from accelsim.cost.area import area_of
    from accelsim.cost.compare_costs import costs_of
    from accelsim.cost.technology import load_technology
    from accelsim.report.compare import compare as compare_results
    from accelsim.report.export.compare import check_comparison_folder, comparison_dict, write_comparison
    from accelsim.report.tables.compare import render_comparison
    from accelsim.report.tables.cost import render_costs
    from accelsim.report.tables.terminal import progress, stdout_console
    from accelsim.run_labels import short_labels

    chosen = pairs(items)
    if out is not None:
        check_comparison_folder(out)
    machines = [_changed(accel, trace, overrides, fit_codebook) for accel, trace in chosen]
    node = load_technology(technology)
    for machine, _ in machines:
        area_of(machine, node)  # a codebook that no circuit can hold is answered before the simulations
    from accelsim.simulation import simulate

    results: list[Result] = []
    with progress(quiet=quiet) as update:
        for index, (machine, network) in enumerate(machines):
            if update:
                update("runs", index, len(machines))
            results.append(simulate(machine, network, frames=frames, batch=batch, seed=seed, progress=update))
    comparison = compare_results(results[0], results[1:])
    costs = costs_of(results, node)
    if out is not None:
        from accelsim.report.plots.picture import files_of
        from accelsim.report.plots.pictures import comparison_pictures

        write_comparison(out, comparison, files_of(comparison_pictures(comparison, costs)), costs)
    if as_json:
        print_json(comparison_dict(comparison, costs))
    elif quiet:
        names = short_labels(comparison.results)[1:]
        print_line(", ".join(f"{name} {item.speedup:.3f}x" for name, item in zip(names, comparison.speedups, strict=True)))
    else:
        console = stdout_console()
        render_comparison(console, comparison)
        render_costs(console, costs)


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for tables and pictures.")] = Path("out/demo"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare int8 with SSVQ on every preset; map where which speed-up holds."""
    from accelsim.report.tables.terminal import progress
    from accelsim.studies.demo import DEMO_FOLDER, run_demo

    with progress(quiet=quiet) as update:
        folder = run_demo(out, _unsaid if as_json or quiet else typer.echo, update)
    if as_json:
        typer.echo((folder / DEMO_FOLDER.marker).read_text(encoding="utf-8"), nl=False)
    elif quiet:
        print_line(f"tables and pictures in {folder}")


def _unsaid(text: str) -> None:
    """Take a part of the text that the folder holds anyway."""

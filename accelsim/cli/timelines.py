"""timeline: a saved run as a timeline for Perfetto, as a waveform, as figures over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from accelsim.cli.inputs import Quiet, Seed, StyleText
from accelsim.cli.shell import print_json, print_line
from accelsim.cli.simulating import simulating
from accelsim.cli.unused import refuse_given
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.timeline.timeline import TimelineSummary

TimelineFile = Annotated[
    Path | None, typer.Option("--timeline", metavar="FILE", help="Write the run's timeline for Perfetto to this .json or .json.gz file.")
]


def timeline(
    ctx: typer.Context,
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A result.json, or the folder of a run.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Trace events, .json or .json.gz.")] = None,
    vcd: Annotated[Path | None, typer.Option("--vcd", metavar="FILE", help="The core's signals by cycle, .vcd or .vcd.gz.")] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="DIR", help="Bandwidth and occupancy of the buffers: figures and CSV.")
    ] = None,
    interactive: Annotated[bool, typer.Option("--interactive", help="With --plot: an HTML page too, to zoom and to ask.")] = False,
    layers: Annotated[str | None, typer.Option("--layers", metavar="PATTERN", help="Only layers of these names: '*.mlp.*'.")] = None,
    cycles: Annotated[str | None, typer.Option("--cycles", metavar="A..B", help="Only core cycles from A to before B.")] = None,
    trace: Annotated[
        list[Path] | None,
        typer.Option("--trace", metavar="DIR", help="Directory of a network without a name (accelsim list traces); repeat for more."),
    ] = None,
    seed: Seed = 0,
    style: StyleText = "paper",
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary of the file as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Show a run over time, for Perfetto, GTKWave or a paper.

    -o writes a file for Perfetto, --vcd one for GTKWave, --plot figures.
    The run is repeated with a recorder, and must give the saved numbers again. The tracks are described in docs/timeline.md.
    """
    from accelsim.report.export.whole_file import check_replaceable_file
    from accelsim.report.plots.picture_style import PictureStyle
    from accelsim.stored_result import load_result
    from accelsim.timeline.window import make_window, parse_cycles

    _check_outputs(out, vcd, plot, layers, interactive=interactive)
    if plot is None:
        refuse_given(ctx, "with --plot DIR, where pictures are written", "style")
    look = PictureStyle.parse(style)
    saved = load_result(result)
    window = make_window(saved, layers, parse_cycles(cycles) if cycles is not None else None)
    if out is not None:
        check_timeline_file(out)
    if vcd is not None:
        from accelsim.timeline.waveform import WAVEFORM_FILE

        check_replaceable_file(vcd, WAVEFORM_FILE)
    if plot is not None:
        from accelsim.timeline.over_time import check_over_time_folder

        check_over_time_folder(plot)
    from accelsim.timeline.reproduce import reproduce
    from accelsim.timeline.timeline import write_timeline
    from accelsim.timeline.waveform import check_waveform_window, check_writer, write_waveform

    if vcd is not None:
        check_writer()
    written: dict[str, Any] = {}
    with simulating(quiet=quiet) as update:
        run = reproduce(saved, str(result), traces=trace or (), seed=seed, progress=update)
        if vcd is not None:
            check_waveform_window(run, window)
        summary = write_timeline(run, window, out) if out is not None else None
        signals = write_waveform(run, window, vcd) if vcd is not None else 0
        if plot is not None:
            from accelsim.timeline.over_time import write_over_time

            written["figures"] = {"path": str(write_over_time(run, window, plot, look, interactive=interactive))}
    if summary is not None:
        written["timeline"] = summary.to_dict()
    if vcd is not None:
        written["waveform"] = {"path": str(vcd), "first_cycle": window.first, "cycles": signals, "file_bytes": vcd.stat().st_size}
    if as_json:
        print_json(written)
        return
    if summary is not None:
        say_timeline(summary, quiet)
    if vcd is not None:
        print_line(f"{vcd}: {signals:,} cycles from cycle {window.first:,}")
    if plot is not None:
        print_line(f"{plot}: figures and counters.csv")


def _check_outputs(out: Path | None, vcd: Path | None, plot: Path | None, layers: str | None, *, interactive: bool) -> None:
    """ConfigError if nothing is to be written, or an option belongs to an output that is not."""
    if out is None and vcd is None and plot is None:
        raise ConfigError(
            "nothing to write; allowed: -o FILE for a timeline, --vcd FILE for a waveform, --plot DIR for figures, or all of them"
        )
    if layers is not None and out is None:
        raise ConfigError(
            "--layers selects layers of a timeline (-o FILE); waveforms and figures show the whole machine; allowed: --cycles A..B"
        )
    if interactive:
        from accelsim.report.interactive.page import check_interactive

        if plot is None:
            raise ConfigError("--interactive adds a page to the figures; allowed: with --plot DIR")
        check_interactive()


def check_timeline_file(path: Path) -> None:
    """OutputError, before the run, if `path` is no place for a timeline."""
    from accelsim.report.export.whole_file import check_replaceable_file
    from accelsim.timeline.trace_file import TIMELINE_FILE

    check_replaceable_file(path, TIMELINE_FILE)


def say_timeline(summary: TimelineSummary, quiet: bool) -> None:
    """Report the written file and, unless `quiet`, where the shown cycles went and the comparison with the result."""
    from accelsim.report.tables.run import longest_waits
    from accelsim.report.tables.terminal import row, say, show, stdout_console, table
    from accelsim.report.tables.text import count, decimal_bytes, percent

    console = stdout_console()
    part = f"cycles {count(summary.first_cycle)} to {count(summary.end_cycle)}"
    line = f"{summary.path}: {count(summary.events)} events, {decimal_bytes(summary.file_bytes)}, {part}"
    if quiet:
        print_line(line)
        return
    say(console, line)
    say(console, summary.limit)
    if summary.cores:
        causes = table((">core", ">busy", "waits, the longest first"))
        for number, cycles in summary.cores.items():
            row(causes, str(number), percent(cycles.get("busy", 0), sum(cycles.values())), longest_waits(cycles))
    else:
        whole = sum(summary.cycles.values())
        causes = table(("array", ">cycles", ">share"))
        for name, spent in sorted(summary.cycles.items(), key=lambda item: -item[1]):
            row(causes, name, count(spent), percent(spent, whole))
    show(console, "The arrays in these cycles" if summary.cores else "The array in these cycles", causes)
    console.print()
    if summary.checked:
        say(console, f"Equal to the result: {', '.join(summary.checked)}.")
    say(console, "Open it at https://ui.perfetto.dev or chrome://tracing; docs/timeline.md describes the tracks.")

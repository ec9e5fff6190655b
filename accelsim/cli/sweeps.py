"""sweep: many points on the cores of this machine or on a cluster, into one store; the same command continues where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli.completion import choices, presets
from accelsim.cli.inputs import AsJson, StyleText, warn
from accelsim.cli.shell import EXIT_CHECK_FAILED, EXIT_INTERRUPTED, print_json, print_line
from accelsim.cli.simulating import note_compilation
from accelsim.cli.unused import refuse_given
from accelsim.errors import ConfigError

if TYPE_CHECKING:
    from accelsim.cost.technology import Technology
    from accelsim.report.plots.picture_style import PictureStyle
    from accelsim.sweeps.cluster import Security
    from accelsim.sweeps.findings import SweepFindings
    from accelsim.sweeps.runner import Backend
    from accelsim.sweeps.spec import Sweep
    from accelsim.sweeps.tally import SweepProgress, SweepSummary

PLAIN_SECONDS = 10.0  # between two lines of progress where there is no terminal
SHOWN_MESSAGES = 5


def sweep(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="SWEEP", help="A sweep's name (accelsim list sweeps) or a YAML file.", autocompletion=presets("sweeps"))
    ],
    store: Annotated[Path | None, typer.Option("--store", metavar="FILE", help="The store [default: out/SWEEP.sqlite].")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, metavar="N", help="Processes [default: one per core].")] = None,
    scheduler: Annotated[str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Run on a Dask cluster: tcp://HOST:PORT.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="local", help="Run on a Dask cluster made here for it.", autocompletion=choices("local")),
    ] = None,
    tls_ca_file: Annotated[
        Path | None, typer.Option("--tls-ca-file", metavar="FILE", help="Of the cluster's TLS (tls://HOST:PORT).")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="Likewise.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Likewise.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="The first N points only.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Also run again what failed before.")] = False,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", metavar="SECONDS", help="A point that runs longer has failed.")
    ] = None,
    export: Annotated[Path | None, typer.Option("--export", metavar="FILE", help="Write the runs to a .csv or .parquet file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the points and run none.")] = False,
    pareto: Annotated[
        str | None, typer.Option("--pareto", metavar="A,B,C", help="Figures of the front [default: time, energy, area].")
    ] = None,
    under: Annotated[
        list[str] | None, typer.Option("--under", metavar="CONDITION", help="Consider these points only: 'area_mm2 < 4'.")
    ] = None,
    best: Annotated[
        str | None,
        typer.Option("--best", metavar="QUESTION", help="N, or FIGURE where CONDITION: 'area_mm2 where milliseconds < 1' [default: 5]."),
    ] = None,
    accuracy: Annotated[
        str | None, typer.Option("--accuracy", metavar="SOURCE", help="Accuracy of the points: a CSV file, or FILE.py:FUNCTION.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="PCT", help="Points of the front that differ less are one; 0: none are.")
    ] = 0.1,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the sweep's pictures into -o.")] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Write an HTML page of the points, to zoom and select, into -o.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write tables and pictures [default: out/SWEEP].")] = None,
    style: StyleText = "paper",
    search: Annotated[str | None, typer.Option("--search", metavar="SAMPLER", help="Search the axes: nsga2 or tpe.")] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, max=10**6, metavar="N", help="Points that a search proposes [default: 200].")
    ] = None,
    search_seed: Annotated[int | None, typer.Option("--search-seed", min=0, help="Of the search [default: 0].")] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; one line, and one per point of --best.")] = False,
) -> None:
    """Run the points of a sweep that are not stored, and rank them.

    Exit status: 0 when every point that the constraints let through has a result, 1 when some failed or have a configuration that
    cannot be, 2 when no point has a configuration that can be, 130 when interrupted (finished points are stored).
    """
    from accelsim.cost.technology import load_technology
    from accelsim.report.plots.picture_style import PictureStyle
    from accelsim.sweeps.accuracy import read_accuracy, with_accuracy
    from accelsim.sweeps.export import check_export, export_sweep
    from accelsim.sweeps.findings import ask
    from accelsim.sweeps.question import make_question
    from accelsim.sweeps.spec import load_sweep
    from accelsim.sweeps.store import open_store
    from accelsim.sweeps.table import read_table

    if out is None and not plot and not interactive:
        refuse_given(ctx, "with -o, --plot or --interactive", "style")
    look = PictureStyle.parse(style)
    wanted = load_sweep(name)
    stated = read_accuracy(accuracy, wanted, warn) if accuracy is not None else None
    question = make_question(wanted, pareto, under or (), best, accuracy=stated is not None, tolerance=tolerance / 100)
    if search is not None:
        _check_search(search, question.figures, limit, dry_run)
    elif trials is not None or search_seed is not None:
        raise ConfigError("--trials and --search-seed belong to a search: give --search nsga2 or tpe")
    folder = _folder(wanted, out, question.figures, plot=plot, interactive=interactive, accuracy=stated is not None)
    technology = load_technology(wanted.technology)
    path = store or Path("out") / f"{wanted.name}.sqlite"
    if dry_run:
        _dry_run(wanted, path, technology, limit, as_json, quiet)
        return
    if export is not None:
        check_export(export)
    backend = _backend(workers, scheduler, cluster, (tls_ca_file, tls_cert, tls_key), technology, time_limit, quiet=quiet or as_json)
    if store is None:
        path.parent.mkdir(exist_ok=True)
    with open_store(path) as opened:
        try:
            note_compilation(quiet=quiet or scheduler is not None)  # other machines have kernels of their own
            with _progress(quiet) as update:
                if search is None:
                    from accelsim.sweeps.runner import run_sweep

                    summary = run_sweep(wanted, opened, backend, technology, limit=limit, retry_failed=retry_failed, progress=update)
                else:
                    from accelsim.sweeps.search import search as run_search

                    summary = run_search(
                        wanted, opened, backend, technology, question.figures, trials or 200,
                        sampler=search, seed=search_seed or 0, retry_failed=retry_failed, progress=update,
                    )  # fmt: skip
        except KeyboardInterrupt:
            typer.echo(f"accelsim: interrupted; finished points are in {path}, and the same command continues", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        rows = export_sweep(opened, wanted, summary.sweep, export) if export is not None else 0
        points = read_table(opened, wanted, summary.sweep, question.needs(wanted))
    findings = ask(with_accuracy(points, stated) if stated is not None else points, question)
    if folder is not None:
        findings.write(folder, _drawn(findings, look, interactive=interactive))
    _check_any_point(wanted.name, summary.settled, summary.messages)
    if as_json:
        print_json({**asdict(summary), "points_per_s": summary.points_per_s, "store": str(path), "findings": findings.to_dict()})
    else:
        _show(summary, path, quiet)
        if not quiet:
            _tell_findings(findings, {export: f"{rows:,} rows", folder: "tables and pictures"})
        elif best is not None:
            _tell_best(findings)
    if summary.failed or summary.failed_before or summary.invalid:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _check_search(sampler: str, figures: tuple[str, ...], limit: int | None, dry_run: bool) -> None:
    """ConfigError for options of a full sweep, an unknown sampler or objective, or without the extra that searches."""
    if limit is not None or dry_run:
        raise ConfigError("--limit and --dry-run belong to a full sweep; a search takes its number of points from --trials")
    from accelsim.sweeps.search import check_search

    check_search(sampler, figures)


def _folder(wanted: Sweep, out: Path | None, figures: tuple[str, ...], *, plot: bool, interactive: bool, accuracy: bool) -> Path | None:
    """The folder to write, None for none, after a check that it can be written and that its pictures can be drawn."""
    folder = out or (Path("out") / wanted.name if plot or interactive else None)
    if folder is None:
        return None
    from accelsim.report.export.folder import check_replaceable
    from accelsim.sweeps.findings import SWEEP_FOLDER
    from accelsim.sweeps.pictures import check_pictures

    if interactive:
        from accelsim.report.interactive.page import check_interactive

        check_interactive()
        if len(figures) < 2:
            raise ConfigError("--interactive draws figures against each other; allowed: two or three figures in --pareto")
    check_replaceable(folder, SWEEP_FOLDER)
    check_pictures(wanted, accuracy=accuracy)
    return folder


def _drawn(findings: SweepFindings, look: PictureStyle, *, interactive: bool) -> dict[str, bytes]:
    """The pictures, and the page if it is asked for: file name -> content."""
    from accelsim.sweeps.pictures import draw

    if not interactive:
        return draw(findings.whole, look)
    from accelsim.sweeps.interactive import points_page

    return draw(findings.whole, look) | points_page(findings)


def _backend(
    workers: int | None,
    scheduler: str | None,
    cluster: str | None,
    tls: tuple[Path | None, ...],
    technology: Technology,
    time_limit: float | None,
    *,
    quiet: bool,
) -> Backend:
    """Who runs the points, as the options say."""
    if scheduler is None and cluster is None:
        if any(tls):
            raise ConfigError("--tls-ca-file, --tls-cert and --tls-key belong to a cluster: give --scheduler tls://HOST:PORT")
        from accelsim.sweeps.pool import ProcessPool, usable_cores

        return ProcessPool(workers or usable_cores(), technology, time_limit)
    if time_limit is not None:
        raise ConfigError("--time-limit belongs to local processes: a cluster does not end a point")
    if scheduler is not None and cluster is not None:
        raise ConfigError("--scheduler and --cluster exclude each other: an existing cluster, or one started here")
    from accelsim.sweeps.cluster import Security, connect, start_local

    if cluster is not None:
        if cluster != "local":
            raise ConfigError(f"--cluster {cluster!r}: allowed: local")
        from accelsim.sweeps.pool import usable_cores

        def announce(address: str) -> None:
            if not quiet:
                typer.echo(f"a cluster of this sweep alone at {address}", err=True)

        return start_local(workers or usable_cores(), technology, announce)
    if workers is not None:
        raise ConfigError("--workers belongs to local processes; an existing cluster has its own")
    assert scheduler is not None  # one of the two was given
    return connect(scheduler, technology, _security(Security, tls))


def _security(kind: type[Security], tls: tuple[Path | None, ...]) -> Security | None:
    ca_file, cert, key = tls
    if ca_file is None and cert is None and key is None:
        return None
    if ca_file is None or cert is None or key is None:
        raise ConfigError("--tls-ca-file, --tls-cert and --tls-key go together")
    return kind(ca_file, cert, key)


def _dry_run(wanted: Sweep, path: Path, technology: Technology, limit: int | None, as_json: bool, quiet: bool) -> None:
    from accelsim.report.tables.text import count
    from accelsim.sweeps.dry_run import dry_run
    from accelsim.sweeps.metrics import costing_id
    from accelsim.sweeps.store import open_store

    if path.exists():
        with open_store(path, create=False) as opened:
            found = dry_run(wanted, opened, costing_id(technology), limit)
    else:
        found = dry_run(wanted, None, costing_id(technology), limit)
    _check_any_point(wanted.name, found.points, found.messages)
    if as_json:
        print_json(asdict(found))
        return
    line = (
        f"{found.name}: {count(found.size)} in the product, {count(found.points)} points, {count(found.runs)} runs: "
        f"{count(found.stored)} stored, {count(found.failed)} failed before, {count(found.runs - found.stored - found.failed)} to do"
    )
    if quiet:
        print_line(line)
        return
    _tell(line)
    _refusals(found.dropped, found.invalid, found.messages)


def _check_any_point(name: str, points: int, messages: Mapping[str, int]) -> None:
    """ConfigError if every point has an invalid configuration: the sweep's file is wrong, not some corners of it."""
    if not points and messages:
        raise ConfigError(f"sweep {name!r} has no point that can run: {max(messages, key=lambda message: messages[message])}")


def _show(summary: SweepSummary, path: Path, quiet: bool) -> None:
    from accelsim.report.tables.text import count

    parts = {
        "ran": summary.ok,
        "failed": summary.failed,
        "stored before": summary.reused,
        "failed before": summary.failed_before,
        "equal to others": summary.equal,
        "dropped": sum(summary.dropped.values()),
        "invalid": summary.invalid,
    }
    text = ", ".join(f"{count(number)} {what}" for what, number in parts.items() if number) or "no point"
    rate = f" ({summary.points_per_s:.1f} points/s)" if summary.ok else ""
    line = f"{summary.name}: {text} in {summary.seconds:.1f} s{rate}; {path}"
    if quiet:
        print_line(line)
    else:
        _tell(line)
        _refusals(summary.dropped, summary.invalid, summary.messages)


def _tell_best(findings: SweepFindings) -> None:
    """Print the best points, one per line, and on stderr those without a figure."""
    for line in findings.answer():
        print_line(line)
    for item in findings.left_out:
        warn(item.sentence)


def _tell_findings(findings: SweepFindings, written: Mapping[Path | None, str]) -> None:
    """Print the answers as tables, and what was written where."""
    from accelsim.report.tables.terminal import stdout_console

    findings.render(stdout_console())
    for path, what in written.items():
        if path is not None:
            _tell(f"{what} in {path}")


def _refusals(dropped: Mapping[str, int], invalid: int, messages: Mapping[str, int]) -> None:
    """Print the refused points and the most frequent messages."""
    from accelsim.report.tables.text import count

    for constraint, points in dropped.items():
        if points:
            _tell(f"  dropped by {constraint}: {count(points)}")
    if invalid:
        _tell(f"  invalid configurations: {count(invalid)}")
    ranked = sorted(messages.items(), key=lambda item: -item[1])
    for message, points in ranked[:SHOWN_MESSAGES]:
        _tell(f"  {count(points)} x {message}")
    if len(ranked) > SHOWN_MESSAGES:
        _tell(f"  and {len(ranked) - SHOWN_MESSAGES} other messages: see the store")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[SweepProgress], None] | None]:
    """A callback that shows how far a sweep is: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield None
        return
    from accelsim.report.tables.terminal import noted_progress

    with noted_progress() as bar:
        last = time.monotonic()

        def update(state: SweepProgress) -> None:
            nonlocal last
            if bar is not None:
                bar(_rate(state), state.done, state.total)
            elif time.monotonic() - last > PLAIN_SECONDS:
                last = time.monotonic()
                typer.echo(f"{state.done:,} of {state.total:,} points, {_rate(state)}", err=True)

        yield update


def _tell(text: str) -> None:
    """A paragraph for a person: no wider than the terminal, or 80 columns."""
    from accelsim.report.tables.terminal import say, stdout_console

    say(stdout_console(), text)


def _rate(state: SweepProgress) -> str:
    if state.seconds_left is None:
        return "starting"
    minutes, seconds = divmod(round(state.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"
    return f"{state.points_per_s:.1f} points/s, {left} left" + (f", {state.failed} failed" if state.failed else "")

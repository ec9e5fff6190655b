"""Terminal output: a console of 80 columns on a pipe, a progress bar on a terminal's stderr, tables without markup.

Nothing from a file is read as markup: every cell is cleaned and shown as it is.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import rich.progress
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from accelsim.progress import Progress
from accelsim.report.tables.columns import TextTable, column_widths, fitted
from accelsim.report.tables.markup import MARKUP
from accelsim.report.tables.text import clean

PIPE_COLUMNS = 80


class _Console(Console):
    """A console that leaves broken pipes to the command line."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def stdout_console() -> Console:
    """The console of results: coloured on a terminal, plain text of 80 columns elsewhere."""
    return _Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False, markup=False, emoji=False)


def table(columns: Sequence[str], *, dense: bool = False) -> TextTable:
    """An empty table; a column whose heading starts with '>' holds numbers and is aligned to the right; `dense` for many columns."""
    return TextTable(tuple(columns), 1 if dense else 2)


def row(out: TextTable, *cells: str, style: str | None = None) -> None:
    """Add a row of plain text."""
    out.add(cells, style)


def show(console: Console, title: str, out: TextTable) -> bool:
    """Print a table under its title, with a blank line before both; whether names in it were shortened.

    In a terminal of less than 80 columns it is as wide as on 80: lines that a terminal wraps are easier to read than cut numbers.
    """
    markup = MARKUP.get()
    if markup is not None:
        console.print(Text(markup.table(clean(title), out)), soft_wrap=True)
        return False
    console.print()
    say(console, title, style="bold")
    lined = console.is_terminal
    between = (len(out.headings) - 1) * (out.gap + lined)
    widths = column_widths(out, max(console.width, PIPE_COLUMNS) - between)
    shown = Table(box=box.SIMPLE_HEAD if lined else None, pad_edge=False, padding=(0, out.gap, 0, 0), show_edge=False)
    shown.width = sum(widths) + between
    columns = [fitted(out.column(index), width) for index, width in enumerate(widths)]
    for index, width in enumerate(widths):
        shown.add_column(Text(columns[index][0]), justify="right" if out.numeric(index) else "left", width=width)
    for number, (_, style) in enumerate(out.rows, start=1):
        shown.add_row(*(Text(column[number]) for column in columns), style=style)
    console.print(shown, crop=False)
    return any(column != out.column(index) for index, column in enumerate(columns))


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a paragraph of plain text, wrapped."""
    say_line(console, Text(clean(text), style=style or ""), soft_wrap=False)


def say_line(console: Console, text: Text, *, soft_wrap: bool = True) -> None:
    """Print clean text, as a line unless it is to be wrapped."""
    markup = MARKUP.get()
    if markup is not None and text.plain:
        console.print(Text(markup.text(text.plain)), soft_wrap=True)
    else:
        console.print(text, soft_wrap=soft_wrap)


@contextmanager
def noted_progress() -> Iterator[Progress | None]:
    """A callback (note, done, total) that moves one bar on stderr and changes the note beside it; None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with rich.progress.Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda note, done, whole: bar.update(task, description=clean(note), completed=done, total=whole)


def line_progress(
    write: Callable[[str], None], seconds: float = 10.0, now: Callable[[], float] = time.monotonic, *, ends: bool = True
) -> Progress:
    """A callback (what, done, total) for a file or a pipe: a line at most every `seconds` and, with `ends`, at the end of each phase."""
    last = now()

    def update(what: str, done: int, whole: int) -> None:
        nonlocal last
        if (ends and done >= whole) or now() - last >= seconds:
            last = now()
            write(f"{clean(what)}: {done:,} of {whole:,}")

    return update


def _say_on_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress | None]:
    """A callback (what, done, total) that moves a bar on stderr, a phase at a time; else a line after ten CPU seconds. None if `quiet`."""
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield line_progress(_say_on_stderr, now=time.process_time, ends=False)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with rich.progress.Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def update(what: str, done: int, whole: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(clean(what), total=whole)
            for phase, task in tasks.items():  # only the one that is at work: a phase may be left before its last step
                bar.update(task, visible=phase == what)
            bar.update(tasks[what], completed=done, total=whole)

        yield update

"""Where text goes: a console of at most 80 columns on a pipe, a progress bar on a terminal's stderr, tables without markup.

Nothing from a file is read as markup: every cell is cleaned and shown as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from accelsim.report.text import clean

PIPE_COLUMNS = 80
ProgressCallback = Callable[[str, int, int], None]


class _Console(Console):
    """A console that leaves it to the command line what happens when the reader goes away."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def stdout_console() -> Console:
    """The console of results: coloured on a terminal, plain text of 80 columns elsewhere."""
    return _Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False, markup=False, emoji=False)


def table(console: Console, columns: Sequence[str], *, dense: bool = False) -> Table:
    """An empty table; a column whose heading starts with '>' holds numbers and is aligned to the right; `dense` for many columns."""
    gap = 1 if dense else 2
    out = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        show_edge=False,
    )
    for heading in columns:
        numeric = heading.startswith(">")
        out.add_column(
            Text(heading.removeprefix(">")),
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
        )
    return out


def row(out: Table, *cells: str, style: str | None = None) -> None:
    """Add a row of plain text."""
    out.add_row(*(Text(clean(cell)) for cell in cells), style=style)


def show(console: Console, title: str, out: Table) -> None:
    """Print a table under its title, with a blank line before both."""
    console.print()
    say(console, title, style="bold")
    console.print(out)


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a paragraph of plain text, wrapped."""
    console.print(Text(clean(text)), style=style)


@contextmanager
def noted_progress() -> Iterator[ProgressCallback | None]:
    """A callback (note, done, total) that moves one bar on stderr and changes the note beside it; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda note, done, whole: bar.update(task, description=clean(note), completed=done, total=whole)


@contextmanager
def progress(*, quiet: bool) -> Iterator[ProgressCallback | None]:
    """A callback (what, done, total) that moves a bar on stderr; None where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def update(what: str, done: int, whole: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(clean(what), total=whole)
            bar.update(tasks[what], completed=done, total=whole)

        yield update

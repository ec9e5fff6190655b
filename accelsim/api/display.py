"""Display of the API's objects: text of few lines, HTML of a few rows without outside resources, progress, files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape

from rich.console import Console

from accelsim.api.checks import wrong_type
from accelsim.progress import Progress
from accelsim.report.tables.terminal import PIPE_COLUMNS
from accelsim.report.tables.terminal import progress as progress_bar
from accelsim.report.tables.text import clean

REPR_LINES = 15


def rendered(render: Callable[[Console], None]) -> str:
    """The text that `render` prints, 80 columns wide, without colours."""
    out = io.StringIO()
    plain = Console(
        file=out,
        width=PIPE_COLUMNS,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
    )
    render(plain)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def short_text(lines: Iterable[str]) -> str:
    """At most `REPR_LINES` lines; the last one says how many are left out."""
    found = list(lines)
    if len(found) <= REPR_LINES:
        return "\n".join(found)
    return "\n".join([*found[: REPR_LINES - 1], f"... {len(found) - REPR_LINES + 1} more lines"])


def html_table(caption: str, rows: Iterable[Sequence[str]], headings: Sequence[str] = ()) -> str:
    """A table in HTML, every cell escaped; a row's first cell is its heading where there are no others."""
    head = "".join(f"<th>{_safe(item)}</th>" for item in headings)
    body = [
        "".join(f"<{tag}>{_safe(cell)}</{tag}>" for tag, cell in zip(_tags(len(cells), bool(headings)), cells, strict=True))
        for cells in rows
    ]
    lines = "".join(f"<tr>{item}</tr>" for item in ([head] if head else []) + body)
    return f"<table><caption>{_safe(caption)}</caption>{lines}</table>"


def _tags(count: int, headed: bool) -> list[str]:
    return ["td"] * count if headed else ["th", *["td"] * (count - 1)]


def _safe(text: str) -> str:
    return escape(clean(text))


@contextmanager
def watched(progress: bool | Progress) -> Iterator[Progress | None]:
    """The callback of a `progress` option: the caller's own, for True that of a command, None for False."""
    if callable(progress):
        yield progress
        return
    if not isinstance(progress, bool):
        raise wrong_type("progress", progress, "True, False, or a function of (phase, done, total)")
    with progress_bar(quiet=not progress) as update:
        yield update

"""Progress of the commands that simulate; the first simulation of an installation says that it compiles the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from accelsim.progress import Progress

COMPILING = "compiling kernels, once per machine and version: up to a minute"


@contextmanager
def simulating(*, quiet: bool) -> Iterator[Progress | None]:
    """The callback of `progress`, after a line on stderr if kernels must be compiled first."""
    from accelsim.report.tables.terminal import progress

    note_compilation(quiet=quiet)
    with progress(quiet=quiet) as update:
        yield update


def note_compilation(*, quiet: bool) -> None:
    """Say, unless `quiet`, why the first simulation of an installation takes long; also into a file, where no bar moves."""
    from accelsim.kernels.kernel import is_cached
    from accelsim.kernels.loader_step import step_loader  # a kernel of every machine

    if not quiet and not is_cached(step_loader):
        typer.echo(COMPILING, err=True)

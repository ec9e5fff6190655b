"""The most records of a kind that a program may have, counted before they are made: of 600 B a run, 2 KiB a task, 200 B a transfer."""

from __future__ import annotations

from accelsim.errors import CompileError

MOST_RUNS, MOST_TASKS, MOST_TRANSFERS = 1 << 22, 1 << 20, 1 << 24
MOST_TILES = 1 << 24  # of a stream of weights that is cut between tiles


def check_runs(where: str, count: int) -> None:
    """CompileError that names what `where` needs if a program has more than MOST_RUNS runs."""
    _check(where, count, MOST_RUNS, "runs")


def check_tasks(where: str, count: int) -> None:
    """See `check_runs`."""
    _check(where, count, MOST_TASKS, "tasks")


def check_transfers(where: str, count: int) -> None:
    """See `check_runs`."""
    _check(where, count, MOST_TRANSFERS, "transfers")


def check_tiles(where: str, count: int) -> None:
    """CompileError if a stream of weights whose tiles are loaded before they compute has more than MOST_TILES."""
    if count > MOST_TILES:
        raise CompileError(f"{where}: its weights are {count:,} tiles; allowed: {MOST_TILES:,}, or control.overlap = 'prefetch'")


def _check(where: str, count: int, most: int, what: str) -> None:
    if count > most:
        raise CompileError(f"{where}: the program needs at least {count:,} {what}; allowed: {most:,}")

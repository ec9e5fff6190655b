"""Speed is shown beside its target, and judged only where both sides of a ratio were measured in the same run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

TARGETS = pytest.StashKey[list[tuple[str, str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TARGETS] = []


@pytest.fixture
def show_target(request: pytest.FixtureRequest) -> Callable[[str, str, str], None]:
    """show_target(what, target, measured): a line of the table that closes the run."""
    rows = request.config.stash[TARGETS]
    return lambda what, target, measured: rows.append((what, target, measured))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of targets, if a benchmark of this run has one."""
    rows = config.stash[TARGETS]
    if not rows:
        return
    terminalreporter.section("target and measured")
    table = [("what", "target", "measured"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for row in table:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

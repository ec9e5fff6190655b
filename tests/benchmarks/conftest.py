"""Speed beside its target. Only a ratio of times of one run is judged, and only by `make bench`: `make test` runs the same code once."""

from __future__ import annotations

import pytest

from tests.benchmarks.speed import Speed

SPEED = pytest.StashKey[Speed]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SPEED] = Speed(judged=not config.getoption("benchmark_disable"))


@pytest.fixture
def speed(request: pytest.FixtureRequest) -> Speed:
    """The measurements of this run."""
    return request.config.stash[SPEED]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of targets, if a benchmark of this run has one."""
    rows = config.stash[SPEED].rows
    if not rows:
        return
    terminalreporter.section("target and measured")
    table = [("what", "target", "measured"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for row in table:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

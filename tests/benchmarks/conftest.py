"""Speed beside its target, and beside the commit before.

Only a ratio of times of one run is judged, and only by `make bench`: `make test` runs the same code once. `make bench` writes the
figures to out/bench, a file per commit; what changed since the commit before is shown, not judged.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.history import commits_of, measured, nearest, save
from tests.benchmarks.speed import Speed

SPEED = pytest.StashKey[Speed]()
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "out" / "bench"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SPEED] = Speed(judged=not config.getoption("benchmark_disable"))


@pytest.fixture
def speed(request: pytest.FixtureRequest) -> Speed:
    """The measurements of this run."""
    return request.config.stash[SPEED]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of targets, if a benchmark of this run has one; its figures are saved."""
    speed = config.stash[SPEED]
    if not speed.rows:
        return
    commit, earlier = commits_of(ROOT)
    before = nearest(FOLDER, earlier)
    save(FOLDER, measured(commit, speed.values))
    terminalreporter.section("target and measured")
    known = before.values if before is not None else {}
    table = [("what", "target", "measured", f"times that of {before.commit}" if before is not None else "")]
    table += [(*row, f"{speed.values[row[0]] / known[row[0]]:.2f}" if known.get(row[0]) else "") for row in speed.rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for row in table:
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

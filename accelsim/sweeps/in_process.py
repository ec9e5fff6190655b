"""Points in this process, one after the other: no process is started, so a script needs no guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.cost.technology import Technology
from accelsim.sweeps.points import Point
from accelsim.sweeps.worker import run_point


class InProcess:
    """Runs points where it is called."""

    size = 1

    def __init__(self, technology: Technology) -> None:
        self._technology = technology

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        """A row for each point, in order."""
        return (run_point(point, self._technology) for point in points)

    def close(self) -> None:
        """Nothing was started."""

"""Sweeps of quick points, a backend that runs them here, and what two stores must agree on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from accelsim.cost.technology import load_technology
from accelsim.sweeps.columns import CIRCUMSTANCES, COLUMNS
from accelsim.sweeps.points import Point
from accelsim.sweeps.spec import load_sweep
from accelsim.sweeps.store import open_store
from accelsim.sweeps.worker import run_point

TECHNOLOGY = load_technology("nangate45")
MODELLED = tuple(name for name in COLUMNS if name not in CIRCUMSTANCES)

SMALL: dict[str, Any] = {
    "name": "small",
    "base": {"accelerator": "edge-32x32"},
    "axes": {
        "trace": ["tiny_vit_int8", "tiny_vit_ssvq"],
        "codebook.ports": "1..4 x2",
        "codebook.codewords": [16, 128],  # both suffice: the area differs, the cycles do not
        "activation_buffer.capacity": ["8 KiB", "384 KiB"],
    },
    "constraints": ["codebook.ports <= 2 or codebook.codewords == 128"],
}


class Here:
    """Runs points in this process, one after the other."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        for point in points:
            self.ran.append(point.run_id)
            yield run_point(point, TECHNOLOGY)

    def close(self) -> None:
        """There is nothing to end."""


def sweep(**changes: Any):
    """The small sweep with fields replaced."""
    return load_sweep({**SMALL, **changes})


def write_sweep(path: Path, **changes: Any) -> Path:
    """The small sweep as a file."""
    path.write_text(yaml.safe_dump({**SMALL, **changes}, sort_keys=False))
    return path


def modelled_rows(path: Path, name: str = "small") -> list[tuple[Any, ...]]:
    """All that a store says of a sweep but when and how it was made: its points in order, each with its run."""
    with open_store(path, create=False) as store:
        return list(store.rows(("position", "axes", *MODELLED), sweep=store.sweep(name).id, status=None))

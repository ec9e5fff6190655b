"""CPU time of the accuracy table: one run of each kind of format and one float network per task, times how many the table has.

python -m notebooks.examples accuracy_cost
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from notebooks.examples.accuracy_table import DOCS, Line, Try, append, float_network, groups, run
from notebooks.examples.accuracy_tasks import TASKS

COSTS = DOCS / "data" / "accuracy_cost.csv"
_NETWORK = "float network"
_TRIED = Try(1e-3, 1.0)


def measure(path: Path = COSTS) -> None:
    """Add the CPU seconds of what is missing to the file."""
    known = read(path)
    for task in TASKS:
        if (task, _NETWORK) not in known:
            _add(path, task, _NETWORK, _seconds(lambda task=task: float_network.__wrapped__(task, 0)))
        for kind, arm in {arm.kind: arm for group in groups(task) for arm in group if not arm.variant}.items():
            if (task, kind) not in known:
                for seed in (0, 1, 2) if kind == "universal_vq" else (0,):
                    float_network(task, seed)
                _add(path, task, kind, _seconds(lambda arm=arm: run(arm, 0, _TRIED, "test")))


def _add(path: Path, task: str, kind: str, spent: float) -> None:
    append(path, [{"task": task, "kind": kind, "cpu_seconds": round(spent, 2)}])


def read(path: Path = COSTS) -> dict[tuple[str, str], float]:
    """CPU seconds by task and kind; none if there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {(row["task"], row["kind"]): float(row["cpu_seconds"]) for row in csv.DictReader(file)}


def hours(lines: Sequence[Line], costs: dict[tuple[str, str], float]) -> dict[str, float]:
    """CPU hours by task: that of each line's kind, and of a float network per seed."""
    found = {}
    for task in TASKS:
        runs = sum(costs[task, line.arm.kind] for line in lines if line.task == task)
        found[task] = (runs + costs[task, _NETWORK] * TASKS[task].seeds) / 3600
    return found


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure()

"""The carried runs of the core's RTL, as arguments for the twin and as records for the model."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.naive_core import COUNTERS

CORE_CSV = Path(__file__).parent / "validation" / "data" / "core" / "core_cycles.csv"
PARAMETERS = ("ROWS", "COLS", "D", "KCB", "P", "W", "DECODE", "SIGN", "AXIS", "MAXM", "M", "K", "N", "wb_num", "wb_den", "wb_lat")


def rtl_rows() -> dict[int, tuple[tuple[int, ...], dict[str, int]]]:
    """Of each run, by its id: the parameters in the order of PARAMETERS, and what the RTL counted."""
    with CORE_CSV.open(newline="") as file:
        rows = [{name: int(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
    return {row["id"]: (tuple(row[name] for name in PARAMETERS), {name: row[name] for name in COUNTERS}) for row in rows}

"""Measured times of networks, or of their layers, from a CSV file.

Columns: `network` (a trace's name, its directory or NAME@FORMAT) and `milliseconds`; optional are `layer` (one of the network's: the time
is that layer's) and `batch` (images of one inference). Other columns are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import ConfigError, ReferenceDataError
from accelsim.validate.reference_csv import ReferenceRow, read_reference

MOST_IMAGES = 1024


@dataclass(frozen=True)
class Measurement:
    """One row.

    Attributes
    ----------
    number : 1 for the first row below the header
    layer : empty for the time of the whole inference
    held : whether the fit may not see it
    """

    number: int
    network: str
    layer: str
    batch: int
    milliseconds: float
    held: bool


def read_measurements(path: Path, hold: str | None) -> tuple[Measurement, ...]:
    """The rows of a file; ReferenceDataError names line and column of what is wrong, ConfigError a wrong `hold` ('2,5-7')."""
    rows = read_reference(path, ("network", "milliseconds"))
    held = _numbers(hold, len(rows)) if hold else frozenset()
    return tuple(_row(number, row, number in held) for number, row in enumerate(rows, 1))


def _row(number: int, row: ReferenceRow, held: bool) -> Measurement:
    if not row.cells["network"]:
        raise row.error("network", "a trace's name, its directory or NAME@FORMAT")
    milliseconds = row.measured("milliseconds")
    batch = row.integer("batch", 1, MOST_IMAGES) if row.cells.get("batch") else 1
    return Measurement(number, row.cells["network"], row.cells.get("layer", ""), batch, milliseconds, held)


def _numbers(text: str, rows: int) -> frozenset[int]:
    out: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:-([0-9]{1,9}))?\s*", part)
        if match is None:
            raise ConfigError(f"--hold {text!r}: allowed: numbers of rows, as in 2,5-7 (1 is the first below the header)")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= rows:
            raise ConfigError(f"--hold {part.strip()}: the file has rows 1 to {rows}")
        out.update(range(first, last + 1))
    return frozenset(out)


def check_enough(rows: Iterable[Measurement], parameters: int, source: str) -> None:
    """ReferenceDataError if fewer rows are fitted than there are parameters."""
    fitted = sum(not row.held for row in rows)
    if fitted < parameters:
        raise ReferenceDataError(f"{source}: has {fitted} rows to fit, which cannot determine {parameters} parameters")

"""A sweep's runs as a table in a file: CSV, or Parquet with the [parquet] extra; one row a point, axes first, units in the names."""

from __future__ import annotations

import csv
import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from accelsim.errors import ConfigError, OutputError
from accelsim.sweep.columns import COLUMNS
from accelsim.sweep.store import Store, StoredSweep

BATCH_ROWS = 10_000


def check_export(path: Path) -> None:
    """Before a long sweep: OutputError or ConfigError if its table could not be written to `path`."""
    if path.suffix not in _WRITERS:
        raise ConfigError(f"{path}: cannot export to {path.suffix or 'a name without an ending'!r}; allowed: {', '.join(_WRITERS)}")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(f"{path}: Parquet needs the [parquet] extra: pip install 'accelsim[parquet]'; or export to .csv")
    if path.is_dir() or not path.parent.is_dir():
        raise OutputError(f"{path}: cannot be written: {'it is a directory' if path.is_dir() else 'its folder is not there'}")


def export_sweep(store: Store, sweep: StoredSweep, path: Path) -> int:
    """Write the points of a sweep that have a run, also failed ones, to `path`, all or nothing; returns how many.

    Raises
    ------
    ConfigError, OutputError
        As `check_export`, and when the file cannot be written.
    """
    check_export(path)
    axes = [name for name in sweep.axes if name not in COLUMNS]  # `trace`, `batch` and the like are columns of their own
    header = ("position", *axes, *COLUMNS)
    rows = (
        (position, *(_cell(json.loads(values)[name]) for name in axes), *rest)
        for position, values, *rest in store.rows(("position", "axes", *COLUMNS), sweep=sweep.id, status=None)
    )
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            fresh = Path(scratch) / path.name
            count = _WRITERS[path.suffix](fresh, header, rows)
            fresh.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return count


def _cell(value: Any) -> Any:
    """An axis's value as one cell: a group of fields as JSON."""
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _write_parquet(path: Path, header: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> int:
    import pyarrow
    from pyarrow import parquet

    count = 0
    first = list(islice(rows, BATCH_ROWS))
    types = [_parquet_type(pyarrow, name, [row[index] for row in first]) for index, name in enumerate(header)]
    schema = pyarrow.schema(list(zip(header, types, strict=True)))
    with parquet.ParquetWriter(path, schema) as writer:
        for batch in chain([first], iter(lambda: list(islice(rows, BATCH_ROWS)), [])):
            columns = list(zip(*batch, strict=True)) or [()] * len(header)
            writer.write_table(
                pyarrow.table([pyarrow.array(cells, kind) for cells, kind in zip(columns, types, strict=True)], schema=schema)
            )
            count += len(batch)
    return count


def _parquet_type(pyarrow: Any, name: str, cells: list[Any]) -> Any:
    """Type of a column: a stored one has its own, an axis that of its values."""
    if name == "position":
        return pyarrow.int64()
    if name in COLUMNS:
        kind = COLUMNS[name][0].split()[0]
        return {"INTEGER": pyarrow.int64(), "REAL": pyarrow.float64(), "TEXT": pyarrow.string()}[kind]
    found = {type(cell) for cell in cells if cell is not None}
    if found <= {int}:
        return pyarrow.int64()
    return pyarrow.float64() if found <= {int, float} else pyarrow.string()


_WRITERS: dict[str, Callable[[Path, tuple[str, ...], Iterator[tuple[Any, ...]]], int]] = {".csv": _write_csv, ".parquet": _write_parquet}

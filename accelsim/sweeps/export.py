"""A sweep's runs as a table in a file: CSV, or Parquet with the [parquet] extra; one row per point, axes first, units in the names."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from accelsim.errors import ConfigError, OutputError
from accelsim.folder_swap import scratch_beside
from accelsim.report.tables.text import cell
from accelsim.sweeps.columns import COLUMNS
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.store import Store
from accelsim.sweeps.stored_json import values_of_axes

BATCH_ROWS = 10_000


def check_export(path: Path) -> None:
    """Before a long sweep: OutputError or ConfigError if its table could not be written to `path`."""
    if path.suffix not in _WRITERS:
        raise ConfigError(f"{path}: cannot export to {path.suffix or 'a name without an ending'!r}; allowed: {', '.join(_WRITERS)}")
    if path.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(f"{path}: Parquet needs the [parquet] extra: pip install 'accelsim[parquet]'; or export to .csv")
    if path.is_dir() or not path.parent.is_dir():
        raise OutputError(f"{path}: cannot be written: {'it is a directory' if path.is_dir() else 'its folder is not there'}")


def export_sweep(store: Store, sweep: Sweep, number: int, path: Path) -> int:
    """Write the points of sweep `number` of a store that have a run, also failed ones, to `path`, all or nothing; returns how many.

    Raises
    ------
    ConfigError, OutputError
        As `check_export`, and when the file cannot be written.
    """
    check_export(path)
    axes = [name for name in sweep.axes if name not in COLUMNS]  # `trace`, `batch` and the like are columns of their own
    types = {"position": int, **_axis_types(store, number, axes), **{name: _STORED[kind.split()[0]] for name, (kind, _) in COLUMNS.items()}}
    rows = (
        (position, *(_cell(values_of_axes(store.path, axes, values)[name], types[name]) for name in axes), *rest)
        for position, values, *rest in store.rows(("position", "axes", *COLUMNS), sweep=number, status=None)
    )
    try:
        with scratch_beside(path) as scratch:
            fresh = scratch / path.name
            count = _WRITERS[path.suffix](fresh, types, rows)
            fresh.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    return count


def _axis_types(store: Store, number: int, axes: list[str]) -> dict[str, type]:
    """Type of each axis: that of all its values, a number wide enough for them, else text."""
    found: dict[str, set[type]] = {name: set() for name in axes}
    for (values,) in store.rows(("axes",), sweep=number, status=None):
        here = values_of_axes(store.path, axes, values)
        for name in axes:
            found[name].add(type(here[name]))
    return {name: _common(types - {type(None)}) for name, types in found.items()}


def _common(types: set[type]) -> type:
    if len(types) == 1:
        (only,) = types
        return only if only in (int, float, bool) else str
    return float if types == {int, float} else str


def _cell(value: Any, kind: type) -> Any:
    """An axis's value as one cell: a group of fields as JSON, values of several types as text."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value if value is None else kind(value)


def _write_csv(path: Path, types: Mapping[str, type], rows: Iterator[tuple[Any, ...]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(types)
        for row in rows:
            writer.writerow(map(cell, row))
            count += 1
    return count


def _write_parquet(path: Path, types: Mapping[str, type], rows: Iterator[tuple[Any, ...]]) -> int:
    import pyarrow
    from pyarrow import parquet

    kinds = {int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_(), str: pyarrow.string()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in types.items()])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, BATCH_ROWS)):
            cells = zip(zip(*batch, strict=True), schema.types, strict=True)
            writer.write_table(pyarrow.table([pyarrow.array(column, kind) for column, kind in cells], schema=schema))
            count += len(batch)
    return count


_STORED: Mapping[str, type] = {"INTEGER": int, "REAL": float, "TEXT": str}
_WRITERS: Mapping[str, Callable[[Path, Mapping[str, type], Iterator[tuple[Any, ...]]], int]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}

"""The schema of a store and how an older one is brought up to it.

`PRAGMA application_id` says that a file is a store at all, `PRAGMA user_version` which schema it has. A column that is added may be
empty, so a store that lacks it gets it when it is opened; the version rises with a change that an older accelsim would misread.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from functools import cache

from accelsim.errors import ConfigError
from accelsim.sweeps.columns import COLUMNS

APPLICATION_ID = 0x4163_636C  # "Accl"
VERSION = 1

CLAIMS = (  # made when a sweep first claims a point, so that an older store can still be read without being written
    "CREATE TABLE IF NOT EXISTS claims (run_id TEXT NOT NULL, costing TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (run_id, costing)) "
    "WITHOUT ROWID"
)
_TABLES = (
    f"CREATE TABLE runs ({', '.join(f'{name} {kind}' for name, (kind, _) in COLUMNS.items())}, PRIMARY KEY (run_id, costing))",
    "CREATE TABLE sweeps (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, technology TEXT NOT NULL, axes TEXT NOT NULL, "
    "description TEXT NOT NULL, UNIQUE (name, sha256))",
    "CREATE TABLE members (sweep INTEGER NOT NULL, position INTEGER NOT NULL, run_id TEXT NOT NULL, costing TEXT NOT NULL, "
    "axes TEXT NOT NULL, PRIMARY KEY (sweep, position)) WITHOUT ROWID",
    "CREATE TABLE invalid (sweep INTEGER NOT NULL, position INTEGER NOT NULL, axes TEXT NOT NULL, message TEXT NOT NULL, "
    "PRIMARY KEY (sweep, position)) WITHOUT ROWID",
    "CREATE TABLE dropped (sweep INTEGER NOT NULL, by TEXT NOT NULL, points INTEGER NOT NULL, PRIMARY KEY (sweep, by)) WITHOUT ROWID",
    "CREATE TABLE attempts (id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, costing TEXT NOT NULL, status TEXT NOT NULL, "
    "stored_at TEXT NOT NULL)",
    "CREATE INDEX runs_by_status ON runs (status, trace)",
)


def prepare(connection: sqlite3.Connection, where: str) -> None:
    """Make a new file a store; give an older one the columns that it lacks (empty in its rows).

    Raises
    ------
    ConfigError
        The file holds something else, a schema that is newer than this version knows, or lacks a table or a column that each store has.
    """
    if _is_new(connection, where):
        _switch_to_wal(connection)
    else:
        _check_tables(connection, where)
        if not _missing(connection):
            return
    connection.execute("BEGIN IMMEDIATE")  # another process may be at the same: look again under the lock
    with connection:  # commits, or rolls back whatever ended it
        if _is_empty(connection):
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        for name in _missing(connection):
            connection.execute(f"ALTER TABLE runs ADD COLUMN {name} {COLUMNS[name][0]}")


def _is_new(connection: sqlite3.Connection, where: str) -> bool:
    """Whether the file is yet to be made a store; one moment of it is looked at, since another process may be making it."""
    connection.execute("BEGIN")
    with connection:
        kind, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        new = not kind and not version and _is_empty(connection)
    if not new:
        _check(kind, version, where)
    return new


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Change the journal's mode; SQLite refuses at once, whatever its time-out, if another connection is at the same."""
    deadline = time.monotonic() + _pragma(connection, "busy_timeout") / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _check(kind: int, version: int, where: str) -> None:
    if kind != APPLICATION_ID:
        raise ConfigError(f"{where}: is an SQLite file of another program, not an accelsim store")
    if version > VERSION:
        raise ConfigError(
            f"{where}: has schema {version} of a newer accelsim; this one reads up to {VERSION}: update accelsim, or use another store"
        )


def _check_tables(connection: sqlite3.Connection, where: str) -> None:
    """ConfigError if a table or a column is not there that no later version has added."""
    for table, wanted in _required().items():
        absent = wanted - _columns(connection, table)
        if absent:
            what = f"column {min(absent)!r} of its table {table!r}" if absent != wanted else f"its table {table!r}"
            raise ConfigError(f"{where}: is damaged: {what} is missing; keep it aside and start a new store")


@cache
def _required() -> dict[str, set[str]]:
    """Table -> the columns that may not be empty, and so are in stores of all versions."""
    with closing(sqlite3.connect(":memory:")) as empty:
        for statement in _TABLES:
            empty.execute(statement)
        names = [name for (name,) in empty.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: _columns(empty, name) for name in names}
    return {**found, "runs": {name for name, (kind, _) in COLUMNS.items() if kind.endswith("NOT NULL")}}


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _missing(connection: sqlite3.Connection) -> list[str]:
    """Columns of `runs` that this version has and the file has not."""
    there = _columns(connection, "runs")
    return [name for name in COLUMNS if name not in there]


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

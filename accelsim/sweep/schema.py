"""The schema of a store and how an older one is brought up to it.

`PRAGMA application_id` says that a file is a store at all, `PRAGMA user_version` which schema it has.
"""

from __future__ import annotations

import sqlite3

from accelsim.errors import ConfigError
from accelsim.sweep.columns import COLUMNS

APPLICATION_ID = 0x4163_636C  # "Accl"
VERSION = 1

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

# Statements that bring a store of schema i + 1 to i + 2.
_MIGRATIONS: tuple[tuple[str, ...], ...] = ()


def prepare(connection: sqlite3.Connection, where: str) -> None:
    """Make a new file a store, bring an older one up to date.

    Raises
    ------
    ConfigError
        The file holds something else, or a schema that is newer than this version knows.
    """
    kind, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    if kind == APPLICATION_ID and version == VERSION:
        return
    if not kind and not version and _is_empty(connection):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")  # another process may be making the same store: look again under the lock
    try:
        _bring_up(connection, where)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _bring_up(connection: sqlite3.Connection, where: str) -> None:
    kind, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
    statements: tuple[str, ...]
    if not kind and not version and _is_empty(connection):
        statements = _TABLES
    elif kind != APPLICATION_ID:
        raise ConfigError(f"{where}: is an SQLite file of something else, not an accelsim store")
    elif version > VERSION:
        raise ConfigError(
            f"{where}: has schema {version} of a newer accelsim; this one reads up to {VERSION}: update accelsim, or use another store"
        )
    else:
        statements = tuple(statement for step in _MIGRATIONS[version - 1 :] for statement in step)
    for statement in statements:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

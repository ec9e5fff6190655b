"""The store of sweeps: one SQLite file, one row per run, append-only; several sweeps, also at once, may share it.

Disputable assumption: a run that is stored is never computed again as long as its run id and costing stand, so what is not in them
(the machine that computed it) must not move a number. A row that is ok is never changed; one that failed may be replaced by a later try.

Tables: `runs` (see `columns`), `sweeps` (one row for each state of a sweep's file and of the model that ran it), `members` (which run is
which point of a sweep, with its axes as JSON), `invalid` (points with an invalid configuration), `dropped` (how many points each
constraint refuses), `attempts` (one row for each run that was handed in, also for one that was there already), `claims` (which sweep under
way runs which point: see `claims`).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from accelsim.errors import ConfigError, OutputError
from accelsim.provenance import model_hash
from accelsim.registry import suggest
from accelsim.sweeps.columns import COLUMNS, NUMERIC
from accelsim.sweeps.points import Invalid, Point
from accelsim.sweeps.schema import CLAIMS, prepare
from accelsim.sweeps.spec import Sweep
from accelsim.sweeps.stored_json import texts, values_of_axes
from accelsim.wording import shown

BUSY_SECONDS = 60.0  # how long a writer waits for another one
Row = Mapping[str, Any]


@dataclass(frozen=True)
class StoredSweep:
    """A state of a sweep's file, and of what ran it, that the store knows: `members` points, of which `ok` and `failed` have a run."""

    id: int
    name: str
    sha256: str
    technology: str
    axes: tuple[str, ...]
    members: int
    ok: int
    failed: int


_SWEEP_FIELDS = tuple(field.name for field in fields(StoredSweep))
_NUMERIC = {*NUMERIC, "position"}


class Store:
    """An open store; a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._file = os.stat(path)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; stored rows persist."""
        self._connection.close()

    # -- writing

    def add_sweep(self, sweep: Sweep, costing: str) -> int:
        """The id of this state of a sweep's file under this model and costing; it is added if it is new.

        A new model begins a new list of points: otherwise those that a limited or interrupted sweep has not come to yet would still
        be runs of the old one.
        """
        state = hashlib.sha256(f"{sweep.sha256} {model_hash()} {costing}".encode()).hexdigest()
        with self._transaction() as cursor:
            cursor.execute(
                "INSERT OR IGNORE INTO sweeps (name, sha256, technology, axes, description) VALUES (?, ?, ?, ?, ?)",
                (sweep.name, state, sweep.technology, json.dumps(sweep.axes), sweep.description),
            )
            found = cursor.execute("SELECT id FROM sweeps WHERE name = ? AND sha256 = ?", (sweep.name, state)).fetchone()
        return int(found[0])

    def add_members(self, sweep: int, costing: str, points: Iterable[Point]) -> None:
        """Assign runs to points of a sweep; idempotent."""
        rows = [(sweep, point.position, point.run_id, costing, json.dumps(point.axes)) for point in points]
        with self._transaction() as cursor:
            cursor.executemany("INSERT OR REPLACE INTO members (sweep, position, run_id, costing, axes) VALUES (?, ?, ?, ?, ?)", rows)

    def add_invalid(self, sweep: int, points: Iterable[Invalid]) -> None:
        """Record the points of a sweep with an invalid configuration."""
        rows = [(sweep, item.position, json.dumps(item.axes, default=str), item.message) for item in points]
        with self._transaction() as cursor:
            cursor.executemany("INSERT OR REPLACE INTO invalid (sweep, position, axes, message) VALUES (?, ?, ?, ?)", rows)

    def set_dropped(self, sweep: int, counts: Mapping[str, int]) -> None:
        """Record how many points of a sweep each constraint refuses."""
        rows = [(sweep, *item) for item in counts.items()]
        with self._transaction() as cursor:
            cursor.executemany("INSERT OR REPLACE INTO dropped (sweep, by, points) VALUES (?, ?, ?)", rows)

    def add_runs(self, rows: Sequence[Row]) -> None:
        """Store runs and drop the claims on them, all or none; a run already stored as ok is left unchanged."""
        names = ", ".join(COLUMNS)
        marks = ", ".join(f":{name}" for name in COLUMNS)
        changes = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in ("run_id", "costing"))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        filled = [{**dict.fromkeys(COLUMNS), **row, "stored_at": now} for row in rows]
        with self._transaction() as cursor:
            cursor.executemany(
                f"INSERT INTO runs ({names}) VALUES ({marks}) "
                f"ON CONFLICT (run_id, costing) DO UPDATE SET {changes} WHERE runs.status = 'failed'",
                filled,
            )
            cursor.executemany(
                "INSERT INTO attempts (run_id, costing, status, stored_at) VALUES (:run_id, :costing, :status, :stored_at)", filled
            )
            cursor.execute(CLAIMS)
            cursor.executemany("DELETE FROM claims WHERE run_id = :run_id AND costing = :costing", filled)

    def claim(self, costing: str, run_ids: Sequence[str], owner: str, lives: Callable[[str], bool]) -> set[str]:
        """Claim runs for `owner`; those of them that no other owner who `lives` has claimed."""
        with self._transaction() as cursor:
            cursor.execute(CLAIMS)
            owners = {name: lives(name) for (name,) in cursor.execute("SELECT DISTINCT owner FROM claims").fetchall()}
            taken = {name for name, alive in owners.items() if alive and name != owner}
            held = dict(cursor.execute("SELECT run_id, owner FROM claims WHERE costing = ?", (costing,)).fetchall())
            free = [run_id for run_id in run_ids if held.get(run_id) not in taken]
            cursor.executemany(
                "INSERT OR REPLACE INTO claims (run_id, costing, owner) VALUES (?, ?, ?)", [(run_id, costing, owner) for run_id in free]
            )
        return set(free)

    def release(self, owner: str) -> None:
        """Give up all claims of `owner`."""
        with self._transaction() as cursor:
            cursor.execute(CLAIMS)
            cursor.execute("DELETE FROM claims WHERE owner = ?", (owner,))

    # -- reading

    def statuses(self, costing: str, run_ids: Sequence[str]) -> dict[str, str]:
        """Run id -> ok or failed, of those runs that are stored."""
        out: dict[str, str] = {}
        for start in range(0, len(run_ids), 500):  # SQLite binds a limited number of values
            part = run_ids[start : start + 500]
            marks = ", ".join("?" * len(part))
            out.update(self._query(f"SELECT run_id, status FROM runs WHERE costing = ? AND run_id IN ({marks})", (costing, *part)))
        return out

    def sweeps(self) -> list[StoredSweep]:
        """All sweeps, the one that was added last at the end."""
        rows = self._query(
            "SELECT s.id, s.name, s.sha256, s.technology, s.axes, COUNT(m.position), COALESCE(SUM(r.status = 'ok'), 0), "
            "COALESCE(SUM(r.status = 'failed'), 0) FROM sweeps s LEFT JOIN members m ON m.sweep = s.id "
            "LEFT JOIN runs r ON r.run_id = m.run_id AND r.costing = m.costing GROUP BY s.id ORDER BY s.id"
        )
        return [
            StoredSweep(**{**dict(zip(_SWEEP_FIELDS, row, strict=True)), "axes": texts(self.path, "axes", row[4])}) for row in list(rows)
        ]

    def sweep(self, name: str | None = None) -> StoredSweep:
        """The last state of the sweep called `name` (of any, for None); ConfigError with the known names."""
        known = self.sweeps()
        found = [item for item in known if name in (None, item.name)]
        if not found:
            names = list(dict.fromkeys(item.name for item in known))
            raise ConfigError(f"{self.path}: no sweep {name!r}; known: {', '.join(names) or 'none'}{suggest(name or '', names)}")
        return found[-1]

    def rows(
        self, columns: Sequence[str] = (), *, sweep: int | None = None, status: str | None = "ok", where: Mapping[str, Any] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Runs, one tuple each in the order of `columns` (all, if none are named); of one sweep in the order of its points.

        Parameters
        ----------
        columns : of `columns.COLUMNS`; with a sweep also `position` and `axes` (JSON text: axis -> value)
        sweep : id of one; None for every run of the store
        status : ok, failed, or None for both
        where : column -> value that it must have

        Raises
        ------
        ConfigError
            An unknown column, or a value in it that no run gives.
        """
        wanted = tuple(columns) or self._columns(sweep)
        names = {name: f"r.{name}" for name in COLUMNS} | ({"position": "m.position", "axes": "m.axes"} if sweep is not None else {})
        for name in (*wanted, *(where or {})):
            if name not in names:
                raise ConfigError(f"{self.path}: no column {name!r}{suggest(name, names)}")
        conditions = {**({"r.status": status} if status else {}), **({"m.sweep": sweep} if sweep is not None else {})}
        conditions |= {names[name]: value for name, value in (where or {}).items()}
        source = "runs r" if sweep is None else "members m JOIN runs r ON r.run_id = m.run_id AND r.costing = m.costing"
        text = f"SELECT {', '.join(names[name] for name in wanted)} FROM {source}"
        if conditions:
            text += " WHERE " + " AND ".join(f"{name} IS ?" for name in conditions)
        if sweep is not None:
            text += " ORDER BY m.position"
        return self._query(text, tuple(conditions.values()), wanted)

    def _columns(self, sweep: int | None) -> tuple[str, ...]:
        return (*(("position", "axes") if sweep is not None else ()), *COLUMNS)

    def dropped(self, sweep: int) -> dict[str, int]:
        """Constraint -> points of a sweep that it refuses."""
        return dict(self._query("SELECT by, points FROM dropped WHERE sweep = ?", (sweep,)))

    def invalid(self, sweep: int) -> Iterator[Invalid]:
        """The points of a sweep with an invalid configuration, in order."""
        for position, axes, message in self._query(
            "SELECT position, axes, message FROM invalid WHERE sweep = ? ORDER BY position", (sweep,)
        ):
            yield Invalid(position, values_of_axes(self.path, (), axes), message)

    def attempts(self) -> int:
        """Runs that were handed in, stored ones and those that came too late."""
        return int(next(self._query("SELECT COUNT(*) FROM attempts"))[0])

    # -- SQLite

    def _query(self, text: str, values: Sequence[Any] = (), columns: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows; those of `columns` hold what these columns may."""
        numeric = [name in _NUMERIC for name in columns]
        with _explained(self.path), closing(self._connection.execute(text, values)) as cursor:
            for row in cursor:
                for name, is_number, value in zip(columns, numeric, row, strict=False):
                    if value is not None and not isinstance(value, int | float if is_number else str):
                        allowed = "a number" if is_number else "text"
                        raise ConfigError(f"{self.path}: column {name!r} of a stored run has value {shown(value)}; allowed: {allowed}")
                yield row

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """One transaction that takes the write lock at once: a reader that became a writer could not wait for another one."""
        self._check_there()
        with _explained(self.path), closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            with self._connection:  # commits, or rolls back whatever ended it
                yield cursor

    def _check_there(self) -> None:
        """OutputError if the file went from its place: SQLite would write on, into a file that nobody finds again."""
        try:
            there = os.path.samestat(self._file, os.stat(self.path))
        except FileNotFoundError:
            there = False
        if not there:
            raise OutputError(f"{self.path}: was removed or replaced while in use; its contents are lost to this sweep")


def open_store(path: Path | str, *, create: bool = True, busy_seconds: float = BUSY_SECONDS) -> Store:
    """Open a store, made if there is none; an older one is brought up to date.

    Raises
    ------
    ConfigError
        No such file (without `create`), no regular file, not a store, a damaged one, or one that a newer accelsim made.
    OutputError
        It cannot be written: no such folder, no right, or locked by another process for longer than `busy_seconds`.
    """
    path = Path(path)
    _check_regular(path)
    if not create and not path.is_file():
        raise ConfigError(f"{path}: no such store")
    with _explained(path), ExitStack() as unless_ready:
        connection = unless_ready.enter_context(closing(sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)))
        connection.execute("PRAGMA synchronous = NORMAL")  # with WAL: a killed process loses nothing, a power cut the last runs
        prepare(connection, str(path))
        unless_ready.pop_all()
        return Store(path, connection)


def _check_regular(path: Path) -> None:
    """ConfigError if a folder, a pipe, a socket or a device has the name: SQLite would speak of the disk, or of no SQLite file."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing has the name yet, or SQLite says why it cannot be opened
        return
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "no regular file but a pipe, a socket or a device"
        raise ConfigError(f"{path}: is {what}; allowed: the file of a store, new or old")


_MESSAGES = {
    "SQLITE_NOTADB": "is not an accelsim store (not even an SQLite file)",
    "SQLITE_CORRUPT": "is damaged: SQLite cannot read it; keep it aside and start a new store",
    "SQLITE_CANTOPEN": "cannot be opened: is the folder there, and may you write to it?",
    "SQLITE_READONLY": "cannot be written: it, or its folder, is read-only",
    "SQLITE_BUSY": "is locked by another process",
    "SQLITE_LOCKED": "is locked by another process",
    "SQLITE_FULL": "cannot be written: the disk is full",
    "SQLITE_IOERR": "cannot be read or written: the disk reports an error",
}

_DAMAGE = ("unsupported file format", "Could not decode to UTF-8")  # SQLite and Python have no error name for these


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn SQLite errors into messages for users; bugs propagate unchanged."""
    try:
        yield
    except UnicodeDecodeError:  # SQLite's own message quotes the damaged schema
        raise ConfigError(f"{path}: {_MESSAGES['SQLITE_CORRUPT']}") from None
    except sqlite3.DatabaseError as error:
        name = "SQLITE_CORRUPT" if any(text in str(error) for text in _DAMAGE) else getattr(error, "sqlite_errorname", "")
        for known, message in _MESSAGES.items():
            if name.startswith(known):
                kind = ConfigError if known in ("SQLITE_NOTADB", "SQLITE_CORRUPT") else OutputError
                raise kind(f"{path}: {message}") from error
        raise

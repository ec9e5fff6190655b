"""The store: append-only, idempotent, shared by processes, careful with files of others and of other versions."""

from __future__ import annotations

import csv
import json
import os
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import AccelsimError, ConfigError, OutputError
from accelsim.sweeps.columns import CIRCUMSTANCES, COLUMNS, IDENTITY, METRICS
from accelsim.sweeps.export import export_sweep
from accelsim.sweeps.points import Invalid, Point, expand
from accelsim.sweeps.schema import VERSION
from accelsim.sweeps.spec import load_sweep
from accelsim.sweeps.store import open_store

SWEEP = load_sweep(
    {"name": "test", "base": {"accelerator": "edge-32x32", "trace": "tiny_vit_int8"}, "axes": {"codebook.ports": [1, 2], "frames": [1, 2]}}
)


def row(number: int, **fields: Any) -> dict[str, Any]:
    """A run with made-up figures: `number` cycles."""
    text = {name: "x" for name, (kind, _) in COLUMNS.items() if kind == "TEXT NOT NULL"}
    counts = dict.fromkeys(("frames", "batch", "seed"), 1)
    own = {"run_id": f"{number:064x}", "costing": "c", "status": "ok", "total_cycles": number, "energy_uj": number / 3, "run_seconds": 0.5}
    return {**text, **counts, **own, **fields}


def test_what_was_stored_is_read_back(tmp_path):
    with open_store(tmp_path / "s.sqlite") as store:
        store.add_runs([row(1), row(2)])
    with open_store(tmp_path / "s.sqlite", create=False) as store:
        assert list(store.rows(["total_cycles", "energy_uj"])) == [(1, 1 / 3), (2, 2 / 3)]
        assert list(store.rows(["total_cycles"], where={"total_cycles": 2})) == [(2,)]
        assert store.statuses("c", [f"{number:064x}" for number in range(2000)]) == {f"{1:064x}": "ok", f"{2:064x}": "ok"}
        assert store.statuses("another costing", [f"{1:064x}"]) == {}


def test_a_run_that_is_ok_stays_as_it_is_and_one_that_failed_may_be_replaced(tmp_path):
    with open_store(tmp_path / "s.sqlite") as store:
        store.add_runs([row(1, status="failed", message="why", total_cycles=None)])
        assert list(store.rows(["message"], status="failed")) == [("why",)]
        store.add_runs([row(1, message="")])
        store.add_runs([row(1, energy_uj=9.0), row(1, status="failed", message="late")])
        assert list(store.rows(["status", "message", "energy_uj"], status=None)) == [("ok", "", 1 / 3)]
        assert store.attempts() == 4


def test_runs_are_stored_all_or_none(tmp_path):
    with open_store(tmp_path / "s.sqlite") as store:
        with pytest.raises(sqlite3.IntegrityError):
            store.add_runs([row(1), row(2, status=None)])
        assert (list(store.rows(["run_id"])), store.attempts()) == ([], 0)


def test_one_store_serves_many_sweeps(tmp_path):
    points = [item for item in expand(SWEEP) if isinstance(item, Point)]
    with open_store(tmp_path / "s.sqlite") as store:
        number = store.add_sweep(SWEEP, "c")
        assert store.add_sweep(SWEEP, "c") == number
        store.add_runs([row(7), *(row(index, run_id=point.run_id) for index, point in enumerate(points[:3]))])
        for _ in range(2):
            store.add_members(number, "c", points)
            store.add_invalid(number, [Invalid(9, {"a": 1}, "why")])
            store.set_dropped(number, {"1 == 2": 5})
        assert list(store.invalid(number)) == [Invalid(9, {"a": 1}, "why")]
        assert store.dropped(number) == {"1 == 2": 5}
        found = store.sweep("test")
        assert (found.id, found.name, found.axes, found.members, found.ok, found.failed) == (
            number, "test", ("codebook.ports", "frames"), 4, 3, 0,
        )  # fmt: skip
        columns = ("position", "axes", "total_cycles")
        rows = [(position, json.loads(axes), cycles) for position, axes, cycles in store.rows(columns, sweep=number)]
        assert rows == [(index, {"codebook.ports": 1 + index // 2, "frames": 1 + index % 2}, index) for index in range(3)]
        with pytest.raises(ConfigError, match="no sweep 'tset'; known: test; did you mean 'test'"):
            store.sweep("tset")
        with pytest.raises(ConfigError, match="no column 'energy'; did you mean"):
            list(store.rows(["energy"]))


def test_another_state_of_a_sweep_is_another_entry_and_the_last_one_counts(tmp_path):
    other = load_sweep(
        {"name": "test", "base": {"accelerator": "edge-32x32", "trace": "tiny_vit_int8"}, "axes": {"codebook.ports": [1, 2, 4]}}
    )
    with open_store(tmp_path / "s.sqlite") as store:
        first, second = store.add_sweep(SWEEP, "c"), store.add_sweep(other, "c")
        assert first != second
        assert store.sweep("test").id == second


def test_writers_of_one_store_wait_for_each_other(tmp_path):
    def write(first: int) -> None:
        with open_store(tmp_path / "s.sqlite") as store:  # several make it at once
            for number in range(first, first + 40):
                store.add_runs([row(number)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, (0, 20, 40, 60)))
    with open_store(tmp_path / "s.sqlite") as store:
        assert sorted(cycles for (cycles,) in store.rows(["total_cycles"])) == list(range(100))
        assert store.attempts() == 160


def test_whoever_opens_a_store_while_others_make_it_finds_it_whole(tmp_path):
    def opened(number: int) -> int:
        with open_store(tmp_path / f"{number // 8}.sqlite") as store:  # eight at once of each
            return store.attempts()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(8 * 40))) == [0] * 320  # one open in ten was refused when the file was looked at twice


def refused(path: Path, error: type[AccelsimError], message: str) -> None:
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error) as found:
        open_store(path)
    assert str(found.value).startswith(f"{path}: ")
    assert message in str(found.value)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("a shopping list, long enough to be taken for a header of SQLite\n" * 20)
    refused(text, ConfigError, "is not an accelsim store (not even an SQLite file)")
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE birds (name TEXT)")
    connection.close()
    refused(other, ConfigError, "is an SQLite file of another program")
    refused(tmp_path, ConfigError, "is a directory")


def test_a_pipe_a_socket_or_a_device_is_no_store(tmp_path):
    pipe, listening = tmp_path / "pipe", tmp_path / "socket"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        for path in (pipe, listening, Path("/dev/null"), Path("/dev/zero")):
            for create in (True, False):
                with pytest.raises(ConfigError, match=f"^{path}: is no regular file but a pipe, a socket or a device; allowed: the file"):
                    open_store(path, create=create)
    refused(tmp_path / "no" / "folder.sqlite", OutputError, "cannot be opened")
    with pytest.raises(ConfigError, match="no such store"):
        open_store(tmp_path / "none.sqlite", create=False)


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "s.sqlite"
    open_store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    refused(path, ConfigError, f"has schema {VERSION + 1} of a newer accelsim; this one reads up to {VERSION}")


def test_an_older_store_gets_the_columns_that_it_lacks_and_keeps_its_rows(tmp_path):
    path = tmp_path / "s.sqlite"
    with open_store(path) as store:
        store.add_runs([row(1), row(2)])
    connection = sqlite3.connect(path)
    for name in ("model_error", "trace_metrics", "swap_cycles"):
        connection.execute(f"ALTER TABLE runs DROP COLUMN {name}")
    connection.commit()
    connection.close()
    with open_store(path) as store:
        store.add_runs([row(3, model_error=0.25, swap_cycles=7)])
        rows = list(store.rows(["total_cycles", "model_error", "swap_cycles", "trace_metrics"]))
    assert rows == [(1, None, None, None), (2, None, None, None), (3, 0.25, 7, None)]


def test_a_damaged_store_is_one_message(tmp_path):
    path = tmp_path / "s.sqlite"
    with open_store(path) as store:
        store.add_runs([row(number) for number in range(500)])
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is damaged"), open_store(path) as store:
        list(store.rows())


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE members", "is damaged: its table 'members' is missing"),
        ("ALTER TABLE runs RENAME COLUMN status TO x", "is damaged: column 'status' of its table 'runs' is missing"),
        ("UPDATE runs SET energy_uj = 'much'", "column 'energy_uj' of a stored run has value 'much'; allowed: a number"),
        ("UPDATE runs SET accelerator = x'00ff'", r"column 'accelerator' of a stored run has value b'\\x00\\xff'; allowed: text"),
        ("UPDATE runs SET message = CAST(x'ff' AS TEXT)", "is damaged: SQLite cannot read it"),
        ("UPDATE sweeps SET axes = '[1'", r"column 'axes' has value '\[1'; allowed: a JSON list of texts"),
    ],
)
def test_a_store_that_another_program_changed_is_one_message(tmp_path, statement, message):
    path = tmp_path / "s.sqlite"
    with open_store(path) as store:
        store.add_runs([row(1)])
        store.add_sweep(SWEEP, "c")
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()

    def read() -> None:
        with open_store(path) as store:
            list(store.rows())
            store.sweeps()

    with pytest.raises(ConfigError, match=message):
        read()


def test_a_locked_store_is_one_message(tmp_path):
    path = tmp_path / "s.sqlite"
    open_store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with open_store(path, busy_seconds=0.05) as store, pytest.raises(OutputError, match="is locked by another process"):
        store.add_runs([row(1)])
    other.close()


def test_a_store_that_is_taken_away_is_one_message_and_not_written_on_unseen(tmp_path):
    path = tmp_path / "s.sqlite"
    with open_store(path) as store:
        store.add_runs([row(1)])
        path.rename(tmp_path / "elsewhere.sqlite")
        with pytest.raises(OutputError, match="was removed or replaced while in use"):
            store.add_runs([row(2)])
        open_store(path).close()
        with pytest.raises(OutputError, match="was removed or replaced while in use"):
            store.add_runs([row(2)])


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([True, False], [True, False]),
        ([1, 2], [1, 2]),
        ([1, 2.5], [1.0, 2.5]),
        ([None, 8], [None, 8]),
        (["a", 1], ["a", "1"]),
        ([{"device": "ideal"}, 3], ['{"device": "ideal"}', "3"]),
    ],
)
def test_an_axis_of_any_values_is_a_column_of_an_export(tmp_path, written, read):
    parquet = pytest.importorskip("pyarrow.parquet")
    points = [item for item in expand(SWEEP) if isinstance(item, Point)][:2]
    with open_store(tmp_path / "s.sqlite") as store:
        number = store.add_sweep(SWEEP, "c")
        store.add_members(number, "c", [replace(p, axes={**p.axes, "codebook.ports": v}) for p, v in zip(points, written, strict=True)])
        store.add_runs([row(index, run_id=point.run_id) for index, point in enumerate(points)])
        assert [export_sweep(store, SWEEP, number, tmp_path / name) for name in ("t.parquet", "t.csv")] == [2, 2]
    assert parquet.read_table(tmp_path / "t.parquet")["codebook.ports"].to_pylist() == read
    with (tmp_path / "t.csv").open(newline="") as text:
        assert [line["codebook.ports"] for line in csv.DictReader(text)] == ["" if value is None else str(value) for value in read]


def test_every_column_has_a_meaning_and_one_place():
    assert len(COLUMNS) == len(IDENTITY) + len(METRICS) + len(CIRCUMSTANCES)
    assert all(meaning for _, meaning in COLUMNS.values())


def test_a_hundred_thousand_rows_are_opened_and_filtered(tmp_path):
    path = tmp_path / "s.sqlite"
    with open_store(path) as store:
        store.add_runs([row(number, trace=f"t{number % 10}") for number in range(100_000)])
    with open_store(path) as store:
        found = list(store.rows(["run_id", "total_cycles", "energy_uj", "area_mm2"], where={"trace": "t3"}))
        everything = sum(1 for _ in store.rows(["milliseconds", "energy_uj", "area_mm2"]))
    assert (len(found), everything) == (10_000, 100_000)

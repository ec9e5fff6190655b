"""A sweep that is killed with all its processes, ten times over, loses nothing that was stored and runs none of it again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from accelsim.sweeps.runner import run_sweep
from accelsim.sweeps.store import open_store
from tests.processes import HANG_S, start_group, wait_until_started
from tests.sweep.small_sweeps import TECHNOLOGY, Here, modelled_rows, sweep, write_sweep

KILLS = 10
AXES = {
    "trace": ["tiny_vit_int8", "tiny_vit_ssvq"],
    "codebook.ports": "1..4 x2",
    "vector_unit.latency": "1..24 +1",
    "codebook.latency": [1, 2],
    "control.issue_overhead_cycles": [0, 3],
}
POINTS = 2 * 3 * 24 * 2 * 2


def start(file: Path, store: Path) -> subprocess.Popen[str]:
    """The command, with its processes in a group of their own."""
    words = [sys.executable, "-m", "accelsim", "sweep", str(file), "--store", str(store), "--workers", "2", "--quiet"]
    return start_group(words)


def stored(store: Path) -> int:
    """Runs in the store, as a reader beside the sweep sees them; 0 while it is being made."""
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0


def wait_for(store: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + HANG_S
    while stored(store) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def kill_group(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the sweep, its fork server and its workers at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_sweep_killed_ten_times_ends_as_one_that_was_left_alone(tmp_path):
    file = write_sweep(tmp_path / "small.yaml", axes=AXES, constraints=[])
    store = tmp_path / "killed.sqlite"
    rng = np.random.default_rng(6)
    # Ten marks from 6 % to 65 % of the points, and up to 0.1 s after each: at any moment, between transactions and within one.
    marks = np.sort(rng.choice(np.arange(POINTS * 6 // 100, POINTS * 65 // 100, 10), KILLS, replace=False))
    for mark in marks:
        process = start(file, store)
        wait_for(store, int(mark), process)
        time.sleep(rng.uniform(0, 0.1))
        kill_group(process)
        assert stored(store) >= mark
    process = start(file, store)
    out, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, err) == (0, ""), out

    with open_store(tmp_path / "alone.sqlite") as alone:
        assert run_sweep(sweep(axes=AXES, constraints=[]), alone, Here(), TECHNOLOGY).ok == POINTS
    assert modelled_rows(store) == modelled_rows(tmp_path / "alone.sqlite")
    with open_store(store) as opened:
        assert opened.attempts() == POINTS  # a stored run that ran again would have been handed in twice


def test_ctrl_c_keeps_what_was_done_and_says_how_to_continue(tmp_path):
    many = AXES | {"vector_unit.latency": "1..2400 +1"}  # minutes of work: the signal comes before its end on any machine
    file = write_sweep(tmp_path / "small.yaml", axes=many, constraints=[])
    store = tmp_path / "s.sqlite"
    process = start(file, store)
    wait_for(store, 10, process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert out == ""
    assert err == f"accelsim: interrupted; finished points are in {store}, and the same command continues\n"
    assert 10 <= stored(store) < 100 * POINTS
    with open_store(store) as opened:
        assert opened.sweep("small").ok == stored(store)


def test_ctrl_c_at_the_start_is_one_line(tmp_path):
    file = write_sweep(tmp_path / "small.yaml", axes=AXES, constraints=[])
    process = start(file, tmp_path / "s.sqlite")
    wait_until_started(process, "multiprocessing.forkserver")  # it loads its modules now: the moment at which it used to complain
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert err == f"accelsim: interrupted; finished points are in {tmp_path / 's.sqlite'}, and the same command continues\n"

"""Two sweeps on one store: each point runs once, and what a killed sweep had claimed is free."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from accelsim.sweeps.claims import Claims
from accelsim.sweeps.points import Point
from accelsim.sweeps.runner import run_sweep
from accelsim.sweeps.store import open_store
from tests.processes import command_lines, start_group, wait_until_started
from tests.sweep.small_sweeps import TECHNOLOGY, Here, sweep, write_sweep


class _Stepwise(Here):
    """Runs points here; before its second one, another sweep begins on the same store."""

    def __init__(self, meanwhile: threading.Thread) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def run(self, points: Iterator[Point]) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(super().run(points)):
            if number == 1:
                self._meanwhile.start()
            yield row


def test_two_sweeps_on_one_store_run_each_point_once(tmp_path: Path) -> None:
    path, second = tmp_path / "s.sqlite", Here()
    outcome = {}

    def other() -> None:
        with open_store(path) as store:
            outcome["second"] = run_sweep(sweep(), store, second, TECHNOLOGY)

    thread = threading.Thread(target=other)
    first = _Stepwise(thread)
    with open_store(path) as store:
        outcome["first"] = run_sweep(sweep(), store, first, TECHNOLOGY)
    thread.join()
    assert sorted(first.ran + second.ran) == sorted(set(first.ran + second.ran))
    with open_store(path) as store:
        assert store.attempts() == 20
    assert [(item.settled, item.failed) for item in outcome.values()] == [(20, 0), (20, 0)]


def test_what_a_killed_process_had_claimed_is_free(tmp_path: Path) -> None:
    code = "import sys; from accelsim.sweeps.claims import Claims; from accelsim.sweeps.store import open_store; import time\n"
    code += "print(Claims(open_store(sys.argv[1]), 'c').take(['a', 'b']), flush=True); time.sleep(600)"
    path = tmp_path / "s.sqlite"
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "'a'" in process.stdout.readline()
    with open_store(path) as store:
        claims = Claims(store, "c")
        assert claims.take(["a", "c"]) == {"c"}
        assert Claims(store, "another costing").take(["a"]) == {"a"}
        process.kill()
        process.communicate()
        assert claims.take(["a", "b"]) == {"a", "b"}
        claims.release()
        assert Claims(store, "c").take(["a", "b", "c"]) == {"a", "b", "c"}


def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    file = write_sweep(tmp_path / "small.yaml", axes={"trace": ["tiny_vit_int8"], "vector_unit.latency": "1..2400 +1"}, constraints=[])
    words = [sys.executable, "-m", "accelsim", "sweep", str(file), "--store", str(tmp_path / "s.sqlite"), "--workers", "2", "-q"]
    process = start_group(words)
    wait_until_started(process, "multiprocessing.forkserver")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)  # until each process that inherited its output has ended
    assert not [line for line in command_lines(process.pid) if "forkserver" in line]

"""Processes that start while Ctrl-C is pressed again and again: none of them hears it, and their starter hears it later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from accelsim.interrupts import sigint_held
from tests.processes import HANG_S, start_group, wait_until_busy

ROOT = Path(__file__).resolve().parents[1]

# Each counts the signals that it got itself, and goes on.
COUNT = """
import signal
signals = []
signal.signal(signal.SIGINT, lambda *_: signals.append(1))
print("ready", flush=True)
"""
DEMO = """
import operator
from accelsim.interrupts import WorkerPool
with WorkerPool(2) as pool:
    print(list(pool.map(operator.neg, range(4))), len(signals) > 1)
"""
SWEEP = """
from accelsim.sweeps.points import Point, expand
from accelsim.sweeps.pool import ProcessPool
from tests.sweep.small_sweeps import TECHNOLOGY, sweep
points = [item for item in expand(sweep()) if isinstance(item, Point)][:4]
pool = ProcessPool(2, TECHNOLOGY)
print([row["status"] for row in pool.run(iter(points))], len(signals) > 1)
pool.close()
"""


@pytest.mark.parametrize(
    ("script", "wanted"), [(DEMO, "[0, -1, -2, -3] True\n"), (SWEEP, "['ok', 'ok', 'ok', 'ok'] True\n")], ids=["demo", "sweep"]
)
def test_processes_that_start_under_a_hail_of_interrupts_are_silent_and_work(script: str, wanted: str) -> None:
    process = start_group([sys.executable, "-c", COUNT + script], ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    while process.poll() is None:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.002)
    assert process.communicate() == (wanted, "")


def test_what_is_started_while_sigint_is_held_blocks_it_and_its_starter_does_not_afterwards() -> None:
    ask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    with sigint_held():
        process = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert process.stdout == "True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def press_ctrl_c(times: int, done: list[str]) -> None:
    """Be interrupted while SIGINT is held, and finish all the same."""
    with sigint_held():
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        done.append("all")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("times", [1, 3])
def test_an_interrupt_that_was_held_back_comes_once_at_the_end(times: int) -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c(times, done)
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigint_is_held_in_any_thread() -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(blocks_sigint).result() == (True, False)


def blocks_sigint() -> tuple[bool, bool]:
    """Whether SIGINT is blocked while it is held, and afterwards."""
    with sigint_held():
        during = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return during, signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.torch
@pytest.mark.parametrize("cpu_seconds", [1.0, 9.0])
def test_an_interrupted_example_says_so_in_one_line(cpu_seconds: float, tmp_path: Path) -> None:
    """While it imports, and while it trains."""
    pytest.importorskip("transformers")
    pytest.importorskip("sklearn")
    process = start_group([sys.executable, "-m", "notebooks.examples", "finetune_demo", str(tmp_path / "new")], ROOT)
    wait_until_busy(process, cpu_seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=HANG_S)
    assert (process.returncode, said) == (130, "accelsim: interrupted\n")


@pytest.mark.torch
def test_an_example_that_is_not_there_is_one_sentence() -> None:
    done = subprocess.run([sys.executable, "-m", "notebooks.examples", "demo"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("accelsim: there is no example 'demo'; known: ")

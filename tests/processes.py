"""Commands that a test interrupts or kills: in a group of their own, and answering to Ctrl-C wherever the tests were started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

HANG_S = 600  # what waits longer hangs: no busy machine is so slow


def start_group(words: Sequence[str], cwd: Path | None = None) -> subprocess.Popen[str]:
    """A process that leads a session of its own. A shell's background jobs ignore SIGINT and hand that down, so it is set back."""
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_until_busy(process: subprocess.Popen[str], cpu_seconds: float) -> None:
    """Return once a group has used some CPU time: about the same point of its work on a fast machine and on a busy one."""
    deadline = time.monotonic() + HANG_S
    while _cpu_seconds(process.pid) < cpu_seconds:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_until_started(process: subprocess.Popen[str], words: str) -> None:
    """Return once a process of the group has `words` in its command line."""
    deadline = time.monotonic() + HANG_S
    while not any(words in line for line in command_lines(process.pid)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def command_lines(session: int) -> Iterator[str]:
    """Of the processes of a session that are alive."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            if os.getsid(int(folder.name)) == session:
                yield (folder / "cmdline").read_text().replace("\0", " ")


def _cpu_seconds(session: int) -> float:
    """User and system time of the processes of a session that are alive (proc(5): session, utime and stime are fields 6, 14, 15)."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")

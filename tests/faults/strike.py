"""A command in a forked child, and the faults that strike it: signals, a disk that takes no more, a folder that is read-only, a rival.

The parent has imported the package, so that a try takes a fraction of a second and most moments fall into the command's own work. Two
things are replaced in a child: pictures, by fixed bytes of their size, and a sweep's pool, by a loop (`tests/sweep/test_kill.py` kills
the pool itself).
"""

from __future__ import annotations

import encodings.utf_8_sig  # noqa: F401  # an ordinary user may not read where Python lies, so nothing is left to be loaded
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NoReturn

import accelsim.cli
import accelsim.report.plots.picture
import accelsim.sweeps.pool
from accelsim.__main__ import main
from tests.fuzz.fork_server import COMMAND
from tests.sweep.small_sweeps import Here

NOBODY = 65534
_PICTURES = {f"{name}.{end}": b"picture " * 4000 for name in ("cycles", "energy", "traffic") for end in ("svg", "png")}


@dataclass(frozen=True)
class End:
    """The end of a child: its exit status, negative for a signal, what it wrote to stderr, and how long it took."""

    status: int
    message: str
    seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether it was done, ended by a signal, or gave a message and no traceback."""
        told = self.message.startswith(("accelsim: ", "warning: ")) or "\naccelsim: " in self.message
        return "Traceback" not in self.message and (self.status in (0, 128 + signal.SIGTERM) or self.status < 0 or told)


def start(words: tuple[str, ...], folder: Path, prepare: Callable[[], object] = lambda: None) -> int:
    """Fork a child that runs a command in `folder`; its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _run(words, folder, prepare)
    return child


def end_of(child: int, folder: Path, since: float) -> End:
    """Wait for a child."""
    _, status = os.waitpid(child, 0)
    file = _stderr(folder, child)
    message = file.read_text(errors="replace") if file.exists() else ""  # SIGKILL may come before a child has opened it
    file.unlink(missing_ok=True)
    return End(os.waitstatus_to_exitcode(status), message, time.monotonic() - since)


def strike_by_signal(number: int) -> Callable[[tuple[str, ...], Path, Random, float], list[End]]:
    """A signal at a random moment of a run that takes about `seconds`."""

    def strike(words: tuple[str, ...], folder: Path, rng: Random, seconds: float) -> list[End]:
        since = time.monotonic()
        child = start(words, folder)
        time.sleep(rng.uniform(0, seconds))
        os.kill(child, number)  # an ended child stays a zombie, so its number is nobody else's
        return [end_of(child, folder, since)]

    return strike


def strike_disk(words: tuple[str, ...], folder: Path, rng: Random, seconds: float) -> list[End]:
    """Files that cannot grow beyond a random size, as on a full disk."""
    limit = int(2 ** rng.uniform(9, 18))  # a message still fits
    since = time.monotonic()
    child = start(words, folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    return [end_of(child, folder, since)]


def strike_permission(words: tuple[str, ...], folder: Path, rng: Random, seconds: float) -> list[End]:
    """A folder that cannot be written; the superuser, who may write everywhere, becomes nobody for it."""
    folder.chmod(0o555)
    since = time.monotonic()
    child = start(words, folder, lambda: os.setuid(NOBODY) if os.getuid() == 0 else None)
    ended = end_of(child, folder, since)
    folder.chmod(0o755)
    return [ended]


def strike_twice(words: tuple[str, ...], folder: Path, rng: Random, seconds: float) -> list[End]:
    """The same command a second time, from a random moment of the first on."""
    since = time.monotonic()
    first = start(words, folder)
    time.sleep(rng.uniform(0, seconds / 2))
    second = start(words, folder)
    return [end_of(child, folder, since) for child in (first, second)]


Fault = Callable[[tuple[str, ...], Path, Random, float], list[End]]
FAULTS: dict[str, Fault] = {
    "SIGKILL": strike_by_signal(signal.SIGKILL),
    "SIGINT": strike_by_signal(signal.SIGINT),
    "SIGTERM": strike_by_signal(signal.SIGTERM),
    "disk full": strike_disk,
    "read-only folder": strike_permission,
    "two at once": strike_twice,
}


def _stderr(folder: Path, child: int) -> Path:
    return folder.parent / f"{folder.name}.{child}.err"


def _run(words: tuple[str, ...], folder: Path, prepare: Callable[[], object]) -> NoReturn:
    """Run a command in this process, which ends here."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with _stderr(folder, os.getpid()).open("wb") as err, open(os.devnull, "r+b") as nothing:
            for stream, number in ((nothing, 0), (nothing, 1), (err, 2)):
                os.dup2(stream.fileno(), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.chdir(folder)
        accelsim.cli.app = COMMAND  # type: ignore[assignment]
        accelsim.report.plots.picture.files_of = lambda pictures, *style: _PICTURES
        accelsim.sweeps.pool.ProcessPool = lambda *options: Here()  # type: ignore[assignment, misc]
        prepare()
        sys.argv = ["accelsim", *words]
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:  # before the command began
        status = 128 + signal.SIGINT
        sys.stderr.write("accelsim: interrupted\n")
    finally:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            sys.stderr.flush()
        finally:  # a signal within these lines must not unwind what the child has of its parent
            os._exit(status)

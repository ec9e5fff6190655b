"""A server that runs cases in forked children: limits of CPU time, memory and files, and a watch over what they open and connect to.

The parent rehearses valid inputs, so its children find modules imported and kernels loaded, and a case takes about 15 ms. A child has a
folder of its own; an audit hook, which nothing in the child can remove, notes each file that is changed outside of it, each socket that is
not of this machine and each process that is started.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from accelsim.cli import app, main
from accelsim.kernels.kernel import CACHE_DIR
from tests.fuzz.case import Case

if TYPE_CHECKING:
    from multiprocessing.connection import Connection as _Pipe

COMMAND = get_command(app)  # built by the parent, since that takes longer than most commands
CPU_SECONDS = 20  # more than this is a hang
WALL_SECONDS = 300  # a child that waits for something that never comes uses no CPU
MEMORY_BYTES = 1 << 30
_FILE_BYTES = 256 << 20
FINDINGS = ("traceback", "hang", "memory", "crash", "escape", "control", "no message")
_OWN_EXIT = 99  # the child has written its report
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod", "shutil.rmtree"}
_STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"}
_HUGE_PAGE_BYTES = 2 << 20
_MADV_COLLAPSE = 25  # linux/mman.h
_CONTROL = {*map(chr, range(32)), *map(chr, range(127, 160))} - {"\n", "\t", "\r"}


@dataclass(frozen=True)
class Outcome:
    """The end of a case.

    Attributes
    ----------
    kind : "done", "check failed", "refused", or one of FINDINGS
    detail : of a finding: the site of a traceback, the path of an escape, ...
    memory_bytes : largest resident size, with the pages that it shares with the server
    """

    case: Case
    kind: str
    detail: str
    cpu_seconds: float
    memory_bytes: int

    @property
    def is_finding(self) -> bool:
        """Whether a fault of the program was found."""
        return self.kind in FINDINGS


def rehearse(cases: Sequence[Case]) -> None:
    """Run valid inputs in this process: what they import, load and cache is there in every child that is forked later.

    RuntimeError if one is not read.
    """
    compiler = os.fork()  # it stores the kernels that the disk cache lacks, and what compiling takes of memory goes with it
    if compiler == 0:
        try:
            _rehearse(cases)
        finally:
            os._exit(0)
    os.waitpid(compiler, 0)
    _rehearse(cases)


def _rehearse(cases: Sequence[Case]) -> None:
    with tempfile.TemporaryDirectory(prefix="accelsim-rehearsal-") as scratch:
        for number, case in enumerate(cases):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            case.write_files(folder)
            out, err = io.StringIO(), io.StringIO()
            with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                sys.argv = ["accelsim", *case.words]
                try:
                    main(COMMAND)
                except SystemExit as end:
                    if end.code not in (None, 0):
                        raise RuntimeError(f"the valid input of {case.reader!r} is not read: {err.getvalue()}") from None


def run_cases(cases: Iterable[Case], jobs: int = 1) -> Iterator[Outcome]:
    """The outcomes of cases, in the order in which they end; `jobs` children at once.

    A process that does nothing else forks them, so that its memory stays as `_prepare_memory` leaves it.
    """
    ours, its = Pipe()
    server = os.fork()
    if server == 0:
        try:
            ours.close()
            _serve(its, jobs)
        finally:
            os._exit(0)
    its.close()
    with tempfile.TemporaryDirectory(prefix="accelsim-fuzz-") as scratch:
        running: dict[Path, Case] = {}
        for number, case in enumerate(cases):
            folder = Path(scratch) / str(number)
            (folder / "case").mkdir(parents=True)
            case.write_files(folder / "case")
            ours.send((folder, case.words))
            running[folder] = case
            if len(running) == jobs:
                yield _receive(ours, running)
        ours.send(None)
        while running:
            yield _receive(ours, running)
    ours.close()
    os.waitpid(server, 0)


def _serve(pipe: _Pipe, jobs: int) -> None:
    """Fork a child for each (folder, words) that comes, and tell (folder, status, CPU seconds, bytes) of each that ended."""
    _prepare_memory()
    running: dict[int, Path] = {}

    def tell_end() -> None:
        child, status, used = os.wait4(-1, 0)
        pipe.send((running.pop(child), status, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))

    for folder, words in iter(pipe.recv, None):
        child = os.fork()
        if child == 0:
            pipe.close()
            _run_child(words, folder)
        running[child] = folder
        if len(running) == jobs:
            tell_end()
    while running:
        tell_end()


def _prepare_memory() -> None:
    """Make forks cheap: a child's collections do not touch, and copy, the server's objects; page tables to copy are short (huge pages)."""
    gc.collect()
    gc.freeze()
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, access, _, _, inode, *_ = line.split()
        if access.startswith("rw") and inode == "0":
            start, end = (int(address, 16) for address in addresses.split("-"))
            for address in range(-(-start // _HUGE_PAGE_BYTES) * _HUGE_PAGE_BYTES, end - _HUGE_PAGE_BYTES + 1, _HUGE_PAGE_BYTES):
                madvise(address, _HUGE_PAGE_BYTES, _MADV_COLLAPSE)  # a hint: a kernel that refuses it forks more slowly


def _receive(pipe: _Pipe, running: dict[Path, Case]) -> Outcome:
    """Wait for a child to end, and judge it."""
    folder, status, seconds, memory = pipe.recv()
    kind, detail = _judge(status, folder, memory)
    shutil.rmtree(folder)
    return Outcome(running.pop(folder), kind, detail, seconds, memory)


def _judge(status: int, folder: Path, memory: int) -> tuple[str, str]:
    number = os.waitstatus_to_exitcode(status)
    if -number in (signal.SIGXCPU, signal.SIGKILL, signal.SIGALRM):
        return "hang", signal.Signals(-number).name
    if number != _OWN_EXIT:
        return "crash", signal.Signals(-number).name if number < 0 else f"exit status {number}"
    report = json.loads((folder / "report").read_text())
    out, err = ((folder / name).read_text(errors="replace") for name in ("out", "err"))
    if report["escapes"]:
        return "escape", report["escapes"][0]
    if report["traceback"]:
        return "traceback", report["traceback"]
    if memory > MEMORY_BYTES or "out of memory" in err:
        return "memory", f"{memory >> 20} MiB"
    if control := _CONTROL & set(out + err):
        return "control", repr(min(control))
    code = report["code"]
    if code == 2:
        return ("refused", "") if err.strip().splitlines()[-1:] and "accelsim: " in err else ("no message", err[:200])
    return {0: ("done", ""), 1: ("check failed", "")}.get(code, ("crash", f"exit status {code}"))


def _run_child(words: Sequence[str], folder: Path) -> None:
    """Run a command in this process, which ends here."""
    report: dict[str, Any] = {"code": None, "traceback": "", "escapes": []}
    try:
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err, open(os.devnull, "rb") as nothing:
            for stream, number in ((nothing, 0), (out, 1), (err, 2)):
                os.dup2(stream.fileno(), number)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        (folder / "tmp").mkdir()
        tempfile.tempdir = str(folder / "tmp")
        os.chdir(folder / "case")
        _limit()
        watch = _Watch(folder, report["escapes"])
        sys.addaudithook(watch)
        sys.argv = ["accelsim", *words]
        try:
            main(COMMAND)
            report["code"] = 0
        except SystemExit as end:
            report["code"] = end.code or 0
        except BaseException as error:  # noqa: BLE001  # whatever comes out of the command is a finding
            report["traceback"] = _site(error)
        sys.stdout.flush()
        sys.stderr.flush()
        watch.active = False
        (folder / "report").write_text(json.dumps(report, default=str))
    finally:
        os._exit(_OWN_EXIT)


def _limit() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (size + 2 * MEMORY_BYTES, size + 2 * MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    signal.alarm(WALL_SECONDS)


def _site(error: BaseException) -> str:
    """'ValueError at accelsim/result.py:212: ...': the last line of the package, and the message."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/accelsim/" in frame.filename]
    place = f"{frames[-1].filename.rpartition('/accelsim/')[2]}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:160]!r}"


class _Watch:
    """The audit hook of a child."""

    def __init__(self, folder: Path, escapes: list[str]) -> None:
        self.active = True
        self._inside = tuple(os.path.realpath(path) for path in (folder, CACHE_DIR or folder))
        self._escapes = escapes

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active:
            return
        self.active = False  # what it calls itself is not watched
        try:
            if event == "open":
                path, mode, flags = args
                if isinstance(path, str | bytes) and (flags & _WRITES or (isinstance(mode, str) and set(mode) & set("wax+"))):
                    self._check_path(event, path)
            elif event in _CHANGES:
                for path in args[:2]:
                    if isinstance(path, str | bytes):
                        self._check_path(event, path)
            elif event in _STARTS:
                self._escapes.append(f"{event} {args[:1]!r}")
            elif event in ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"):
                self._check_address(event, args)
        finally:
            self.active = True

    def _check_path(self, event: str, path: str | bytes) -> None:
        real = os.path.realpath(os.fsdecode(path))
        if real != os.devnull and not any(real == root or real.startswith(root + os.sep) for root in self._inside):
            self._escapes.append(f"{event} {real}")

    def _check_address(self, event: str, args: tuple[Any, ...]) -> None:
        address = args[0] if event == "socket.getaddrinfo" else args[1]
        if isinstance(address, str | bytes) and event != "socket.getaddrinfo":  # a Unix socket is a file: a sweep's own processes use one
            self._check_path(event, address)
            return
        host = address[0] if isinstance(address, tuple) else address
        if str(host) not in ("127.0.0.1", "::1", "localhost"):
            self._escapes.append(f"{event} {address!r}")

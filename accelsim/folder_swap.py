"""The first and the last step of writing: a scratch folder beside the place, and a finished folder that takes its name in one step.

Two renames, one after the other, would lose the earlier folder to a SIGKILL between them. Linux exchanges two names in one step
(renameat2(2), RENAME_EXCHANGE); where the system or the file system cannot, there are two renames, and the earlier folder is put back
after any failure that leaves Python running.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelsim.interrupts import signals_held

_HERE = -100  # AT_FDCWD: paths are relative to the working directory
_EXCHANGE = 2  # RENAME_EXCHANGE
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A hidden folder on the file system of `target`, removed at the end whatever happens, unless the process is killed.

    Raises
    ------
    OSError
        The folder that is to hold `target` cannot be written.
    """
    scratch: str | None = None
    try:
        with signals_held():
            scratch = tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")
        yield Path(scratch)
    finally:
        if scratch is not None:
            with signals_held():
                shutil.rmtree(scratch, ignore_errors=True)


def put_in_place(fresh: Path, target: Path) -> None:
    """Rename a finished folder to `target`; what has that name moves to where `fresh` was, or to a name beside that.

    Both are on one file system. A second process that does the same at the same time is waited for: the later one replaces the earlier.

    Raises
    ------
    OSError
        The folder of `target` cannot be written.
    """
    while True:
        try:
            os.rename(fresh, target)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return
        try:
            _exchange(fresh, target)
        except FileNotFoundError:  # another process is replacing it
            continue
        return


def _exchange(fresh: Path, target: Path) -> None:
    """Exchange two names; FileNotFoundError if `target` is gone."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is not None:
        if call(_HERE, os.fsencode(fresh), _HERE, os.fsencode(target), _EXCHANGE) == 0:
            return
        number = ctypes.get_errno()
        if number not in _NOT_OFFERED:
            raise OSError(number, os.strerror(number), str(target))
    old = fresh.with_name(f"{fresh.name}.old")
    target.rename(old)
    try:
        fresh.rename(target)
    except BaseException:  # also an interrupt
        old.rename(target)
        raise

"""Claims on points: two sweeps on one store run each point once, and a point whose sweep was killed is free again.

Disputable assumption: all sweeps on a store run on one machine, as SQLite's write-ahead log demands, so a claim holds while the process
that made it lives. The start time tells that process from a later one of the same number.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from accelsim.sweeps.store import Store

_NUMBERS = count()


class Claims:
    """The claims of one sweep under way, and the points that another sweep has claimed.

    Attributes
    ----------
    elsewhere : run id -> position of a point that another sweep runs
    """

    def __init__(self, store: Store, costing: str) -> None:
        self.elsewhere: dict[str, int] = {}
        self._store, self._costing = store, costing
        self._owner = f"{os.getpid()}:{_started(os.getpid())}:{next(_NUMBERS)}"

    def take(self, run_ids: Sequence[str]) -> set[str]:
        """Claim runs; those of them that no other living sweep has claimed."""
        return self._store.claim(self._costing, run_ids, self._owner, _lives) if run_ids else set()

    def release(self) -> None:
        """Give up all claims."""
        self._store.release(self._owner)


def _lives(owner: str) -> bool:
    """Whether the process behind a claim is alive."""
    number, started, _ = owner.split(":")
    return _started(int(number)) == started


def _started(process: int) -> str | None:
    """Start time of a living process in clock ticks, '' where the system does not tell (proc(5): fields 3 and 22); None without one."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it is another user's
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return None if fields[0] == "Z" else fields[19]

"""Runs of equal cycles: consecutive samples in which chosen columns do not change, put together over the pieces of a replay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelsim.program import Int64
from accelsim.timeline.replay import Samples


@dataclass(frozen=True)
class Segment:
    """Cycles start..end-1, in which the chosen columns had the values `key`; `first` and `last` are `also` in the outer cycles."""

    start: int
    end: int
    key: tuple[int, ...]
    first: int
    last: int

    @property
    def cycles(self) -> int:
        return self.end - self.start


class Segments:
    """Cuts samples where a row of `keys` differs from the one before."""

    def __init__(self) -> None:
        self._open: Segment | None = None

    @property
    def open_key(self) -> tuple[int, ...]:
        """The key of the last cycle that was fed; () before the first."""
        return self._open.key if self._open is not None else ()

    def feed(self, piece: Samples, keys: Int64, also: Int64) -> list[Segment]:
        """Segments that ended before the last cycle of `piece`; `keys` is int64 (cycles, n), `also` int64 (cycles,)."""
        if not len(piece):
            return []
        cuts = np.flatnonzero(np.any(keys[1:] != keys[:-1], axis=1)) + 1
        starts = [0, *cuts.tolist()]
        ends = [*cuts.tolist(), len(piece)]
        rows, first, last = keys[starts].tolist(), also[starts].tolist(), also[np.array(ends) - 1].tolist()
        found = [
            Segment(piece.first + start, piece.first + end, tuple(row), a, b)
            for start, end, row, a, b in zip(starts, ends, rows, first, last, strict=True)
        ]
        if self._open is not None:
            if self._open.key == found[0].key:
                found[0] = Segment(self._open.start, found[0].end, found[0].key, self._open.first, found[0].last)
            else:
                found.insert(0, self._open)
        self._open = found.pop()
        return found

    def flush(self) -> list[Segment]:
        """The segment that is still open."""
        out = [self._open] if self._open is not None else []
        self._open = None
        return out

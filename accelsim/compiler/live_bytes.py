"""Bytes live in the buffer during each operation, updated as single live ranges change.

A slot that several live ranges share counts once, from the first of them to the last, as in `placement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from accelsim.compiler.placement import Lifetime, LiveRange, shared_slots
from accelsim.compiler.plan import TensorId


class LiveBytes:
    """The live bytes of `live_ranges` in a program of `operations` operations."""

    def __init__(self, live_ranges: Sequence[LiveRange], hosts: Mapping[TensorId, TensorId], operations: int) -> None:
        self._hosts = hosts
        self._bytes = np.zeros(operations, np.int64)
        self._sharing: dict[TensorId, list[LiveRange]] = {}  # tensor that owns the slot -> live ranges there
        for live_range in live_ranges:
            self._sharing.setdefault(hosts.get(live_range.tensor, live_range.tensor), []).append(live_range)
        for sharing in self._sharing.values():
            self._add(sharing, 1)

    @property
    def most(self) -> int:
        """Most bytes live at once."""
        return int(self._bytes.max(initial=0))

    @property
    def fullest(self) -> int:
        """The first operation with the most live bytes."""
        return int(self._bytes.argmax())

    def replace(self, live_range: LiveRange, pieces: Sequence[LiveRange]) -> None:
        """Count `pieces` in place of `live_range`."""
        sharing = self._sharing[self._hosts.get(live_range.tensor, live_range.tensor)]
        self._add(sharing, -1)
        sharing.remove(live_range)
        sharing.extend(pieces)
        self._add(sharing, 1)

    def _add(self, sharing: Sequence[LiveRange], sign: int) -> None:
        slots = (
            shared_slots(sharing, self._hosts)[1] if len(sharing) != 1 else [Lifetime(sharing[0].first, sharing[0].last, sharing[0].bytes)]
        )
        for first, last, size in slots:
            self._bytes[first : last + 1] += sign * size

"""Bytes that live in the buffer during each operation, kept up to date while single stays change.

A place that several stays share counts once, from the first of them to the last, as in `placement`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from accelsim.compiler.placement import LiveRange, shared_places
from accelsim.compiler.plan import TensorId


class LiveBytes:
    """Of `stays` in a program of so many `operations`."""

    def __init__(self, stays: Sequence[LiveRange], hosts: Mapping[TensorId, TensorId], operations: int) -> None:
        self._hosts = hosts
        self._bytes = np.zeros(operations, np.int64)
        self._sharing: dict[TensorId, list[LiveRange]] = {}  # tensor whose place it is -> stays there
        for stay in stays:
            self._sharing.setdefault(hosts.get(stay.tensor, stay.tensor), []).append(stay)
        for sharing in self._sharing.values():
            self._add(sharing, 1)

    @property
    def most(self) -> int:
        """Most bytes that live at once."""
        return int(self._bytes.max(initial=0))

    @property
    def fullest(self) -> int:
        """The first operation during which so many live."""
        return int(self._bytes.argmax())

    def replace(self, stay: LiveRange, pieces: Sequence[LiveRange]) -> None:
        """Count `pieces` in place of `stay`."""
        sharing = self._sharing[self._hosts.get(stay.tensor, stay.tensor)]
        self._add(sharing, -1)
        sharing.remove(stay)
        sharing.extend(pieces)
        self._add(sharing, 1)

    def _add(self, sharing: Sequence[LiveRange], sign: int) -> None:
        for first, last, size in shared_places(sharing, self._hosts)[1]:
            self._bytes[first : last + 1] += sign * size

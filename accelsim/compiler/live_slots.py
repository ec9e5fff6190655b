"""The live ranges of a program, the slots that they share, and the bytes live during each operation.

They are updated as single live ranges change, as plans in row tiles have thousands of them. A slot that several share counts once, from
the first of them to the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from accelsim.compiler.plan import TensorId
from accelsim.program import Int64


class LiveRange(NamedTuple):
    """One live range of a tensor in the buffer.

    Attributes
    ----------
    first, last : operations between which it is live; the first writes it (or begins its read from DRAM)
    readers : operations that read it during this live range
    loaded : it comes from DRAM; stored : it goes there when it is complete
    offset : byte address in the buffer
    """

    tensor: TensorId
    first: int
    last: int
    readers: tuple[int, ...]
    loaded: bool
    stored: bool
    bytes: int
    offset: int = 0


class LiveSlots:
    """The live ranges of a program of `operations` operations.

    Parameters
    ----------
    hosts : result -> the tensor whose slot it shares: see `sharing_hosts`
    """

    def __init__(self, live_ranges: Sequence[LiveRange], hosts: Mapping[TensorId, TensorId], operations: int) -> None:
        self._hosts = hosts
        self._ranges = dict(enumerate(live_ranges))
        self._numbers = {live_range: number for number, live_range in self._ranges.items()}
        self._next = len(self._ranges)
        self._spans = np.zeros((2 * self._next, 3), np.int64)  # of each live range
        self._slots: dict[int, list[int]] = {}  # first live range of a slot -> all of them, in time order
        self._slot_spans = np.zeros_like(self._spans)  # of each slot, at its first live range
        self._chains: dict[TensorId, list[int]] = {}  # tensor that owns the slots -> live ranges there
        if self._ranges:
            self._spans[: self._next] = [(item.first, item.last, item.bytes) for item in live_ranges]
        for number, live_range in self._ranges.items():
            self._chains.setdefault(self._owner(live_range), []).append(number)
        for chain in self._chains.values():
            self._share(chain)
        first, last, size = self.spans.T
        changes = np.zeros(operations + 1, np.int64)
        np.add.at(changes, first, size)
        np.subtract.at(changes, last + 1, size)
        self._live = np.cumsum(changes)[:-1]

    @property
    def all(self) -> list[LiveRange]:
        """All live ranges; pieces of one that was split come last."""
        return list(self._ranges.values())

    @property
    def members(self) -> list[list[LiveRange]]:
        """The live ranges that share each slot, in time order; slots in the order of the first live range of each."""
        return [[self._ranges[number] for number in self._slots[slot]] for slot in sorted(self._slots)]

    @property
    def spans(self) -> Int64:
        """First and last operation of each slot, and its bytes: int64 (slots, 3), in the order of `members`."""
        return self._slot_spans[sorted(self._slots)]

    @property
    def bytes(self) -> Int64:
        """Bytes live during each operation."""
        return self._live

    def during(self, op: int) -> list[LiveRange]:
        """Those that live during an operation."""
        spans = self._spans[: self._next]
        return [self._ranges[number] for number in np.flatnonzero((spans[:, 0] <= op) & (spans[:, 1] >= op)).tolist()]

    def as_large(self, live_range: LiveRange) -> list[LiveRange]:
        """All with as many bytes that live for as many operations, itself among them."""
        spans = self._spans[: self._next]
        alike = (spans[:, 2] == live_range.bytes) & (spans[:, 1] - spans[:, 0] == live_range.last - live_range.first)
        return [self._ranges[number] for number in np.flatnonzero(alike).tolist()]

    def replace(self, live_range: LiveRange, pieces: Sequence[LiveRange]) -> None:
        """A single piece takes the place of `live_range`; several come last."""
        number = self._numbers.pop(live_range)
        chain = self._chains[self._owner(live_range)]
        self._count(chain, -1)
        for other in chain:
            self._slots.pop(other, None)
        if len(pieces) == 1:
            self._set(number, pieces[0])
        else:
            chain.remove(number)
            del self._ranges[number]
            self._spans[number] = -1
            for piece in pieces:
                chain.append(self._next)
                self._set(self._next, piece)
                self._next += 1
        self._share(chain)
        self._count(chain, 1)

    def _set(self, number: int, live_range: LiveRange) -> None:
        if number == len(self._spans):
            more = np.zeros((number + 1, 3), np.int64)
            self._spans, self._slot_spans = np.concatenate((self._spans, more)), np.concatenate((self._slot_spans, more))
        self._ranges[number] = live_range
        self._numbers[live_range] = number
        self._spans[number] = live_range.first, live_range.last, live_range.bytes

    def _owner(self, live_range: LiveRange) -> TensorId:
        return self._hosts.get(live_range.tensor, live_range.tensor)

    def _share(self, chain: Sequence[int]) -> None:
        """Part the live ranges of a chain into slots.

        A tensor that is read back into the buffer has a slot of its own, which the results written over it from then on share.
        """
        if len(chain) == 1:
            (number,) = chain
            self._slots[number], self._slot_spans[number] = [number], self._spans[number]
            return
        ranges = self._ranges
        pieces = Counter(ranges[number].tensor for number in chain)
        slots: list[list[int]] = []
        for number in sorted(chain, key=lambda number: (ranges[number].first, not ranges[number].loaded)):
            if not slots or (ranges[number].loaded and pieces[ranges[number].tensor] > 1):
                slots.append([])
            slots[-1].append(number)
        for slot in slots:
            number = min(slot)
            last = max(ranges[each].last for each in slot)
            self._slots[number], self._slot_spans[number] = slot, (ranges[slot[0]].first, last, ranges[slot[0]].bytes)

    def _count(self, chain: Sequence[int], sign: int) -> None:
        for slot in self._slots.keys() & chain:
            first, last, size = self._slot_spans[slot].tolist()
            self._live[first : last + 1] += sign * size

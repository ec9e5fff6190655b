"""The accumulators' contents, cycle by cycle: sums that the array writes and the lanes read, as numbers.

Column c of a row that is issued in cycle t is written at the end of cycle t + 1 + R + c; the lanes read `lanes` columns per cycle from the
start of the row's drain on. A sum that was overwritten, or is read before it is whole, is another number than the one that is wanted.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


class WrongSum(AssertionError):
    """The lanes read a sum that is not the product's."""


@dataclass
class NaiveAccumulators:
    """Banks of rows x columns; `rows` of the array, `lanes` of the vector unit (0: a whole row at once)."""

    rows: int
    lanes: int
    held: dict[tuple[int, int, int], int] = field(default_factory=dict)  # (bank, row, column) -> sum
    _writes: dict[int, list[tuple[tuple[int, int, int], int, bool]]] = field(default_factory=lambda: defaultdict(list))
    _reads: dict[int, list[tuple[tuple[int, int, int], int]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, t: int, bank: int, row: int, partial_sums: list[int], first: bool) -> None:
        """A row was issued in cycle t; the first K-tile's sums replace what stands there."""
        for column, value in enumerate(partial_sums):
            self._writes[t + 1 + self.rows + column].append(((bank, row, column), value, first))

    def take(self, start: int, bank: int, row: int, wanted: list[int]) -> None:
        """The drain of a row begins in cycle `start`, and wants these sums."""
        for column, value in enumerate(wanted):
            self._reads[start + (column // self.lanes if self.lanes else 0)].append(((bank, row, column), value))

    def clock(self, t: int) -> None:
        """Cycle t: what is read is what stood there before this cycle's writes."""
        for place, value in self._reads.pop(t, []):
            if self.held.get(place) != value:
                raise WrongSum(f"cycle {t}: (bank, row, column) {place} holds {self.held.get(place)}, the drain wants {value}")
        for place, value, first in self._writes.pop(t, []):
            self.held[place] = value if first else self.held[place] + value

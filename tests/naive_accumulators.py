"""The accumulators' contents, cycle by cycle: sums that the array writes and the lanes read, as numbers.

Column c of a row that is issued in cycle t is read, unless the row is of a first K-tile, and written at the end of cycle t + 1 + R + c; the
lanes read `lanes` columns per cycle from the start of the row's drain on. A sum that was overwritten, or is read before it is whole, is
another number than the one that is wanted. With one read port, a macro that the array and the lanes read in one cycle is an error; with
deskew registers, so is a row that the lanes do not take in the cycle in which the registers hold it whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

SECOND_PORT, DESKEW, STALL = range(3)  # how sums leave the accumulators, as the field's choices are listed
Place = tuple[int, int, int]  # bank, row, column


class WrongSum(AssertionError):
    """The lanes read a sum that is not the product's."""


class PortConflict(AssertionError):
    """Array and lanes read one macro in one cycle, through one port."""


@dataclass
class NaiveAccumulators:
    """Banks of rows x columns; `rows` and `cols` of the array, `lanes` of the vector unit (0: a whole row at once)."""

    rows: int
    cols: int
    lanes: int
    read: int = SECOND_PORT
    held: dict[Place, int] = field(default_factory=dict)  # in the banks
    deskewed: dict[int, dict[Place, int]] = field(default_factory=lambda: defaultdict(dict))  # cycle -> whole rows at the registers' end
    _writes: dict[int, list[tuple[Place, int, bool, int | None]]] = field(default_factory=lambda: defaultdict(list))
    _reads: dict[int, list[tuple[Place, int]]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self, t: int, bank: int, row: int, partial_sums: list[int], first: bool, last: bool = False, foot: int = 0, together: bool = False
    ) -> None:
        """A row was issued in cycle t; the first K-tile's sums replace what stands there, the last one's are the product's.

        `foot`: rows that these sums pass, 0: all; `together`: columns with a feed each, whose sums come in one cycle.
        """
        foot = foot or self.rows
        out = t + 1 + foot + (1 if together else self.cols) if last and self.read == DESKEW else None
        for column, value in enumerate(partial_sums):
            self._writes[t + 1 + foot + (0 if together else column)].append(((bank, row, column), value, first, out))

    def take(self, start: int, bank: int, row: int, wanted: list[int]) -> None:
        """The drain of a row begins in cycle `start`, and wants these sums."""
        for column, value in enumerate(wanted):
            self._reads[start + (column // self.lanes if self.lanes else 0)].append(((bank, row, column), value))

    def clock(self, t: int) -> None:
        """Cycle t: what is read is what stood there before this cycle's writes."""
        at_lanes = self.deskewed.pop(t, {}) if self.read == DESKEW else self.held
        drained = self._reads.pop(t, [])
        for place, value in drained:
            if at_lanes.get(place) != value:
                raise WrongSum(f"cycle {t}: (bank, row, column) {place} holds {at_lanes.get(place)}, the drain wants {value}")
        macros = {(bank, column) for (bank, _, column), _ in drained}
        for place, value, first, out in self._writes.pop(t, []):
            if self.read == STALL and not first and (place[0], place[2]) in macros:
                raise PortConflict(f"cycle {t}: array and lanes read (bank, row, column) {place}")
            total = value if first else self.held[place] + value
            if out is None:
                self.held[place] = total
            else:
                self.deskewed[out][place] = total

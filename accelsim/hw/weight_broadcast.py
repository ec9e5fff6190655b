"""Reads of weights that land on several cores at once: each starts when every core that takes it has room for it, and a place in flight.

Disputable assumption: the first of the cores issues the read, in its turn of the instant; the way to the others takes no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from accelsim.program import Program

Engine = TypeVar("Engine")


class WeightBroadcasts(Generic[Engine]):
    """Which transfers of the cores' programs are one read, and the DMA engines of these cores."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self._transfers: dict[int, dict[int, int]] = {}  # read -> core -> transfer of its program; the first core issues it
        self._engines: dict[int, Engine] = {}
        for core, program in enumerate(programs):
            for transfer, read in enumerate(program.transfers.broadcast.tolist()):
                if read >= 0:
                    self._transfers.setdefault(read, {})[core] = transfer

    def join(self, core: int, engine: Engine) -> None:
        """Take part as a core."""
        self._engines[core] = engine

    def reader(self, read: int) -> Engine:
        """The engine that issues a read."""
        return self._engines[next(iter(self._transfers[read]))]

    def takers(self, read: int) -> list[tuple[Engine, int]]:
        """(engine, transfer of its program) of each other core that takes a read."""
        _, *others = self._transfers[read].items()
        return [(self._engines[core], transfer) for core, transfer in others]

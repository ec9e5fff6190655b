"""Points in blocks of neighbours: points that differ by one step share most of their work, if one process runs them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice

from accelsim.sweeps.points import Point

BLOCK = 256  # points in a row that one process takes on; what is left of a block is shared out at the end


class Blocks:
    """Points in blocks of neighbours, one block per runner; a runner without points takes half of the fullest block's rest.

    Runners may come and go: the points one leaves behind are taken by the others.
    """

    def __init__(self, points: Iterator[Point]) -> None:
        self._points = points
        self._blocks: defaultdict[Hashable, deque[Point]] = defaultdict(deque)

    def take(self, runner: Hashable) -> Point | None:
        """The next point for a runner; None if there is none left."""
        block = self._blocks[runner]
        if not block:
            block.extend(islice(self._points, BLOCK))
        if not block:
            fullest = max(self._blocks.values(), key=len)
            block.extend(reversed([fullest.pop() for _ in range(-(-len(fullest) // 2))]))
        return block.popleft() if block else None

    def take_some(self, runner: Hashable, count: int) -> list[Point]:
        """Up to `count` next points for a runner."""
        out: list[Point] = []
        while len(out) < count and (point := self.take(runner)) is not None:
            out.append(point)
        return out

    def give_back(self, runner: Hashable, points: Sequence[Point]) -> None:
        """Put the queued points of a dead runner back in front of its block."""
        self._blocks[runner].extendleft(reversed(points))

"""Points in blocks of neighbours: points that differ by one step share most of their work, if one process runs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from accelsim.sweep.points import Point

BLOCK = 256  # points in a row that one process takes on; what is left of a block is shared out at the end


class Blocks:
    """Points in blocks of neighbours, one block for each who runs them; one without points takes half of what the fullest has left."""

    def __init__(self, points: Iterator[Point], runners: int) -> None:
        self._points = points
        self._blocks: list[deque[Point]] = [deque() for _ in range(runners)]
        self._blocks[0].extend(islice(points, BLOCK))

    @property
    def empty(self) -> bool:
        return not any(self._blocks)

    def take(self, runner: int) -> Point | None:
        """The next point for a runner; None if there is none left."""
        block = self._blocks[runner]
        if not block:
            block.extend(islice(self._points, BLOCK))
        if not block:
            fullest = max(self._blocks, key=len)
            block.extend(reversed([fullest.pop() for _ in range(-(-len(fullest) // 2))]))
        return block.popleft() if block else None

    def take_some(self, runner: int, count: int) -> list[Point]:
        """Up to `count` next points for a runner."""
        out: list[Point] = []
        while len(out) < count and (point := self.take(runner)) is not None:
            out.append(point)
        return out

    def give_back(self, runner: int, points: deque[Point]) -> None:
        """Put what a runner that died had in hand in front of its block."""
        self._blocks[runner].extendleft(reversed(points))

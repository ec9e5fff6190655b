"""A slow twin of a codebook ROM that cores share: in each cycle the cores that ask are served in turn, from the one after the last on.

Written from the definition: Q ports serve floor(Q / P) groups of P lookups per cycle, or one group in ceil(P / Q) cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class NaiveRom:
    """`groups` per cycle, each of which holds the ports for `cycles`."""

    groups: int
    cycles: int
    last: int = -1
    taken_until: int = 0

    def serve(self, t: int, asking: Sequence[int], cores: int) -> list[int]:
        """The cores that get ports in cycle t."""
        served: list[int] = []
        ring = [(self.last + 1 + place) % cores for place in range(cores)]
        while ring and len(served) < self.groups and t >= self.taken_until:
            core = ring.pop(0)
            if core in asking:
                served.append(core)
        if served:
            self.last = served[-1]
            self.taken_until = t + self.cycles if self.cycles > 1 else 0
        return served


def last_pops(starts: Sequence[int], p: int, q: int, groups: int) -> list[int]:
    """Cycle in which each core has the last of its groups, if nothing but the ports ever holds it; it asks from cycle `starts` on."""
    rom = NaiveRom(max(1, q // p), -(-p // q) if q < p else 1)
    left, ready, done = [groups] * len(starts), list(starts), [0] * len(starts)
    t = 0
    while any(left):
        t += 1
        asking = [core for core in range(len(starts)) if left[core] and t >= ready[core]]
        for core in rom.serve(t, asking, len(starts)):
            left[core] -= 1
            ready[core] = t + rom.cycles
            done[core] = t + rom.cycles - 1
    return done

"""A clock-by-clock twin of an input stationary array, from registers alone: activations, banks of weights, sums on their way.

It holds one product on numbers. X weights leave the decoder per cycle, tile after tile of R x C in the order of the reduction; a tile lies
in one of two banks, and an output's R weights enter the array together. `loads` rows of A are read per cycle, each into the shadow
registers of a column. Operands come in cycle 0 and are read from cycle 1 on. Nothing is a formula: activations that are written or swapped
too early, or weights that are not there, give wrong sums. Shares no code with the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class HeldInputs:
    """R x C PEs; X weights and `loads` rows of A per cycle."""

    rows: int
    cols: int
    group: int
    loads: int
    swaps: list[int] = field(default_factory=list)

    def run(self, a: list[list[int]], w: list[list[int]]) -> tuple[int, list[list[int]]]:
        """(busy cycles, sums [m][n]) of a [m][k] by w [k][n]."""
        m, k, n = len(a), len(w), len(w[0])
        k_tiles = [range(first, min(first + self.rows, k)) for first in range(0, k, self.rows)]
        m_tiles = [range(first, min(first + self.cols, m)) for first in range(0, m, self.cols)]
        n_tiles = [range(first, min(first + self.cols, n)) for first in range(0, n, self.cols)]
        tiles = [(mt, kt) for mt in m_tiles for kt in k_tiles]  # of activations
        passing = [(kt, nt) for _ in m_tiles for kt in k_tiles for nt in n_tiles]  # tiles of weights, whole or not
        out = [[0] * n for _ in range(m)]
        shadow: dict[tuple[int, int], int] = {}
        active: dict[tuple[int, int], int] = {}
        writes: list[tuple[int, tuple[int, int], int]] = []  # (cycle at whose end it is written, PE, activation)
        copies: list[tuple[int, tuple[int, int]]] = []
        banks: list[tuple[int, int]] = []  # (tile of weights, cycle from which it may enter), oldest first
        loading = column = tile = step = popping = popped = column_of_bank = 0
        there: int | None = None  # cycle in which the last column of a whole tile of activations was read
        swapped: int | None = None
        flying: list[tuple[int, int, int]] = []  # (cycle in which it entered, tile of activations, output)
        ended = t = 0
        while tile < len(tiles) or flying:
            # array: an output enters
            if tile < len(tiles):
                if step == 0 and there is not None and t >= there + 2 and banks and banks[0][1] <= t:
                    self.swaps.append(t)
                    swapped, there = t, None
                    copies += [(t + r + c, (r, c)) for r in range(self.rows) for c in range(self.cols)]
                    step = 1
                if step and banks and banks[0][1] <= t:
                    flying.append((t, tile, step - 1))
                    step += 1
                    column_of_bank += 1
                    if column_of_bank == len(passing[banks[0][0]][1]):
                        banks.pop(0)
                        column_of_bank = 0
                    if step > n:
                        tile, step = tile + 1, 0
            # activations of the next tile, into the last columns of the array
            got = 0
            while t >= 1 and loading < len(tiles) and there is None and got < self.loads and loading <= tile + (step > 0):
                if loading == tile and step > 0:
                    break
                mt, kt = tiles[loading]
                place = self.cols - len(mt) + column
                if swapped is not None and (t <= swapped or any(t + 1 < at for at, (_, c) in copies if c == place)):
                    break
                writes += [(t + 1, (r, place), a[mt[column]][kt[r]] if r < len(kt) else 0) for r in range(self.rows)]
                column, got = column + 1, got + 1
                if column == len(mt):
                    there, loading, column = t, loading + 1, 0
            # weights: the first word comes a cycle before the first pop
            if t >= 1 and popping < len(passing) and len(banks) < 2:
                popped += self.group
                if popped >= len(passing[popping][0]) * self.cols:
                    banks.append((popping, t + 2))
                    popping, popped = popping + 1, 0
            # PE (r, c) multiplies the weights that entered in cycle s in s + 1 + r + c; column c's sum is added up R cycles further
            for start, number, output in list(flying):
                mt, kt = tiles[number]
                for r in range(len(kt)):
                    c = t - start - 1 - r
                    if self.cols - len(mt) <= c < self.cols:
                        out[mt[c - self.cols + len(mt)]][output] += active[r, c] * w[kt[r]][output]
                if t == start + self.rows + self.cols:
                    flying.remove((start, number, output))
                    ended = max(ended, t + 1)
            for at, pe in [item for item in copies if item[0] == t]:
                active[pe] = shadow.get(pe, 0)
                copies.remove((at, pe))
            for _, pe, value in [item for item in writes if item[0] == t]:
                shadow[pe] = value
            writes = [item for item in writes if item[0] > t]
            t += 1
        return ended, out

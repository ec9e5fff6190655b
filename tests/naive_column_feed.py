"""A clock-by-clock twin of an array whose columns have feeds of their own, from registers alone: windows, weights, sums on their way down.

It holds a depthwise convolution without padding on numbers: shadow and active weights per PE, the k x k registers of each column, the
psum registers of each row. A shift reads k values per used column out of a memory of `width` bytes per cycle. Nothing is a formula: a swap
that came too early, or a group written over weights that are still to be copied, gives wrong sums. Shares no code with the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FedArray:
    """R x C PEs, records of D weights along a row, P of them per cycle; one shadow set, `side` x `side` registers per column (0: none)."""

    rows: int
    cols: int
    d: int
    ports: int
    width: int
    side: int
    swaps: list[int] = field(default_factory=list)

    def run(self, image: list[list[list[int]]], weights: list[list[int]], k: int, stride: int) -> tuple[int, list[list[list[int]]]]:
        """(busy cycles, sums [channel][oy][ox]) of `image` [channel][y][x] by `weights` [channel][tap]."""
        channels, taps = len(image), k * k
        lines, positions = ((len(axis) - k) // stride + 1 for axis in (image[0], image[0][0]))
        tiles = [
            (channel, first)
            for channel in range(0, channels, self.cols)
            for first in range(0, taps, self.rows)
        ]  # fmt: skip
        height = min(self.rows, taps)
        out = [[[0] * positions for _ in range(lines)] for _ in range(channels)]
        shadow = [[0] * self.cols for _ in range(self.rows)]
        active = [[0] * self.cols for _ in range(self.rows)]
        records = [self.records(weights, taps, tile) for tile in tiles]
        loading = popped = 0  # tile, records of it that were popped
        in_flight: list[tuple[int, int, int, int]] = []  # (cycle at whose end it is written, row, column, weight)
        complete: int | None = None  # last pop of a whole tile in the shadow registers
        swap_before: int | None = None
        tile, step, got, started = 0, 0, 0, False
        feeds: list[int] = []
        issued: list[tuple[int, int, int, int, list[list[int]]]] = []  # (cycle, tile, oy, ox, activations of each PE)
        steps = self.steps(lines, positions, k, stride)
        t, ended = 0, 0
        copies: dict[int, list[int]] = {}  # cycle -> PE rows that copy shadow to active at its end
        while tile < len(tiles) or issued:
            # loader: first word a cycle before the first pop, as the unpack buffer has to be filled
            if loading < len(tiles) and complete is None and t >= 1:
                last = min(popped + self.ports, len(records[loading])) - 1
                lowest = records[loading][last][0]
                free = swap_before is None or (t > swap_before and t + 1 >= swap_before + lowest)
                if free:
                    for row, first, values in records[loading][popped : popped + self.ports]:
                        in_flight += [(t + 1, row, first + lane, value) for lane, value in enumerate(values)]
                    popped += self.ports
                    if popped >= len(records[loading]):
                        complete, loading, popped = t, loading + 1, 0
            # array: a step is a shift of the windows, or a row where there are none
            if tile < len(tiles):
                if not started and complete is not None and t >= complete + 2:
                    started, step, got = True, 0, 0
                    self.swaps.append(t)
                    swap_before, complete = t, None
                    for row in range(self.rows):
                        copies.setdefault(t + row, []).append(row)
                if started:
                    channel, first = tiles[tile]
                    used = min(self.cols, channels - channel)
                    y, x, whole = steps[step]
                    got += self.width
                    if got >= used * (k if self.side >= k else min(height, taps)):
                        got = 0
                        if whole:
                            rows = [
                                [image[channel + c][y * stride + tap // k][x + tap % k] for c in range(used)]
                                for tap in range(first, min(first + self.rows, taps))
                            ]
                            issued.append((t, tile, y, x // stride, rows))
                        step += 1
                        if step == len(steps):
                            tile, started = tile + 1, False
                            feeds.append(t)
                            ended = t + 1
            # PEs: row r of a row issued in t multiplies in t + 1 + r, all columns at once; sums are written behind the last row
            for item in list(issued):
                start, number, oy, ox, rows = item
                place = t - start - 1
                channel, first = tiles[number]
                if 0 <= place < len(rows):
                    for c, value in enumerate(rows[place]):
                        out[channel + c][oy][ox] += value * active[place][c]
                if place == height:
                    issued.remove(item)
                    ended = max(ended, t + 1)
            for row in copies.pop(t, []):
                active[row] = list(shadow[row])
            for _, row, column, value in [item for item in in_flight if item[0] == t]:
                shadow[row][column] = value
            in_flight = [item for item in in_flight if item[0] > t]
            t += 1
        return ended, out

    def records(self, weights: list[list[int]], taps: int, tile: tuple[int, int]) -> list[tuple[int, int, list[int]]]:
        """(row, first column, weights) of the records of a tile, row by row; channels that are not there have zeros."""
        channel, first = tile
        return [
            (
                tap - first,
                column,
                [weights[channel + column + lane][tap] if channel + column + lane < len(weights) else 0 for lane in range(self.d)],
            )
            for tap in range(first, min(first + self.rows, taps))
            for column in range(0, self.cols, self.d)
        ]

    def steps(self, lines: int, positions: int, k: int, stride: int) -> list[tuple[int, int, bool]]:
        """(output line, input position of the window's left edge, whether an output position is whole) of each step of a tile."""
        if self.side < k:
            return [(y, x * stride, True) for y in range(lines) for x in range(positions)]
        found = []
        for y in range(lines):
            for entered in range(1, (positions - 1) * stride + k + 1):  # input positions of the line that have entered
                left = entered - k
                found.append((y, left, left >= 0 and left % stride == 0))
        return found

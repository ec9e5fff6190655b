"""A clock-by-clock twin of lanes that compute a depthwise layer, from registers alone: two sets of weights, a sum and a tap per lane.

It holds a depthwise convolution without padding on numbers. P records of D weights leave the decoder per cycle for the set of the stripe
that loads; outputs (position by position, in each the stripe's channels) are dealt to the lanes in turn, each lane multiplies a tap per
cycle, then spends its passes on the sum. Nothing is a formula: weights that are replaced too early give wrong sums. A busy activation
buffer is a number of cycles for each step of the lanes. Shares no code with the package.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class DepthwiseLanes:
    """`lanes` lanes behind a decoder of P records of D weights per cycle, in stripes of `cols` channels."""

    cols: int
    d: int
    ports: int
    lanes: int
    passes: int
    slow: int = 1  # cycles of a step of the lanes
    given: list[int] = field(default_factory=list)  # cycle in which each stripe was given to the lanes

    def run(self, image: list[list[list[int]]], weights: list[list[int]], k: int, stride: int) -> tuple[int, list[list[list[int]]]]:
        """(cycles until the last output, sums [channel][oy][ox]) of `image` [channel][y][x] by `weights` [channel][tap]."""
        channels, taps = len(image), k * k
        lines, positions = ((len(axis) - k) // stride + 1 for axis in (image[0], image[0][0]))
        stripes = [range(first, min(first + self.cols, channels)) for first in range(0, channels, self.cols)]
        out = [[[0] * positions for _ in range(lines)] for _ in range(channels)]
        sets: list[dict[tuple[int, int], int]] = [{}, {}]  # (tap, column) -> weight
        records = [
            [(tap, column) for tap in range(taps) for column in range(0, self.cols, self.d)]
            for _ in stripes
        ]  # fmt: skip
        in_flight: list[tuple[int, int, int, int, int]] = []  # (cycle at whose end it is written, set, tap, column, weight)
        loading = popped = 0
        whole: list[int] = []  # cycle of the last pop of each stripe
        queue: list[tuple[int, int]] = []  # (stripe, first cycle of the lanes) of those that wait for the lanes
        working: int | None = None  # stripe on the lanes
        waiting: list[tuple[int, int, int]] = []  # its outputs (channel, oy, ox) that are not dealt yet
        dealt: list[tuple[int, int, int]] = []  # one per lane
        step, clock = 0, 0  # of the lanes' outputs: taps, then passes; cycles of the step
        done: dict[int, int] = {}  # stripe -> first cycle after its last output
        t = 0
        while len(done) < len(stripes):
            # lanes
            if working is None and queue and queue[0][1] <= t:
                working = queue.pop(0)[0]
                waiting = [(channel, y, x) for y in range(lines) for x in range(positions) for channel in stripes[working]]
            if working is not None and not dealt:
                dealt, waiting = waiting[: self.lanes], waiting[self.lanes :]
                step = clock = 0
            if working is not None:
                if step < taps and clock == 0:
                    for channel, y, x in dealt:
                        weight = sets[working % 2][step, channel - stripes[working][0]]
                        out[channel][y][x] += image[channel][y * stride + step // k][x * stride + step % k] * weight
                clock += 1
                if clock == self.slow:
                    step, clock = step + 1, 0
                if step == taps + self.passes:
                    dealt = []
                    if not waiting:
                        done[working] = t + 1
                        working = None
            # sequencer: a stripe per cycle
            if len(self.given) < len(whole) and whole[len(self.given)] < t:
                queue.append((len(self.given), t + 1))
                self.given.append(t)
            # loader: the first word comes a cycle before the first pop
            if loading < len(stripes) and t >= 1 and (loading < 2 or done.get(loading - 2, t + 1) <= t):
                for tap, column in records[loading][popped : popped + self.ports]:
                    for lane in range(column, column + self.d):
                        channel = stripes[loading][0] + lane
                        value = weights[channel][tap] if channel < channels else 0
                        in_flight.append((t + 1, loading % 2, tap, lane, value))
                popped += self.ports
                if popped >= len(records[loading]):
                    whole.append(t)
                    loading, popped = loading + 1, 0
            for _, number, tap, lane, value in [item for item in in_flight if item[0] == t]:
                sets[number][tap, lane] = value
            in_flight = [item for item in in_flight if item[0] > t]
            t += 1
        return max(done.values()), out

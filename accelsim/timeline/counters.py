"""Counter tracks: bandwidth of each memory in bytes per core cycle, and the occupancy of the weight and activation buffers.

Bandwidth is the mean over bins of core cycles: the bytes of a transfer are spread evenly over the time in which they cross, exactly, so
that bins sum to all bytes and none exceeds the memory's peak. A tensor occupies its slot from its first result, or from the issue of its
load, to the end of its last reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from accelsim.program import Int64, Slot
from accelsim.timeline.context import Context
from accelsim.timeline.flights import Flight
from accelsim.timeline.moved import Moved
from accelsim.timeline.replay import Samples

BINS = 2048  # about as many over the window
LEAST_BIN = 64  # cycles
WEIGHTS, ACTIVATIONS = "weight buffer (B)", "activation buffer (B)"


class Bandwidth:
    """Bytes by bin of core cycles, for each memory and direction.

    Attributes
    ----------
    bytes : memory -> (bin, write) -> bytes that cross in the bin, exact; of a window to the run's end also those of the bins behind it
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        window = context.window
        self.bin_cycles = max(LEAST_BIN, 1 << max(0, ((window.end - window.first) // BINS).bit_length()))
        self._first, self._last = window.first // self.bin_cycles, (window.end - 1) // self.bin_cycles
        self._to_the_end = window.end >= context.run.result.total_cycles
        self.bytes: dict[str, dict[tuple[int, bool], int | Fraction]] = {}

    def add(self, memory: str, moved: Moved) -> None:
        """Book bytes in the bins in which they cross."""
        ticks = self.bin_cycles * moved.hz  # of a bin, where a second has hz x clock
        clock = self._context.run.accelerator.clock
        start, end = moved.start * clock, moved.end * clock
        first, last = start // ticks, max(0, -(-end // ticks) - 1)
        if first >= last:
            self._book(memory, last, moved.write, moved.size)
            return
        for at in range(first, last + 1):
            part = min(end, (at + 1) * ticks) - max(start, at * ticks)
            self._book(memory, at, moved.write, Fraction(moved.size * part, end - start))

    def _book(self, memory: str, at: int, write: bool, size: int | Fraction) -> None:
        if at < self._first or (at > self._last and not self._to_the_end):
            return
        self._last = max(self._last, at)
        moved = self.bytes.setdefault(memory, {})
        moved[at, write] = moved.get((at, write), 0) + size

    def draw(self) -> None:
        """Write the bins that touch the window, and those of posted writes behind the run's end."""
        context, first, last = self._context, self._first, self._last
        process = context.shared.counters
        for memory, moved in sorted(self.bytes.items()):
            before: tuple[int | Fraction, int | Fraction] = (0, 0)
            name = f"{memory} bandwidth (B/cycle)"
            for at in range(first, last + 1):
                now = (moved.get((at, False), 0), moved.get((at, True), 0))
                if now != before or at == first:
                    read, write = (float(Fraction(size) / self.bin_cycles) for size in now)
                    context.out.counter(process, name, context.time_ps(at * self.bin_cycles), {"read": read, "write": write})
                before = now
            context.out.counter(process, name, context.time_ps((last + 1) * self.bin_cycles), {"read": 0, "write": 0})


class WeightBuffer:
    """Bytes of the weight streams that are in the buffer, and that are on their way there."""

    def __init__(self, context: Context, flights: Sequence[Flight], bin_cycles: int) -> None:
        self._context = context
        self._bin = bin_cycles
        buffered = np.zeros(context.run.program.transfers.address.size, bool)
        for first, count in context.run.program.runs[["chunk0", "chunk_count"]].tolist():
            buffered[first : first + count] = first >= 0
        mine = [flight for flight in flights if flight.what >= 0 and buffered[flight.what]]
        self._issued = _steps((context.cycle(flight.start_ps), flight.size) for flight in mine)
        self._landed = _steps((context.cycle(flight.landed_ps), flight.size) for flight in mine)
        self._before: tuple[int, int] | None = None

    def feed(self, piece: Samples) -> None:
        """Write the values in these cycles: where a transfer is issued or lands, and once a bin."""
        window = self._context.window
        first, end = max(piece.first, window.first), min(piece.end, window.end)
        if first >= end:
            return
        marks = [first, *range(-(-first // self._bin) * self._bin, end, self._bin)]
        for cycles, _ in (self._issued, self._landed):
            marks += cycles[(cycles >= first) & (cycles < end)].tolist()
        freed = piece.column("freed")
        for cycle in sorted(set(marks)):
            gone = int(freed[cycle - piece.first])
            landed, issued = _at(self._landed, cycle) - gone, _at(self._issued, cycle) - gone
            if (landed, issued) != self._before:
                values = {"filled": landed, "reserved": issued - landed}
                places = self._context.places
                self._context.out.counter(places.counters, places.named(WEIGHTS), self._context.time_ps(cycle), values)
            self._before = (landed, issued)


def draw_activations(context: Context, flights: Sequence[Flight], finished: Int64) -> None:
    """Bytes of the activation buffer that hold live tensors.

    Parameters
    ----------
    finished : int64 (units,): cycle in which each unit of each task was done
    """
    spans = [(*_live_range(context, slot, flights, finished), slot) for slot in context.run.program.slots]
    changes = sorted({cycle for start, end, _ in spans for cycle in (start, end)})
    window = context.window
    opening = sorted(spans, key=lambda item: item[0])
    live: list[tuple[int, int, Slot]] = []
    taken, before = 0, -1
    for cycle in changes:
        while taken < len(opening) and opening[taken][0] <= cycle:
            live.append(opening[taken])
            taken += 1
        live = [item for item in live if item[1] > cycle]
        held = _union((item[2].offset, item[2].offset + item[2].size) for item in live)
        if window.first <= cycle <= window.end and held != before:
            context.out.counter(context.places.counters, context.places.named(ACTIVATIONS), context.time_ps(cycle), {"held": held})
        before = held


def _live_range(context: Context, slot: Slot, flights: Sequence[Flight], finished: Int64) -> tuple[int, int]:
    """The live range of a slot: first cycle in which it is taken, first cycle in which it is free again."""
    tasks, end = context.tasks, context.run.outcome.cycles

    def done(task: int, unit: int) -> int:
        return min(end, int(finished[tasks[task]["offset"] + unit]))

    if slot.load >= 0:
        ordinal = tasks[slot.load]["ordinal"]
        job = next(index for index, job in enumerate(context.run.program.jobs) if job.load == ordinal)
        issues = [flight.start_ps for flight in flights if flight.what == -1 - job]
        start = context.cycle(min(issues)) if issues else done(slot.load, 0)
    else:
        start = min((done(task, 0) for task in slot.writers), default=0)
    ends = [done(task, tasks[task]["units"] - 1) for task in slot.readers]
    if slot.stored >= 0:
        ends.append(done(slot.stored, 0))
    return start, max(start, max(ends)) if ends else end


def _union(ranges: Iterable[tuple[int, int]]) -> int:
    """Bytes in any of the ranges."""
    covered = at = 0
    for start, end in sorted(ranges):
        covered += max(0, end - max(start, at))
        at = max(at, end)
    return covered


def _steps(changes: Iterable[tuple[int, int]]) -> tuple[Int64, Int64]:
    """Sorted cycles, and the sum of all changes up to each."""
    items = sorted(changes)
    return np.array([cycle for cycle, _ in items], np.int64), np.cumsum([size for _, size in items], dtype=np.int64)


def _at(steps: tuple[Int64, Int64], cycle: int) -> int:
    """The sum up to `cycle`."""
    index = int(np.searchsorted(steps[0], cycle, side="right"))
    return int(steps[1][index - 1]) if index else 0

"""Cycle engines in an event simulation: predict to the next output, commit exactly, wake only for visible events.

An engine holds its committed state and a look-ahead copy. Inputs arrive on normal events; a late event of the same instant
(all arrivals of the instant are in) then commits the state up to now, takes the inputs in, and runs the copy ahead
to its first output. A wake-up at that time adopts the copy, unless an input came first: then the prediction is dropped and
recomputed. So the outcome is that of a clock-by-clock simulation, and two busy engines need not step in turn.

Rules: no output in the cycle of its input; outputs on normal events, decisions on late ones; a busy engine always has a
wake-up in the queue, so an empty queue with work left is a deadlock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import simpy
from simpy.events import EventPriority

from accelsim.quantities import cycle_at, edge_ps

NORMAL = simpy.events.NORMAL
DMA_DECIDES = EventPriority(2)  # after all normal events of an instant: everything that arrives is in
_MOST_CORES = 1 << 16
LATE = EventPriority(3)  # then the engines decide, with what the DMA has issued


def dma_decides(core: int) -> EventPriority:
    """When the DMA of a core decides in an instant: after those of the cores before it."""
    return EventPriority(DMA_DECIDES + core / _MOST_CORES)  # type: ignore[arg-type]  # any number between this priority and the next


class _Call:
    """A minimal event for SimPy's `step`: triggered when scheduled, with one callback. A run creates tens of thousands."""

    __slots__ = ("callbacks",)
    _ok = True

    def __init__(self, callback: Callable[[Any], None]) -> None:
        self.callbacks = (callback,)


def at_time(env: simpy.Environment, time_ps: int, callback: Callable[[Any], None], priority: EventPriority = NORMAL) -> None:
    """Call `callback` at `time_ps`, which is not before now."""
    env.schedule(_Call(callback), priority, time_ps - env.now)  # type: ignore[arg-type]  # all that SimPy needs of an event


class CycleEngine(ABC):
    """A unit whose cycles a compiled kernel runs."""

    def __init__(self, env: simpy.Environment, clock_hz: int) -> None:
        self.env = env
        self.clock_hz = clock_hz
        self._poked = False
        self._generation = 0
        self._wake: int | None = None  # cycle of the wake-up that is in the queue
        self._instant = (0, 0)  # time in ps, and the cycle of it that was asked for last

    @property
    def now_cycle(self) -> int:
        """First cycle whose edge is now or later."""
        now = self.env.now
        if self._instant[0] != now:
            self._instant = (int(now), cycle_at(int(now), self.clock_hz))
        return self._instant[1]

    def poke(self) -> None:
        """Signal an external change: re-evaluate at the end of this instant."""
        if not self._poked:
            self._poked = True
            at_time(self.env, int(self.env.now), self._decide, LATE)

    def _decide(self, _: simpy.Event) -> None:
        self._poked = False
        now = self.now_cycle
        if self._wake is not None and self._wake <= now:
            return  # its outputs were determined before this instant; the wake-up comes, and pokes
        if not self.must_repredict():
            return
        self.commit(now)
        self.absorb()
        self._generation += 1
        wake = self._wake = self.predict()
        if wake is not None:
            generation = self._generation

            def on_wake(_: simpy.Event) -> None:
                if generation == self._generation:
                    self._generation += 1
                    self._wake = None
                    self.adopt()
                    self.publish()
                    self.poke()

            at_time(self.env, max(int(self.env.now), edge_ps(wake, self.clock_hz)), on_wake)

    @property
    def awake(self) -> bool:
        """Whether a wake-up or a decision is in the queue."""
        return self._poked or self._wake is not None

    @abstractmethod
    def must_repredict(self) -> bool:
        """Whether the change can alter the prediction; if not, this call takes it in."""

    @abstractmethod
    def commit(self, cycle: int) -> None:
        """Advance the committed state to `cycle`; no output lies before it."""

    @abstractmethod
    def absorb(self) -> None:
        """Take the pending inputs into the committed state."""

    @abstractmethod
    def predict(self) -> int | None:
        """Run the look-ahead copy to its first output; cycle of the wake-up, None if nothing happens without an input."""

    @abstractmethod
    def adopt(self) -> None:
        """Make the look-ahead copy the committed state."""

    @abstractmethod
    def publish(self) -> None:
        """Deliver the outputs to their receivers."""

"""Another client of the memory channel (CPU, camera): reads at a steady rate, whoever else is served.

Disputable assumption: it reads consecutive addresses of a region of its own and never waits for its data.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from accelsim.hw.engine import at_time
from accelsim.hw.memory import BackgroundSpec, Channel
from accelsim.quantities import PS_PER_S

REGION_BYTES = 1 << 22
FIRST_ID = 1 << 40  # of its transfers: the DMA counts from 0


class BackgroundClient:
    """Submits a read every transfer / bandwidth seconds for as long as `active`."""

    def __init__(self, env: simpy.Environment, spec: BackgroundSpec, channel: Channel, active: Callable[[], bool]) -> None:
        self._env, self._spec, self._channel, self._active = env, spec, channel, active
        self._count = 0
        self._next(None)

    def _next(self, _: simpy.Event | None) -> None:
        if not self._active():
            return
        size = self._spec.transfer
        self._channel.submit(FIRST_ID + self._count, self._count * size % REGION_BYTES, size, False)
        self._count += 1
        at_time(self._env, self._count * size * PS_PER_S // self._spec.bandwidth, self._next)

"""Another client of the memory channel (CPU, camera): reads at a steady rate, whatever else is served.

Disputable assumption: it reads consecutive addresses of a region of its own, and no more than a few of its reads wait at once: a
client that the channel cannot keep up with is served late, not for ever first.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from accelsim.hw.engine import at_time
from accelsim.hw.memory import BackgroundSpec, Channel
from accelsim.quantities import PS_PER_S

REGION_BYTES = 1 << 22
MAX_PENDING = 32  # of its reads; the next one waits
FIRST_ID = 1 << 40  # of its transfers: the DMA counts from 0


class BackgroundClient:
    """Submits a read every transfer / bandwidth seconds for as long as `active`, in the last REGION_BYTES before `end_address`."""

    def __init__(
        self, env: simpy.Environment, spec: BackgroundSpec, channel: Channel, end_address: int, active: Callable[[], bool]
    ) -> None:
        self._env, self._spec, self._channel, self._active = env, spec, channel, active
        self._region = max(0, end_address - REGION_BYTES)
        self._due = self._submitted = self._pending = 0
        self._next(None)

    @property
    def served_share(self) -> float:
        """Reads that were submitted over those that its rate asked for."""
        return self._submitted / self._due if self._due else 1.0

    def ended(self) -> None:
        """One of its reads is complete."""
        self._pending -= 1
        self._submit()

    def _next(self, _: simpy.Event | None) -> None:
        if not self._active():
            return
        self._due += 1
        self._submit()
        at_time(self._env, self._due * self._spec.transfer * PS_PER_S // self._spec.bandwidth, self._next)

    def _submit(self) -> None:
        size = self._spec.transfer
        while self._submitted < self._due and self._pending < MAX_PENDING:
            address = self._region + self._submitted * size % (REGION_BYTES - REGION_BYTES % size)
            self._channel.submit(FIRST_ID + self._submitted, address, size, False)
            self._submitted += 1
            self._pending += 1

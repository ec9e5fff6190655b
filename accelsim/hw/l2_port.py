"""The port of the shared level as a cycle engine: requests of four clients, each told when its last byte has crossed."""

from __future__ import annotations

from collections.abc import Callable

import simpy

from accelsim.hw.engine import CycleEngine
from accelsim.hw.l2 import L2Spec
from accelsim.hw.shared_port import PLACES, Served, SharedPort

# Clients, the first under `priority` first. MEMORY is the traffic with DRAM and flash, in both directions.
ACTIVATION_READ, ACTIVATION_WRITE, WEIGHT_READ, MEMORY = CLIENTS = ("activation_read", "activation_write", "weight_read", "memory")

Ended = Callable[[], None]


class L2Port(CycleEngine):
    """Runs a `SharedPort` to the next end of a request; a request that comes before drops what was run ahead.

    The requests of all cores wait together, by client.

    A burst that was begun is never interrupted. So a request whose last burst was begun ends when it was to end, whatever comes.
    """

    def __init__(self, env: simpy.Environment, clock_hz: int, spec: L2Spec, cores: int = 1) -> None:
        super().__init__(env, clock_hz)
        self._port = SharedPort(CLIENTS, spec.width_bytes, spec.burst, spec.arbitration, PLACES * cores)
        self._look = self._port
        self._cores = cores
        self._arrived: list[tuple[int, int, str, int, int, Ended]] = []  # in ps, order, client, cycle of the port, bytes, callback
        self._waiting: dict[tuple[str, int], Ended] = {}
        self._last: Served | None = None  # its last burst was begun, and has not ended
        self._next: Served | None = None
        self._valid = False

    def request(self, client: str, order: int, size: int, ended: Ended) -> None:
        """Move `size` bytes from now on; `ended` is called in the cycle from which the last of them is there.

        Of the requests of a client in one instant, the one with the lowest `order` is first.
        """
        self._arrived.append((int(self.env.now), order, client, self.now_cycle, size, ended))
        self.poke()

    def order(self, flight: int, core: int) -> int:
        """The place of a core's transfer among those of one instant: the oldest first, of equally old ones that of the first core."""
        return flight * self._cores + core

    @property
    def busy_cycles(self) -> int:
        """Cycles in which a burst held the port."""
        return self._port.busy_cycles

    @property
    def requested_bytes(self) -> dict[str, int]:
        """Client -> bytes that it moved, or is about to."""
        return self._port.requested_bytes

    @property
    def pending(self) -> int:
        """Requests that have not ended."""
        return len(self._waiting) + len(self._arrived)

    # -- the engine

    def must_repredict(self) -> bool:
        return bool(self._arrived) or not self._valid

    def commit(self, cycle: int) -> None:
        self._last = self._last or self._port.next_served(cycle)

    def absorb(self) -> None:
        for _, order, client, cycle, size, ended in sorted(self._arrived, key=lambda item: item[:2]):  # of one edge: as they came
            self.take(order, client, cycle, size, ended)
        self._arrived.clear()

    def take(self, order: int, client: str, cycle: int, size: int, ended: Ended) -> None:
        """Let a request wait for the port; they come in the order in which it knows them."""
        del order
        self._waiting[client, self._port.request(client, cycle, size)] = ended

    def predict(self) -> int | None:
        self._valid = True
        self._next = self._last
        if self._next is None:
            self._look = self._port.copy()
            self._next = self._look.next_served()
        return None if self._next is None else self._next.cycle

    def adopt(self) -> None:
        if self._last is None:
            self._port = self._look
        self._last = None
        self._valid = False

    def publish(self) -> None:
        if self._next is not None:
            self._waiting.pop((self._next.client, self._next.number))()

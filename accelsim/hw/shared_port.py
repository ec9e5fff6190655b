"""The port of a memory level that weights, activations and fills share, in core cycles.

It is run as far as its inputs are known: `advance(until)` needs every request that arrives before `until`, so a unit behind it may be
stepped in any pieces.

Disputable assumption: a client's requests are served in their order, and a burst moves bytes of one request alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np

from accelsim.kernels import shared_port as at
from accelsim.kernels.compute_state import NEVER

PLACES = 64  # requests of a client that wait at most, of one core


@dataclass(frozen=True)
class Served:
    """A request that ended: its client, its number among that client's requests, the cycle from which its last byte is there."""

    client: str
    number: int
    cycle: int


@dataclass(frozen=True)
class Burst:
    """A burst of a client's request `number`: it holds the port in cycles start..end-1 and moves `size` bytes."""

    client: str
    number: int
    start: int
    end: int
    size: int


class SharedPort:
    """A port of `width` bytes per cycle that serves bursts of at most `burst` bytes.

    Parameters
    ----------
    clients : names, the one that goes first under `priority` first
    places : requests of a client that wait at most
    """

    def __init__(
        self,
        clients: Sequence[str],
        width: int,
        burst: int,
        arbitration: Literal["priority", "round_robin"] = "priority",
        places: int = PLACES,
    ) -> None:
        self._clients = tuple(clients)
        self._params = np.zeros(at.PORT_PARAMETERS, np.int64)
        self._params[at.P_WIDTH], self._params[at.P_BURST] = width, burst
        self._params[at.P_ROUND_ROBIN] = arbitration == "round_robin"
        self._state = np.zeros(at.PORT_STATE, np.int64)
        self._state[at.SERVED] = -1
        self._requests = np.zeros((len(self._clients), places, at.REQUEST_WIDTH), np.int64)
        self._first = np.zeros(len(self._clients), np.int64)
        self._last = np.zeros(len(self._clients), np.int64)
        self._bytes = dict.fromkeys(self._clients, 0)

    def can_take(self, client: str) -> bool:
        """Whether one more request of a client may wait."""
        index = self._clients.index(client)
        return bool(self._last[index] - self._first[index] < self._requests.shape[1])

    def request(self, client: str, cycle: int, size: int) -> int:
        """Ask for `size` bytes from `cycle` on, which is neither before this client's last request nor before what was run; its number.

        Raises
        ------
        ValueError
            All places of the client are taken.
        """
        if not self.can_take(client):
            raise ValueError(f"{self._requests.shape[1]} requests of {client} wait for the port; allowed: one more once one has ended")
        index = self._clients.index(client)
        number = int(self._last[index])
        place = self._requests[index, number % self._requests.shape[1]]
        place[at.R_ARRIVAL], place[at.R_LEFT] = cycle, size
        self._last[index] += 1
        self._bytes[client] += size
        return number

    def advance(self, until: int) -> list[Served]:
        """Begin all bursts that begin before cycle `until`; the requests that they end, in order."""
        served = []
        while (ended := self.next_served(until)) is not None:
            served.append(ended)
        return served

    def next_served(self, until: int = NEVER) -> Served | None:
        """Begin bursts that begin before cycle `until`, as far as the first that ends a request; that request, None if none does."""
        cycle = int(at.run_port(self._state, self._params, self._requests, self._first, self._last, until))
        if cycle >= NEVER:
            return None
        client = int(self._state[at.ENDED_CLIENT])
        return Served(self._clients[client], int(self._first[client]) - 1, cycle)

    def next_burst(self, until: int = NEVER) -> Burst | None:
        """Begin the next burst, if it begins before cycle `until`."""
        index, start = (int(value) for value in at.next_client(self._state, self._params, self._requests, self._first, self._last))
        if start >= until or index < 0:
            return None
        number = int(self._first[index])
        request = self._requests[index, number % self._requests.shape[1]]
        size = min(int(request[at.R_LEFT]), int(self._params[at.P_BURST]))
        self.next_served(start + 1)
        return Burst(self._clients[index], number, start, int(self._state[at.FREE]), size)

    def copy(self) -> SharedPort:
        """The port as it is now, to be run further on its own."""
        other = copy(self)
        for name in ("_state", "_requests", "_first", "_last", "_bytes"):
            setattr(other, name, getattr(self, name).copy())
        return other

    @property
    def busy_cycles(self) -> int:
        """Cycles that the bursts so far hold the port: of each, its bytes over the width, rounded up."""
        return int(self._state[at.BUSY])

    @property
    def requested_bytes(self) -> dict[str, int]:
        """Client -> bytes that it asked for."""
        return dict(self._bytes)

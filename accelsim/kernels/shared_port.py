"""A memory's port that several clients share: each request is cut into bursts, and one burst at a time holds the port.

A burst holds it for ceil(bytes / width) cycles and is not interrupted. At its end the clients whose next request has arrived are asked
again: the first by priority, or the next behind the one served last. So the port never idles while a request waits.
"""

from __future__ import annotations

from accelsim.kernels.compute_state import NEVER
from accelsim.kernels.kernel import borrowing_kernel

# Parameters.
(
    P_WIDTH,  # bytes per cycle
    P_BURST,  # bytes of a burst at most
    P_ROUND_ROBIN,  # 1: the client behind the one served last goes first; 0: the one with the lowest number
    PORT_PARAMETERS,
) = range(4)

# State.
(
    FREE,  # cycle in which the burst that was begun last has ended
    SERVED,  # client served last; -1: none
    BUSY,  # cycles that bursts held the port
    BURSTS,
    ENDED_CLIENT,  # client whose request ended last
    PORT_STATE,
) = range(6)

# Columns of a request: cycle in which it arrives, bytes that are left.
R_ARRIVAL, R_LEFT, REQUEST_WIDTH = range(3)


@borrowing_kernel
def next_client(state, params, requests, first, last):
    """(client of the next burst, cycle in which it begins); (-1, NEVER) without a request."""
    clients = first.size
    earliest = NEVER
    for client in range(clients):
        if first[client] < last[client]:
            earliest = min(earliest, requests[client, first[client] % requests.shape[1], R_ARRIVAL])
    if earliest >= NEVER:
        return -1, NEVER
    start = max(earliest, state[FREE])
    ahead = state[SERVED] + 1 if params[P_ROUND_ROBIN] else 0
    for step in range(clients):
        client = (ahead + step) % clients
        if first[client] < last[client] and requests[client, first[client] % requests.shape[1], R_ARRIVAL] <= start:
            return client, start
    return -1, NEVER


@borrowing_kernel
def run_port(state, params, requests, first, last, until):
    """Begin all bursts that begin before cycle `until`, as far as the first that ends a request.

    Parameters
    ----------
    state, params : int64 (PORT_STATE,) and (PORT_PARAMETERS,)
    requests : int64 (clients, places, REQUEST_WIDTH): of each client a ring, in the order of arrival
    first, last : int64 (clients,): requests that ended, requests that came
    until : what arrives before this cycle is in `requests`

    Returns
    -------
    The cycle in which a request has ended, that of ENDED_CLIENT; NEVER if none does.
    """
    while True:
        client, start = next_client(state, params, requests, first, last)
        if client < 0 or start >= until:
            return NEVER
        request = requests[client, first[client] % requests.shape[1]]
        size = min(request[R_LEFT], params[P_BURST])
        cycles = -(-size // params[P_WIDTH])
        request[R_LEFT] -= size
        state[FREE] = start + cycles
        state[SERVED] = client
        state[BUSY] += cycles
        state[BURSTS] += 1
        if request[R_LEFT] == 0:
            first[client] += 1
            state[ENDED_CLIENT] = client
            return state[FREE]

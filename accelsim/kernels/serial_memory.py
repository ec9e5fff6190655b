"""A memory that serves one transfer after the other, with no state but the end of the last one: a serial flash, or an ideal device.

Compiled twins of `FlashTiming` and `IdealTiming`. Transfers end in the order of their arrival, so those under way are a ring.
"""

from __future__ import annotations

from accelsim.kernels.clocks import NEVER, PS_PER_S, scaled_up
from accelsim.kernels.kernel import borrowing_kernel

# Parameters.
(
    S_IDEAL,  # 1: an ideal device; 0: a flash
    S_BANDWIDTH,  # bytes per second; 0: infinite (ideal)
    S_LATENCY,  # ps: of each transfer (ideal), of a command with its dummy cycles (flash)
    SERIAL_PARAMETERS,
) = range(4)

# State.
(
    FREE,  # ps at which the last transfer leaves the device
    ORIGIN,  # ideal: ps at which it was idle last
    SENT,  # ideal: bytes since then
    NEXT_ADDRESS,  # flash: the address behind the last transfer
    COMMANDS,  # flash: reads with a command of their own
    FIRST,  # transfers that ended, transfers that came
    LAST,
    RING,  # (end in ps, transfer) of each that is under way
) = range(8)
PLACES = 64  # at most under way
SERIAL_STATE = RING + 2 * PLACES


@borrowing_kernel
def serve(state, params, transfer, now, address, size):
    """Take a transfer that arrives at `now` ps."""
    bandwidth = params[S_BANDWIDTH]
    if params[S_IDEAL]:
        end = now + params[S_LATENCY]
        if bandwidth:
            if now > state[FREE]:
                state[ORIGIN] = now
                state[SENT] = 0
            state[SENT] += size
            state[FREE] = state[ORIGIN] + scaled_up(state[SENT], PS_PER_S, bandwidth)
            end = state[FREE] + params[S_LATENCY]
    else:
        start = max(now, state[FREE])
        if address != state[NEXT_ADDRESS] or now > state[FREE]:
            start += params[S_LATENCY]
            state[COMMANDS] += 1
        end = start + scaled_up(size, PS_PER_S, bandwidth)
        state[FREE] = end
        state[NEXT_ADDRESS] = address + size
    place = RING + 2 * (state[LAST] % PLACES)
    state[place] = end
    state[place + 1] = transfer
    state[LAST] += 1


@borrowing_kernel
def next_end(state):
    """Time in ps at which the next transfer ends; NEVER: none is under way."""
    return state[RING + 2 * (state[FIRST] % PLACES)] if state[FIRST] < state[LAST] else NEVER


@borrowing_kernel
def earliest_end(state, params, time, size):
    """Ps before which no transfer of `size` bytes ends that arrives at `time` ps or later."""
    end = max(time, state[FREE])
    if params[S_BANDWIDTH]:  # sizes are added up before they are rounded, so one may take a picosecond less
        end += scaled_up(size, PS_PER_S, params[S_BANDWIDTH]) - 1
    else:
        end = time
    return end + params[S_LATENCY] if params[S_IDEAL] else end


@borrowing_kernel
def take_ended(state):
    """The transfer that ended."""
    transfer = state[RING + 2 * (state[FIRST] % PLACES) + 1]
    state[FIRST] += 1
    return transfer

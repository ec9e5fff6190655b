"""The flow through a DRAM channel, the same for every policy: transfers that offer bursts, slots that hold them, reads that return.

Bursts are offered in the order of their transfers, at most one per cycle, when the transfer has arrived and, for a read, a
place among the outstanding ones is free. A read's place is released a fixed time after its data; a transfer of reads is
complete when all its data is there, a transfer of writes when its last burst is in the controller's queue (posted).

Disputable assumption: head-of-line blocking. A read that may not be offered holds back the writes behind it.
"""

from __future__ import annotations

from accelsim.kernels.dram_state import (
    AGE,
    DONE,
    DONE_CYCLE,
    DONE_WHAT,
    DONE_WIDTH,
    FIRST_OFFER,
    FREE_SLOT,
    FREE_TRANSFER,
    INCOMPLETE,
    LAST_OFFER,
    LATENCY_MAX,
    LATENCY_SUM,
    NEVER,
    NONE,
    OFFER_FROM,
    OUTSTANDING,
    P_AT_REPORT,
    P_COLUMN_MASK,
    P_COLUMN_SHIFT,
    P_MAX_OUTSTANDING,
    P_READ_QUEUE,
    P_SLOT_RELEASE,
    P_WRITE_QUEUE,
    QUEUED,
    RELEASED,
    REPORTED,
    RETURNING,
    SAMPLED,
    SLOT_ACCEPTED,
    SLOT_AGE,
    SLOT_BANK,
    SLOT_COLUMN,
    SLOT_MERGED,
    SLOT_NEXT,
    SLOT_ROW,
    SLOT_TRANSFER,
    SLOT_WRITE,
    TRANSFER_ARRIVAL,
    TRANSFER_BURST,
    TRANSFER_END,
    TRANSFER_ID,
    TRANSFER_NEXT,
    TRANSFER_TO_OFFER,
    TRANSFER_TO_SERVE,
    TRANSFER_WRITE,
    Ints,
    done_at,
    return_at,
)
from accelsim.kernels.kernel import borrowing_kernel, kernel


@kernel
def submit(state: Ints, params: Ints, ident: int, arrival_cycle: int, is_write: int, first_burst: int, n_bursts: int) -> bool:
    """Append a transfer of `n_bursts` sequential bursts behind those submitted before; False if there is no room for it.

    Parameters
    ----------
    state, params : int64 arrays of `new_state` and of the device's `parameters`.
    ident : the transfer's id in `report_of`.
    arrival_cycle : first cycle in which its first burst may be offered.
    is_write : 0 or 1.
    first_burst : byte address / burst bytes.
    n_bursts : at least 1.
    """
    t = state[FREE_TRANSFER]
    if t == NONE:
        return False
    state[FREE_TRANSFER] = state[t + TRANSFER_NEXT]
    state[t + TRANSFER_ID] = ident
    state[t + TRANSFER_ARRIVAL] = arrival_cycle
    state[t + TRANSFER_WRITE] = is_write
    state[t + TRANSFER_BURST] = first_burst
    state[t + TRANSFER_TO_OFFER] = n_bursts
    state[t + TRANSFER_TO_SERVE] = n_bursts
    state[t + TRANSFER_END] = 0
    state[t + TRANSFER_NEXT] = NONE
    if state[FIRST_OFFER] == NONE:
        state[FIRST_OFFER] = t
    else:
        state[state[LAST_OFFER] + TRANSFER_NEXT] = t
    state[LAST_OFFER] = t
    state[INCOMPLETE] += 1
    return True


@borrowing_kernel
def next_offer(state: Ints, params: Ints) -> int:
    """Cycle at which the next burst will be accepted if no command is issued before; NEVER if only a command can help."""
    t = state[FIRST_OFFER]
    if t == NONE:
        return NEVER
    at = max(state[OFFER_FROM], state[t + TRANSFER_ARRIVAL])
    if state[t + TRANSFER_WRITE]:
        return at if state[QUEUED + 1] < params[P_WRITE_QUEUE] else NEVER
    if state[QUEUED] >= params[P_READ_QUEUE]:
        return NEVER
    released = state[RELEASED]
    outstanding = state[OUTSTANDING]
    release = 0
    while outstanding >= params[P_MAX_OUTSTANDING]:
        if released == state[RETURNING]:
            return NEVER
        release = state[return_at(params, released)] + params[P_SLOT_RELEASE]
        released += 1
        outstanding -= 1
    return max(at, release)


@borrowing_kernel
def release_places(state: Ints, params: Ints, now: int) -> None:
    """Release the place of every read whose time has come."""
    while state[RELEASED] < state[RETURNING] and state[return_at(params, state[RELEASED])] + params[P_SLOT_RELEASE] <= now:
        state[RELEASED] += 1
        state[OUTSTANDING] -= 1


@borrowing_kernel
def take_burst(state: Ints) -> int:
    """Take the next burst of the transfer at the head of the line: its number."""
    t = state[FIRST_OFFER]
    burst = state[t + TRANSFER_BURST]
    state[t + TRANSFER_BURST] = burst + 1
    state[t + TRANSFER_TO_OFFER] -= 1
    if state[t + TRANSFER_TO_OFFER] == 0:
        state[FIRST_OFFER] = state[t + TRANSFER_NEXT]
    return burst


@borrowing_kernel
def take_slot(state: Ints, params: Ints, burst: int, b: int, row: int, d: int, t: int, now: int) -> int:
    """Fill a free slot with a burst of transfer `t` that was accepted in cycle `now`."""
    s = state[FREE_SLOT]
    state[FREE_SLOT] = state[s + SLOT_NEXT]
    state[s + SLOT_BANK] = b
    state[s + SLOT_ROW] = row
    state[s + SLOT_COLUMN] = (burst >> params[P_COLUMN_SHIFT]) & params[P_COLUMN_MASK]
    state[s + SLOT_WRITE] = d
    state[s + SLOT_AGE] = state[AGE]
    state[s + SLOT_ACCEPTED] = now
    state[s + SLOT_TRANSFER] = t
    state[s + SLOT_NEXT] = NONE
    state[s + SLOT_MERGED] = NONE
    state[AGE] += 1
    return s


@borrowing_kernel
def free_slot(state: Ints, s: int) -> None:
    """Give a slot back."""
    state[s + SLOT_NEXT] = state[FREE_SLOT]
    state[FREE_SLOT] = s


@borrowing_kernel
def served(state: Ints, params: Ints, t: int, end: int) -> None:
    """One more burst of transfer `t` ends in cycle `end`; the transfer's completion if it was the last."""
    state[t + TRANSFER_END] = max(state[t + TRANSFER_END], end)
    state[t + TRANSFER_TO_SERVE] -= 1
    if state[t + TRANSFER_TO_SERVE] > 0:
        return
    end = state[t + TRANSFER_END]
    at = state[DONE]
    while at > 0 and state[done_at(params, at - 1) + DONE_CYCLE] > end:
        state[done_at(params, at) + DONE_CYCLE] = state[done_at(params, at - 1) + DONE_CYCLE]
        state[done_at(params, at) + DONE_WHAT] = state[done_at(params, at - 1) + DONE_WHAT]
        at -= 1
    state[done_at(params, at) + DONE_CYCLE] = end
    state[done_at(params, at) + DONE_WHAT] = t
    state[DONE] += 1


@borrowing_kernel
def read_returns(state: Ints, params: Ints, samples: Ints, t: int, accepted: int, at: int) -> None:
    """The data of a read of transfer `t`, accepted in cycle `accepted`, is there in cycle `at`."""
    place = state[RETURNING]
    while place > state[RELEASED] and state[return_at(params, place - 1)] > at:  # only behind a read answered from a queued write
        state[return_at(params, place)] = state[return_at(params, place - 1)]
        place -= 1
    state[return_at(params, place)] = at
    state[RETURNING] += 1
    latency = at - accepted
    state[LATENCY_SUM] += latency
    state[LATENCY_MAX] = max(state[LATENCY_MAX], latency)
    if state[SAMPLED] < samples.shape[0]:
        samples[state[SAMPLED]] = latency
    state[SAMPLED] += 1
    served(state, params, t, at)


@borrowing_kernel
def report_done(state: Ints, params: Ints) -> int:
    """Move every completion of the earliest cycle into the report and free its transfers; that cycle."""
    cycle = state[done_at(params, 0) + DONE_CYCLE]
    count = 0
    while count < state[DONE] and state[done_at(params, count) + DONE_CYCLE] == cycle:
        t = state[done_at(params, count) + DONE_WHAT]
        report = params[P_AT_REPORT] + state[REPORTED] * DONE_WIDTH
        state[report + DONE_CYCLE] = cycle
        state[report + DONE_WHAT] = state[t + TRANSFER_ID]
        state[REPORTED] += 1
        state[t + TRANSFER_NEXT] = state[FREE_TRANSFER]
        state[FREE_TRANSFER] = t
        count += 1
    for at in range(count, state[DONE]):
        state[done_at(params, at - count) + DONE_CYCLE] = state[done_at(params, at) + DONE_CYCLE]
        state[done_at(params, at - count) + DONE_WHAT] = state[done_at(params, at) + DONE_WHAT]
    state[DONE] -= count
    state[INCOMPLETE] -= count
    return cycle

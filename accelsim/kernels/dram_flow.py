"""What flows through a DRAM channel whatever its policy: transfers that offer bursts, slots that hold them, reads that return.

Bursts are offered in the order of their transfers, at most one a cycle, when the transfer has arrived and, for a read, a
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
    P_COLUMN_MASK,
    P_COLUMN_SHIFT,
    P_MAX_OUTSTANDING,
    P_READ_QUEUE,
    P_RETURNS,
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
    transfers_of,
)
from accelsim.kernels.kernel import kernel


@kernel
def submit(state: Ints, params: Ints, ident: int, arrival_cycle: int, is_write: int, first_burst: int, n_bursts: int) -> bool:
    """Append a transfer of `n_bursts` sequential bursts behind those submitted before; False if there is no room for it.

    Parameters
    ----------
    state, params : int64 arrays of `new_state` and of the device's `parameters`.
    ident : what `report_of` calls the transfer.
    arrival_cycle : first cycle in which its first burst may be offered.
    is_write : 0 or 1.
    first_burst : byte address / burst bytes.
    n_bursts : at least 1.
    """
    i = state[FREE_TRANSFER]
    if i == NONE:
        return False
    transfer = transfers_of(state, params)
    state[FREE_TRANSFER] = transfer[i, TRANSFER_NEXT]
    transfer[i, TRANSFER_ID] = ident
    transfer[i, TRANSFER_ARRIVAL] = arrival_cycle
    transfer[i, TRANSFER_WRITE] = is_write
    transfer[i, TRANSFER_BURST] = first_burst
    transfer[i, TRANSFER_TO_OFFER] = n_bursts
    transfer[i, TRANSFER_TO_SERVE] = n_bursts
    transfer[i, TRANSFER_END] = 0
    transfer[i, TRANSFER_NEXT] = NONE
    if state[FIRST_OFFER] == NONE:
        state[FIRST_OFFER] = i
    else:
        transfer[state[LAST_OFFER], TRANSFER_NEXT] = i
    state[LAST_OFFER] = i
    state[INCOMPLETE] += 1
    return True


@kernel
def next_offer(state: Ints, params: Ints, transfer: Ints, returns: Ints) -> int:
    """Cycle at which the next burst will be accepted if no command is issued before; NEVER if only a command can help."""
    i = state[FIRST_OFFER]
    if i == NONE:
        return NEVER
    at = max(state[OFFER_FROM], transfer[i, TRANSFER_ARRIVAL])
    if transfer[i, TRANSFER_WRITE]:
        return at if state[QUEUED + 1] < params[P_WRITE_QUEUE] else NEVER
    if state[QUEUED] >= params[P_READ_QUEUE]:
        return NEVER
    released = state[RELEASED]
    outstanding = state[OUTSTANDING]
    release = 0
    while outstanding >= params[P_MAX_OUTSTANDING]:
        if released == state[RETURNING]:
            return NEVER
        release = returns[released % params[P_RETURNS]] + params[P_SLOT_RELEASE]
        released += 1
        outstanding -= 1
    return max(at, release)


@kernel
def release_places(state: Ints, params: Ints, returns: Ints, now: int) -> None:
    """Release the place of every read whose time has come."""
    while state[RELEASED] < state[RETURNING] and returns[state[RELEASED] % params[P_RETURNS]] + params[P_SLOT_RELEASE] <= now:
        state[RELEASED] += 1
        state[OUTSTANDING] -= 1


@kernel
def take_burst(state: Ints, transfer: Ints) -> int:
    """Take the next burst of the transfer at the head of the line: its number."""
    i = state[FIRST_OFFER]
    burst = transfer[i, TRANSFER_BURST]
    transfer[i, TRANSFER_BURST] = burst + 1
    transfer[i, TRANSFER_TO_OFFER] -= 1
    if transfer[i, TRANSFER_TO_OFFER] == 0:
        state[FIRST_OFFER] = transfer[i, TRANSFER_NEXT]
    return burst


@kernel
def take_slot(state: Ints, params: Ints, slot: Ints, burst: int, b: int, row: int, d: int, i: int, now: int) -> int:
    """Fill a free slot with a burst of transfer `i` that was accepted in cycle `now`."""
    s = state[FREE_SLOT]
    state[FREE_SLOT] = slot[s, SLOT_NEXT]
    slot[s, SLOT_BANK] = b
    slot[s, SLOT_ROW] = row
    slot[s, SLOT_COLUMN] = (burst >> params[P_COLUMN_SHIFT]) & params[P_COLUMN_MASK]
    slot[s, SLOT_WRITE] = d
    slot[s, SLOT_AGE] = state[AGE]
    slot[s, SLOT_ACCEPTED] = now
    slot[s, SLOT_TRANSFER] = i
    slot[s, SLOT_NEXT] = NONE
    slot[s, SLOT_MERGED] = NONE
    state[AGE] += 1
    return s


@kernel
def free_slot(state: Ints, slot: Ints, s: int) -> None:
    """Give a slot back."""
    slot[s, SLOT_NEXT] = state[FREE_SLOT]
    state[FREE_SLOT] = s


@kernel
def served(state: Ints, transfer: Ints, done: Ints, i: int, end: int) -> None:
    """One more burst of transfer `i` ends in cycle `end`; the transfer's completion if it was the last."""
    transfer[i, TRANSFER_END] = max(transfer[i, TRANSFER_END], end)
    transfer[i, TRANSFER_TO_SERVE] -= 1
    if transfer[i, TRANSFER_TO_SERVE] > 0:
        return
    end = transfer[i, TRANSFER_END]
    at = state[DONE]
    while at > 0 and done[at - 1, DONE_CYCLE] > end:
        done[at, DONE_CYCLE] = done[at - 1, DONE_CYCLE]
        done[at, DONE_WHAT] = done[at - 1, DONE_WHAT]
        at -= 1
    done[at, DONE_CYCLE] = end
    done[at, DONE_WHAT] = i
    state[DONE] += 1


@kernel
def read_returns(state: Ints, params: Ints, transfer: Ints, returns: Ints, done: Ints, samples: Ints, i: int, accepted: int, at: int) -> None:
    """The data of a read of transfer `i`, accepted in cycle `accepted`, is there in cycle `at`."""
    capacity = params[P_RETURNS]
    place = state[RETURNING]
    while place > state[RELEASED] and returns[(place - 1) % capacity] > at:  # only behind a read answered from a queued write
        returns[place % capacity] = returns[(place - 1) % capacity]
        place -= 1
    returns[place % capacity] = at
    state[RETURNING] += 1
    latency = at - accepted
    state[LATENCY_SUM] += latency
    state[LATENCY_MAX] = max(state[LATENCY_MAX], latency)
    if state[SAMPLED] < samples.shape[0]:
        samples[state[SAMPLED]] = latency
    state[SAMPLED] += 1
    served(state, transfer, done, i, at)


@kernel
def report_done(state: Ints, transfer: Ints, done: Ints, report: Ints) -> int:
    """Move every completion of the earliest cycle into the report and free its transfers; that cycle."""
    cycle = done[0, DONE_CYCLE]
    count = 0
    while count < state[DONE] and done[count, DONE_CYCLE] == cycle:
        i = done[count, DONE_WHAT]
        report[state[REPORTED], DONE_CYCLE] = cycle
        report[state[REPORTED], DONE_WHAT] = transfer[i, TRANSFER_ID]
        state[REPORTED] += 1
        transfer[i, TRANSFER_NEXT] = state[FREE_TRANSFER]
        state[FREE_TRANSFER] = i
        count += 1
    for at in range(count, state[DONE]):
        done[at - count, DONE_CYCLE] = done[at, DONE_CYCLE]
        done[at - count, DONE_WHAT] = done[at, DONE_WHAT]
    state[DONE] -= count
    state[INCOMPLETE] -= count
    return cycle

"""The controller policy BANK_QUEUES: a short queue a bank, served in turn, behind a read queue and a write buffer.

One burst a cycle moves from the read queue, or from the write buffer while it drains, into its bank's queue; banks are
asked in turn for their first request whose next command may be issued now. Only the head of a bank's queue may close a
row, and it leaves the row's pending hits alone until `hits_before_cut` of them were served. A drain takes all the writes
that wait; it starts when the buffer is full, or when more than `drain_above` wait and the banks' queues are empty, so the
last few writes may stay for ever. A refresh that is due stops everything: one PRE for each open bank, then REF. Close to
DRAMsim3.

Disputable assumption: a write that waits behind an older read of the same burst lets that read move first (DRAMsim3 stops the
drain instead, and may then wait for ever).
"""

from __future__ import annotations

from accelsim.kernels.dram_device import issue_act, issue_column, issue_pre, issue_ref, ready
from accelsim.kernels.dram_flow import free_slot, read_returns, served, take_slot
from accelsim.kernels.dram_state import (
    ACT,
    BANK_HITS,
    BANK_QUEUED,
    BANK_ROW,
    COMMAND_FROM,
    CONFLICTS,
    DRAINING,
    FORWARDED_READS,
    IN_BANKS,
    MERGED,
    NEVER,
    NONE,
    P_BANK_QUEUE,
    P_BANKS,
    P_COLUMN_MASK,
    P_COLUMN_SHIFT,
    P_DRAIN_ABOVE,
    P_HITS_BEFORE_CUT,
    P_WRITE_QUEUE,
    PRE,
    QUEUED,
    RANK_READY,
    RD,
    REF,
    REFRESH_PENDING,
    ROUND_ROBIN,
    SLOT_ACCEPTED,
    SLOT_BANK,
    SLOT_COLUMN,
    SLOT_MERGED,
    SLOT_ROW,
    SLOT_TRANSFER,
    SLOT_WRITE,
    Ints,
)
from accelsim.kernels.kernel import kernel


@kernel
def same_burst(slot: Ints, s: int, b: int, row: int, column: int) -> bool:
    """Whether slot `s` holds this burst."""
    return slot[s, SLOT_COLUMN] == column and slot[s, SLOT_ROW] == row and slot[s, SLOT_BANK] == b


@kernel
def find_in_bank(bank: Ints, slot: Ints, queue: Ints, places: int, d: int, b: int, row: int, column: int) -> int:
    """The slot of a read (0) or write (1) of this burst in the first `places` places of its bank's queue, or NONE."""
    for place in range(places):
        s = queue[b, place]
        if slot[s, SLOT_WRITE] == d and same_burst(slot, s, b, row, column):
            return s
    return NONE


@kernel
def find_waiting(state: Ints, slot: Ints, waiting: Ints, d: int, b: int, row: int, column: int) -> int:
    """The place of a read (0) or write (1) of this burst among those that wait for their bank's queue, or NONE."""
    for place in range(state[QUEUED + d]):
        if same_burst(slot, waiting[d, place], b, row, column):
            return place
    return NONE


@kernel
def place_ready(state: Ints, params: Ints, bank: Ints, group: Ints, slot: Ints, queue: Ints, b: int, place: int) -> int:
    """Earliest cycle of the next command of one request in bank `b`'s queue; NEVER while it may not be issued."""
    s = queue[b, place]
    row = bank[b, BANK_ROW]
    if row == NONE:
        return ready(state, params, bank, group, ACT, b)
    if row == slot[s, SLOT_ROW]:
        if slot[s, SLOT_WRITE] and find_in_bank(bank, slot, queue, place, 0, b, row, slot[s, SLOT_COLUMN]) != NONE:
            return NEVER
        return ready(state, params, bank, group, RD + slot[s, SLOT_WRITE], b)
    if place > 0:
        return NEVER
    if bank[b, BANK_HITS] < params[P_HITS_BEFORE_CUT]:
        for other in range(1, bank[b, BANK_QUEUED]):
            if slot[queue[b, other], SLOT_ROW] == row:
                return NEVER
    return ready(state, params, bank, group, PRE, b)


@kernel
def choose_in_turn(state: Ints, params: Ints, bank: Ints, group: Ints, slot: Ints, queue: Ints, now: int) -> tuple[int, int]:
    """The next command if nothing moves before: its cycle (NEVER: none) and its bank (NONE: REF)."""
    first = max(now, state[COMMAND_FROM])
    banks = params[P_BANKS]
    best, which = NEVER, NONE
    if state[REFRESH_PENDING] > 0:
        for b in range(banks):
            if bank[b, BANK_ROW] != NONE:
                at = max(first, ready(state, params, bank, group, PRE, b))
                if at < best:
                    best, which = at, b
        if which == NONE:
            best = max(first, state[RANK_READY + REF])
        return best, which
    for step in range(1, banks + 1):
        b = (state[ROUND_ROBIN] + step) % banks
        for place in range(bank[b, BANK_QUEUED]):
            at = max(first, place_ready(state, params, bank, group, slot, queue, b, place))
            if at < best:
                best, which = at, b
    return best, which


@kernel
def issue_in_turn(
    state: Ints,
    params: Ints,
    bank: Ints,
    group: Ints,
    slot: Ints,
    queue: Ints,
    transfer: Ints,
    returns: Ints,
    done: Ints,
    log: Ints,
    samples: Ints,
    b: int,
    now: int,
) -> None:
    """Issue what `choose_in_turn` chose."""
    if state[REFRESH_PENDING] > 0:
        if b == NONE:
            issue_ref(state, params, log, now)
        else:
            issue_pre(state, params, bank, group, log, b, now)
        return
    state[ROUND_ROBIN] = b
    place = 0
    while place_ready(state, params, bank, group, slot, queue, b, place) > now:
        place += 1
    s = queue[b, place]
    if bank[b, BANK_ROW] == NONE:
        issue_act(state, params, bank, group, log, b, slot[s, SLOT_ROW], now)
        return
    if bank[b, BANK_ROW] != slot[s, SLOT_ROW]:
        state[CONFLICTS] += 1
        issue_pre(state, params, bank, group, log, b, now)
        return
    d = slot[s, SLOT_WRITE]
    end = issue_column(state, params, bank, group, log, RD + d, b, slot[s, SLOT_COLUMN], now)
    bank[b, BANK_QUEUED] -= 1
    state[IN_BANKS] -= 1
    for at in range(place, bank[b, BANK_QUEUED]):
        queue[b, at] = queue[b, at + 1]
    while s != NONE:
        if d == 0:
            read_returns(state, params, transfer, returns, done, samples, slot[s, SLOT_TRANSFER], slot[s, SLOT_ACCEPTED], end)
        merged = slot[s, SLOT_MERGED]
        free_slot(state, slot, s)
        s = merged


@kernel
def drain_of(state: Ints, params: Ints) -> int:
    """Writes that the drain still has to move, with one that starts now."""
    if state[DRAINING] > 0:
        return state[DRAINING]
    writes = state[QUEUED + 1]
    if writes >= params[P_WRITE_QUEUE] or (writes > params[P_DRAIN_ABOVE] and state[IN_BANKS] == 0):
        return writes
    return 0


@kernel
def next_move(state: Ints, params: Ints, bank: Ints, slot: Ints, waiting: Ints) -> tuple[int, int]:
    """The direction and place of the burst that moves next; place NONE if none can."""
    d = 1 if drain_of(state, params) > 0 else 0
    for place in range(state[QUEUED + d]):
        s = waiting[d, place]
        if bank[slot[s, SLOT_BANK], BANK_QUEUED] < params[P_BANK_QUEUE]:
            if d:
                older = find_waiting(state, slot, waiting, 0, slot[s, SLOT_BANK], slot[s, SLOT_ROW], slot[s, SLOT_COLUMN])
                if older != NONE:
                    return 0, older
            return d, place
    return d, NONE


@kernel
def move(state: Ints, params: Ints, bank: Ints, slot: Ints, queue: Ints, waiting: Ints) -> None:
    """Move the burst of `next_move`, if there is one, into its bank's queue, and account for the drain."""
    d, place = next_move(state, params, bank, slot, waiting)
    state[DRAINING] = drain_of(state, params)
    if place == NONE:
        return
    state[DRAINING] -= d
    s = waiting[d, place]
    state[QUEUED + d] -= 1
    for at in range(place, state[QUEUED + d]):
        waiting[d, at] = waiting[d, at + 1]
    b = slot[s, SLOT_BANK]
    queue[b, bank[b, BANK_QUEUED]] = s
    bank[b, BANK_QUEUED] += 1
    state[IN_BANKS] += 1


@kernel
def accept_waiting(
    state: Ints,
    params: Ints,
    bank: Ints,
    slot: Ints,
    queue: Ints,
    waiting: Ints,
    transfer: Ints,
    returns: Ints,
    done: Ints,
    samples: Ints,
    burst: int,
    b: int,
    row: int,
    d: int,
    i: int,
    now: int,
) -> None:
    """Put a burst of transfer `i` into the read queue or the write buffer.

    A read of a burst whose write is pending is answered from it one cycle later; a write to such a burst is merged into it,
    and a read of a burst whose read is pending shares its RD.
    """
    column = (burst >> params[P_COLUMN_SHIFT]) & params[P_COLUMN_MASK]
    if d:
        served(state, transfer, done, i, now)
    if (
        find_waiting(state, slot, waiting, 1, b, row, column) != NONE
        or find_in_bank(bank, slot, queue, bank[b, BANK_QUEUED], 1, b, row, column) != NONE
    ):
        if d:
            state[MERGED] += 1
        else:
            state[FORWARDED_READS] += 1
            read_returns(state, params, transfer, returns, done, samples, i, now, now + 1)
        return
    s = take_slot(state, params, slot, burst, b, row, d, i, now)
    if d == 0:
        pending = find_in_bank(bank, slot, queue, bank[b, BANK_QUEUED], 0, b, row, column)
        if pending == NONE:
            place = find_waiting(state, slot, waiting, 0, b, row, column)
            if place != NONE:
                pending = waiting[0, place]
        if pending != NONE:
            state[MERGED] += 1
            slot[s, SLOT_MERGED] = slot[pending, SLOT_MERGED]
            slot[pending, SLOT_MERGED] = s
            return
    waiting[d, state[QUEUED + d]] = s
    state[QUEUED + d] += 1

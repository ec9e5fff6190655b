"""The controller policy BANK_QUEUES: a short queue per bank, served in turn, behind a read queue and a write buffer.

One burst per cycle moves from the read queue, or from the write buffer while it drains, into its bank's queue; banks are
asked in turn for their first request whose next command may be issued now. Only the head of a bank's queue may close a
row, and it leaves the row's pending hits alone until `hits_before_cut` of them were served. A drain takes all the writes
that wait; it starts when the buffer is full, or when more than `drain_above` wait and the banks' queues are empty, so the
last few writes may wait for ever. A refresh that is due stops everything: one PRE for each open bank, then REF. Close to
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
    bank_at,
    queue_at,
    waiting_at,
)
from accelsim.kernels.kernel import borrowing_kernel


@borrowing_kernel
def same_burst(state: Ints, s: int, b: int, row: int, column: int) -> bool:
    """Whether slot `s` holds this burst."""
    return state[s + SLOT_COLUMN] == column and state[s + SLOT_ROW] == row and state[s + SLOT_BANK] == b


@borrowing_kernel
def find_in_bank(state: Ints, params: Ints, places: int, d: int, b: int, row: int, column: int) -> int:
    """The slot of a read (0) or write (1) of this burst in the first `places` places of its bank's queue, or NONE."""
    for place in range(places):
        s = state[queue_at(params, b) + place]
        if state[s + SLOT_WRITE] == d and same_burst(state, s, b, row, column):
            return s
    return NONE


@borrowing_kernel
def find_waiting(state: Ints, params: Ints, d: int, b: int, row: int, column: int) -> int:
    """The place of a read (0) or write (1) of this burst among those that wait for their bank's queue, or NONE."""
    for place in range(state[QUEUED + d]):
        if same_burst(state, state[waiting_at(params, d) + place], b, row, column):
            return place
    return NONE


@borrowing_kernel
def place_ready(state: Ints, params: Ints, b: int, place: int) -> int:
    """Earliest cycle of the next command of one request in bank `b`'s queue; NEVER while it may not be issued."""
    s = state[queue_at(params, b) + place]
    row = state[bank_at(params, b) + BANK_ROW]
    if row == NONE:
        return ready(state, params, ACT, b)
    if row == state[s + SLOT_ROW]:
        if state[s + SLOT_WRITE] and find_in_bank(state, params, place, 0, b, row, state[s + SLOT_COLUMN]) != NONE:
            return NEVER
        return ready(state, params, RD + state[s + SLOT_WRITE], b)
    if place > 0:
        return NEVER
    if state[bank_at(params, b) + BANK_HITS] < params[P_HITS_BEFORE_CUT]:
        for other in range(1, state[bank_at(params, b) + BANK_QUEUED]):
            if state[state[queue_at(params, b) + other] + SLOT_ROW] == row:
                return NEVER
    return ready(state, params, PRE, b)


@borrowing_kernel
def choose_in_turn(state: Ints, params: Ints, now: int) -> tuple[int, int]:
    """The next command if nothing moves before: its cycle (NEVER: none) and its bank (NONE: REF)."""
    first = max(now, state[COMMAND_FROM])
    banks = params[P_BANKS]
    best, which = NEVER, NONE
    if state[REFRESH_PENDING] > 0:
        for b in range(banks):
            if state[bank_at(params, b) + BANK_ROW] != NONE:
                at = max(first, ready(state, params, PRE, b))
                if at < best:
                    best, which = at, b
        if which == NONE:
            best = max(first, state[RANK_READY + REF])
        return best, which
    for step in range(1, banks + 1):
        b = (state[ROUND_ROBIN] + step) % banks
        for place in range(state[bank_at(params, b) + BANK_QUEUED]):
            at = max(first, place_ready(state, params, b, place))
            if at < best:
                best, which = at, b
    return best, which


@borrowing_kernel
def issue_in_turn(state: Ints, params: Ints, log: Ints, samples: Ints, b: int, now: int) -> None:
    """Issue the command that `choose_in_turn` chose."""
    if state[REFRESH_PENDING] > 0:
        if b == NONE:
            issue_ref(state, params, log, now)
        else:
            issue_pre(state, params, log, b, now)
        return
    state[ROUND_ROBIN] = b
    place = 0
    while place_ready(state, params, b, place) > now:
        place += 1
    s = state[queue_at(params, b) + place]
    if state[bank_at(params, b) + BANK_ROW] == NONE:
        issue_act(state, params, log, b, state[s + SLOT_ROW], now)
        return
    if state[bank_at(params, b) + BANK_ROW] != state[s + SLOT_ROW]:
        state[CONFLICTS] += 1
        issue_pre(state, params, log, b, now)
        return
    d = state[s + SLOT_WRITE]
    end = issue_column(state, params, log, RD + d, b, state[s + SLOT_COLUMN], now)
    state[bank_at(params, b) + BANK_QUEUED] -= 1
    state[IN_BANKS] -= 1
    for at in range(place, state[bank_at(params, b) + BANK_QUEUED]):
        state[queue_at(params, b) + at] = state[queue_at(params, b) + at + 1]
    while s != NONE:
        if d == 0:
            read_returns(state, params, samples, state[s + SLOT_TRANSFER], state[s + SLOT_ACCEPTED], end)
        merged = state[s + SLOT_MERGED]
        free_slot(state, s)
        s = merged


@borrowing_kernel
def drain_of(state: Ints, params: Ints) -> int:
    """Writes that the drain still has to move, with one that starts now."""
    if state[DRAINING] > 0:
        return state[DRAINING]
    writes = state[QUEUED + 1]
    if writes >= params[P_WRITE_QUEUE] or (writes > params[P_DRAIN_ABOVE] and state[IN_BANKS] == 0):
        return writes
    return 0


@borrowing_kernel
def next_move(state: Ints, params: Ints) -> tuple[int, int]:
    """The direction and place of the burst that moves next; place NONE if none can."""
    d = 1 if drain_of(state, params) > 0 else 0
    for place in range(state[QUEUED + d]):
        s = state[waiting_at(params, d) + place]
        if state[bank_at(params, state[s + SLOT_BANK]) + BANK_QUEUED] < params[P_BANK_QUEUE]:
            if d:
                older = find_waiting(state, params, 0, state[s + SLOT_BANK], state[s + SLOT_ROW], state[s + SLOT_COLUMN])
                if older != NONE:
                    return 0, older
            return d, place
    return d, NONE


@borrowing_kernel
def move(state: Ints, params: Ints) -> None:
    """Move the burst of `next_move`, if there is one, into its bank's queue, and account for the drain."""
    d, place = next_move(state, params)
    state[DRAINING] = drain_of(state, params)
    if place == NONE:
        return
    state[DRAINING] -= d
    s = state[waiting_at(params, d) + place]
    state[QUEUED + d] -= 1
    for at in range(place, state[QUEUED + d]):
        state[waiting_at(params, d) + at] = state[waiting_at(params, d) + at + 1]
    b = state[s + SLOT_BANK]
    state[queue_at(params, b) + state[bank_at(params, b) + BANK_QUEUED]] = s
    state[bank_at(params, b) + BANK_QUEUED] += 1
    state[IN_BANKS] += 1


@borrowing_kernel
def accept_waiting(state: Ints, params: Ints, samples: Ints, burst: int, b: int, row: int, d: int, i: int, now: int) -> None:
    """Put a burst of transfer `i` into the read queue or the write buffer.

    A read of a burst whose write is pending is answered from it one cycle later; a write to such a burst is merged into it,
    and a read of a burst whose read is pending shares its RD.
    """
    column = (burst >> params[P_COLUMN_SHIFT]) & params[P_COLUMN_MASK]
    if d:
        served(state, params, i, now)
    if (
        find_waiting(state, params, 1, b, row, column) != NONE
        or find_in_bank(state, params, state[bank_at(params, b) + BANK_QUEUED], 1, b, row, column) != NONE
    ):
        if d:
            state[MERGED] += 1
        else:
            state[FORWARDED_READS] += 1
            read_returns(state, params, samples, i, now, now + 1)
        return
    s = take_slot(state, params, burst, b, row, d, i, now)
    if d == 0:
        pending = find_in_bank(state, params, state[bank_at(params, b) + BANK_QUEUED], 0, b, row, column)
        if pending == NONE:
            place = find_waiting(state, params, 0, b, row, column)
            if place != NONE:
                pending = state[waiting_at(params, 0) + place]
        if pending != NONE:
            state[MERGED] += 1
            state[s + SLOT_MERGED] = state[pending + SLOT_MERGED]
            state[pending + SLOT_MERGED] = s
            return
    state[waiting_at(params, d) + state[QUEUED + d]] = s
    state[QUEUED + d] += 1

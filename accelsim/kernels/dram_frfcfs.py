"""The controller policy FRFCFS: of one queue per direction, the oldest request whose next command may be issued now.

Each cycle issues the first of these that is ready: the oldest request whose row was opened for it; the next step of a
refresh that is due (one PRE of all banks, then REF); the oldest request of the queue that is served now; the second half of
an ACT that has two (LPDDR5), which otherwise waits for its deadline and lets no other ACT in between. While a refresh
is due no queued request moves, and no PRE closes a row that was opened for a request which has not been served. Optionally
a PRE may not overtake an older hit of its bank (`row_hits_first`). Close to Ramulator 2.1's FRFCFS and FRFCFS-RowHit.

Requests of one direction and row are kept as a train: only its oldest can be the oldest that is ready, so a choice costs
one look per train, and a sequential stream has one or two of them. When nothing is ready, the choice is also the time at
which something will be, so the cycles between are skipped.

Disputable assumption: the queue that is served changes only in cycles in which neither of the first two issues anything.
"""

from __future__ import annotations

from accelsim.kernels.dram_device import issue_act, issue_act2, issue_column, issue_pre, issue_ref, ready, ready_all
from accelsim.kernels.dram_flow import free_slot, read_returns, served, take_slot
from accelsim.kernels.dram_state import (
    ACT,
    ACT2_DEADLINE,
    BANK_OPENED_FOR,
    BANK_ROW,
    COMMAND_FROM,
    CONFLICTS,
    FORWARDED_READS,
    MERGED,
    NEVER,
    NONE,
    OPENED,
    P_BANKS,
    P_COLUMN_MASK,
    P_COLUMN_SHIFT,
    P_DRAIN_ABOVE,
    P_DRAIN_BELOW,
    P_ROW_HITS_FIRST,
    P_WCK_POST,
    PRE,
    QUEUED,
    RD,
    REFRESH_PENDING,
    SLOT_ACCEPTED,
    SLOT_AGE,
    SLOT_COLUMN,
    SLOT_NEXT,
    SLOT_ROW,
    SLOT_TRANSFER,
    SLOT_WRITE,
    TRAIN_BANK,
    TRAIN_FIRST,
    TRAIN_LAST,
    TRAIN_ROW,
    TRAIN_WIDTH,
    TRAINS,
    WCK_UNTIL,
    WRITE_MODE,
    Ints,
    bank_at,
    train_at,
)
from accelsim.kernels.kernel import borrowing_kernel

SECOND_ACT, OPENED_REQUEST, REFRESH_STEP, QUEUED_REQUEST = range(4)


@borrowing_kernel
def wanted_mode(state: Ints, params: Ints) -> int:
    """1 if writes are to be served from now on: many wait, or no reads do; 0 again when few wait and reads do."""
    if state[WRITE_MODE] == 0:
        return 1 if state[QUEUED + 1] > params[P_DRAIN_ABOVE] or state[QUEUED] == 0 else 0
    return 0 if state[QUEUED + 1] < params[P_DRAIN_BELOW] and state[QUEUED] != 0 else 1


@borrowing_kernel
def overtakes_hit(state: Ints, params: Ints, d: int, b: int, age: int) -> bool:
    """Whether the queue holds a hit of bank `b` that is older than `age`."""
    for i in range(state[TRAINS + d]):
        t = train_at(params, d, i)
        if state[t + TRAIN_BANK] == b and state[t + TRAIN_ROW] == state[bank_at(params, b) + BANK_ROW]:
            return state[state[t + TRAIN_FIRST] + SLOT_AGE] < age
    return False


@borrowing_kernel
def train_ready(state: Ints, params: Ints, d: int, t: int) -> int:
    """Earliest cycle of the next command of a train's oldest request; NEVER while it may not be issued."""
    b = state[t + TRAIN_BANK]
    bank = bank_at(params, b)
    row = state[bank + BANK_ROW]
    if row == state[t + TRAIN_ROW]:
        return ready(state, params, RD + d, b)
    if row == NONE:
        return ready(state, params, ACT, b) if state[ACT2_DEADLINE] == NEVER else NEVER
    if state[bank + BANK_OPENED_FOR] != NONE:
        return NEVER
    if params[P_ROW_HITS_FIRST] and overtakes_hit(state, params, d, b, state[state[t + TRAIN_FIRST] + SLOT_AGE]):
        return NEVER
    return ready(state, params, PRE, b)


@borrowing_kernel
def choose(state: Ints, params: Ints, now: int) -> tuple[int, int, int]:
    """The next command if nothing is accepted before: its cycle (NEVER: none), its kind, and its bank or train."""
    first = max(now, state[COMMAND_FROM])
    deadline = state[ACT2_DEADLINE]
    if deadline == NEVER:
        return choose_request(state, params, first)
    if deadline <= first:
        return first, SECOND_ACT, NONE
    best, kind, which = choose_request(state, params, first)
    if best > first or (deadline <= first + 1 and starts_clock(state, params, kind, which, first)):
        return first, SECOND_ACT, NONE
    return best, kind, which


@borrowing_kernel
def starts_clock(state: Ints, params: Ints, kind: int, which: int, now: int) -> bool:
    """Whether the choice is a RD or WR that needs a CAS before it, and so two cycles of the command bus."""
    if params[P_WCK_POST] == NONE or now < state[WCK_UNTIL]:
        return False
    if kind == OPENED_REQUEST:
        return True
    return kind == QUEUED_REQUEST and state[bank_at(params, state[which + TRAIN_BANK]) + BANK_ROW] == state[which + TRAIN_ROW]


@borrowing_kernel
def choose_request(state: Ints, params: Ints, first: int) -> tuple[int, int, int]:
    """`choose` beside the second half of an ACT, from cycle `first` on."""
    best, kind, which = NEVER, QUEUED_REQUEST, NONE
    if state[OPENED] > 0:
        age = NEVER
        for b in range(params[P_BANKS]):
            s = state[bank_at(params, b) + BANK_OPENED_FOR]
            if s != NONE:
                at = max(first, ready(state, params, RD + state[s + SLOT_WRITE], b))
                if at < best or (at == best and state[s + SLOT_AGE] < age):
                    best, kind, which, age = at, OPENED_REQUEST, b, state[s + SLOT_AGE]
    if state[REFRESH_PENDING] > 0:
        if state[OPENED] == 0:
            return max(first, ready_all(state, params)), REFRESH_STEP, NONE
        return best, kind, which
    if best == first:
        return best, kind, which
    state[WRITE_MODE] = wanted_mode(state, params)
    d = state[WRITE_MODE]
    age = -1  # an opened request that is ready in the same cycle goes first
    for i in range(state[TRAINS + d]):
        t = train_at(params, d, i)
        at = max(first, train_ready(state, params, d, t))
        if at < best or (at == best and state[state[t + TRAIN_FIRST] + SLOT_AGE] < age):
            best, kind, which, age = at, QUEUED_REQUEST, t, state[state[t + TRAIN_FIRST] + SLOT_AGE]
    return best, kind, which


@borrowing_kernel
def pop_train(state: Ints, params: Ints, d: int, t: int) -> int:
    """Take the oldest request out of a train, and the train out of the queue if it was the last."""
    s = state[t + TRAIN_FIRST]
    state[QUEUED + d] -= 1
    if state[s + SLOT_NEXT] != NONE:
        state[t + TRAIN_FIRST] = state[s + SLOT_NEXT]
        return s
    state[TRAINS + d] -= 1
    last = train_at(params, d, state[TRAINS + d])
    for field in range(TRAIN_WIDTH):
        state[t + field] = state[last + field]
    return s


@borrowing_kernel
def serve(state: Ints, params: Ints, log: Ints, samples: Ints, b: int, s: int, now: int) -> None:
    """RD or WR for the request in slot `s`."""
    d = state[s + SLOT_WRITE]
    end = issue_column(state, params, log, RD + d, b, state[s + SLOT_COLUMN], now)
    if d == 0:
        read_returns(state, params, samples, state[s + SLOT_TRANSFER], state[s + SLOT_ACCEPTED], end)
    free_slot(state, s)


@borrowing_kernel
def issue(state: Ints, params: Ints, log: Ints, samples: Ints, kind: int, which: int, now: int) -> None:
    """Issue the command that `choose` chose."""
    if kind == SECOND_ACT:
        issue_act2(state, params, log, now)
        return
    if kind == OPENED_REQUEST:
        bank = bank_at(params, which)
        s = state[bank + BANK_OPENED_FOR]
        state[bank + BANK_OPENED_FOR] = NONE
        state[OPENED] -= 1
        serve(state, params, log, samples, which, s, now)
        return
    if kind == REFRESH_STEP:
        for b in range(params[P_BANKS]):
            if state[bank_at(params, b) + BANK_ROW] != NONE:
                issue_pre(state, params, log, NONE, now)
                return
        issue_ref(state, params, log, now)
        return
    d = state[WRITE_MODE]
    b = state[which + TRAIN_BANK]
    bank = bank_at(params, b)
    row = state[bank + BANK_ROW]
    if row == state[which + TRAIN_ROW]:
        s = pop_train(state, params, d, which)
        serve(state, params, log, samples, b, s, now)
    elif row == NONE:
        s = pop_train(state, params, d, which)
        issue_act(state, params, log, b, state[s + SLOT_ROW], now)
        state[bank + BANK_OPENED_FOR] = s
        state[OPENED] += 1
    else:
        state[CONFLICTS] += 1
        issue_pre(state, params, log, b, now)


@borrowing_kernel
def find_train(state: Ints, params: Ints, d: int, b: int, row: int) -> int:
    """The train of a row, or NONE; the youngest train first, where a stream finds its own."""
    for i in range(state[TRAINS + d] - 1, -1, -1):
        t = train_at(params, d, i)
        if state[t + TRAIN_ROW] == row and state[t + TRAIN_BANK] == b:
            return t
    return NONE


@borrowing_kernel
def write_waits(state: Ints, params: Ints, b: int, row: int, column: int) -> bool:
    """Whether a write to this burst waits in the queue or for the row that was opened for it."""
    s = state[bank_at(params, b) + BANK_OPENED_FOR]
    if s != NONE and state[s + SLOT_WRITE] and state[s + SLOT_ROW] == row and state[s + SLOT_COLUMN] == column:
        return True
    t = find_train(state, params, 1, b, row)
    s = state[t + TRAIN_FIRST] if t != NONE else NONE
    while s != NONE:
        if state[s + SLOT_COLUMN] == column:
            return True
        s = state[s + SLOT_NEXT]
    return False


@borrowing_kernel
def accept(state: Ints, params: Ints, samples: Ints, burst: int, b: int, row: int, d: int, i: int, now: int) -> int:
    """Put a burst of transfer `i` into the queue of direction `d`: the train it started, or NONE.

    A read of a burst whose write waits is answered from it one cycle later; a write to such a burst is merged into it.
    """
    if d:
        served(state, params, i, now)
    if state[QUEUED + 1] + state[OPENED] > 0:
        if write_waits(state, params, b, row, (burst >> params[P_COLUMN_SHIFT]) & params[P_COLUMN_MASK]):
            if d:
                state[MERGED] += 1
            else:
                state[FORWARDED_READS] += 1
                read_returns(state, params, samples, i, now, now + 1)
            return NONE
    s = take_slot(state, params, burst, b, row, d, i, now)
    state[QUEUED + d] += 1
    t = find_train(state, params, d, b, row)
    if t != NONE:
        state[state[t + TRAIN_LAST] + SLOT_NEXT] = s
        state[t + TRAIN_LAST] = s
        return NONE
    t = train_at(params, d, state[TRAINS + d])
    state[TRAINS + d] += 1
    state[t + TRAIN_BANK] = b
    state[t + TRAIN_ROW] = row
    state[t + TRAIN_FIRST] = s
    state[t + TRAIN_LAST] = s
    return t

"""Reads that stream from an open row under the policy FRFCFS, without asking in every cycle what comes next.

While no write waits, no refresh is due and every queued read hits an open row, the next command is the RD of the oldest one, as soon as the
last RD allows. Nothing but the order of accepted bursts has to be followed; earliest cycles move once, behind the last RD, as a
later RD moves each of them further than those before it.

Left to the general case: the first burst of a row, the last one in line, data clocks that start and stop, and banks of other groups that
could be read sooner.
"""

from __future__ import annotations

from accelsim.kernels.dram_device import push, write_log
from accelsim.kernels.dram_flow import served
from accelsim.kernels.dram_frfcfs import find_train
from accelsim.kernels.dram_state import (
    ACT2_DEADLINE,
    AGE,
    BANK_HITS,
    BANK_ROW,
    COMMAND_FROM,
    DONE,
    DONE_CYCLE,
    END,
    FIRST_OFFER,
    FREE_SLOT,
    LAST_COLUMN,
    LATENCY_MAX,
    LATENCY_SUM,
    LOGGED,
    N_COMMANDS,
    NEVER,
    NONE,
    OFFER_FROM,
    OPENED,
    OUTSTANDING,
    P_AT_RETURN,
    P_BANK_MASK,
    P_BANK_SHIFT,
    P_BANKS_PER_GROUP,
    P_BURST,
    P_CL,
    P_COLUMN_MASK,
    P_COLUMN_SHIFT,
    P_GROUP_MASK,
    P_GROUP_SHIFT,
    P_MAX_OUTSTANDING,
    P_READ_QUEUE,
    P_RETURN_MASK,
    P_ROW_MASK,
    P_ROW_SHIFT,
    P_SLOT_RELEASE,
    P_TABLE,
    P_WCK_POST,
    PRECHARGES,
    PRECHARGES_AT_END,
    QUEUED,
    RANK,
    RD,
    READ_BURSTS,
    READS,
    REFRESH_DUE,
    REFRESH_PENDING,
    REFRESHES,
    REFRESHES_AT_END,
    RELEASED,
    RETURNING,
    SAME_BANK,
    SAME_GROUP,
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
    TRAIN_BANK,
    TRAIN_FIRST,
    TRAIN_LAST,
    TRAIN_ROW,
    TRAINS,
    TRANSFER_ARRIVAL,
    TRANSFER_BURST,
    TRANSFER_END,
    TRANSFER_NEXT,
    TRANSFER_TO_OFFER,
    TRANSFER_TO_SERVE,
    TRANSFER_WRITE,
    WCK_UNTIL,
    WR,
    WRITE_MODE,
    Ints,
    bank_at,
    done_at,
    train_at,
)
from accelsim.kernels.kernel import borrowing_kernel


@borrowing_kernel
def read_to_read(params: Ints, scope: int) -> int:
    """Cycles from a RD to the next one in a scope, at least."""
    return params[P_TABLE + (scope * N_COMMANDS + RD) * N_COMMANDS + RD]


@borrowing_kernel
def streams(state: Ints, params: Ints) -> bool:
    """Whether nothing but reads of open rows lies ahead, as far as the queue goes, and the oldest ready one is always next."""
    if state[QUEUED] < 3 or state[QUEUED + 1] > 0 or state[OPENED] > 0 or state[REFRESH_PENDING] > 0 or state[WRITE_MODE] > 0:
        return False
    if state[ACT2_DEADLINE] < NEVER or state[LAST_COLUMN] == WR or params[P_WCK_POST] != NONE:
        return False
    if state[TRAINS] > 1 and max(read_to_read(params, SAME_BANK), read_to_read(params, SAME_GROUP)) > read_to_read(params, RANK):
        return False
    for i in range(state[TRAINS]):
        t = train_at(params, 0, i)
        if state[bank_at(params, state[t + TRAIN_BANK]) + BANK_ROW] != state[t + TRAIN_ROW]:
            return False
    return True


@borrowing_kernel
def stream(state: Ints, params: Ints, log: Ints, samples: Ints, which: int, command_at: int, now: int, until: int) -> int:  # noqa: C901  steps of one loop
    """Accept and read bursts from cycle `now` on, first one of train `which` in cycle `command_at`; the cycle of the last, or NONE.

    It ends before `until`, a refresh, a completion, an accepted burst of another kind, and the last burst of the train. State that changes
    with each burst is kept in variables, and written back behind the last.
    """
    period = max(read_to_read(params, RANK), max(read_to_read(params, SAME_BANK), read_to_read(params, SAME_GROUP)))
    latency, hold = params[P_CL] + params[P_BURST], params[P_SLOT_RELEASE]
    most, places, ring, ring_mask = params[P_MAX_OUTSTANDING], params[P_READ_QUEUE], params[P_AT_RETURN], params[P_RETURN_MASK]
    shift, mask = params[P_COLUMN_SHIFT], params[P_COLUMN_MASK]
    queued, outstanding, released, returning = state[QUEUED], state[OUTSTANDING], state[RELEASED], state[RETURNING]
    offer_from, age, free, longest = state[OFFER_FROM], state[AGE], state[FREE_SLOT], state[LATENCY_MAX]
    first_read = state[which + TRAIN_FIRST]
    head = state[FIRST_OFFER]
    until = min(until, state[REFRESH_DUE])
    end = min(until, state[done_at(params, 0) + DONE_CYCLE] + 1) if state[DONE] > 0 else until
    older = NEVER  # the age of the oldest read of another train
    for i in range(state[TRAINS]):
        t = train_at(params, 0, i)
        if t != which:
            older = min(older, state[state[t + TRAIN_FIRST] + SLOT_AGE])
    tail_of, b, row, train = NONE, 0, 0, NONE  # the row of the burst that was accepted last, and its train
    reads, waited, accepted, last = 0, 0, 0, NONE
    while True:
        offer_at = NEVER
        if head != NONE and state[head + TRANSFER_WRITE]:  # no write waits, so there is room for one, however many reads do
            offer_at = max(now, max(offer_from, state[head + TRANSFER_ARRIVAL]))
        elif head != NONE and queued < places:
            offer_at = max(now, max(offer_from, state[head + TRANSFER_ARRIVAL]))
            ahead = released
            while outstanding - (ahead - released) >= most:
                if ahead == returning:
                    offer_at = NEVER
                    break
                offer_at = max(offer_at, state[ring + (ahead & ring_mask)] + hold)
                ahead += 1
        at = min(offer_at, command_at)
        if at >= end:
            break
        if at == command_at:
            s = first_read
            if state[s + SLOT_NEXT] == NONE or state[s + SLOT_AGE] > older:
                break
            now = at
            last = now
            first_read = state[s + SLOT_NEXT]
            queued -= 1
            state[ring + (returning & ring_mask)] = now + latency
            returning += 1
            wait = now + latency - state[s + SLOT_ACCEPTED]
            waited += wait
            longest = max(longest, wait)
            if state[SAMPLED] + reads < samples.shape[0]:
                samples[state[SAMPLED] + reads] = wait
            if log.shape[0] > 0:
                write_log(state, params, log, now, RD, state[which + TRAIN_BANK], state[which + TRAIN_ROW], state[s + SLOT_COLUMN])
            t = state[s + SLOT_TRANSFER]
            if state[t + TRANSFER_TO_SERVE] > 1:
                state[t + TRANSFER_TO_SERVE] -= 1
                state[t + TRANSFER_END] = max(state[t + TRANSFER_END], now + latency)
            else:
                served(state, params, t, now + latency)
                end = min(until, state[done_at(params, 0) + DONE_CYCLE] + 1)
            state[s + SLOT_NEXT] = free
            free = s
            reads += 1
            command_at = now + period
            continue
        left = state[head + TRANSFER_TO_OFFER]
        if state[head + TRANSFER_WRITE] or (left == 1 and state[head + TRANSFER_NEXT] == NONE):
            break
        burst = state[head + TRANSFER_BURST]
        column = (burst >> shift) & mask
        if burst - (column << shift) != tail_of:
            b = ((burst >> params[P_GROUP_SHIFT]) & params[P_GROUP_MASK]) * params[P_BANKS_PER_GROUP] + (
                (burst >> params[P_BANK_SHIFT]) & params[P_BANK_MASK]
            )
            row = (burst >> params[P_ROW_SHIFT]) & params[P_ROW_MASK]
            train = find_train(state, params, 0, b, row)
            if train == NONE:
                break
            tail_of = burst - (column << shift)
        now = at
        last = now
        offer_from = now + 1
        while released < returning and state[ring + (released & ring_mask)] + hold <= now:
            released += 1
            outstanding -= 1
        outstanding += 1
        accepted += 1
        s = free
        free = state[s + SLOT_NEXT]
        state[s + SLOT_BANK] = b
        state[s + SLOT_ROW] = row
        state[s + SLOT_COLUMN] = column
        state[s + SLOT_WRITE] = 0
        state[s + SLOT_AGE] = age
        state[s + SLOT_ACCEPTED] = now
        state[s + SLOT_TRANSFER] = head
        state[s + SLOT_NEXT] = NONE
        state[s + SLOT_MERGED] = NONE
        age += 1
        queued += 1
        state[state[train + TRAIN_LAST] + SLOT_NEXT] = s
        state[train + TRAIN_LAST] = s
        state[head + TRANSFER_BURST] = burst + 1
        state[head + TRANSFER_TO_OFFER] = left - 1
        if left == 1:
            head = state[head + TRANSFER_NEXT]
    state[QUEUED], state[OUTSTANDING], state[RELEASED], state[RETURNING] = queued, outstanding, released, returning
    state[OFFER_FROM], state[AGE], state[FREE_SLOT], state[FIRST_OFFER] = offer_from, age, free, head
    state[READ_BURSTS] += accepted
    if reads > 0:
        read = command_at - period
        b = state[which + TRAIN_BANK]
        push(state, params, RD, b, read)
        state[which + TRAIN_FIRST] = first_read
        state[bank_at(params, b) + BANK_HITS] += reads
        state[LAST_COLUMN] = RD
        state[READS] += reads
        state[SAMPLED] += reads
        state[LATENCY_SUM] += waited
        state[LATENCY_MAX] = longest
        if log.shape[0] == 0:
            state[LOGGED] += reads
        state[END] = max(state[END], read + latency)
        state[WCK_UNTIL] = max(state[WCK_UNTIL], read + latency + params[P_WCK_POST])
        state[PRECHARGES_AT_END] = state[PRECHARGES]
        state[REFRESHES_AT_END] = state[REFRESHES]
        state[COMMAND_FROM] = max(state[COMMAND_FROM], read + 1)
    return last

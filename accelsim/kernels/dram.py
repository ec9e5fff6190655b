"""A DRAM channel, cycle by cycle: transfers in, commands out, under one of two controller policies.

Inside one memory cycle the order is: a refresh falls due; one command is issued; one burst is offered and accepted; (with
bank queues) one burst moves to its bank. So a burst accepted in cycle c is first served in c + 1. Cycles in which none of
this happens are skipped: all earliest cycles are known, and they change only when something happens.

A call advances the state to `until` (exclusive) or stops after the first cycle in which transfers complete. All state lies in
one array, and any split of a run into calls gives the same commands in the same cycles: a caller may copy the state, run the
copy ahead, and come back.

Bursts are offered in the order of their transfers: while one stands in line, what is submitted later changes nothing. So a run may go on
beyond the cycle from which more is submitted, until the last burst of the line is accepted.

Disputable assumptions: one command and one accepted burst per memory cycle; one rank; refresh is all-bank and never postponed.
"""

from __future__ import annotations

from accelsim.kernels.dram_bank_queues import accept_waiting, choose_in_turn, drain_of, issue_in_turn, move, next_move
from accelsim.kernels.dram_flow import next_offer, release_places, report_done, submit, take_burst
from accelsim.kernels.dram_frfcfs import QUEUED_REQUEST, accept, choose, issue, train_ready, wanted_mode
from accelsim.kernels.dram_state import (
    COMMAND_FROM,
    DONE,
    DONE_CYCLE,
    DRAINING,
    FIRST_OFFER,
    FRFCFS,
    MOVE_FROM,
    NEVER,
    NONE,
    NOW,
    OFFER_FROM,
    OUTSTANDING,
    P_AT_DONE,
    P_BANK_MASK,
    P_BANK_SHIFT,
    P_BANKS_PER_GROUP,
    P_GROUP_MASK,
    P_GROUP_SHIFT,
    P_POLICY,
    P_REFI,
    P_ROW_MASK,
    P_ROW_SHIFT,
    P_TRANSFERS,
    READ_BURSTS,
    REFRESH_DUE,
    REFRESH_PENDING,
    REPORTED,
    TRANSFER_WRITE,
    WRITE_MODE,
    Ints,
    new_state,
)
from accelsim.kernels.dram_stream import stream, streams
from accelsim.kernels.kernel import borrowing_kernel, kernel

__all__ = ["advance", "advance_with_line", "new_state", "replay", "run_until_quiet", "submit"]


@borrowing_kernel
def _run(
    state: Ints, params: Ints, until: int, max_completed: int, stop_when_quiet: bool, with_line: bool, log: Ints, samples: Ints
) -> int:
    """Run to `until`, or until `max_completed` transfers completed in this call, or until nothing but refresh lies ahead.

    `with_line`: beyond `until` too, up to the cycle in which the last burst of those in line is accepted.
    """
    shared_queue = params[P_POLICY] == FRFCFS

    state[REPORTED] = 0
    now = state[NOW]  # the cycle under way
    least = max(until, now)
    until = NEVER if with_line and state[FIRST_OFFER] != NONE else least
    first = now  # the earliest cycle whose command is not settled: now, or now + 1 once its offer may come
    stale = True  # whether command_at, kind and which must be recomputed
    command_at, kind, which = NEVER, QUEUED_REQUEST, NONE
    while True:
        offer_at = max(now, next_offer(state, params))
        if stale and (first == now or offer_at > now):  # a burst accepted in this cycle counts for the next command
            if shared_queue:
                command_at, kind, which = choose(state, params, first)
                if kind == QUEUED_REQUEST and which != NONE and streams(state, params):
                    last = stream(state, params, log, samples, which, command_at, now, until)
                    if last != NONE:
                        now = last
                        first = now + 1
                        continue
            else:
                command_at, which = choose_in_turn(state, params, first)
            stale = False
        move_at = NEVER
        if not shared_queue:
            d, place = next_move(state, params)
            if place != NONE or drain_of(state, params) != state[DRAINING]:
                move_at = max(now, state[MOVE_FROM])
        at = min(offer_at, move_at)
        if not stale:
            at = min(at, command_at, state[REFRESH_DUE])

        if state[DONE] > 0 and state[params[P_AT_DONE] + DONE_CYCLE] < min(at, until):
            now = report_done(state, params) + 1
            first = now
            stale = True
            if state[REPORTED] >= max_completed:
                break
            continue
        if stop_when_quiet and command_at >= NEVER and offer_at >= NEVER and move_at >= NEVER and not stale:
            break
        if at >= until:
            now = until
            break

        now = at
        if not stale and at == state[REFRESH_DUE]:
            state[REFRESH_PENDING] += 1
            state[REFRESH_DUE] += params[P_REFI]
            first = now
            stale = True
        elif not stale and at == command_at:
            if shared_queue:
                issue(state, params, log, samples, kind, which, now)
            else:
                issue_in_turn(state, params, log, samples, which, now)
            first = now + 1
            state[COMMAND_FROM] = max(state[COMMAND_FROM], first)
            stale = True
        elif at == offer_at:
            first = now + 1
            state[OFFER_FROM] = first
            release_places(state, params, now)
            i = state[FIRST_OFFER]
            d = state[i + TRANSFER_WRITE]
            burst = take_burst(state)
            if with_line and state[FIRST_OFFER] == NONE:
                until = max(least, first)
            state[READ_BURSTS + d] += 1
            state[OUTSTANDING] += 1 - d
            b = ((burst >> params[P_GROUP_SHIFT]) & params[P_GROUP_MASK]) * params[P_BANKS_PER_GROUP] + (
                (burst >> params[P_BANK_SHIFT]) & params[P_BANK_MASK]
            )
            row = (burst >> params[P_ROW_SHIFT]) & params[P_ROW_MASK]
            if not shared_queue:
                accept_waiting(state, params, samples, burst, b, row, d, i, now)
                continue
            started = accept(state, params, samples, burst, b, row, d, i, now)
            if stale or state[REFRESH_PENDING] > 0:
                continue
            if wanted_mode(state, params) != state[WRITE_MODE]:
                stale = True
            elif started != NONE and d == state[WRITE_MODE]:
                ready_at = max(first, train_ready(state, params, d, started))
                if ready_at < command_at:
                    command_at, kind, which = ready_at, QUEUED_REQUEST, started
        else:
            first = now + 1
            state[MOVE_FROM] = first
            state[OFFER_FROM] = max(state[OFFER_FROM], first)  # a place that a move frees is seen in the next cycle
            move(state, params)
            stale = True
    state[NOW] = now
    return now


@kernel
def advance(state: Ints, params: Ints, until: int, log: Ints, samples: Ints) -> int:
    """Run to cycle `until` (exclusive), or to the end of the first cycle in which a transfer completes.

    Parameters
    ----------
    state : int64 array of `new_state`, advanced in place; `report_of(state, params)[: state[REPORTED]]` then holds (cycle, id) of
        each transfer that completed, all in the one cycle `state[NOW] - 1`.
    params : int64 array of the device's `parameters`.
    until : first cycle that is not simulated.
    log : int64 (n, 6), takes (cycle, command, bank group, bank, row, column) of each command from place state[LOGGED] on; n = 0: none.
    samples : int64 (n,), takes the latency of each read in cycles from place state[SAMPLED] on; n = 0: none.

    Returns
    -------
    int
        state[NOW]: the first cycle that was not simulated.
    """
    return _run(state, params, until, 1, False, False, log, samples)


@borrowing_kernel
def advance_with_line(state: Ints, params: Ints, until: int, log: Ints, samples: Ints) -> int:
    """`advance`, but beyond `until` too while any transfer stands in line: what is submitted from cycle `until` on stands behind it."""
    return _run(state, params, until, 1, False, True, log, samples)


@kernel
def run_until_quiet(state: Ints, params: Ints, log: Ints, samples: Ints) -> int:
    """Run until no transfer is under way and no command but refresh will come; the first cycle that was not simulated."""
    return _run(state, params, NEVER, NEVER, True, False, log, samples)


@kernel
def replay(
    state: Ints, params: Ints, arrival_cycle: Ints, is_write: Ints, first_burst: Ints, n_bursts: Ints, log: Ints, samples: Ints
) -> int:
    """Submit every transfer of a trace in order and run until the channel is quiet.

    More transfers are submitted when half of those that fit are complete, so there must be room for twice the reads in flight: then
    one that may be offered is always there.

    Parameters
    ----------
    arrival_cycle, is_write, first_burst, n_bursts : int64 (transfers,), see `submit`.
    state, params, log, samples : see `advance`.
    """
    count = arrival_cycle.shape[0]
    i = 0
    while i < count:
        while i < count and submit(state, params, i, arrival_cycle[i], is_write[i], first_burst[i], n_bursts[i]):
            i += 1
        if i < count:
            _run(state, params, NEVER, params[P_TRANSFERS] // 2, False, False, log, samples)
    return run_until_quiet(state, params, log, samples)

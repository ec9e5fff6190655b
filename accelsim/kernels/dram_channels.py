"""The channels of one DRAM, run to the next end of a transfer's part in any of them.

A transfer is spread over the channels by its address. A transfer that is submitted when one channel ends a part reaches all of them, so
no channel may run beyond the next end of another; but while transfers stand in its line, a channel goes on whatever is submitted
(`advance_with_line`). Behind that, it goes no further than the others can promise: nothing ends there sooner than a read that is issued
next.
"""

from __future__ import annotations

from accelsim.kernels.dram import advance_with_line
from accelsim.kernels.dram_state import (
    DONE,
    DONE_CYCLE,
    FIRST_OFFER,
    INCOMPLETE,
    NONE,
    NOW,
    P_BURST,
    P_CL,
    REPORTED,
    done_at,
)
from accelsim.kernels.kernel import borrowing_kernel


@borrowing_kernel
def runs(state):
    """Whether a channel has something to run for: a part that is not complete, and no end that waits to be taken."""
    return state[REPORTED] == 0 and state[INCOMPLETE] > 0


@borrowing_kernel
def none_before(state, params):
    """Cycle before which no part ends in a channel that has found none."""
    if state[FIRST_OFFER] != NONE:
        return state[NOW]
    cycle = state[NOW] + params[P_CL] + params[P_BURST]
    return min(cycle, state[done_at(params, 0) + DONE_CYCLE] + 1) if state[DONE] > 0 else cycle


@borrowing_kernel
def run_to_end(states, params, first, end, until, log, samples):
    """Run channels first..end-1, rows of `states`, to the next end of a part; the cycle from which it is there, `until` if none is before.

    Nothing is submitted before cycle `until`. Channels in which a part ends then, or later, have it in their report.
    """
    for m in range(first, end):
        if runs(states[m]):
            advance_with_line(states[m], params[m], until if end - first == 1 else states[m, NOW], log, samples)
    while True:
        found = until
        for m in range(first, end):
            if states[m, REPORTED] > 0:
                found = min(found, states[m, NOW])
        behind = NONE
        for m in range(first, end):
            if runs(states[m]) and states[m, NOW] < found and (behind == NONE or states[m, NOW] < states[behind, NOW]):
                behind = m
        if behind == NONE:
            return found
        bound = found
        for m in range(first, end):
            if m != behind and runs(states[m]):
                bound = min(bound, none_before(states[m], params[m]))
        advance_with_line(states[behind], params[behind], bound, log, samples)


@borrowing_kernel
def part_of(block, channels, channel, burst):
    """Bursts of `channel` before number `burst` of all, when blocks of `block` bursts lie in the channels in turn."""
    turns = burst // (block * channels)
    return turns * block + min(max(burst - (turns * channels + channel) * block, 0), block)

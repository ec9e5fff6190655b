"""One step interface for every kind of memory before the DMA: submit, run to the next end of a transfer, take what ended.

A memory is a row of `memories` and its arrays. A kind of memory is a file with those three steps, and a branch in each of these.
"""

from __future__ import annotations

from accelsim.kernels import dram_state as at
from accelsim.kernels.clocks import NEVER, cycle_at, edge_ps
from accelsim.kernels.dram import advance
from accelsim.kernels.dram_flow import submit as submit_bursts
from accelsim.kernels.kernel import borrowing_kernel
from accelsim.kernels.serial_memory import earliest_end, next_end, serve, take_ended

SERIAL, DRAM = range(2)
# Columns of `memories`: the kind, clock and burst of a DRAM, and bytes that were read and written so far.
KIND, CLOCK_HZ, BURST_BYTES, READ_BYTES, WRITTEN_BYTES, MEMORY_WIDTH = range(6)


@borrowing_kernel
def submit(memory, state, params, transfer, now, address, size, write):
    """Take a transfer that arrives at `now` ps."""
    moved = size
    if memory[KIND] == DRAM:
        burst = memory[BURST_BYTES]
        first = address // burst
        count = -(-(address + size) // burst) - first
        moved = count * burst
        submit_bursts(state, params, transfer, cycle_at(now, memory[CLOCK_HZ]), write, first, count)
    else:
        serve(state, params, transfer, now, address, size)
    memory[READ_BYTES + write] += moved


@borrowing_kernel
def run_to_end(memory, state, params, until, log, samples):
    """Run to the next end of a transfer, but not beyond `until` ps, before which nothing is submitted; its time, NEVER: none before."""
    if memory[KIND] == SERIAL:
        return next_end(state)
    if state[at.REPORTED] == 0 and state[at.INCOMPLETE] > 0:
        cycle = cycle_at(until, memory[CLOCK_HZ])
        if state[at.NOW] < cycle:
            advance(state, params, cycle, log, samples)
    return edge_ps(state[at.NOW], memory[CLOCK_HZ]) if state[at.REPORTED] > 0 else NEVER


@borrowing_kernel
def earliest_landing(memory, state, params, time, size):
    """Ps before which nothing ends here if no transfer but one of `size` bytes (0: none) arrives, at `time` ps or later."""
    if memory[KIND] != SERIAL:
        return time
    return min(next_end(state), earliest_end(state, params, time, size) if size else NEVER)


@borrowing_kernel
def ends_at(memory, state, now):
    """Whether a transfer that `run_to_end` has found ends at `now` ps and was not taken."""
    if memory[KIND] == SERIAL:
        return next_end(state) == now
    return state[at.REPORTED] > 0 and edge_ps(state[at.NOW], memory[CLOCK_HZ]) == now


@borrowing_kernel
def take(memory, state, params):
    """Take a transfer that has ended."""
    if memory[KIND] == SERIAL:
        return take_ended(state)
    state[at.REPORTED] -= 1
    return state[params[at.P_AT_REPORT] + state[at.REPORTED] * at.DONE_WIDTH + at.DONE_WHAT]

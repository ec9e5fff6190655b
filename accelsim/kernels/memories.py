"""One step interface for every kind of memory before the DMA: submit, run to the next end of a transfer, take what ended.

A memory is a row of `memories` and its arrays, or as many rows as it has channels. A kind of memory is a file with those three steps, and a
branch in each of these.
"""

from __future__ import annotations

from accelsim.kernels import dram_state as at
from accelsim.kernels.clocks import NEVER, cycle_at, edge_ps
from accelsim.kernels.dram_channels import part_of
from accelsim.kernels.dram_channels import run_to_end as run_channels
from accelsim.kernels.dram_flow import submit as submit_bursts
from accelsim.kernels.kernel import borrowing_kernel
from accelsim.kernels.serial_memory import earliest_end, next_end, serve, take_ended

SERIAL, DRAM = range(2)
# Columns of `memories`: the kind; a DRAM's clock, bytes of a burst, channels, consecutive bursts in one channel; in a memory's first row,
# bytes that were read and written so far.
KIND, CLOCK_HZ, BURST_BYTES, CHANNELS, BLOCK, READ_BYTES, WRITTEN_BYTES, MEMORY_WIDTH = range(8)


@borrowing_kernel
def submit(memories, states, params, m, transfer, now, address, size, write):
    """Take a transfer that arrives at `now` ps into the memory of row `m` and those behind it; the parts in which it ends."""
    memory = memories[m]
    if memory[KIND] == SERIAL:
        serve(states[m], params[m], transfer, now, address, size)
        memory[READ_BYTES + write] += size
        return 1
    burst = memory[BURST_BYTES]
    first = address // burst
    end = -(-(address + size) // burst)
    memory[READ_BYTES + write] += (end - first) * burst
    cycle = cycle_at(now, memory[CLOCK_HZ])
    channels = memory[CHANNELS]
    parts = 0
    for channel in range(channels):
        start = part_of(memory[BLOCK], channels, channel, first)
        count = part_of(memory[BLOCK], channels, channel, end) - start
        if count > 0:
            submit_bursts(states[m + channel], params[m + channel], transfer, cycle, write, start, count)
            parts += 1
    return parts


@borrowing_kernel
def run_to_end(memories, states, params, m, until, log, samples):
    """Run the memory of row `m` to the next end of a transfer's part, but not beyond `until` ps, before which nothing is submitted.

    Its time; `until` if there is none before.
    """
    memory = memories[m]
    if memory[KIND] == SERIAL:
        return min(next_end(states[m]), until)
    end = run_channels(states, params, m, m + memory[CHANNELS], cycle_at(until, memory[CLOCK_HZ]), log, samples)
    return min(edge_ps(end, memory[CLOCK_HZ]), until)


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

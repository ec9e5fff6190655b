"""A depthwise layer that the lanes of the vector unit compute: the weights of a stripe leave the decoder for the lanes' registers.

The registers hold two sets of weights, which stripes take in turns over all runs of this kind: the groups of a stripe are popped, one
after the other and behind no wave, once the lanes have done all rows of the stripe before the last one. When the last of them is complete
and all rows of the run are there, the array's sequencer gives the stripe to the lanes, in a cycle of its own: they may begin L cycles
later, where L is the codebook's latency. The work of the lanes is the stripe's drain, with a pass for each tap ahead of those of the
requantization, and the reads of the activations; its rows are packed, so outputs are dealt to the lanes without a gap.

Disputable assumptions: the array is free for other runs while the lanes work, and waits (`vector`) for nothing but what it needs of
them; a set of weights is replaced once the last output of its stripe has left the lanes.
"""

from __future__ import annotations

from accelsim.kernels.accumulator_reuse import predict_drain
from accelsim.kernels.compute_state import ASK_LOADER, DEPENDENCY, DESKEW, ISSUED, LOAD, NEVER, VECTOR
from accelsim.kernels.dependencies import awaited_load, codebook_wait, left_lanes_at, operands_ready_at, ready_at, row_source
from accelsim.kernels.kernel import borrowing_kernel, inlined_kernel


@inlined_kernel
def set_free_at(s, machine, tasks, fin):
    """Cycle from which the next stripe's set holds no weight that the lanes still need; NEVER while that is unknown."""
    if s.n_loaded < 2:
        return 0
    behind = s.n_loaded - s.n_given  # stripes that are complete and wait for the lanes
    if behind > 1:
        return NEVER
    if behind == 1:
        return left_lanes_at(s.n1_task, s.n1_end, tasks, s, machine, fin)
    return left_lanes_at(s.n2_task, s.n2_end, tasks, s, machine, fin)


@inlined_kernel
def stripe_loaded(s, run, last):
    """Book a K-tile whose last group was popped, its codewords complete in cycle `last`; the last tile of a stripe completes a set."""
    if s.l_kt == run.kt_count - 1:
        s.n_loaded += 1
        s.n_ready = last + 1


@inlined_kernel
def _gate(s, machine, run, tasks, fin, loaded):
    """(cycle from which the stripe may be given to the lanes as for its operands, category of the wait)."""
    if machine.accumulator_read == DESKEW:  # rows behind it rely on a drain that will not wait
        operands = operands_ready_at(run.out_task, run.m0 + run.m - 1, tasks, s, fin, loaded)
        if operands > s.cycle:
            return operands, VECTOR
    if run.in_task < 0:
        return 0, DEPENDENCY
    task, unit = row_source(run, tasks, run.kt_count - 1, run.m - 1, machine.rows)
    at = ready_at(task, unit, tasks, s, fin, loaded)
    return at, awaited_load(at) if tasks[task].kind == LOAD else VECTOR


@inlined_kernel
def _give(s, machine, run, tasks, avail, due):
    """Hand all rows of the stripe to the lanes."""
    task = tasks[run.out_task]
    first = s.a_nt * run.out_rows + run.m0
    begins = s.cycle + machine.codebook_latency
    for unit in range(first, first + run.m):
        avail[task.offset + unit] = begins
        due[task.offset + unit] = predict_drain(s, machine, task, unit, begins)
        s.issued_ordinal = task.ordinal
        s.issued = unit + 1
    s.n2_task, s.n2_end = s.n1_task, s.n1_end
    s.n1_task, s.n1_end = run.out_task, first + run.m - 1
    s.n_given += 1


@borrowing_kernel
def step_vector_path(s, machine, runs, tasks, avail, due, fin, loaded, left):
    """Give a stripe to the lanes, or say why not. Returns as `step_array`; the cycle of a stripe is booked to the vector unit."""
    t = s.cycle
    run = runs[s.a_run]
    if s.n_loaded == s.n_given:
        return False, ASK_LOADER, NEVER, left
    if s.n_loaded == s.n_given + 1 and s.n_ready > t:
        return False, codebook_wait(machine), s.n_ready, left
    ready, why = _gate(s, machine, run, tasks, fin, loaded)
    if ready > t:
        return False, why, ready, left
    _give(s, machine, run, tasks, avail, due)
    if s.run_ts0 < 0:
        s.run_ts0 = t
    s.count[VECTOR] += 1
    s.cp_rows += 1
    s.l_debt = 0
    s.l_debt_l2 = 0
    s.tiles_done += run.kt_count
    s.a_tile += run.kt_count
    s.a_nt += 1
    s.a_end = max(s.a_end, t + 1)
    return True, ISSUED, NEVER, left

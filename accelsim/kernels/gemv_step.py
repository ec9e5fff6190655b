"""One cycle of a run whose groups meet their rows as they leave the decoder: the mapping for few rows (GEMV).

A group is popped in cycle t, and row m of the run is issued against it in t + m: its X weights meet their activations in t + 2 + m, and
the products are added to the sums of the stripe's columns in t + 3 + m (a codebook that takes longer shifts both). There are no shadow
registers, so no wave holds a pop; the next group is popped in the cycle after the last row's issue. Sums stand in two banks of
registers, which stripes take in turns over all runs of this kind; a bank is drained as a whole, after the last addition to it. Scales of
groups of weights are popped ahead of a tile's first group, one pop a cycle as their bits are there, also while the rows of the group
before are issued; what a record adds to a sum is scaled on its way there.

Disputable assumptions: a run begins when the array has issued the rows of the run before; a stripe's first group is popped when the last
value of its bank was drained, and a K-tile's first one when all rows of the run are there; no weight is popped ahead of that. Scales have
two sets of registers; a run's first ones are popped when the array comes to it, and scaling takes no cycle of its own.
"""

from __future__ import annotations

from accelsim.kernels.accumulator_reuse import predict_drain
from accelsim.kernels.compute_state import (
    ACCUMULATOR,
    ASK_LOADER,
    ASKED,
    BUSY,
    DEPENDENCY,
    DESKEW,
    GRANTED,
    ISSUED,
    LOAD,
    NEVER,
    PORT,
    VECTOR,
)
from accelsim.kernels.dependencies import (
    awaited_load,
    codebook_wait,
    group_cycles,
    left_lanes_at,
    operands_ready_at,
    pop_bits,
    ready_at,
    row_source,
    scale_pops,
)
from accelsim.kernels.kernel import borrowing_kernel, inlined_kernel


@inlined_kernel
def _gate(s, machine, runs, tasks, fin, loaded):
    """(cycle from which the next group may be popped as for its bank, its rows and its drain, category of the wait)."""
    run = runs[s.a_run]
    if s.l_group > 0:
        return 0, DEPENDENCY
    if s.a_kt == 0:
        free = left_lanes_at(s.g2_task, s.g2_end, tasks, s, machine, fin)  # of the stripe whose bank this one takes
        if free > s.cycle:
            return free, ACCUMULATOR
    if machine.accumulator_read == DESKEW and s.a_kt == run.kt_count - 1:  # rows behind it rely on a drain that will not wait
        operands = operands_ready_at(run.out_task, run.m0 + run.m - 1, tasks, s, fin, loaded)
        if operands > s.cycle:
            return operands, VECTOR
    if run.in_task < 0:
        return 0, DEPENDENCY
    task, unit = row_source(run, tasks, s.a_kt, run.m - 1, machine.rows)
    at = ready_at(task, unit, tasks, s, fin, loaded)
    return at, awaited_load(at) if tasks[task].kind == LOAD else VECTOR


@inlined_kernel
def _put_out(s, machine, run, tasks, avail, due):
    """Hand the sums of the stripe to the lanes: all are whole in the same cycle."""
    task = tasks[run.out_task]
    first = s.a_nt * run.out_rows + run.m0
    for unit in range(first, first + run.m):
        avail[task.offset + unit] = s.a_end
        due[task.offset + unit] = predict_drain(s, machine, task, unit, s.a_end)
        s.issued_ordinal = task.ordinal
        s.issued = unit + 1
    s.g2_task, s.g2_end = s.g1_task, s.g1_end
    s.g1_task, s.g1_end = run.out_task, first + run.m - 1


@inlined_kernel
def _issue_rows(s, machine, runs, tasks, avail, due):
    """Issue the next row, or several of an array that is imagined ideal; a group's last row may end its tile, its stripe and its run."""
    run = runs[s.a_run]
    count = min(machine.rows_per_cycle, run.m - s.a_row)
    s.count[BUSY] += 1
    s.cp_rows += count
    s.row_got = 0
    s.a_row += count
    if s.a_row < run.m:
        return
    s.a_row = 0
    s.a_end = max(s.cycle, s.g_until - 1) + 3 + machine.codebook_latency
    if s.g_last == 0:
        return
    s.tiles_done += 1
    s.a_tile += 1
    s.a_kt += 1
    if s.a_kt == run.kt_count:
        _put_out(s, machine, run, tasks, avail, due)
        s.a_kt = 0
        s.a_nt += 1


@borrowing_kernel
def step_gemv(s, machine, runs, tasks, avail, due, fin, loaded, group_cost, left):
    """Issue a row against the group that left the decoder, let the loader pop the next one, or say why not.

    Returns as `step_array`; `s.g_pop` tells the loader whether the next group is asked for, and whether its pop is granted.
    """
    t = s.cycle
    run = runs[s.a_run]
    starts = s.l_start if s.l_start >= 0 else t + run.launch + machine.issue_overhead  # this run, if a_row is 0
    if s.a_row > 0 and s.g_until > t:
        return False, codebook_wait(machine), s.g_until, left
    if s.a_row == 0:
        scales = s.l_group < 0 or (s.l_groups < 0 and scale_pops(run, 0, machine.rows) > 0)
        if starts > t or s.held_until > t or scales:
            return False, ASK_LOADER, NEVER, left
        ready, why = _gate(s, machine, runs, tasks, fin, loaded)
        if ready > t:
            return False, why, ready, left
        short = s.ucnt < pop_bits(s, run, machine.rows, machine.cols)
        if short or (run.codebook_load >= 0 and s.cb_done <= run.codebook_load) or s.denied == t:
            s.g_pop = ASKED
            return False, ASK_LOADER, NEVER, left
    s.row_got += left
    if s.row_got < run.row_accesses:
        return True, PORT, NEVER, 0
    left = min(left, s.row_got - run.row_accesses)
    if s.a_row == 0:
        s.g_pop = GRANTED
        s.g_last = 1 if s.l_group + 1 == s.l_groups else 0
        s.g_until = t + group_cycles(s, machine, run, group_cost)
        if s.run_ts0 < 0:
            s.run_ts0 = t
        s.l_debt = 0
        s.l_debt_l2 = 0
    _issue_rows(s, machine, runs, tasks, avail, due)
    return True, ISSUED, NEVER, left

"""One cycle of a run whose sums stay in the PEs: a row of weights and a column of activations enter the array.

A step is booked when the last weight that it needs has been popped in an earlier cycle; a codebook of latency L lets it enter PE(0,0) L
cycles later, and PE(r,c) multiplies L + 1 + r + c cycles behind the booking. The sum of a fold (a stripe's K steps) is complete in place.
Behind the last sum of its column it moves down, a row per cycle, and on through registers at the foot that bring the columns of a row
together, wherever the place ahead is free; the last of them hold a row while the lanes read it. They take row j of m in
L + 1 + R + C + (R - m) + j cycles behind the last step, or as soon as they are done with the row before.

One bank: the sum moves itself, so the next fold's first step waits until its products follow the last sum down. Two: sums move in
registers of their own, so only the last step of the next fold waits. Either way the step may be booked R + C + L cycles before the drain of
the last row begins, which is known as for the accumulators (`accumulator_reuse`).

Disputable assumptions: a step is booked whole, so a bubble passes through the array as rows do; the sums have registers of their own, so
a tile of a layer that is mapped otherwise may follow at once; a row's activations of a K-tile are there when its first step is booked.
"""

from __future__ import annotations

from accelsim.kernels.accumulator_reuse import predict_drain
from accelsim.kernels.compute_state import (
    ACCUMULATOR,
    ASK_LOADER,
    BUSY,
    DEPENDENCY,
    DESKEW,
    ISSUED,
    LOAD,
    NEVER,
    PORT,
    PREDICTED,
    VECTOR,
)
from accelsim.kernels.dependencies import awaited_load, codebook_wait, foot, operands_ready_at, ready_at, row_source, tile_rows
from accelsim.kernels.kernel import borrowing_kernel, inlined_kernel


@inlined_kernel
def _flight(machine, run):
    """Cycles from the booking of a fold's last step to its lowest row at the lanes, less one, if all rows of PEs are used."""
    return machine.codebook_latency + foot(run, machine) + machine.cols


@inlined_kernel
def _weights_there(s, run):
    """Whether the queue holds the line of the next step; a group whose banks conflict is not there yet."""
    return s.o_queued - (s.o_newest if s.held_until > s.cycle else 0) >= run.os_line


@inlined_kernel
def _sums_gone_at(s, machine, run, tasks, drains, due, fin, loaded):
    """(cycle from which the fold's first step, or its last one, may be booked as for the sums before it, cycle when that may change)."""
    if s.o_task < 0:
        return 0, NEVER
    ordinal = tasks[s.o_task].ordinal
    if ordinal < s.d_task or (ordinal == s.d_task and s.o_end < s.d_unit):
        return 0, NEVER
    for place in range(s.d_task, ordinal + 1):
        index = drains[place]
        known = operands_ready_at(index, tasks[index].rows - 1, tasks, s, fin, loaded)
        if known > s.cycle:
            return NEVER, known
    if machine.accumulator_rule != PREDICTED:
        return NEVER, NEVER  # until it has begun
    return due[tasks[s.o_task].offset + s.o_end] + s.due_shift - _flight(machine, run), NEVER


@inlined_kernel
def _waits_for_sums(s, machine, run, used):
    """Whether the next step is the one of its fold that the sums of the fold before hold up."""
    if machine.accumulator_banks == 1:
        return s.a_kt == 0 and s.a_row == 0
    return s.a_kt == run.kt_count - 1 and s.a_row == used - 1


@inlined_kernel
def _gate(s, machine, run, tasks, drains, due, fin, loaded, used):
    """(cycle from which the next step may be booked as for sums and rows, category of the wait, cycle in which that may change)."""
    if _waits_for_sums(s, machine, run, used):
        free, look = _sums_gone_at(s, machine, run, tasks, drains, due, fin, loaded)
        if free > s.cycle:
            return free, ACCUMULATOR, look
    if machine.accumulator_read == DESKEW and s.a_kt == run.kt_count - 1 and s.a_row == used - 1:
        operands = operands_ready_at(run.out_task, run.m0 + run.m - 1, tasks, s, fin, loaded)
        if operands > s.cycle:  # rows of other mappings behind it rely on a drain that will not wait
            return operands, VECTOR, NEVER
    if s.a_row > 0 or run.in_task < 0:
        return 0, DEPENDENCY, NEVER
    task, unit = row_source(run, tasks, s.a_kt, run.m - 1, machine.rows)
    at = ready_at(task, unit, tasks, s, fin, loaded)
    return at, awaited_load(at) if tasks[task].kind == LOAD else VECTOR, NEVER


@inlined_kernel
def _reserve_lanes(s, tasks):
    """Nothing may delay the drain of the fold before, which the step that is booked now relies on."""
    if s.o_task < 0:
        return
    ordinal = tasks[s.o_task].ordinal
    if ordinal > s.promised_ordinal or (ordinal == s.promised_ordinal and s.o_end >= s.promised):
        s.promised_ordinal, s.promised = ordinal, s.o_end + 1


@inlined_kernel
def _put_out(s, machine, run, tasks, avail, due):
    """Hand the sums of the fold to the lanes, lowest row of PEs first."""
    task = tasks[run.out_task]
    first = s.a_nt * run.out_rows + run.m0
    out = s.cycle + 1 + _flight(machine, run) + machine.rows - run.m
    for row in range(run.m):
        unit = first + row
        avail[task.offset + unit] = out + row
        due[task.offset + unit] = predict_drain(s, machine, task, unit, out + row)
        s.issued_ordinal = task.ordinal
        s.issued = unit + 1
    s.o_task, s.o_end = run.out_task, first + run.m - 1
    if machine.accumulator_read == DESKEW:
        s.promised_ordinal, s.promised = task.ordinal, s.issued


@inlined_kernel
def _accesses(run, machine, row):
    """Accesses of the activation buffer for step `row` of a K-tile: those of a tile's rows spread over its steps, early ones first."""
    steps = min(machine.rows, run.k)
    every = run.m * run.row_accesses
    return -(-(row + 1) * every // steps) - -(-row * every // steps)


@inlined_kernel
def _book(s, machine, run, tasks, avail, due, used):
    """Book the next step and what follows from it."""
    if _waits_for_sums(s, machine, run, used):
        _reserve_lanes(s, tasks)
    if s.run_ts0 < 0:
        s.run_ts0 = s.cycle
    s.cp_rows += 1
    s.row_got = 0
    s.l_debt = 0
    s.l_debt_l2 = 0
    s.a_row += 1
    if run.axis == 0 or s.a_row % run.d == 0 or s.a_row == used:
        s.o_queued -= run.os_line
    s.a_end = s.cycle + 1 + _flight(machine, run)
    if s.a_row < used:
        return
    s.a_row = 0
    s.tiles_done += 1
    s.a_tile += 1
    s.a_kt += 1
    if s.a_kt == run.kt_count:
        _put_out(s, machine, run, tasks, avail, due)
        s.a_kt = 0
        s.a_nt += 1


@borrowing_kernel
def step_output_stationary(s, machine, runs, tasks, drains, avail, due, fin, loaded, left):
    """Book a step, or several of an array that is imagined ideal, or say why not. Returns as `step_array`."""
    t = s.cycle
    run = runs[s.a_run]
    used = tile_rows(run, s.a_kt, machine.rows)[1]
    if not _weights_there(s, run):
        if s.o_queued >= run.os_line:
            return False, codebook_wait(machine), s.held_until, left
        return False, ASK_LOADER, NEVER, left
    ready, why, look = _gate(s, machine, run, tasks, drains, due, fin, loaded, used)
    if ready > t:
        return False, why, min(ready, look), left
    needed = _accesses(run, machine, s.a_row)
    s.row_got += left
    if s.row_got < needed:
        return True, PORT, NEVER, 0
    left = min(left, s.row_got - needed)
    s.count[BUSY] += 1
    tile = s.a_tile
    _book(s, machine, run, tasks, avail, due, used)
    extra = machine.rows_per_cycle - 1
    while (
        extra > 0 and s.a_tile == tile and _weights_there(s, run) and _gate(s, machine, run, tasks, drains, due, fin, loaded, used)[0] <= t
    ):
        _book(s, machine, run, tasks, avail, due, used)
        extra -= 1
    return True, ISSUED, NEVER, left

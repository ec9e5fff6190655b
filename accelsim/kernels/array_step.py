"""One cycle of the MAC array: issue a row, swap a tile in, or say why not."""

from __future__ import annotations

from accelsim.kernels.accumulator_read import hand_over, port_free_at, postponed_reuse_at, postpones, promise_port, taken_at
from accelsim.kernels.accumulator_reuse import predict_drain, promise, reuse_at
from accelsim.kernels.compute_state import (
    ACCUMULATOR,
    ACCUMULATOR_READ,
    ASK_HOLDER,
    ASK_LOADER,
    BUSY,
    DECODE,
    DEPENDENCY,
    DESKEW,
    FILL_DRAIN,
    ISSUED,
    LOAD,
    NEVER,
    NO_POP,
    PORT,
    STALL,
    VECTOR,
)
from accelsim.kernels.dependencies import (
    awaited_load,
    fold_steps,
    fold_tiles,
    foot,
    lag,
    loaded_tiles,
    ready_at,
    row_of_step,
    row_shifts,
    row_source,
)
from accelsim.kernels.gemv_step import step_gemv
from accelsim.kernels.input_stationary_step import weights_entered, weights_gate
from accelsim.kernels.kernel import inlined_kernel, merged_kernel
from accelsim.kernels.output_stationary_step import step_output_stationary
from accelsim.kernels.shadow_sets import set_swapped
from accelsim.kernels.vector_path_step import step_vector_path


@inlined_kernel
def _first_unit(s, run):
    """First unit that the array's stripe, or fold of stripes, puts out."""
    if run.turned:
        return run.unit0
    return s.a_nt * run.out_rows + run.m0 * fold_tiles(run, s.a_nt - run.nt0)


@inlined_kernel
def _row_gate(s, machine, runs, tasks, drains, avail, due, held, fin, loaded, kt, row):
    """(cycle from which step `row` of the array's next fold may be issued, category of the wait, cycle in which that may change).

    A row waits for its accumulators first, then for its operand; a step is a row and the tile of the fold that it meets.
    """
    run = runs[s.a_run]
    free, why, look = 0, ACCUMULATOR, NEVER
    if machine.accumulator_read == DESKEW:
        if kt == run.kt_count - 1:
            free, why = taken_at(s, machine, run, tasks, fin, loaded, _first_unit(s, run) + row)
    elif machine.accumulator_read == STALL:
        if kt == 0:
            free, why, look = postponed_reuse_at(s, machine, run, tasks, drains, avail, due, held, fin, loaded, row)
        else:
            free, look = port_free_at(s, machine, run, tasks, drains, avail, due, fin, loaded)
            why = ACCUMULATOR_READ
    elif kt == 0:
        free, look = reuse_at(s, machine, run, tasks, drains, avail, due, fin, loaded, row)
    if free > s.cycle:
        return free, why, look
    if run.in_task < 0 or run.turned:
        return 0, DEPENDENCY, NEVER
    task, unit = row_source(run, tasks, kt, row_of_step(run, s.a_nt - run.nt0, row), machine.rows)
    at = ready_at(task, unit, tasks, s, fin, loaded)
    return at, awaited_load(at) if tasks[task].kind == LOAD else VECTOR, NEVER


@inlined_kernel
def close_run(s, runs, results, end):
    """Write the results of the array's run, which ends before cycle `end`, and turn to the next."""
    out = results[s.a_run]
    for category in range(s.count.size):
        out[category] = s.count[category]
        s.count[category] = 0
    base = s.count.size
    out[base] = s.run_start
    out[base + 1] = s.run_ts0
    out[base + 2] = s.st_start
    out[base + 3] = s.st_tile
    out[base + 6] = s.cp_rows
    out[base + 8] = end
    s.st_start = 0
    s.st_tile = 0
    s.cp_rows = 0
    s.run_ts0 = -1
    s.run_start = end
    s.a_run += 1
    s.a_tile = 0
    s.a_kt = 0
    s.a_row = 0
    if s.a_run < runs.size:
        s.a_nt = runs[s.a_run].nt0


@inlined_kernel
def _issue(s, machine, runs, tasks, avail, due, held, results):
    """Issue one step, a row that meets a tile, in this cycle and book what follows from it."""
    run = runs[s.a_run]
    held_tiles = fold_tiles(run, s.a_nt - run.nt0)
    steps = fold_steps(run, s.a_nt - run.nt0)
    s.count[BUSY] += 1
    s.cp_rows += 1
    s.row_got = 0
    if s.a_kt == 0 and machine.accumulator_read != DESKEW:
        promise(s, machine, tasks, s.a_row)
    elif machine.accumulator_read == STALL:
        promise_port(s, machine, tasks)
    if s.a_kt == run.kt_count - 1:
        task = tasks[run.out_task]
        unit = _first_unit(s, run) + s.a_row
        out = s.cycle + 1 + foot(run, machine) + lag(run, machine)
        avail[task.offset + unit] = out
        if not postpones(machine, run):
            due[task.offset + unit] = predict_drain(s, machine, task, unit, out)
            s.issued_ordinal = task.ordinal
            s.issued = unit + 1
        elif s.a_row == steps - 1:
            hand_over(s, machine, run, steps, task, unit - s.a_row, avail, due, held)
        if machine.accumulator_read == DESKEW:
            s.promised_ordinal, s.promised = task.ordinal, unit + 1
    s.a_row += 1
    if run.turned:
        weights_entered(s, machine, run)
    if s.a_row < steps:
        return
    s.active = 0
    s.tiles_done += loaded_tiles(run, s.a_nt - run.nt0)
    s.a_end = s.cycle + 1 + foot(run, machine) + lag(run, machine)
    s.a_row = 0
    s.a_tile += held_tiles
    s.a_kt += 1
    if s.a_kt == run.kt_count:
        s.p2_task, s.p2_base, s.p2_rows = s.p1_task, s.p1_base, s.p1_rows
        s.p1_task, s.p1_base, s.p1_rows = run.out_task, _first_unit(s, run), steps
        s.a_kt = 0
        s.a_nt += held_tiles
    _follow(s, machine, runs, results)


@inlined_kernel
def _follow(s, machine, runs, results):
    """Turn to the next run as the last row of this one is issued, if it follows without a gap."""
    run = runs[s.a_run]
    if s.a_tile == run.kt_count * run.nt_count and machine.chained and s.a_run + 1 < runs.size and runs[s.a_run + 1].launch == 0:
        close_run(s, runs, results, s.cycle + 1)


@inlined_kernel
def _needed_accesses(s, run):
    """Accesses of the activation SRAM that the next step takes: a row is read once for all tiles of its fold, and weights take none."""
    if run.turned:
        return 0
    if run.feed and s.a_nt - run.nt0 == run.nt_count - 1:
        return run.last_accesses
    return run.row_accesses if run.file <= 1 or s.a_row % fold_tiles(run, s.a_nt - run.nt0) == 0 else 0


@inlined_kernel
def _swap_gate(s, machine, run):
    """(cycle from which the oldest loaded fold may be swapped in, category of the wait)."""
    decoded = s.tpl0 + 1 + machine.codebook_latency
    if s.cycle < decoded:
        return decoded, DECODE
    return s.a_end - foot(run, machine) - lag(run, machine), FILL_DRAIN  # columns without skew would overtake the wave of the rows before


@inlined_kernel
def _swap_in(s, machine, run):
    """Swap the oldest loaded fold in, in this cycle."""
    s.active = 1
    set_swapped(s, lag(run, machine))
    if s.run_ts0 < 0:
        s.run_ts0 = s.cycle
    s.l_debt = 0
    s.l_debt_l2 = 0


@inlined_kernel
def _row_entered(s, run):
    """Shift the columns' windows, or take in 8 bits of a row; whether the next row is whole. A cycle that brings none yet is busy too."""
    s.row_got = 0
    s.shifted += 1
    if s.shifted < row_shifts(run, s.a_row):
        s.count[BUSY] += 1
        return False
    s.shifted = 0
    return True


@merged_kernel
def _step_tiles(s, machine, runs, tasks, drains, avail, due, held, fin, loaded, results, left):
    """Issue a row of a tile, swap a tile in, or say why not. Returns as `step_array`."""
    t = s.cycle
    run = runs[s.a_run]
    if s.active == 0:
        if s.loaded_tiles == 0:
            return False, ASK_HOLDER if run.turned else ASK_LOADER, NEVER, left
        at, why = _swap_gate(s, machine, run)
        if t < at:
            return False, why, at, left
    rows = 0
    while rows == 0 or (rows < machine.rows_per_cycle and s.active == 1):
        at, why, look = 0, DECODE, NEVER
        if run.turned:
            at, why = weights_gate(s, machine)
        if at <= t:
            at, why, look = _row_gate(s, machine, runs, tasks, drains, avail, due, held, fin, loaded, s.a_kt, s.a_row)
        if at > t:
            return rows > 0, ISSUED if rows > 0 else why, NEVER if rows > 0 else min(at, look), left
        if rows > 0:
            s.count[BUSY] -= 1  # the cycle is booked once, however many rows an ideal array takes in it
        else:
            if run.feed and s.active == 0:  # the tile's time begins with the first shift
                _swap_in(s, machine, run)
            needed = _needed_accesses(s, run)
            s.row_got += left
            if s.row_got < needed:
                return True, PORT, NEVER, 0
            left = min(left, s.row_got - needed)
            if s.active == 0:
                _swap_in(s, machine, run)
            if (run.feed or run.row_passes > 1) and not _row_entered(s, run):
                return True, ISSUED, NEVER, left
        _issue(s, machine, runs, tasks, avail, due, held, results)
        rows += 1
    return True, ISSUED, NEVER, left


@merged_kernel
def step_array(s, machine, runs, tasks, drains, avail, due, held, fin, loaded, group_cost, results):
    """Issue a row, swap a tile in, or say why not.

    Returns (state changed, ISSUED or ASK_LOADER or the category of the wait, wake, accesses left).
    """
    t = s.cycle
    s.g_pop = NO_POP
    left = machine.port_accesses - (s.v_accesses if s.v_until > t else 0)
    run = runs[s.a_run]
    if s.a_tile == run.kt_count * run.nt_count:  # isolated, before a launch, or the last: it drains, and the vector unit may still work
        if t < s.a_end:
            return False, FILL_DRAIN, s.a_end, left
        if s.a_run + 1 == runs.size:
            return False, VECTOR, NEVER, left
        close_run(s, runs, results, t)
        run = runs[s.a_run]
    if run.gemv_groups == 0 and run.os_line == 0 and run.vector_path == 0:
        return _step_tiles(s, machine, runs, tasks, drains, avail, due, held, fin, loaded, results, left)
    if run.gemv_groups > 0:
        changed, why, look, left = step_gemv(s, machine, runs, tasks, avail, due, fin, loaded, group_cost, left)
    elif run.os_line > 0:
        changed, why, look, left = step_output_stationary(s, machine, runs, tasks, drains, avail, due, fin, loaded, left)
    else:
        changed, why, look, left = step_vector_path(s, machine, runs, tasks, avail, due, fin, loaded, left)
    if why == ISSUED:
        _follow(s, machine, runs, results)
    return changed, why, look, left


@inlined_kernel
def steady_rows(s, machine, runs, tasks, fin, loaded):
    """Steps after this one, all but the fold's last, that will be issued back to back whatever happens elsewhere.

    Only for K-tiles that put nothing out, while the vector unit begins nothing (the caller looks to that).
    """
    run = runs[s.a_run]
    accesses = machine.port_accesses - (s.v_accesses if s.v_until > s.cycle else 0)
    if s.active == 0 or run.feed or run.row_passes > 1 or run.turned or s.a_kt == run.kt_count - 1 or run.row_accesses > accesses:
        return 0
    if machine.rows_per_cycle > 1:  # a cycle issues as many as are ready
        return 0
    if s.a_kt == 0 or machine.accumulator_read == STALL:
        before, end = s.p1_task, s.p1_base + s.p1_rows - 1
        if machine.accumulator_banks > 1:
            before, end = s.p2_task, s.p2_base + s.p2_rows - 1
        if before >= 0:
            drain = tasks[before]
            if drain.ordinal > s.d_task or (drain.ordinal == s.d_task and end >= s.d_unit) or fin[drain.offset + end] > s.cycle:
                return 0
    if run.in_task >= 0:
        task, unit = row_source(run, tasks, s.a_kt, run.m - 1, machine.rows)
        if ready_at(task, unit, tasks, s, fin, loaded) > s.cycle:
            return 0
    return run.m * fold_tiles(run, s.a_nt - run.nt0) - 1 - s.a_row

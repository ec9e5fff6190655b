"""The compute cluster, cycle by cycle: loader, shadow registers, MAC array, accumulators and vector unit on the core clock.

These are stepped together because a row passes between them every cycle: one event a row in the system would cost more
than the row, and one event a tile would store and forward and lose the overlap. Everything that reaches the cluster from
outside (a transfer that landed, a tensor that was loaded) is an array that only changes between two calls.

A call advances `state` to `until` (exclusive), or stops after the first cycle that somebody outside waits for. What one
call does is the same as what any split of it into several calls does; the state is one record, so a caller may copy it,
look ahead, and come back. The large arrays `avail` and `fin` are written in time order and read only up to the progress
that the state records, so a look-ahead needs no copy of them.

Disputable assumptions: rows are issued one a cycle and a bubble travels with the wave; the drain of the accumulators
goes before other vector work; other vector tasks run in program order; a port that a unit uses is taken for the cycle;
a row that is still in the wave when its accumulators are used again is taken by the requantizer as it comes out.
"""

from __future__ import annotations

import numpy as np

from accelsim.kernels.kernel import borrowing_kernel, inlined_kernel

NEVER = np.int64(1) << np.int64(60)

# One column for each category of the table "where a cycle goes"; the array is in exactly one of them in every cycle.
CATEGORIES = (
    "busy",
    "fill_drain",
    "dram",
    "buffer_width",
    "bank_conflict",
    "codebook_load",
    "decode",
    "swap",
    "buffer_full",
    "accumulator",
    "port",
    "vector",
    "dram_activation",
    "issue",
    "dependency",
)
(
    BUSY,
    FILL_DRAIN,
    DRAM,
    BUFFER_WIDTH,
    BANK_CONFLICT,
    CODEBOOK_LOAD,
    DECODE,
    SWAP,
    BUFFER_FULL,
    ACCUMULATOR,
    PORT,
    VECTOR,
    DRAM_ACTIVATION,
    ISSUE,
    DEPENDENCY,
) = range(len(CATEGORIES))

# Why `advance` returned.
REACHED, BLOCKED, FREED, TILES, NOTIFY, DONE = range(6)

# What a task is: the drain of a GEMM, a row function of the vector unit, a tensor that the DMA brings.
DRAIN, ROW, LOAD = range(3)

MACHINE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "rows",  # R
            "cols",  # C
            "lanes",  # of the vector unit; 0: ideal, takes no time
            "codebook_latency",  # cycles from pop to a valid codeword (1 in CORE.md)
            "codebook_sets",
            "accumulator_banks",
            "issue_overhead",  # cycles a run
            "chained",  # 1: the next run's first tile loads under this run
            "port_accesses",  # accesses a cycle that the activation SRAM serves
            "loader_accesses",  # accesses that one word for the loader takes there
            "shadow_sets",
            "rows_per_cycle",  # 1; more for an array that is imagined ideal
        )
    ]
)

RUN = np.dtype(
    [
        (name, np.int64)
        for name in (
            "layer",
            "m",  # activation rows
            "m0",  # first of them in the layer
            "k",
            "nt0",  # first N-stripe
            "nt_count",
            "kt_count",
            "d",
            "axis",
            "ports",  # P
            "pop_bits",  # n
            "buffer_bits",  # B
            "word_bits",  # W
            "words",  # of the stream of this run
            "from_activations",  # 1: the weights are a tensor in the activation buffer
            "chunk0",  # first transfer of the stream; -1: it is there
            "chunk_count",
            "header_bytes",  # scales, biases and codebook, ahead of the words
            "base_bytes",  # stream bytes of all runs before
            "stream_bytes",
            "frees",  # 1: words leave the buffer as they are read
            "codebook_load",  # ordinal of the load that must be done; -1: none
            "codebook_release",  # ordinals up to this one are free once the run is decoded; -1: none
            "cost0",  # first entry in group_cost; -1: every group takes one cycle
            "in_task",
            "in_tile_cols",  # columns of a unit of the producer; 0: a unit is a whole row
            "in_rows",
            "in_col0",
            "in_cols",  # columns that K walks over; 0: every K-tile needs the whole row
            "in_row0",
            "in_task_cols",  # columns that one producer wrote, when each head has its own (tasks in_task, in_task + 1, ...); 0: one
            "in_fixed",  # the unit that every row needs; -1: it depends on the row
            "in_ox",  # positions a line of the output of a convolution; 0: rows map one to one
            "in_stride",
            "in_reach",  # last input line of output line 0
            "in_ix",
            "w_task",
            "w_unit",
            "out_task",
            "out_rows",  # rows of the layer
            "row_accesses",
        )
    ]
)

TASK = np.dtype(
    [
        (name, np.int64)
        for name in (
            "kind",
            "ordinal",  # place in its queue (drains, rows) or in `loaded` (loads)
            "offset",  # first entry in avail and fin
            "units",
            "rows",  # units a column of tiles
            "tile_cols",
            "width",
            "passes",
            "latency",
            "accesses",  # of the activation SRAM, in each cycle that it runs
            "chunk",  # transfer that must have landed (parameters); -1: none
            "dep0",
            "dep0_base",
            "dep0_step",  # unit of dep0 for row r: base + step * r, none if negative
            "dep1",
            "dep1_base",
            "dep1_step",
            "after0",  # tasks that must have ended, -1: none: whose results, or whose operands, lie where this task writes
            "after1",
            "after2",
            "notify",  # 1: somebody outside waits for the end of this task
        )
    ]
)

_STATE_FIELDS = (
    "cycle",
    "finish",  # cycle count of the program, when done
    # array
    "a_run",
    "a_tile",
    "a_kt",
    "a_nt",
    "a_row",
    "active",
    "ts",  # swap cycle of the newest tile
    "ts_older",  # and of the one before
    "a_end",  # first cycle after the drain of what was issued
    "row_got",
    "tiles_done",
    "issued",  # units of the current output task
    "issued_ordinal",
    "p1_task",
    "p1_base",
    "p1_rows",
    "p2_task",
    "p2_base",
    "p2_rows",
    # loader
    "l_run",
    "l_tile",
    "l_kt",
    "l_group",
    "l_groups",
    "l_cost",  # groups popped in this run, for group_cost
    "l_start",  # first cycle in which the run may load
    "l_fresh",  # 1: no tile before this one binds the loader
    "l_chunk",
    "l_landed",  # bytes of the stream that have landed
    "ucnt",
    "pushed",
    "l_debt",  # cycles that memory kept the tile waiting while the array was busy: charged when the array comes to wait for it
    "held_until",  # a bank conflict holds the next pop
    "loaded_tiles",  # tiles in the shadow sets
    "tpl0",  # last pop of the oldest loaded tile
    "tpl1",
    "freed",
    # codebook
    "cb_started",
    "cb_done",
    "cb_until",
    "cb_released",
    # vector unit
    "v_until",
    "v_accesses",
    "d_task",
    "d_unit",
    "r_task",
    "r_unit",
    "v_busy",
    "last_fin",
    # outside
    "starved",  # first cycle in which something outside was missing; NEVER: nothing was
    "notify_task",
    "notify_cycle",
    "st_start",
    "st_tile",
    "cp_rows",
    "ld_haz",
    "ld_bits",
    "run_start",
    "run_ts0",
)
STATE = np.dtype([(name, np.int64) for name in _STATE_FIELDS] + [("count", np.int64, (len(CATEGORIES),))])

# Result columns of a run: where its cycles went, then these.
RUN_RESULTS = (*CATEGORIES, "start", "ts_first", "st_start", "st_tile", "ld_bits", "ld_haz", "cp_rows", "pushed", "end")


def new_state() -> np.ndarray:
    """A cluster at cycle 0 with nothing loaded: array of shape (1,), dtype STATE."""
    state = np.zeros(1, STATE)
    for name in ("ts", "ts_older", "p1_task", "p2_task", "issued_ordinal", "tpl0", "tpl1", "cb_until", "run_ts0"):
        state[name] = -1
    state["l_start"] = state["l_groups"] = state["notify_task"] = -1
    state["l_fresh"] = 1
    state["starved"] = NEVER
    return state


@inlined_kernel
def _ready_at(task, unit, tasks, s, fin, loaded):
    """Cycle from which `unit` of `task` may be used; NEVER while that is unknown."""
    kind = tasks[task].kind
    if kind == 2:  # LOAD
        return fin[tasks[task].offset + unit] if unit < loaded[tasks[task].ordinal] else 1 << 60
    ordinal = tasks[task].ordinal
    if kind == 0:
        known = ordinal < s.d_task or (ordinal == s.d_task and unit < s.d_unit)
    else:
        known = ordinal < s.r_task or (ordinal == s.r_task and unit < s.r_unit)
    return fin[tasks[task].offset + unit] if known else 1 << 60


@inlined_kernel
def _deps_ready_at(task, row, tasks, s, fin, loaded):
    """Cycle from which row `row` of a vector task has its other operands."""
    t = tasks[task]
    ready = 0
    if t.dep0 >= 0:
        unit = t.dep0_base + t.dep0_step * row
        if unit >= 0:
            ready = _ready_at(t.dep0, unit, tasks, s, fin, loaded)
    if t.dep1 >= 0:
        unit = t.dep1_base + t.dep1_step * row
        if unit >= 0:
            ready = max(ready, _ready_at(t.dep1, unit, tasks, s, fin, loaded))
    if t.after0 >= 0:
        ready = max(ready, _ready_at(t.after0, tasks[t.after0].units - 1, tasks, s, fin, loaded))
    if t.after1 >= 0:
        ready = max(ready, _ready_at(t.after1, tasks[t.after1].units - 1, tasks, s, fin, loaded))
    if t.after2 >= 0:
        ready = max(ready, _ready_at(t.after2, tasks[t.after2].units - 1, tasks, s, fin, loaded))
    return ready


@inlined_kernel
def _tile_groups(run, kt, rows, cols):
    """Decode cycles L of a tile with K-index `kt`."""
    used = min(rows, run.k - kt * rows)
    if run.axis == 0:
        records = used * (cols // run.d)
    else:
        records = -(-used // run.d) * cols
    return -(-records // run.ports)


@inlined_kernel
def _wave(run, group, rows, cols):
    """Cycles behind the swap after which `group` may be popped: rmax(g) + C - 2."""
    th = min(group * run.ports + run.ports - 1, rows * cols // run.d - 1)
    if run.axis == 0:
        rmax = th // (cols // run.d)
    else:
        rmax = (th // cols) * run.d + run.d - 1
    return rmax + cols - 2


@inlined_kernel
def _row_source(run, kt, row, rows):
    """(task, unit) that row `row` of K-tile `kt` needs."""
    if run.in_fixed >= 0:
        return run.in_task, run.in_fixed
    if run.in_ox > 0:
        line = ((run.m0 + row) // run.in_ox) * run.in_stride + run.in_reach
        source = run.in_row0 + min(run.in_rows, (line + 1) * run.in_ix) - 1
    else:
        source = run.in_row0 + run.m0 + row
    if run.in_tile_cols == 0:
        return run.in_task, source
    column = run.in_cols - 1
    if run.in_ox == 0:
        column = min(column, (kt + 1) * rows - 1)
    column += run.in_col0
    task = run.in_task
    if run.in_task_cols > 0:
        task += column // run.in_task_cols
        column %= run.in_task_cols
    return task, (column // run.in_tile_cols) * run.in_rows + source


@inlined_kernel
def _step_vector(s, machine, tasks, drains, row_tasks, avail, fin, land, visible, loaded):
    """Start what the vector unit can start in this cycle; return (acted, next cycle that could change that)."""
    t = s.cycle
    acted = False
    wake = 1 << 60
    while True:
        if s.v_until > t:
            return acted, min(wake, s.v_until)
        s.v_accesses = 0
        started = False
        wake = 1 << 60
        if s.d_task < drains.size:
            task = tasks[drains[s.d_task]]
            issued = s.d_task < s.issued_ordinal or (s.d_task == s.issued_ordinal and s.d_unit < s.issued)
            if issued:
                row = s.d_unit % task.rows
                at = max(avail[task.offset + s.d_unit], _deps_ready_at(drains[s.d_task], row, tasks, s, fin, loaded))
                if at <= t:
                    cycles = 0
                    if machine.lanes > 0:
                        cols = min(task.tile_cols, task.width - (s.d_unit // task.rows) * task.tile_cols)
                        cycles = task.passes * -(-cols // machine.lanes)
                        if task.accesses > machine.port_accesses:
                            cycles *= -(-task.accesses // machine.port_accesses)
                    s.v_until = t + cycles
                    done = t + cycles + (task.latency if machine.lanes > 0 else 0)
                    fin[task.offset + s.d_unit] = done
                    s.last_fin = max(s.last_fin, done)
                    s.v_accesses = task.accesses
                    s.v_busy += cycles
                    s.d_unit += 1
                    if s.d_unit == task.units:
                        if task.notify:
                            s.notify_task = drains[s.d_task]
                            s.notify_cycle = done
                        s.d_task += 1
                        s.d_unit = 0
                    started = True
                else:
                    wake = min(wake, at)
        if not started and s.r_task < row_tasks.size:
            task = tasks[row_tasks[s.r_task]]
            at = _deps_ready_at(row_tasks[s.r_task], s.r_unit, tasks, s, fin, loaded)
            if task.chunk >= 0:
                at = max(at, land[visible[task.chunk]])
            if at <= t:
                cycles = 0
                if machine.lanes > 0:
                    cycles = task.passes * -(-task.width // machine.lanes)
                    if task.accesses > machine.port_accesses:
                        cycles *= -(-task.accesses // machine.port_accesses)
                s.v_until = t + cycles
                done = t + cycles + (task.latency if machine.lanes > 0 else 0)
                fin[task.offset + s.r_unit] = done
                s.last_fin = max(s.last_fin, done)
                s.v_accesses = task.accesses
                s.v_busy += cycles
                s.r_unit += 1
                if s.r_unit == task.units:
                    if task.notify:
                        s.notify_task = row_tasks[s.r_task]
                        s.notify_cycle = done
                    s.r_task += 1
                    s.r_unit = 0
                started = True
            else:
                if task.chunk >= 0 and land[visible[task.chunk]] >= 1 << 60:
                    s.starved = min(s.starved, t)
                wake = min(wake, at)
        if not started:
            return acted, wake
        acted = True
        if s.notify_task >= 0:
            return acted, t + 1


@inlined_kernel
def _row_gate(s, machine, runs, tasks, avail, fin, loaded, kt, row):
    """(cycle from which row `row` of the array's next tile may be issued, category of the wait)."""
    run = runs[s.a_run]
    ready = 0
    why = 14
    if run.in_task >= 0:
        task, unit = _row_source(run, kt, row, machine.rows)
        ready = _ready_at(task, unit, tasks, s, fin, loaded)
        why = 12 if tasks[task].kind == 2 else 11
    if kt == 0:
        if machine.accumulator_banks == 1:
            before, base, count, reason = s.p1_task, s.p1_base, s.p1_rows, 9
        else:
            before, base, count, reason = s.p2_task, s.p2_base, s.p2_rows, 11
        if before >= 0 and row < count:
            drain = tasks[before]
            at = 0
            if drain.ordinal < s.d_task or (drain.ordinal == s.d_task and base + row < s.d_unit):
                at = fin[drain.offset + base + row] - drain.latency - machine.rows - machine.cols
            elif avail[drain.offset + base + row] <= s.cycle:
                at = 1 << 60
            if at > ready:
                ready = at
                why = reason
    return ready, why


@inlined_kernel
def _close(s, runs, results, end):
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
def _issue(s, machine, runs, tasks, avail, results):
    """Issue one row in this cycle and book what follows from it."""
    run = runs[s.a_run]
    s.count[0] += 1
    s.cp_rows += 1
    s.row_got = 0
    if s.a_kt == run.kt_count - 1:
        task = tasks[run.out_task]
        unit = s.a_nt * run.out_rows + run.m0 + s.a_row
        avail[task.offset + unit] = s.cycle + 1 + machine.rows + machine.cols
        s.issued_ordinal = task.ordinal
        s.issued = unit + 1
    s.a_row += 1
    if s.a_row < run.m:
        return
    s.active = 0
    s.tiles_done += 1
    s.a_end = s.cycle + 1 + machine.rows + machine.cols
    s.a_row = 0
    s.a_tile += 1
    s.a_kt += 1
    if s.a_kt == run.kt_count:
        s.p2_task, s.p2_base, s.p2_rows = s.p1_task, s.p1_base, s.p1_rows
        s.p1_task, s.p1_base, s.p1_rows = run.out_task, s.a_nt * run.out_rows + run.m0, run.m
        s.a_kt = 0
        s.a_nt += 1
    if s.a_tile == run.kt_count * run.nt_count and machine.chained and s.a_run + 1 < runs.size:
        _close(s, runs, results, s.cycle + 1)


@inlined_kernel
def _step_array(s, machine, runs, tasks, avail, fin, loaded, results):
    """Issue a row, swap a tile in, or say why not.

    Returns (state changed, -1 if a row was issued else the category of the wait (-2: ask the loader), wake, accesses left).
    """
    t = s.cycle
    left = machine.port_accesses - (s.v_accesses if s.v_until > t else 0)
    run = runs[s.a_run]
    if s.a_tile == run.kt_count * run.nt_count:  # an isolated run, or the last, drains; then the vector unit may still work
        if t < s.a_end:
            return False, 1, s.a_end, left
        if s.a_run + 1 == runs.size:
            return False, 11, 1 << 60, left
        _close(s, runs, results, t)
        run = runs[s.a_run]
    if s.active == 0:
        if s.loaded_tiles == 0:
            return False, -2, 1 << 60, left
        at = s.tpl0 + 1 + machine.codebook_latency
        if t < at:
            return False, 6, at, left
    ready, why = _row_gate(s, machine, runs, tasks, avail, fin, loaded, s.a_kt, s.a_row)
    if ready > t:
        if ready >= 1 << 60 and why == 12:
            s.starved = min(s.starved, t)
        return False, why, ready, left
    s.row_got += left
    if s.row_got < run.row_accesses:
        return True, 10, 1 << 60, 0
    left = min(left, s.row_got - run.row_accesses)
    if s.active == 0:
        s.active = 1
        s.ts_older = s.ts
        s.ts = t
        if s.run_ts0 < 0:
            s.run_ts0 = t
        s.loaded_tiles -= 1
        s.tpl0 = s.tpl1
        s.l_debt = 0
    _issue(s, machine, runs, tasks, avail, results)
    extra = machine.rows_per_cycle - 1
    while extra > 0 and s.active == 1 and _row_gate(s, machine, runs, tasks, avail, fin, loaded, s.a_kt, s.a_row)[0] <= t:
        s.count[0] -= 1  # the cycle is booked once, however many rows it takes
        _issue(s, machine, runs, tasks, avail, results)
        extra -= 1
    return True, -1, 1 << 60, left


@inlined_kernel
def _steady_rows(s, machine, runs, tasks, fin, loaded):
    """Rows after this one, all but the tile's last, that will be issued back to back whatever happens elsewhere.

    Only for K-tiles that put nothing out; the vector unit must be idle meanwhile (the caller looks to that).
    """
    run = runs[s.a_run]
    if s.active == 0 or s.a_kt == run.kt_count - 1 or run.row_accesses > machine.port_accesses:
        return 0
    if s.a_kt == 0:
        before, end = s.p1_task, s.p1_base + s.p1_rows - 1
        if machine.accumulator_banks > 1:
            before, end = s.p2_task, s.p2_base + s.p2_rows - 1
        if before >= 0:
            drain = tasks[before]
            if drain.ordinal > s.d_task or (drain.ordinal == s.d_task and end >= s.d_unit) or fin[drain.offset + end] > s.cycle:
                return 0
    if run.in_task >= 0:
        task, unit = _row_source(run, s.a_kt, run.m - 1, machine.rows)
        if _ready_at(task, unit, tasks, s, fin, loaded) > s.cycle:
            return 0
    return run.m - 1 - s.a_row


@inlined_kernel
def _next_load_run(s, machine, runs, results):
    """Book the loader's counters and turn it to the next run."""
    base = s.count.size
    results[s.l_run, base + 4] = s.ld_bits
    results[s.l_run, base + 5] = s.ld_haz
    results[s.l_run, base + 7] = s.pushed
    run = runs[s.l_run]
    if run.codebook_release >= 0:
        s.cb_released = run.codebook_release + 1
    if run.frees:
        s.freed = run.base_bytes + run.stream_bytes
    s.ld_bits = 0
    s.ld_haz = 0
    s.pushed = 0
    s.ucnt = 0
    s.l_run += 1
    s.l_tile = 0
    s.l_kt = 0
    s.l_group = 0
    s.l_cost = 0
    s.l_chunk = 0
    s.l_landed = 0
    s.l_groups = -1
    s.l_start = s.cycle + 1 + machine.issue_overhead if machine.chained else -1


@inlined_kernel
def _missing_word(s, machine, runs, tasks, fin, loaded, land, visible, chunk_end, chunk_need, room, left):
    """(category of the reason why the loader's next word cannot be read in this cycle or -1, cycle from which it can)."""
    run = runs[s.l_run]
    t = s.cycle
    if run.from_activations:
        if run.w_task >= 0:
            at = _ready_at(run.w_task, run.w_unit, tasks, s, fin, loaded)
            if at > t:
                outside = tasks[run.w_task].kind == 2
                if at >= 1 << 60 and outside:
                    s.starved = min(s.starved, t)
                return 12 if outside else 11, at
        if left < min(machine.loader_accesses, machine.port_accesses):
            return 10, t + 1
        return -1, t
    if run.chunk0 >= 0:
        end = run.header_bytes * 8 + (s.pushed + 1) * run.word_bits
        while s.l_chunk < run.chunk_count and s.l_landed * 8 < end:
            chunk = run.chunk0 + s.l_chunk
            at = land[visible[chunk]]
            if at > t:
                if at >= 1 << 60 and room:
                    s.starved = min(s.starved, t)
                return 8 if s.freed < chunk_need[chunk] else 2, at
            s.l_landed = chunk_end[chunk]
            s.l_chunk += 1
    return -1, t


@inlined_kernel
def _step_loader(s, machine, runs, tasks, fin, loaded, group_cost, land, visible, chunk_end, chunk_need, results, left):
    """Push a word, pop a group.

    Returns (state changed, category if the array waits for this, wake, tally: 1 the wave holds the pop, 2 bits are short).
    """
    t = s.cycle
    rows = machine.rows
    cols = machine.cols
    if s.l_run >= runs.size:
        return False, 14, 1 << 60, 0
    if s.l_start < 0:  # isolated: the run starts when the array has closed the one before
        if s.a_run < s.l_run:
            return False, 14, 1 << 60, 0
        s.l_start = t + machine.issue_overhead
        s.l_fresh = 1
    if t < s.l_start:
        return False, 13, s.l_start, 0
    run = runs[s.l_run]
    if s.l_groups < 0:
        s.l_groups = _tile_groups(run, 0, rows, cols)
    wake = 1 << 60
    room = s.ucnt <= run.buffer_bits - run.word_bits
    missing = -1
    if s.pushed < run.words:
        missing, at = _missing_word(s, machine, runs, tasks, fin, loaded, land, visible, chunk_end, chunk_need, room, left)
        if at > t:
            wake = at
    push = missing < 0 and room and s.pushed < run.words

    # the pop sees what the buffer held before this cycle's push
    why = 6
    tally = 0
    pop = False
    free_sets = machine.shadow_sets - s.loaded_tiles
    vacated = s.ts  # swap cycle of the tile that left the set which is filled now
    if machine.shadow_sets > 1 and s.loaded_tiles == 0:
        vacated = s.ts_older
    if s.held_until > t:
        why = 4
        wake = min(wake, s.held_until)
    elif free_sets > 0 and (s.l_fresh or vacated < t):
        behind = 0
        if not s.l_fresh and vacated >= 0:
            behind = vacated + _wave(run, s.l_group, rows, cols)
        if t < behind:
            why = 7
            tally = 1
            wake = min(wake, behind)
        elif run.codebook_load >= 0 and s.cb_done <= run.codebook_load:
            why = 5
        elif s.ucnt < run.pop_bits:
            why = missing if missing >= 0 else 3
            tally = 2
        else:
            pop = True
    elif free_sets > 0:
        wake = min(wake, vacated + 1)

    if push:
        s.ucnt += run.word_bits
        s.pushed += 1
        if run.frees:
            s.freed = run.base_bytes + run.header_bytes + s.pushed * run.word_bits // 8
    if pop:
        s.ucnt -= run.pop_bits
        if run.cost0 >= 0:
            s.held_until = t + group_cost[run.cost0 + s.l_cost]
        s.l_cost += 1
        s.l_group += 1
        if s.l_group == s.l_groups:
            last = max(t, s.held_until - 1)
            if s.loaded_tiles == 0:
                s.tpl0 = last
            else:
                s.tpl1 = last
            s.loaded_tiles += 1
            s.l_fresh = 0
            s.l_group = 0
            s.l_tile += 1
            s.l_kt += 1
            if s.l_kt == run.kt_count:
                s.l_kt = 0
            if s.l_tile == run.kt_count * run.nt_count:
                _next_load_run(s, machine, runs, results)
            else:
                s.l_groups = _tile_groups(run, s.l_kt, rows, cols)
    return push or pop, why, wake, tally


@inlined_kernel
def _step_codebook(s, machine, runs, cb_runs, cb_words, land, visible, chunk_end):
    """Fill the next codebook set as soon as its bytes and a free set are there; return (acted, wake)."""
    t = s.cycle
    if s.cb_until >= 0 and t >= s.cb_until:
        s.cb_done += 1
        s.cb_until = -1
    if s.cb_until >= 0:
        return False, s.cb_until
    if s.cb_started < cb_runs.size and s.cb_started - s.cb_released < machine.codebook_sets:
        run = runs[cb_runs[s.cb_started]]
        at = 0
        if run.chunk0 >= 0:
            chunk = 0
            while chunk_end[run.chunk0 + chunk] < run.header_bytes:
                chunk += 1
            at = land[visible[run.chunk0 + chunk]]
        if at <= t:
            s.cb_until = t + cb_words[s.cb_started]
            s.cb_started += 1
            return True, s.cb_until
        if at >= 1 << 60:
            s.starved = min(s.starved, t)
        return False, at
    return False, 1 << 60


@borrowing_kernel
def advance(
    state, machines, runs, tasks, drains, row_tasks, cb_runs, cb_words, group_cost, land, visible, chunk_end, chunk_need,
    loaded, avail, fin, results, until, stop_freed, stop_tiles, lookahead,
):  # fmt: skip
    """Run the cluster up to cycle `until` or to the first thing that somebody waits for; return why it stopped.

    Parameters
    ----------
    state : array (1,) STATE; machines : array (1,) MACHINE
    runs, tasks : arrays of RUN and TASK; the drains come first in `tasks`, in the order of their queue
    drains, row_tasks : int64 (n,): tasks in queue order; cb_runs, cb_words : int64 (n,): runs that load a codebook, codewords of it
    group_cost : uint8 (n,): cycles of each group under bank conflicts
    land, visible, chunk_end, chunk_need : int64 (transfers,): cycle from which a transfer can be read (NEVER: not known);
        the transfer whose landing makes it usable; stream bytes up to its end; freed bytes that make room for it
    loaded : int64 (loads,): units of each load task that are known
    avail, fin : int64 (units,): cycle in which a unit left the array, and its vector work was done
    results : int64 (runs, len(RUN_RESULTS))
    lookahead : 1: return BLOCKED where nothing more can happen; 0: book the wait up to `until`
    until : cycle to stop before; stop_freed, stop_tiles : stop once that many stream bytes are free, tiles are done

    Returns
    -------
    REACHED, BLOCKED (nothing can happen without something from outside; the cycle of the state is where that began),
    FREED, TILES, NOTIFY (`notify_task` ends in `notify_cycle`) or DONE (`finish` is the cycle count).
    """
    s = state[0]
    machine = machines[0]
    last = runs.size - 1
    while s.cycle < until:
        t = s.cycle
        v_acted, v_wake = _step_vector(s, machine, tasks, drains, row_tasks, avail, fin, land, visible, loaded)
        if s.a_run == last and s.d_task == drains.size and s.r_task == row_tasks.size and t >= max(s.last_fin, s.a_end):
            s.finish = t
            _close(s, runs, results, t)
            return 5
        c_acted, c_wake = _step_codebook(s, machine, runs, cb_runs, cb_words, land, visible, chunk_end)
        a_acted, why, a_wake, left = _step_array(s, machine, runs, tasks, avail, fin, loaded, results)
        l_acted, l_why, l_wake, tally = _step_loader(
            s, machine, runs, tasks, fin, loaded, group_cost, land, visible, chunk_end, chunk_need, results, left
        )
        wake = min(min(v_wake, c_wake), l_wake)
        others_acted = v_acted or c_acted or l_acted
        span = 1
        if why == -1:
            late = tally == 2 and l_why == 2
            if not others_acted and s.v_until <= t:
                more = min(_steady_rows(s, machine, runs, tasks, fin, loaded), min(wake, until) - t - 1)
                if more > 0:
                    span += more
                    s.a_row += more
                    s.count[0] += more
                    s.cp_rows += more
            if late:
                s.l_debt += span
        else:
            if why == -2:
                why = l_why
            if not (others_acted or a_acted):
                wake = min(wake, a_wake)
                if wake >= 1 << 60:
                    if s.last_fin > t:
                        wake = s.last_fin
                    elif lookahead:
                        return 1
                span = min(wake, until) - t
            charged = min(span, s.l_debt) if why == 6 else 0
            s.l_debt -= charged
            s.count[2] += charged
            s.count[why] += span - charged
            if s.run_ts0 < 0:
                s.st_start += span
            elif why != 1:
                s.st_tile += span
        if tally == 1:
            s.ld_haz += span
        elif tally == 2:
            s.ld_bits += span
        s.cycle += span
        if s.notify_task >= 0:
            return 4
        if s.freed >= stop_freed:
            return 2
        if s.tiles_done >= stop_tiles:
            return 3
    return 0

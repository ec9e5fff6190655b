"""The compute cluster, cycle by cycle: loader, shadow registers, MAC array, accumulators and vector unit on the core clock.

These are stepped together because a row passes between them every cycle: one event a row in the system would cost more
than the row, and one event a tile would store and forward and lose the overlap. Everything that reaches the cluster from
outside (a transfer that landed, a tensor that was loaded) is an array that only changes between two calls.

A call advances `state` to `until` (exclusive), or stops after the first cycle that somebody outside waits for. One
call does the same as any split of it into several calls; the state is one record, so a caller may copy it,
look ahead, and come back. The large arrays `avail`, `due`, `held` and `fin` are written in time order and read only up to the
progress that the state records, so a look-ahead needs no copy of them.

Disputable assumptions: rows are issued one per cycle and a bubble travels with the wave; the drain of the accumulators
goes before other vector work; other vector tasks run in program order; a port that a unit uses is taken for the cycle;
accumulators are used again as `accumulator_reuse` says.
"""

from __future__ import annotations

from accelsim.kernels.array_step import close_run, steady_rows, step_array
from accelsim.kernels.compute_state import (
    ASK_HOLDER,
    ASK_LOADER,
    BLOCKED,
    BUSY,
    DECODE,
    DEPENDENCY,
    DONE,
    DRAM,
    FREED,
    HELD_BY_WAVE,
    ISSUED,
    L2,
    NEVER,
    NOTHING,
    NOTIFY,
    REACHED,
    SHORT_OF_BITS,
    TILES,
    VECTOR,
)
from accelsim.kernels.input_stationary_step import next_turned, step_holder
from accelsim.kernels.kernel import merged_kernel
from accelsim.kernels.loader_step import steady_pops, step_codebook, step_loader
from accelsim.kernels.vector_step import step_vector


@merged_kernel
def advance(
    state, machines, runs, tasks, drains, row_tasks, cb_runs, cb_words, group_cost, land, visible, chunk_end, chunk_need,
    loaded, avail, due, held, fin, results, until, stop_freed, stop_tiles, lookahead,
):  # fmt: skip
    """Run the cluster up to cycle `until` or to the first thing that somebody waits for; return why it stopped.

    Parameters
    ----------
    state : array (1,) STATE; machines : array (1,) MACHINE
    runs, tasks : arrays of RUN and TASK; the drains come first in `tasks`, in the order of their queue
    drains, row_tasks : int64 (n,): tasks in queue order; cb_runs, cb_words : int64 (n,): runs that load a codebook, codewords of it
    group_cost : uint8 (n,): cycles of each group under bank conflicts
    land, visible, chunk_end, chunk_need : int64 (transfers,): cycle from which a transfer can be read (NEVER or IN_L2: not known);
        the transfer whose landing makes it usable; stream bytes up to its end; freed bytes that make room for it
    loaded : int64 (loads,): units of each load task that are known
    avail, due, fin : int64 (units,): cycle in which a unit left the array, for which the start of its drain was predicted (less the
        state's due_shift), and in which its vector work was done
    held : int64 (2, units): cycle before which the bank's read port is not free for the drain of a unit, and cycles by which that
        postpones its start
    results : int64 (runs, len(RUN_RESULTS))
    lookahead : 1: return BLOCKED where nothing more can happen; 2: and after the first cycle that asked for what has not landed; 0:
        book the wait up to `until`
    until : cycle to stop before; stop_freed, stop_tiles : stop once that many stream bytes are free, tiles are done

    Returns
    -------
    REACHED, BLOCKED (nothing can happen without something from outside; the cycle of the state is where that began),
    FREED, TILES, NOTIFY (the ends of tasks that somebody waits for are settled) or DONE (`finish` is the cycle count).
    """
    s = state[0]
    machine = machines[0]
    last = runs.size - 1
    next_turned(s, runs)
    while s.cycle < until:
        t = s.cycle
        v_acted, v_wake = step_vector(s, machine, tasks, drains, row_tasks, avail, due, held, fin, land, visible, loaded)
        if s.a_run == last and s.d_task == drains.size and s.r_task == row_tasks.size and t >= max(s.last_fin, s.a_end):
            s.finish = t
            close_run(s, runs, results, t)
            return DONE
        c_acted, c_wake = step_codebook(s, machine, runs, cb_runs, cb_words, land, visible, chunk_end)
        a_acted, why, a_wake, left = step_array(s, machine, runs, tasks, drains, avail, due, held, fin, loaded, group_cost, results)
        h_acted, h_why, h_wake, left = step_holder(s, machine, runs, tasks, fin, loaded, left)
        l_acted, l_why, l_wake, tally = step_loader(
            s, machine, runs, tasks, fin, loaded, group_cost, land, visible, chunk_end, chunk_need, results, left
        )
        wake = min(min(v_wake, c_wake), min(h_wake, l_wake))
        others_acted = v_acted or c_acted or h_acted
        popped = l_acted and l_why == DECODE and tally == NOTHING
        more = 0  # cycles after this one in which the same happens: rows are issued, or waited for, and groups popped, or not
        if not others_acted and (popped or (why == ISSUED and not l_acted)):
            if why == ISSUED:
                more = min(steady_rows(s, machine, runs, tasks, fin, loaded), min(wake, until) - t - 1)
            elif not a_acted and why != ASK_HOLDER:
                more = min(min(wake, a_wake), until) - t - 1
            if more > 0 and popped:
                over = s.freed >= stop_freed or (lookahead == 2 and s.starved < NEVER)  # the call ends with this cycle
                more = 0 if over else steady_pops(s, machine, runs, more, stop_freed)
        others_acted = others_acted or l_acted
        span = 1
        if why == ISSUED:
            if more > 0:
                span += more
                s.a_row += more
                s.count[BUSY] += more
                s.cp_rows += more
            if tally == SHORT_OF_BITS and l_why == DRAM:
                s.l_debt += span
            elif tally == SHORT_OF_BITS and l_why == L2:
                s.l_debt_l2 += span
        else:
            if why == ASK_HOLDER:
                why = h_why
            if why == ASK_LOADER:
                why = l_why
            if why == VECTOR and s.v_unwritten:
                why = DEPENDENCY
            if not (others_acted or a_acted):
                wake = min(wake, a_wake)
                if wake >= NEVER:
                    if s.last_fin > t:
                        wake = s.last_fin
                    elif lookahead:
                        return BLOCKED
                span = min(wake, until) - t
            elif more > 0:
                span += more
            charged = min(span, s.l_debt) if why == DECODE else 0
            s.l_debt -= charged
            s.count[DRAM] += charged
            shared = min(span - charged, s.l_debt_l2) if why == DECODE else 0
            s.l_debt_l2 -= shared
            s.count[L2] += shared
            s.count[why] += span - charged - shared
            if s.run_ts0 < 0:
                s.st_start += span
            elif s.a_tile < runs[s.a_run].kt_count * runs[s.a_run].nt_count:
                s.st_tile += span
        if tally == HELD_BY_WAVE:
            s.ld_haz += span
        elif tally == SHORT_OF_BITS:
            s.ld_bits += span
        s.cycle += span
        if lookahead == 2 and s.starved < NEVER:
            return BLOCKED
        if s.notified:
            return NOTIFY
        if s.freed >= stop_freed:
            return FREED
        if s.tiles_done >= stop_tiles:
            return TILES
    return REACHED

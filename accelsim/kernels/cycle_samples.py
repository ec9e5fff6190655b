"""Samples of the compute cluster, one per cycle: the cluster's own kernel, stepped one cycle at a time.

Nothing is modelled here. Any split of a run into calls of `advance` gives the same run, so a run that is stepped is the run that
was timed; a cycle's activity is read from the state before and after it. A simulation does not pay for this: it calls `advance` itself.
"""

from __future__ import annotations

from accelsim.kernels.compute import advance
from accelsim.kernels.compute_state import DONE, NEVER
from accelsim.kernels.kernel import borrowing_kernel

# Columns of a sample, one row per cycle.
SAMPLE = (
    "category",  # of the array's cycle, by its place in CATEGORIES
    "run",  # run that the cycle is booked to
    "tile",  # tile of the array in that run; its number of tiles: the run drains
    "row",  # next row of the tile, before the cycle
    "since_swap",  # cycles since the newest tile was swapped in; -1: none was
    "load_run",
    "load_tile",
    "load_group",  # group of the tile that is popped next, before the cycle
    "load_groups",  # groups of that tile
    "loader",  # one of the states below
    "push",  # 1: a word enters the unpack buffer
    "unpack_bits",  # held by the unpack buffer, before the cycle
    "loaded_tiles",  # tiles in the shadow registers, before the cycle
    "codebook",  # ordinal of the codebook load under way; -1: none
    "vector_task",  # task that the lanes work on; -1: none
    "vector_unit",  # its unit
    "vector_accesses",  # of the activation SRAM by the vector unit in this cycle
    "drain_task",  # place of the next drain and the next row function in their queues, before the cycle
    "row_task",
    "freed",  # bytes of the weight streams that were read and given free
)
LOADER_STATES = ("idle", "pop", "behind_swap_wave", "short_of_bits", "denied")
IDLE, POP, BEHIND_WAVE, SHORT, DENIED = range(len(LOADER_STATES))

CARRY = ("task", "unit", "done")  # task and unit that the lanes work on, and whether the program has ended


@borrowing_kernel
def sample_cycles(
    state, machines, runs, tasks, drains, row_tasks, cb_runs, cb_words, group_cost, land, visible, chunk_end, chunk_need,
    loaded, avail, due, held, fin, results, until, before, carry, samples,
):  # fmt: skip
    """Step the cluster cycle by cycle up to `until`, to the end of the program, or until `samples` is full; return the rows written.

    Parameters
    ----------
    state ... results, until : see `compute.advance`
    before : int64 (categories,), scratch
    carry : int64 (len(CARRY),), -1, -1, 0 at first; kept between calls
    samples : int64 (n, len(SAMPLE)), one row per cycle from `state.cycle` on
    """
    s = state[0]
    written = 0
    while written < samples.shape[0] and s.cycle < until:
        t = s.cycle
        run, tile, row = s.a_run, s.a_tile, s.a_row
        l_run, l_tile, l_group, l_groups = s.l_run, s.l_tile, s.l_group, s.l_groups
        pushed, ucnt, loaded_tiles, haz, bits = s.pushed, s.ucnt, s.loaded_tiles, s.ld_haz, s.ld_bits
        d_task, d_unit, r_task, r_unit = s.d_task, s.d_unit, s.r_task, s.r_unit
        for category in range(before.size):
            before[category] = s.count[category]
        reason = advance(
            state, machines, runs, tasks, drains, row_tasks, cb_runs, cb_words, group_cost, land, visible, chunk_end, chunk_need,
            loaded, avail, due, held, fin, results, t + 1, NEVER, NEVER, 0,
        )  # fmt: skip
        if reason == DONE:
            carry[2] = 1
            break
        s.notified = 0  # no receiver waits for it
        out = samples[written]
        for booked in range(run, s.a_run + 1):
            for category in range(before.size):
                now = s.count[category] if booked == s.a_run else results[booked, category]
                if now > (before[category] if booked == run else 0):
                    out[0] = category
                    out[1] = booked
                    out[2] = tile if booked == run else 0
                    out[3] = row if booked == run else 0
        out[4] = t - s.ts if s.ts >= 0 else -1
        out[5] = l_run
        out[6] = l_tile
        out[7] = l_group
        out[8] = l_groups if l_groups > 0 else s.l_groups
        pop = s.l_run != l_run or s.l_tile != l_tile or s.l_group != l_group
        out[9] = IDLE
        if pop:
            out[9] = POP
        elif s.ld_haz > haz:
            out[9] = BEHIND_WAVE
        elif s.ld_bits > bits:
            out[9] = SHORT
        elif s.denied == t:
            out[9] = DENIED
        after = s.pushed if s.l_run == l_run else results[l_run, before.size + 7]
        out[10] = 1 if after > pushed else 0
        out[11] = ucnt
        out[12] = loaded_tiles
        out[13] = s.cb_started - 1 if s.cb_until > t else -1
        if s.d_task != d_task or s.d_unit != d_unit:
            carry[0] = drains[s.d_task if s.d_unit > 0 else s.d_task - 1]  # the last one that was started
            carry[1] = (s.d_unit if s.d_unit > 0 else tasks[carry[0]].units) - 1
        if s.r_task != r_task or s.r_unit != r_unit:
            carry[0] = row_tasks[s.r_task if s.r_unit > 0 else s.r_task - 1]
            carry[1] = (s.r_unit if s.r_unit > 0 else tasks[carry[0]].units) - 1
        working = s.v_until > t
        out[14] = carry[0] if working else -1
        out[15] = carry[1] if working else -1
        out[16] = s.v_accesses if working else 0
        out[17] = d_task
        out[18] = r_task
        out[19] = s.freed
        written += 1
    return written

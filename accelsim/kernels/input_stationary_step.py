"""Activations that stay in the PEs while decoded weights pass: how a tile of them is loaded, and when its next weights are there.

A run is an M-tile of rows of A, one per column of PEs, and a fold of N-tiles whose weights pass: in each K-tile one output channel after
the other enters as a row does elsewhere, R weights of it, and its sums stand in the accumulators by channel. So rows, wave, swap,
accumulators and drain are those of `array_step`, with the roles turned; two things differ.

Weights. The loader pops a tile of weights as always, into one of two banks of R x C registers beside the array, which hand it on column by
column: the first may enter L + 1 cycles behind the last pop, where L is the codebook's latency, and the next tile but one may
be popped from the cycle on in which the last of them enters. All weights are popped again for each M-tile.

Activations. R elements of a row of A are read for each column of PEs and written into its shadow registers, as many columns per cycle as
the activation buffer's ports serve behind the array's and the lanes' own accesses: behind the loader's first cycle at the run, once the row
is there, and once the wave of the swap before lets go of the column. The columns of a narrower M-tile are the last of the array.

Disputable assumptions: a tile is whole before its swap; each column takes its row at once, past the array's skew registers.
"""

from __future__ import annotations

from accelsim.kernels.compute_state import ASK_HOLDER, ASK_LOADER, DECODE, LOAD, NEVER, PORT, SWAP, VECTOR
from accelsim.kernels.dependencies import awaited_load, ready_at, row_source
from accelsim.kernels.kernel import borrowing_kernel, inlined_kernel
from accelsim.kernels.shadow_sets import set_filled, set_vacated


@inlined_kernel
def next_turned(s, runs):
    """Turn to the first run, from `h_run` on, whose activations stay in the PEs."""
    while s.h_run < runs.size and runs[s.h_run].turned == 0:
        s.h_run += 1


@inlined_kernel
def weights_room(s):
    """Whether a bank takes another tile of weights."""
    return s.t_loaded - s.t_used < 2


@inlined_kernel
def weights_loaded(s, last):
    """Book a tile of weights whose last group was popped, its codewords complete in cycle `last`."""
    s.t_loaded += 1
    s.t_older, s.t_ready = s.t_ready, last


@inlined_kernel
def weights_gate(s, machine):
    """(cycle from which the next channel's weights may enter, category of the wait or who knows it)."""
    if s.t_loaded == s.t_used:
        return NEVER, ASK_LOADER
    last = s.t_ready if s.t_loaded == s.t_used + 1 else s.t_older
    return last + 1 + machine.codebook_latency, DECODE


@inlined_kernel
def weights_entered(s, machine, run):
    """Book a channel that entered; the last one of its tile frees the bank."""
    if s.t_column == 0:
        s.l_debt = 0
        s.l_debt_l2 = 0
    s.t_column += 1
    if s.t_column == machine.cols or s.a_row == run.columns:
        s.t_column = 0
        s.t_used += 1


@inlined_kernel
def _column_gate(s, machine, run, tasks, fin, loaded):
    """(cycle from which the next column may be loaded, category of the wait)."""
    vacated, lag = set_vacated(s, machine)
    if vacated >= 0:
        column = machine.cols - run.m + s.h_column
        behind = max(vacated + 1, vacated + machine.rows - 2 + min(column, lag - 1))
        if behind > s.cycle:
            return behind, SWAP
    if run.in_task < 0:
        return 0, VECTOR
    task, unit = row_source(run, tasks, s.h_kt, s.h_column, machine.rows)
    at = ready_at(task, unit, tasks, s, fin, loaded)
    return at, awaited_load(at) if tasks[task].kind == LOAD else VECTOR


@borrowing_kernel
def step_holder(s, machine, runs, tasks, fin, loaded, left):
    """Load columns of the next tile of activations.

    Returns (state changed, category if the array waits for this, or ASK_LOADER, wake, accesses left).
    """
    t = s.cycle
    if s.h_run >= runs.size:
        return False, ASK_HOLDER, NEVER, left
    run = runs[s.h_run]
    if s.l_run < s.h_run:  # not under way, and the loader says why
        return False, ASK_LOADER, NEVER, left
    if s.l_run == s.h_run and s.l_start < 0:  # the loader may turn to the run in this cycle
        return False, ASK_LOADER, t + 1 if s.a_run >= s.l_run and run.launch == 0 else NEVER, left
    if s.l_run == s.h_run and t <= s.l_start:
        return False, ASK_LOADER, s.l_start + 1, left
    acted = False
    while s.loaded_tiles < machine.shadow_sets:
        at, why = _column_gate(s, machine, run, tasks, fin, loaded)
        if at > t:
            return acted, why, at, left
        if s.h_got + left < run.row_accesses:
            s.h_got += left
            return acted or left > 0, PORT, NEVER, 0
        left -= run.row_accesses - s.h_got
        s.h_got = 0
        acted = True
        s.h_column += 1
        if s.h_column < run.m:
            continue
        s.h_column = 0
        set_filled(s, t + 1 - machine.codebook_latency)  # swapped in two cycles later, as no codebook is in the way
        s.h_kt += 1
        if s.h_kt == run.kt_count:
            s.h_kt = 0
            s.h_run += 1
            next_turned(s, runs)
            return acted, DECODE, NEVER, left
    return acted, DECODE, NEVER, left

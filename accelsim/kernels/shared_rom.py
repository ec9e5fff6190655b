"""Several clusters before the ports of one codebook ROM, cycle by cycle: none is ahead of another.

In each cycle every core is run as if it had its ports. The cores that popped a group of lookups have asked for them; the ROM grants as
many as it serves, from the core after the one that it served last on. A core that is denied is taken back to the begin of the cycle and
run again without ports. So a core asks only when nothing else holds its group, whatever that group waits for.

Disputable assumptions: a group takes the ports of a whole group, however many lookups it has; a core that is denied moves nothing else
that belongs to the group (a row that would meet it is not read).
"""

from __future__ import annotations

from accelsim.kernels.compute import advance
from accelsim.kernels.compute_state import BLOCKED, DONE, REACHED
from accelsim.kernels.kernel import borrowing_kernel

# The ROM: cycle that comes next, core served last (-1: none), cycle from which its ports are free, denials that are logged.
CYCLE, SERVED, FREE, LOGGED, ROM_STATE = range(5)

# Rows of `first`: where each core's part of the arrays begins, and where that of the last one ends.
(RUNS, TASKS, DRAINS, ROW_TASKS, CB_RUNS, COSTS, TRANSFERS, LOADS, UNITS, PARTS) = range(10)

# Columns of `told`: why a core's cycle was over (-1: not yet), whether it is run again.
REASON, AGAIN, TOLD = range(3)


@borrowing_kernel
def grant_ports(states, rom, machine, told):
    """Grant ports to the cores that asked in this cycle, and mark the others to be run again; the number of those."""
    cores = states.size
    t = rom[CYCLE]
    begin = rom[SERVED] + 1
    granted = 0
    denied = 0
    for step in range(cores):
        core = (begin + step) % cores
        if told[core, REASON] == DONE or states[core].looked_up != t:
            continue
        if rom[FREE] <= t and granted < machine.rom_groups:
            granted += 1
            rom[SERVED] = core
        else:
            told[core, AGAIN] = 1
            denied += 1
    if granted > 0 and machine.rom_cycles > 1:
        rom[FREE] = t + machine.rom_cycles
    return denied


@borrowing_kernel
def begin_attempt(states, saved, rom, told, denials, core, again):
    """Whether a core is run in this attempt at the cycle; one that was denied begins it once more."""
    if not again:
        told[core, REASON] = DONE if states[core].finish > 0 else -1
        told[core, AGAIN] = 0
        saved[core] = states[core]
        return told[core, REASON] != DONE
    if told[core, AGAIN] == 1 and told[core, REASON] != BLOCKED:
        states[core] = saved[core]
        states[core].denied = rom[CYCLE]
        if rom[LOGGED] < denials.shape[0]:
            denials[rom[LOGGED], 0] = core
            denials[rom[LOGGED], 1] = rom[CYCLE]
            rom[LOGGED] += 1
    return told[core, AGAIN] == 1


@borrowing_kernel
def settle(states, saved, rom, machine, told):
    """After all cores were run: REACHED if some are run again, DONE or BLOCKED if the cycle ends here, else -1.

    If one has ended, the others are taken back. Cores that wait for something from outside are run again to book their wait.
    """
    waiting = 0
    live = 0
    ended = False
    for core in range(states.size):
        reason = told[core, REASON]
        ended = ended or (reason == DONE and saved[core].finish == 0)
        live += 1 if reason != DONE else 0
        if reason == BLOCKED:
            told[core, AGAIN] = 1
            waiting += 1
    if ended:
        for core in range(states.size):
            if told[core, REASON] != DONE:
                states[core] = saved[core]
        return DONE
    if waiting == live:
        return BLOCKED
    return REACHED if grant_ports(states, rom, machine, told) + waiting > 0 else -1


@borrowing_kernel
def stopped_for(told):
    """The reason why the first core stopped that somebody waits for; REACHED if there is none."""
    for core in range(told.shape[0]):
        if told[core, REASON] != REACHED and told[core, REASON] != DONE:
            return told[core, REASON]
    return REACHED


@borrowing_kernel
def advance_together(
    states, saved, rom, first, machines, runs, tasks, drains, row_tasks, cb_runs, cb_words, group_cost, land, visible, chunk_end,
    chunk_need, loaded, avail, due, held, fin, results, until, stops, told, denials, lookahead,
):  # fmt: skip
    """Run the clusters up to cycle `until`, or to the first cycle in which somebody waits for one of them; return why they stopped.

    Parameters
    ----------
    states, saved : arrays (cores,) of STATE; `saved` is scratch
    rom : int64 (ROM_STATE,)
    first : int64 (PARTS, cores + 1)
    machines ... results : as `compute.advance` takes them, of all cores one after the other; held : int64 (cores, 2, most units of a core)
    stops : int64 (cores, 2): stop once that many stream bytes of a core are free, that many of its tiles are done
    told : int64 (cores, TOLD), scratch
    denials : int64 (n, 2), takes (core, cycle) of each denial; as many are kept as find room
    lookahead : 1: stop where nothing more can happen; 0: book the waits up to `until`

    Returns
    -------
    BLOCKED (nothing can happen on any core without something from outside), DONE (a core has ended: its `finish` is positive, and the
    others have not moved in that cycle), REACHED, or what one of the cores stopped for.
    """
    rom[LOGGED] = 0
    while rom[CYCLE] < until:
        for attempt in range(2):
            for core in range(states.size):
                if not begin_attempt(states, saved, rom, told, denials, core, attempt == 1):
                    continue
                r, k, d, q = first[RUNS, core], first[TASKS, core], first[DRAINS, core], first[ROW_TASKS, core]
                b, c, x = first[CB_RUNS, core], first[COSTS, core], first[TRANSFERS, core]
                o, u = first[LOADS, core], first[UNITS, core]
                r1, k1, d1, q1 = first[RUNS, core + 1], first[TASKS, core + 1], first[DRAINS, core + 1], first[ROW_TASKS, core + 1]
                b1, c1, x1 = first[CB_RUNS, core + 1], first[COSTS, core + 1], first[TRANSFERS, core + 1]
                o1, u1 = first[LOADS, core + 1], first[UNITS, core + 1]
                told[core, REASON] = advance(
                    states[core : core + 1], machines, runs[r:r1], tasks[k:k1], drains[d:d1], row_tasks[q:q1], cb_runs[b:b1],
                    cb_words[b:b1], group_cost[c:c1], land[x:x1], visible[x:x1], chunk_end[x:x1], chunk_need[x:x1], loaded[o:o1],
                    avail[u:u1], due[u:u1], held[core], fin[u:u1], results[r:r1], rom[CYCLE] + 1, stops[core, 0], stops[core, 1],
                    lookahead if attempt == 0 else 0,
                )  # fmt: skip
            if attempt == 0:
                settled = settle(states, saved, rom, machines[0], told)
                if settled == DONE or settled == BLOCKED:
                    return settled
                if settled != REACHED:
                    break
        rom[CYCLE] += 1
        stopped = stopped_for(told)
        if stopped != REACHED:
            return stopped
    return REACHED

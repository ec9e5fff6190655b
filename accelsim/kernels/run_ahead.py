"""The compute cluster run ahead of its inputs, as far as they are known or not asked for.

`known` is the memory side's promise: everything that lands up to that cycle has been told. Up to there the cluster simply runs. Beyond
it, it goes on while no step asks for a landing that is not known (`state.starved`): such a stretch is exact whatever
lands later. A stretch that asked is taken back and run again up to the cycle of the question, which needs the memory side to move first.

The events that the memory side waits for are recorded as they happen: the cycle from which each transfer has room in the buffer, and
the one in which its gate opens. So the cluster never stops for the DMA, only for its own inputs, and nothing is predicted twice. Of the
ends of tasks that are still to come it promises how far they are at least: the array issues a row of a tile per cycle, in order.
"""

from __future__ import annotations

from accelsim.kernels.compute import advance
from accelsim.kernels.compute_state import BLOCKED, FREED, NEVER, REACHED, TILES
from accelsim.kernels.dma_state import FILL_CYCLE, FILL_LOAD, FILL_OFFSET, FILL_UNITS
from accelsim.kernels.kernel import borrowing_kernel

# Places of the array `promises`, of the cluster to the memory side.
(
    ROOMS,  # transfers whose `room` is known
    GATES,  # transfers whose `opened` is known
    START,  # no row is issued before this cycle plus the rows before it, those of all runs counted in order
    FILLS,  # fills that count already
    PROMISES,
) = range(5)

# Columns of the array `rows`, of each run and, last, behind all runs: see `rows_of_runs`.
ROWS_BEFORE, ROWS, TILE_ROWS, ROW_COLUMNS = range(4)


@borrowing_kernel
def write_down(s, promises, need, gate, room, opened, rows):
    """Book the transfers that have got room, those whose gate has opened, with the cycle of the state, and how far the array is at most."""
    now = rows[s.a_run]
    promises[START] = s.cycle - now[ROWS_BEFORE] - min(now[ROWS], (s.a_tile + 1) * now[TILE_ROWS])
    while promises[ROOMS] < need.size and need[promises[ROOMS]] <= s.freed:
        room[promises[ROOMS]] = s.cycle
        promises[ROOMS] += 1
    while promises[GATES] < gate.size and gate[promises[GATES]] <= s.tiles_done:
        opened[promises[GATES]] = s.cycle
        promises[GATES] += 1
    s.rooms = min(promises[ROOMS], promises[GATES])


@borrowing_kernel
def run_ahead(
    state, machines, runs, tasks, drains, row_tasks, cb_runs, cb_words, group_cost, land, visible, chunk_end, chunk_need,
    loaded, avail, due, held, fin, results, gate, saved, promises, room, opened, rows, fills, known, stretch, until_told,
):  # fmt: skip
    """Run the cluster to where it needs to know more; return why it stopped.

    Parameters
    ----------
    state ... results : as `compute.advance` takes them; `land` may hold cycles that lie ahead
    gate : int64 (transfers,): tiles that must be done before each is issued
    saved : array (1,) STATE, scratch
    promises, room, opened : int64 (PROMISES,), (transfers,), (transfers,): what is known to the memory side, see the module
    rows : int64 (runs + 1, ROW_COLUMNS), of the array
    fills : int64 (n, FILL_WIDTH): fills of tensors that have been told, in time order
    known : what lands up to this cycle has been told
    until_told : 1: stop as soon as there is something to tell
    stretch : cycles that are run at most before it is seen whether they asked

    Returns
    -------
    BLOCKED (what lands in the cycle of the state has to be known), NOTIFY or DONE, and with `until_told` also FREED or TILES, as
    `compute.advance`.
    """
    s = state[0]
    count = chunk_need.size
    write_down(s, promises, chunk_need, gate, room, opened, rows)
    until = NEVER
    asked = False
    while not asked or s.cycle < until:
        if not asked:  # up to the next fill
            until = NEVER
            while promises[FILLS] < fills.shape[0] and until >= NEVER:
                cycle = fills[promises[FILLS], FILL_CYCLE]
                if cycle > s.cycle:
                    until = cycle
                else:
                    load = fills[promises[FILLS], FILL_LOAD]
                    for unit in range(loaded[load], fills[promises[FILLS], FILL_UNITS]):
                        fin[fills[promises[FILLS], FILL_OFFSET] + unit] = cycle
                    loaded[load] = fills[promises[FILLS], FILL_UNITS]
                    promises[FILLS] += 1
        stop_freed = chunk_need[promises[ROOMS]] if promises[ROOMS] < count else NEVER
        stop_tiles = gate[promises[GATES]] if promises[GATES] < count else NEVER
        sure = s.cycle <= known
        end = min(until, known + 1) if sure else min(until, s.cycle + stretch)
        lookahead = 1 if known >= NEVER and until >= NEVER else 0  # where nothing more comes, a wait has no end to be booked to
        if not sure:
            lookahead = 2
            saved[0] = state[0]
            s.starved = NEVER
        reason = advance(
            state, machines, runs, tasks, drains, row_tasks, cb_runs, cb_words, group_cost, land, visible, chunk_end, chunk_need,
            loaded, avail, due, held, fin, results, end, stop_freed, stop_tiles, lookahead,
        )  # fmt: skip
        if not sure and s.starved < NEVER:
            question = s.starved
            state[0] = saved[0]
            until = question
            asked = True
            continue
        write_down(s, promises, chunk_need, gate, room, opened, rows)
        if reason != REACHED and (until_told or (reason != FREED and reason != TILES)):
            return reason
    return BLOCKED

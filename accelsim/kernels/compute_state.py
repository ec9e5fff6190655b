"""The compute cluster's records: machine, runs, tasks and state, and the names of what its steps answer.

Every field is an int64. The order of the categories is that of the table "where a cycle goes".
"""

from __future__ import annotations

import numpy as np

NEVER = 1 << 60  # a cycle that does not come
IN_L2 = NEVER + 1  # as NEVER, of what is in the shared level and waits for its port
UNWRITTEN = NEVER + 2  # as NEVER, of what the cores of a chip have not yet written to the memory that they share

# One column for each category of the table "where a cycle goes"; the array is in exactly one of them in every cycle.
CATEGORIES = (
    "busy",
    "fill_drain",
    "dram",
    "l2",
    "buffer_width",
    "bank_conflict",
    "codebook_port",
    "codebook_load",
    "decode",
    "swap",
    "buffer_full",
    "accumulator",
    "accumulator_read",
    "port",
    "vector",
    "dram_activation",
    "issue",
    "launch",
    "dependency",
)
(
    BUSY,
    FILL_DRAIN,
    DRAM,
    L2,
    BUFFER_WIDTH,
    BANK_CONFLICT,
    CODEBOOK_PORT,
    CODEBOOK_LOAD,
    DECODE,
    SWAP,
    BUFFER_FULL,
    ACCUMULATOR,
    ACCUMULATOR_READ,
    PORT,
    VECTOR,
    DRAM_ACTIVATION,
    ISSUE,
    LAUNCH,
    DEPENDENCY,
) = range(len(CATEGORIES))

# Why `advance` returned.
REACHED, BLOCKED, FREED, TILES, NOTIFY, DONE = range(6)

# Answers of a step beside a category: a row was issued; the loader, or the holder of activations, knows why not; the next word is there.
ISSUED, ASK_LOADER, ASK_HOLDER = -1, -2, -3
PRESENT = -1

# Tallies of a cycle for the loader's counters.
NOTHING, HELD_BY_WAVE, SHORT_OF_BITS = range(3)

# The array's answer on the next pop of a run that is not mapped tile by tile (see `gemv_step`).
NO_POP, ASKED, GRANTED = range(3)

# When a row of accumulators may be used again (see `accumulator_reuse`).
ACCUMULATOR_RULES = ("predicted", "simple")
PREDICTED, SIMPLE = range(len(ACCUMULATOR_RULES))

# How sums leave the accumulators (see `accumulator_read`).
ACCUMULATOR_READS = ("second_port", "deskew", "stall")
SECOND_PORT, DESKEW, STALL = range(len(ACCUMULATOR_READS))

# Kinds of tasks: the drain of a GEMM, a row function of the vector unit, a tensor that the DMA brings.
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
            "accumulator_banks",  # 0: none is drained, as each column's sum is put out when it is whole (the core alone)
            "issue_overhead",  # cycles per run
            "chained",  # 1: the next run's first tile loads under this run
            "port_accesses",  # accesses a cycle that the activation SRAM serves
            "loader_accesses",  # accesses that one word for the loader takes there
            "shadow_sets",
            "rows_per_cycle",  # 1; more for an array that is imagined ideal
            "accumulator_rule",  # PREDICTED or SIMPLE: when a row of accumulators may be used again
            "accumulator_read",  # SECOND_PORT, DESKEW or STALL: how sums leave the accumulators
            "rom_groups",  # groups of lookups of all cores that a ROM which they share serves per cycle; 0: nobody waits for others
            "rom_cycles",  # cycles for which it serves a group; 1 unless it has fewer ports than a group has lookups
            "drain_stages",  # cycles that a sum takes from the last PE of its column to the accumulator, beside the adder's own
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
            "columns",  # useful outputs of its stripes
            "steps",  # of the array over the whole run: rows of its tiles, each once, or what its mapping has in place of them
            "merged",  # groups of a convolution that share a tile: a column has weights in k / merged rows
            "feed",  # 1: each column has a feed of its own, so columns are not skewed; 0: rows enter at column 0 and pass on
            "feed_rows",  # with a feed, array rows that a column's sum passes
            "line",  # with windows, rows of A of an output line; 0: no windows
            "line_shifts",  # of the windows, up to the first row of a line
            "row_shifts",  # and up to each other row
            "last_accesses",  # with a feed, as row_accesses, for the run's last stripe
            "file",  # neighbouring N-tiles of a fold, whose weights per PE holds together; 0 or 1: one
            "gemv_groups",  # groups of a stripe that meet their rows as they leave the decoder (see `gemv_step`); 0: tile by tile
            "os_line",  # weights that a step takes, or several steps in turn, where sums stay in the PEs (see `output_stationary_step`); 0
            "os_queue",  # weights that wait for such steps, at most
            "turned",  # N-tiles whose weights pass, while activations stay in the PEs (see `input_stationary_step`); 0: weights stay
            "unit0",  # then the first unit that the run puts out; nt0 is an M-tile
            "vector_path",  # 1: the lanes of the vector unit multiply, with weights that they hold (see `vector_path_step`)
            "row_passes",  # cycles in which a row enters, 8 bits of its elements in each; 0 or 1: one
            "kt_count",
            "passes",  # K-tiles one after the other that hold the same rows, each with the codewords of a codebook; 0 or 1: one
            "block",  # rows of the reduction after which new K-tiles begin; R, or the end of groups of weights that share a scale
            "fine_group",  # rows of such a group; 0: none
            "fine_bits",  # of its scales, over all columns
            "coarse_group",  # the same for a second level
            "coarse_bits",
            "d",
            "axis",
            "ports",  # P: records of a decode cycle
            "groups",  # of the image that make up a decode cycle; 0 or 1: one
            "lookups",  # of codewords in a decode cycle; 0: raw records
            "pop_bits",  # n: of a decode cycle
            "buffer_bits",  # B
            "word_bits",  # W
            "words_per_cycle",  # read at once; 0 or 1: one
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
            "row_accesses",  # of the activation SRAM for a row of A; with windows, for a shift
            "launch",  # cycles that the host takes to launch this run, once the array is done with the one before; 0: it follows by itself
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
            "file",  # of a drain: N-tiles of a fold, which come out row by row; 0 or 1: one
            "turned",  # of a drain whose rows are outputs and whose columns are rows of the result: outputs of a fold; 0: others
            "width",  # elements of a row; of a drain: of one group's row
            "packed",  # of a drain: 1: its rows are whole at once, so a cycle of the lanes may take the end of one and more; 2: they come
            # after the last step of a stripe, one by one; 0: each comes with its own
            "passes",
            "latency",
            "accesses",  # of the activation SRAM, in each cycle that it runs
            "chunk",  # transfer that must have landed (parameters); -1: none
            "dep0",
            "dep0_base",
            "dep0_step",  # unit of dep0 for row r: base + step * r, none if negative
            "dep_ox",  # positions a line of the output of a pool; 0: as above. Else row r waits for the last row of a whole line of dep0:
            "dep_stride",  # that of its line * stride + reach, each line `ix` positions and all `rows`
            "dep_reach",
            "dep_ix",
            "dep_rows",
            "dep1",
            "dep1_base",
            "dep1_step",
            "after0",  # tasks that must have ended, -1: none: whose results, or whose operands, lie where this task writes
            "after1",
            "after2",
            "notify",  # 1: somebody outside waits for the end of this task
            # Computed from the above and from the lanes (`hw.lane_cycles`), so that no step of a kernel divides.
            "stripes",  # of a drain: N-tiles of a group; 1
            "full_cycles",  # of the lanes for a row, or for a unit of a drain that holds a whole tile's columns
            "last_cycles",  # and for one that holds those of a group's last tile
            "before_drains",  # of a load: drains that have ended before it can have come, and row functions (`hw.load_order`)
            "before_rows",
            "layer",  # that it computes, or that first reads what it loads, or whose result it stores
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
    "lag",  # columns by which the wave of the newest tile lags behind: C, or 1 where each column has a feed
    "lag_older",
    "a_end",  # first cycle after the drain of what was issued
    "row_got",
    "shifted",  # shifts of the windows towards the next row
    "tiles_done",  # each launch that is over counts as one; those of a fold are done together
    "issued",  # units of the current output task
    "issued_ordinal",
    "p1_task",
    "p1_base",
    "p1_rows",
    "p2_task",
    "p2_base",
    "p2_rows",
    "promised_ordinal",  # newest drain that must begin when predicted, as its accumulators are in use again: its task's ordinal
    "promised",  # and units of that task up to it
    # groups that meet their rows as they leave the decoder
    "g_pop",  # what the array says to the loader in this cycle: NO_POP, ASKED or GRANTED
    "g_last",  # 1: the group whose rows are issued is the last one of its K-tile
    "g_until",  # bank conflicts hold the group's other rows
    "g1_task",  # drain of the newest stripe, and its last unit
    "g1_end",
    "g2_task",  # the same of the stripe before, whose bank the next one takes
    "g2_end",
    # sums that stay in the PEs
    "o_queued",  # weights in the queue, also those of later runs
    "o_newest",  # of them in the newest group
    "o_task",  # drain of the newest fold, and its last unit
    "o_end",
    # activations that stay in the PEs, and weights that pass them
    "h_run",  # first run whose activations are not all loaded; runs of other kinds are passed over
    "h_kt",
    "h_column",  # columns of the next tile that are loaded
    "h_got",  # accesses towards the next one
    "t_loaded",  # tiles of weights that were popped, ever
    "t_ready",  # cycle in which the codewords of the newest are complete, and of the one before
    "t_older",
    "t_used",  # tiles of weights that have entered, ever
    "t_column",  # of the next one
    # weights that the lanes hold
    "n_loaded",  # stripes whose weights were popped, ever
    "n_ready",  # first cycle in which those of the newest are complete
    "n_given",  # stripes that the lanes were given, ever
    "n1_task",  # drain of the newest of these, and its last unit
    "n1_end",
    "n2_task",  # the same of the stripe before
    "n2_end",
    # loader
    "l_run",
    "l_tile",
    "l_kt",
    "l_nt",  # N-tiles of the run before the fold that loads
    "l_place",  # tiles of that fold that are loaded
    "l_group",  # negative: pops of scales that are left
    "l_groups",
    "l_lowest",  # lowest array row that this group writes; -1: not yet looked for
    "l_cost",  # groups popped in this run, for group_cost
    "l_start",  # first cycle in which the run may load; -1: not known
    "launched_at",  # cycle in which the launch of the loader's run is over; -1: it has not begun
    "l_fresh",  # 1: no tile before this one binds the loader
    "l_chunk",
    "l_landed",  # bytes of the stream that have landed
    "ucnt",
    "pushed",
    "l_debt",  # cycles that memory kept the tile waiting while the array was busy: charged when the array comes to wait for it
    "l_debt_l2",  # the same for the port of the shared level
    "held_until",  # the codebook serves a group, and holds the next pop
    "looked_up",  # cycle in which the newest group of lookups was popped; -1: none was
    "denied",  # cycle in which the ROM that cores share serves others; -1: none
    "loaded_tiles",  # folds in the shadow sets, which are tiles where a PE holds one weight
    "tpl0",  # last pop of the oldest of them
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
    "v_unwritten",  # 1: the lanes idle, as what comes next waits for what other cores have not written
    "d_task",
    "d_unit",
    "r_task",
    "r_unit",
    "due_shift",  # cycles by which drains began later than predicted, ever
    "due_end",  # predicted end of the newest issued drain, less due_shift
    "v_busy",
    "last_fin",
    # outside
    "starved",  # first cycle in which something outside was missing; NEVER: nothing was
    "rooms",  # transfers that may be on their way: one that has no room yet has certainly not landed
    "notified",  # 1: the end of a task that somebody outside waits for is settled
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
    tasks = ("p1_task", "p2_task", "g1_task", "g2_task", "o_task", "n1_task", "n2_task")
    for name in (
        "ts",
        "ts_older",
        *tasks,
        "issued_ordinal",
        "promised_ordinal",
        "tpl0",
        "tpl1",
        "cb_until",
        "run_ts0",
        "looked_up",
        "denied",
    ):
        state[name] = -1
    state["l_start"] = state["launched_at"] = state["l_groups"] = state["l_lowest"] = -1
    state["l_fresh"] = 1
    state["starved"] = state["rooms"] = NEVER
    return state

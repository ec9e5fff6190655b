"""When something may be used: units of tasks, rows of operands, groups behind the swap wave.

Everything here only reads the state, but for the note that something outside is missing: progress is what the queues have
started, and `fin` tells when that is over.
"""

from __future__ import annotations

from accelsim.kernels.compute_state import (
    BANK_CONFLICT,
    CODEBOOK_PORT,
    DEPENDENCY,
    DRAIN,
    DRAM_ACTIVATION,
    IN_L2,
    L2,
    LOAD,
    NEVER,
    UNWRITTEN,
)
from accelsim.kernels.kernel import inlined_kernel


@inlined_kernel
def ready_at(task, unit, tasks, s, fin, loaded):
    """Cycle from which `unit` of `task` may be used; while that is unknown NEVER, or what a load waits for: IN_L2, UNWRITTEN."""
    kind = tasks[task].kind
    if kind == LOAD:
        if unit < loaded[tasks[task].ordinal]:
            return fin[tasks[task].offset + unit]
        if s.d_task >= tasks[task].before_drains and s.r_task >= tasks[task].before_rows:
            s.starved = min(s.starved, s.cycle)
        return fin[tasks[task].offset + unit]
    ordinal = tasks[task].ordinal
    if kind == DRAIN:
        known = ordinal < s.d_task or (ordinal == s.d_task and unit < s.d_unit)
    else:
        known = ordinal < s.r_task or (ordinal == s.r_task and unit < s.r_unit)
    return fin[tasks[task].offset + unit] if known else NEVER


@inlined_kernel
def left_lanes_at(task, unit, tasks, s, machine, fin):
    """Cycle after the last in which the lanes work on `unit` of the drain `task` (-1: none); NEVER while that is unknown."""
    if task < 0:
        return 0
    drain = tasks[task]
    if drain.ordinal > s.d_task or (drain.ordinal == s.d_task and unit >= s.d_unit):
        return NEVER
    return fin[drain.offset + unit] - (drain.latency if machine.lanes > 0 else 0)


@inlined_kernel
def awaited_load(at):
    """Category of the wait for a load that may be used from cycle `at` on."""
    if at == UNWRITTEN:
        return DEPENDENCY
    return L2 if at == IN_L2 else DRAM_ACTIVATION


@inlined_kernel
def operands_ready_at(task, row, tasks, s, fin, loaded):
    """Cycle from which row `row` of a vector task has its other operands."""
    t = tasks[task]
    ready = 0
    if t.dep0 >= 0:
        unit = t.dep0_base + t.dep0_step * row
        if t.dep_ox > 0:
            line = (row // t.dep_ox) * t.dep_stride + t.dep_reach
            unit = t.dep0_base + t.dep0_step * (min(t.dep_rows, (line + 1) * t.dep_ix) - 1)
        if unit >= 0:
            ready = ready_at(t.dep0, unit, tasks, s, fin, loaded)
    if t.dep1 >= 0:
        unit = t.dep1_base + t.dep1_step * row
        if unit >= 0:
            ready = max(ready, ready_at(t.dep1, unit, tasks, s, fin, loaded))
    if t.after0 >= 0:
        ready = max(ready, ready_at(t.after0, tasks[t.after0].units - 1, tasks, s, fin, loaded))
    if t.after1 >= 0:
        ready = max(ready, ready_at(t.after1, tasks[t.after1].units - 1, tasks, s, fin, loaded))
    if t.after2 >= 0:
        ready = max(ready, ready_at(t.after2, tasks[t.after2].units - 1, tasks, s, fin, loaded))
    return ready


@inlined_kernel
def row_of_step(run, before, step):
    """The row of A of a step, in the fold behind `before` N-tiles of a run: a row meets the tiles of its fold one after the other."""
    return step if run.file <= 1 else step // fold_tiles(run, before)


@inlined_kernel
def fold_tiles(run, before):
    """N-tiles of the fold that begins behind `before` N-tiles of a run: as many as a PE's file takes, or what is left."""
    return min(max(1, run.file), run.nt_count - before)


@inlined_kernel
def loaded_tiles(run, before):
    """N-tiles of weights that are loaded for a K-tile together: those of a fold, or all that pass activations which stay."""
    return run.turned if run.turned else fold_tiles(run, before)


@inlined_kernel
def fold_steps(run, before):
    """Steps of the array's next K-tile: its rows, each meeting the tiles of the fold, or the outputs whose weights pass."""
    return run.columns if run.turned else run.m * fold_tiles(run, before)


@inlined_kernel
def _unit_of_group(task, unit):
    """Which of the units of its group a unit of a drain is."""
    units = task.stripes * task.rows
    return unit if unit < units else unit % units


@inlined_kernel
def _of_whole_tile(task, unit):
    """Whether a unit of a drain holds a whole tile's columns, and not what the last tile of a group of a grouped convolution has left."""
    if task.file <= 1 and task.turned == 0:
        return _unit_of_group(task, unit) < (task.stripes - 1) * task.rows
    return unit_place(task, unit)[0] < task.stripes - 1


@inlined_kernel
def unit_place(task, unit):
    """(N-tile in its group, row) of a unit of a drain: folds one after the other, in each the rows, and of each row the fold's tiles.

    (M-tile, output) where weights passed: folds of outputs one after the other, in each the tiles of rows.
    """
    inside = _unit_of_group(task, unit)
    if task.turned:
        first = inside // (task.turned * task.stripes) * task.turned
        held = min(task.turned, task.rows - first)
        inside -= first * task.stripes
        return inside // held, first + inside % held
    if task.file <= 1:
        return (0, inside) if inside < task.rows else (inside // task.rows, inside % task.rows)
    first = inside // (task.file * task.rows) * task.file
    held = min(task.file, task.stripes - first)
    inside -= first * task.rows
    return first + inside % held, inside // held


@inlined_kernel
def drained_operands_at(task, unit, tasks, s, fin, loaded):
    """Cycle from which a unit of a drain has its other operands; only a drain that has any looks for its row."""
    t = tasks[task]
    row = unit_place(t, unit)[1] if t.dep0 >= 0 or t.dep1 >= 0 else 0
    return operands_ready_at(task, row, tasks, s, fin, loaded)


@inlined_kernel
def drained_columns(task, unit):
    """Columns of a unit of a drain: its stripe's, which is one of a group of a grouped convolution."""
    return task.tile_cols if _of_whole_tile(task, unit) else task.width - (task.stripes - 1) * task.tile_cols


@inlined_kernel
def lane_cycles(machine, task, width):
    """Cycles for which a row of `width` elements occupies the lanes."""
    if machine.lanes == 0:
        return 0
    cycles = task.passes * -(-width // machine.lanes)
    if task.accesses > machine.port_accesses:
        cycles *= -(-task.accesses // machine.port_accesses)
    return cycles


@inlined_kernel
def drain_cycles(machine, task, unit):
    """Cycles for which a unit of a drain occupies the lanes; of packed rows, those that the rows before it have not paid for."""
    if task.packed != 1:
        return task.full_cycles if _of_whole_tile(task, unit) else task.last_cycles
    columns = drained_columns(task, unit)
    row = unit_place(task, unit)[1]
    return lane_cycles(machine, task, (row + 1) * columns) - lane_cycles(machine, task, row * columns)


@inlined_kernel
def tile_rows(run, kt, rows):
    """(first row of the reduction, rows) of a tile with K-index `kt`: tiles end where a block does, and may come once for each codebook."""
    if run.passes > 1:
        kt //= run.passes
    if run.block <= rows:
        return kt * run.block, min(run.block, run.k - kt * run.block)
    tiles = -(-run.block // rows)
    inside = kt % tiles * rows
    first = kt // tiles * run.block + inside
    return first, min(rows, run.block - inside, run.k - first)


@inlined_kernel
def _scale_bits(run, kt, rows):
    """Bits of the scales ahead of a tile: of all groups that begin in it."""
    first, used = tile_rows(run, kt, rows)
    bits = 0
    if run.fine_group > 0:
        bits += (-(-(first + used) // run.fine_group) - -(-first // run.fine_group)) * run.fine_bits
    if run.coarse_group > 0:
        bits += (-(-(first + used) // run.coarse_group) - -(-first // run.coarse_group)) * run.coarse_bits
    return bits


@inlined_kernel
def scale_pops(run, kt, rows):
    """Pops H that the scales take ahead of a tile."""
    bits = _scale_bits(run, kt, rows)
    return -(-bits // run.pop_bits) if bits else 0


@inlined_kernel
def tile_records(run, kt, rows, cols):
    """Records T of a tile with K-index `kt`."""
    used = tile_rows(run, kt, rows)[1]
    if run.axis == 0:
        return used * (cols // run.d)
    return -(-used // run.d) * cols


@inlined_kernel
def tile_groups(run, kt, rows, cols):
    """Decode cycles L of a tile with K-index `kt`."""
    return -(-tile_records(run, kt, rows, cols) // run.ports)


@inlined_kernel
def pop_bits(s, run, rows, cols):
    """Bits that the loader's next pop takes: n, but for the last of a tile or its scales, whose groups may be fewer than a cycle takes."""
    if run.groups <= 1:
        return run.pop_bits
    of_group = run.pop_bits // run.groups
    if s.l_group >= 0:
        left = tile_records(run, s.l_kt, rows, cols) - s.l_group * run.ports
        return min(run.groups, -(-left // (run.ports // run.groups))) * of_group
    pops = scale_pops(run, s.l_kt, rows)
    left = -(-_scale_bits(run, s.l_kt, rows) // of_group) - (pops + s.l_group) * run.groups
    return min(run.groups, left) * of_group


@inlined_kernel
def group_cycles(s, machine, run, group_cost):
    """Cycles that the codebook takes for the loader's next group: those of its banks, or of the ports that cores share."""
    if run.cost0 >= 0:
        return group_cost[run.cost0 + s.l_cost]
    return max(1, machine.rom_cycles) if run.lookups > 0 else 1


@inlined_kernel
def codebook_wait(machine):
    """Category of the wait for a group that the codebook serves for more than one cycle."""
    return CODEBOOK_PORT if machine.rom_cycles > 1 else BANK_CONFLICT


@inlined_kernel
def lowest_row(run, kt, group, rows, cols):
    """Lowest array row that `group` writes: rmax(g), which takes a trimmed tile's last group as whole, up to the end of a full tile.

    The group may be popped rmax(g) + C - 2 cycles after the swap. Several of the image at once are bound by the last one that the tile has.
    """
    th = group * run.ports + run.ports - 1
    if run.groups > 1:
        of_group = run.ports // run.groups
        th = min(th, -(-tile_records(run, kt, rows, cols) // of_group) * of_group - 1)
    if run.feed:  # a tile has no more rows than a channel has taps
        rows = run.feed_rows
    th = min(th, rows * cols // run.d - 1)
    if run.axis == 0:
        rmax = th // (cols // run.d)
    else:
        rmax = (th // cols) * run.d + run.d - 1
    return min(rmax, rows - 1) if run.feed else rmax


@inlined_kernel
def foot(run, machine):
    """Cycles that a sum takes down its column: a register per row, and those behind the last."""
    return (run.feed_rows if run.feed else machine.rows) + machine.drain_stages


@inlined_kernel
def lag(run, machine):
    """Cycles that the wave of a row takes over the columns: all of them at once where each has a feed."""
    return 1 if run.feed else machine.cols


@inlined_kernel
def row_shifts(run, row):
    """Shifts of the windows that bring row `row` of a run: a line begins with empty windows. Without windows, its passes."""
    if run.line == 0:
        return max(1, run.row_passes)
    return run.line_shifts if row == 0 or (run.m0 + row) % run.line == 0 else run.row_shifts


@inlined_kernel
def _drained_unit(task, tile, row, rows):
    """The unit of a drain of `rows` rows that holds a row of an N-tile: see `unit_place`."""
    if task.file <= 1:
        return tile * rows + row
    tiles = -(-task.width // task.tile_cols)
    inside = tile % tiles
    first = inside // task.file * task.file
    held = min(task.file, tiles - first)
    return (tile - inside + first) * rows + row * held + inside - first


@inlined_kernel
def row_source(run, tasks, kt, row, rows):
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
        first, used = tile_rows(run, kt, rows)
        column = min(column, first + used - 1)
    column += run.in_col0
    task = run.in_task
    if 0 < run.in_task_cols <= column:
        task += column // run.in_task_cols
        column %= run.in_task_cols
    tile = column // run.in_tile_cols if column >= run.in_tile_cols else 0
    return task, _drained_unit(tasks[task], tile, source, run.in_rows)

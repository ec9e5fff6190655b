"""One cycle of the loader (unpack buffer, codebook lookups, shadow registers) and of the codebook's own load."""

from __future__ import annotations

from accelsim.kernels.compute_state import (
    ASKED,
    BUFFER_FULL,
    BUFFER_WIDTH,
    CODEBOOK_LOAD,
    CODEBOOK_PORT,
    DECODE,
    DEPENDENCY,
    DRAM,
    GRANTED,
    HELD_BY_WAVE,
    IN_L2,
    ISSUE,
    L2,
    LAUNCH,
    LOAD,
    NEVER,
    NOTHING,
    PORT,
    PRESENT,
    SHORT_OF_BITS,
    SWAP,
    VECTOR,
)
from accelsim.kernels.dependencies import (
    awaited_load,
    codebook_wait,
    fold_tiles,
    group_cycles,
    lowest_row,
    pop_bits,
    ready_at,
    scale_pops,
    tile_groups,
    tile_records,
)
from accelsim.kernels.input_stationary_step import weights_loaded, weights_room
from accelsim.kernels.kernel import inlined_kernel
from accelsim.kernels.shadow_sets import set_filled, set_vacated
from accelsim.kernels.vector_path_step import set_free_at, stripe_loaded


@inlined_kernel
def _next_fold(s, run):
    """Turn the loader to the next K-tile, or to the next fold's first one."""
    s.l_kt += 1
    if s.l_kt == run.kt_count:
        s.l_kt = 0
        s.l_nt += s.l_place
    s.l_place = 0


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
    s.l_nt = 0
    s.l_group = 0
    s.l_cost = 0
    s.l_chunk = 0
    s.l_landed = 0
    s.l_groups = -1
    follows = machine.chained and (s.l_run == runs.size or runs[s.l_run].launch == 0)
    s.l_start = s.cycle + 1 + machine.issue_overhead if follows else -1


@inlined_kernel
def _missing_word(s, machine, runs, tasks, fin, loaded, land, visible, chunk_end, chunk_need, room, left):
    """(category of the reason why the loader's next word cannot be read in this cycle or PRESENT, cycle from which it can)."""
    run = runs[s.l_run]
    t = s.cycle
    if run.from_activations:
        if run.w_task >= 0:
            at = ready_at(run.w_task, run.w_unit, tasks, s, fin, loaded)
            if at > t:
                outside = tasks[run.w_task].kind == LOAD
                return awaited_load(at) if outside else VECTOR, at
        if left < min(machine.loader_accesses, machine.port_accesses):
            return PORT, t + 1
        return PRESENT, t
    if run.chunk0 >= 0:
        end = run.header_bytes * 8 + (s.pushed + 1) * run.word_bits
        while s.l_chunk < run.chunk_count and s.l_landed * 8 < end:
            chunk = run.chunk0 + s.l_chunk
            at = land[visible[chunk]]
            if at > t:
                if at >= NEVER and room and visible[chunk] < s.rooms:
                    s.starved = min(s.starved, t)
                if s.freed < chunk_need[chunk]:
                    return BUFFER_FULL, at
                return L2 if at == IN_L2 else DRAM, at
            s.l_landed = chunk_end[chunk]
            s.l_chunk += 1
    return PRESENT, t


@inlined_kernel
def _more_words(s, machine, runs, tasks, fin, loaded, land, visible, chunk_end, chunk_need, left):
    """Push the other words of a cycle that reads several, as far as they are there and the buffer, but for this cycle's pop, has room."""
    run = runs[s.l_run]
    for _ in range(1, run.words_per_cycle):
        if s.pushed == run.words or s.ucnt > run.buffer_bits - run.word_bits:
            return
        if _missing_word(s, machine, runs, tasks, fin, loaded, land, visible, chunk_end, chunk_need, False, left)[0] != PRESENT:
            return
        s.ucnt += run.word_bits
        s.pushed += 1


@inlined_kernel
def _launch(s, machine, runs):
    """Wait for the launch of the loader's run; its last cycle opens the gates that wait for it. Answers as `step_loader`."""
    if s.launched_at < 0:
        s.launched_at = s.cycle + runs[s.l_run].launch
    if s.cycle + 1 < s.launched_at:
        return False, LAUNCH, s.launched_at - 1, NOTHING
    s.launched_at = -1
    s.tiles_done += 1
    s.l_start = s.cycle + 1 + machine.issue_overhead
    return True, LAUNCH, NEVER, NOTHING


@inlined_kernel
def _group_there(s, run, needed, missing):
    """(whether a group that has room can be popped, category if the array waits for it, tally): as for its bits and its codebook."""
    if s.ucnt < needed:
        return False, missing if missing != PRESENT else BUFFER_WIDTH, SHORT_OF_BITS
    if run.codebook_load >= 0 and s.cb_done <= run.codebook_load:
        return False, CODEBOOK_LOAD, NOTHING
    return True, DECODE, NOTHING


@inlined_kernel
def step_loader(s, machine, runs, tasks, fin, loaded, group_cost, land, visible, chunk_end, chunk_need, results, left):
    """Push a word, pop a group.

    Returns (state changed, category if the array waits for this, wake, tally: HELD_BY_WAVE, SHORT_OF_BITS or NOTHING).
    """
    t = s.cycle
    rows = machine.rows
    cols = machine.cols
    if s.l_run >= runs.size:
        return False, DEPENDENCY, NEVER, NOTHING
    if s.l_start < 0:  # isolated, or launched: the run starts when the array has closed the one before
        if s.a_run < s.l_run:
            return False, DEPENDENCY, NEVER, NOTHING
        s.l_fresh = 1
        if runs[s.l_run].launch > 0:
            return _launch(s, machine, runs)
        s.l_start = t + machine.issue_overhead
    if t < s.l_start:
        return False, ISSUE, s.l_start, NOTHING
    run = runs[s.l_run]
    if s.l_groups < 0:
        s.l_groups = tile_groups(run, 0, rows, cols)
        s.l_group = -scale_pops(run, 0, rows)
    wake = NEVER
    room = s.ucnt <= run.buffer_bits - run.word_bits
    missing = PRESENT
    if s.pushed < run.words:
        missing, at = _missing_word(s, machine, runs, tasks, fin, loaded, land, visible, chunk_end, chunk_need, room, left)
        if at > t:
            wake = at
    push = missing == PRESENT and room and s.pushed < run.words

    needed = pop_bits(s, run, rows, cols)
    # the pop sees what the buffer held before this cycle's push
    why = DECODE
    tally = NOTHING
    pop = False
    free_sets = machine.shadow_sets - s.loaded_tiles
    vacated, lag = set_vacated(s, machine)
    if s.held_until > t:
        why = codebook_wait(machine)
        wake = min(wake, s.held_until)
    elif run.gemv_groups > 0 and s.l_group < 0:  # scales have registers of their own, and meet no row
        if s.ucnt < needed:
            why = missing if missing != PRESENT else BUFFER_WIDTH
            tally = SHORT_OF_BITS
        else:
            pop = s.a_run == s.l_run  # those of the run before are in use until its last row is issued
    elif run.gemv_groups > 0:  # the array takes the group as it leaves the decoder, so it says when
        pop = s.g_pop == GRANTED
        if s.g_pop == ASKED and s.ucnt < needed:
            why = missing if missing != PRESENT else BUFFER_WIDTH
            tally = SHORT_OF_BITS
        elif s.g_pop == ASKED:
            why = CODEBOOK_LOAD
    elif run.os_line > 0:  # a queue takes the place of shadow registers
        if s.o_queued + run.ports * run.d <= run.os_queue:
            pop, why, tally = _group_there(s, run, needed, missing)
    elif run.turned:  # banks beside the array take the place of shadow registers
        if weights_room(s):
            pop, why, tally = _group_there(s, run, needed, missing)
    elif run.vector_path:  # registers of the lanes take the place of shadow registers
        free = set_free_at(s, machine, tasks, fin)
        if free > t:
            why = VECTOR
            wake = min(wake, free)
        else:
            pop, why, tally = _group_there(s, run, needed, missing)
    elif s.h_run < s.l_run:  # activations of a run before go into the shadow registers first
        why = SWAP
    elif free_sets > 0 and (s.l_fresh or vacated < t):
        behind = 0
        if not s.l_fresh and vacated >= 0 and s.l_group >= 0:  # scales have registers of their own
            if s.l_lowest < 0:
                s.l_lowest = lowest_row(run, s.l_kt, s.l_group, rows, cols)
            behind = vacated + s.l_lowest + lag - 2
        if t < behind:
            why = SWAP
            tally = HELD_BY_WAVE
            wake = min(wake, behind)
        elif s.ucnt < needed:
            why = missing if missing != PRESENT else BUFFER_WIDTH
            tally = SHORT_OF_BITS
        elif s.l_group >= 0 and run.codebook_load >= 0 and s.cb_done <= run.codebook_load:
            why = CODEBOOK_LOAD
        else:
            pop = True
    elif free_sets > 0:
        wake = min(wake, vacated + 1)
    if s.denied == t:  # the group would have been popped
        why, pop = CODEBOOK_PORT, False
        wake = min(wake, t + 1)

    if push:
        s.ucnt += run.word_bits
        s.pushed += 1
        if run.words_per_cycle > 1:
            _more_words(s, machine, runs, tasks, fin, loaded, land, visible, chunk_end, chunk_need, left)
        if run.frees:
            s.freed = run.base_bytes + run.header_bytes + s.pushed * run.word_bits // 8
    if pop:
        s.ucnt -= needed
        if s.l_group >= 0:
            if run.lookups > 0:
                s.looked_up = t
            if run.cost0 >= 0 or machine.rom_cycles > 1:
                s.held_until = t + group_cycles(s, machine, run, group_cost)
            s.l_cost += 1
            if run.os_line > 0:
                s.o_newest = run.d * min(run.ports, tile_records(run, s.l_kt, rows, cols) - s.l_group * run.ports)
                s.o_queued += s.o_newest
        s.l_group += 1
        s.l_lowest = -1
        if s.l_group == s.l_groups:
            s.l_group = 0
            s.l_tile += 1
            s.l_place += 1
            if run.vector_path:
                stripe_loaded(s, run, max(t, s.held_until - 1))
            if run.turned:
                weights_loaded(s, max(t, s.held_until - 1))
                if s.l_place == run.turned:
                    _next_fold(s, run)
            elif run.gemv_groups > 0 or run.os_line > 0 or run.vector_path:
                _next_fold(s, run)
            elif s.l_place == fold_tiles(run, s.l_nt):
                set_filled(s, max(t, s.held_until - 1))
                _next_fold(s, run)
            if s.l_tile == run.kt_count * (run.turned if run.turned else run.nt_count):
                _next_load_run(s, machine, runs, results)
            else:
                s.l_groups = tile_groups(run, s.l_kt, rows, cols)
                s.l_group = -scale_pops(run, s.l_kt, rows)
    return push or pop, why, wake, tally


@inlined_kernel
def steady_pops(s, machine, runs, most, stop_freed):
    """Pop a group, and push words as far as there is room, in each of the cycles after this one, `most` at most; how many these are.

    The loader has just popped a group, and no other unit acts. It ends before the last group of a tile, before words that are not known to
    be there, and with the cycle that frees `stop_freed` bytes.
    """
    if s.l_group <= 0:
        return 0
    run = runs[s.l_run]
    by_tiles = run.gemv_groups == 0 and run.os_line == 0 and run.turned == 0 and not run.vector_path
    if not by_tiles or run.cost0 >= 0 or machine.rom_cycles > 1:
        return 0
    there = 0 if run.from_activations else run.words
    if run.chunk0 >= 0:
        there = min(run.words, (s.l_landed - run.header_bytes) * 8 // run.word_bits)
    vacated, lag = set_vacated(s, machine)
    behind_all = vacated + machine.rows + lag - 2 if not s.l_fresh and vacated >= 0 else 0  # the wave has left the last row that it binds
    count = 0
    pushed = s.pushed
    while count < most and s.l_group < s.l_groups - 1 and s.ucnt >= run.pop_bits:
        t = s.cycle + count + 1
        if t < behind_all and t < vacated + lowest_row(run, s.l_kt, s.l_group, machine.rows, machine.cols) + lag - 2:
            break
        bits = s.ucnt
        if s.pushed < run.words and bits <= run.buffer_bits - run.word_bits:
            if s.pushed + max(1, run.words_per_cycle) > there:
                break
            for _ in range(max(1, run.words_per_cycle)):
                if bits <= run.buffer_bits - run.word_bits:
                    bits += run.word_bits
                    s.pushed += 1
        s.ucnt = bits - run.pop_bits
        s.l_group += 1
        count += 1
        if run.frees and s.pushed > pushed and run.base_bytes + run.header_bytes + s.pushed * run.word_bits // 8 >= stop_freed:
            break
    s.l_cost += count
    if count > 0 and run.lookups > 0:
        s.looked_up = s.cycle + count
    if run.frees and s.pushed > pushed:
        s.freed = run.base_bytes + run.header_bytes + s.pushed * run.word_bits // 8
    return count


@inlined_kernel
def step_codebook(s, machine, runs, cb_runs, cb_words, land, visible, chunk_end):
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
        chunk = 0
        if run.chunk0 >= 0:
            while chunk_end[run.chunk0 + chunk] < run.header_bytes:
                chunk += 1
            chunk = visible[run.chunk0 + chunk]
            at = land[chunk]
        if at <= t:
            s.cb_until = t + cb_words[s.cb_started]
            s.cb_started += 1
            return True, s.cb_until
        if at >= NEVER and chunk < s.rooms:
            s.starved = min(s.starved, t)
        return False, at
    return False, NEVER

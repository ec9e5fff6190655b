"""When a row of accumulators may take the sums of the next stripe: rules that hardware can follow.

Column c of a row that is issued in cycle t is written at the end of cycle t + 1 + R + c. The drain of a row reads `lanes` columns per
cycle from its start on, so nothing is lost if the drain of the sums before starts by cycle t + 1 + R.

predicted: drains go first and in order, so the start of each is known when its row is issued; it is kept beside the accumulators. A row
    function that takes the lanes, or an operand that comes late, moves the starts of all drains on their way by one common shift.
simple: the drain has begun; or it takes a cycle per row, no drain waits, the lanes are not held, and the row was issued at least C
    cycles ago, so that its drain starts as its last column arrives. Where drains wait for a read port (`stall`), only the first counts.

A row whose columns come together, each with a feed of its own, is written whole at the end of cycle t + 1 + R: by then the drain must have
read the last column, wherever in the rules above it must have begun.

Under both rules a row that relies on a drain that has not begun reserves the lanes: until then, a row function starts only if it ends
before the next row comes out. A drain whose operands are not all there has no known start.
"""

from __future__ import annotations

from accelsim.kernels.compute_state import NEVER, PREDICTED, STALL
from accelsim.kernels.dependencies import drain_cycles, drained_columns, foot, operands_ready_at
from accelsim.kernels.kernel import borrowing_kernel, inlined_kernel


@inlined_kernel
def drain_issued(s):
    """Whether a row was issued whose drain has not begun."""
    return s.d_task < s.issued_ordinal or (s.d_task == s.issued_ordinal and s.d_unit < s.issued)


@inlined_kernel
def _begun(s, ordinal, unit):
    """Whether the drain of a unit has begun."""
    return ordinal < s.d_task or (ordinal == s.d_task and unit < s.d_unit)


@inlined_kernel
def previous_stripe(s, machine):
    """(drain task, first unit, rows) of the stripe whose sums are in the bank of the array's stripe; task -1: none are.

    Older stripes of the bank do not matter: they are drained before this one's first row, which the new stripe's first row waits for.
    """
    if machine.accumulator_banks == 0:
        return -1, 0, 0
    if machine.accumulator_banks == 1:
        return s.p1_task, s.p1_base, s.p1_rows
    return s.p2_task, s.p2_base, s.p2_rows


@inlined_kernel
def _last_read(machine, run, task, unit):
    """Cycles behind its start in which a drain reads the last column, where a row of `run` writes all columns at once; else 0."""
    if run.feed == 0 or machine.lanes == 0:
        return 0
    return (drained_columns(task, unit) - 1) // machine.lanes


@inlined_kernel
def _read_at(machine, run, tasks, fin, before, unit):
    """Cycle from which a row of `run` may be issued into accumulators whose drain has begun: it may not have read the last column yet."""
    if run.feed == 0 or machine.lanes == 0:
        return 0
    task = tasks[before]
    start = fin[task.offset + unit] - task.latency - drain_cycles(machine, task, unit)
    return start + _last_read(machine, run, task, unit) - 1 - foot(run, machine)


@borrowing_kernel
def reuse_at(s, machine, run, tasks, drains, avail, due, fin, loaded, row):
    """(cycle from which row `row` of a first K-tile may be issued as for its accumulators, cycle in which that may change)."""
    before, base, count = previous_stripe(s, machine)
    if before < 0 or row >= count or _begun(s, tasks[before].ordinal, base + row):
        return _read_at(machine, run, tasks, fin, before, base + row) if 0 <= before and row < count else 0, NEVER
    behind = _last_read(machine, run, tasks[before], base + row) - 1 - foot(run, machine)
    unit = tasks[before].offset + base + row
    single = True
    for place in range(s.d_task, tasks[before].ordinal + 1):
        index = drains[place]
        task = tasks[index]
        known = operands_ready_at(index, task.rows - 1, tasks, s, fin, loaded)
        if known > s.cycle:
            return NEVER, known
        single = single and task.full_cycles <= 1 and task.packed * task.rows <= 1  # packed rows come at once
    if machine.accumulator_rule == PREDICTED:
        return due[unit] + s.due_shift + behind, NEVER
    if machine.accumulator_read == STALL:
        return max(s.cycle + 1, due[unit] + s.due_shift), NEVER
    next_out = avail[tasks[drains[s.d_task]].offset + s.d_unit]
    if not single or next_out <= s.cycle:
        return NEVER, NEVER
    if s.v_until > s.cycle + 1:
        return NEVER, min(s.v_until - 1, next_out)
    return avail[unit] + behind, next_out


@inlined_kernel
def promise(s, machine, tasks, row):
    """Reserve the lanes for the drain that row `row` of a first K-tile relies on as it is issued."""
    before, base, count = previous_stripe(s, machine)
    if before >= 0 and row < count and not _begun(s, tasks[before].ordinal, base + row):
        s.promised_ordinal = tasks[before].ordinal
        s.promised = base + row + 1


@inlined_kernel
def lanes_promised(s, tasks, drains, avail, held, end):
    """Whether work of the lanes until `end` would delay a drain that they are reserved for."""
    if s.promised_ordinal < s.d_task or (s.promised_ordinal == s.d_task and s.promised <= s.d_unit):
        return False
    unit = tasks[drains[s.d_task]].offset + s.d_unit
    return end > max(avail[unit], held[0, unit])


@inlined_kernel
def predict_drain(s, machine, task, unit, out):
    """Start of the drain of the row that is issued now and comes out in cycle `out`, less due_shift."""
    lanes_free = s.due_end if drain_issued(s) else s.v_until - s.due_shift
    start = max(out - s.due_shift, lanes_free)
    s.due_end = start + drain_cycles(machine, task, unit)
    return start


@inlined_kernel
def delay_predictions(s, tasks, drains, due, free):
    """Shift all predicted starts if the next drain starts no earlier than `free`."""
    if drain_issued(s):
        s.due_shift = max(s.due_shift, free - due[tasks[drains[s.d_task]].offset + s.d_unit])

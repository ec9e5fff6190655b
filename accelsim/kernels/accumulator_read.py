"""How sums leave the accumulators: through a read port of their own, from the adders, or through the one port in turn.

Adding up a later K-tile reads column c of the bank in cycle t + 1 + R + c of a row that is issued in cycle t, and the drain of a row
reads column c in cycle start + c div lanes: often the same column in the same cycle.

second_port: both read, as each macro has two read ports.
deskew: the drain takes a row from the adders, through C(C-1)/2 registers that hold column c for C - 1 - c cycles. It cannot wait there, so
    a row of a last K-tile is issued only if the lanes and the other operands are sure to be there as it comes out. The bank then holds no
    sum that a new stripe could overwrite.
stall: one port serves both. The drain of a stripe of several K-tiles begins once its last row has read every column that the drain
    would read in that cycle. A row of a later K-tile waits for drains of the stripe before that are still to come.

Disputable assumption: a bank with one port is added up or drained, never both in the gaps of one of them.
"""

from __future__ import annotations

from accelsim.kernels.accumulator_reuse import drain_issued, predict_drain, previous_stripe, promise, reuse_at
from accelsim.kernels.compute_state import ACCUMULATOR, ACCUMULATOR_READ, NEVER, STALL, VECTOR
from accelsim.kernels.dependencies import drained_columns, drained_operands_at, foot, lag, lane_cycles
from accelsim.kernels.kernel import inlined_kernel


@inlined_kernel
def _columns_behind(machine, run, columns):
    """Columns by which the drain falls behind a row whose column 0 is read in the same cycle: most of c - c div lanes."""
    if run.feed:  # it reads all columns in that cycle
        return 0
    last = columns - 1
    return last - (last // machine.lanes if machine.lanes > 0 else 0)


@inlined_kernel
def taken_at(s, machine, run, tasks, fin, loaded, unit):
    """(cycle from which the row of `unit` may be issued so that the lanes take it as it comes out, category of the wait): deskew."""
    flight = 1 + foot(run, machine) + lag(run, machine)
    operands = drained_operands_at(run.out_task, unit, tasks, s, fin, loaded)
    if operands > s.cycle + flight:
        return NEVER if operands >= NEVER else operands - flight, VECTOR
    lanes = s.due_end + s.due_shift if drain_issued(s) else s.v_until
    return lanes - flight, ACCUMULATOR_READ


@inlined_kernel
def postponed_reuse_at(s, machine, run, tasks, drains, avail, due, held, fin, loaded, row):
    """(cycle from which row `row` of a first K-tile may be issued, category of the wait, cycle in which either may change): stall.

    A wait is the read port's from the cycle on in which it would be over if the port had not postponed the drain of the stripe before.
    """
    free, look = reuse_at(s, machine, run, tasks, drains, avail, due, fin, loaded, row)
    before, base, count = previous_stripe(s, machine)
    if free <= s.cycle or before < 0 or row >= count:
        return free, ACCUMULATOR, look
    unheld = free - held[1, tasks[before].offset + base + row]
    if unheld <= s.cycle:
        return free, ACCUMULATOR_READ, look
    return free, ACCUMULATOR, min(look, unheld)


@inlined_kernel
def port_free_at(s, machine, run, tasks, drains, avail, due, fin, loaded):
    """(cycle from which a row of a later K-tile may read the bank, cycle in which that may change): stall.

    Only where the stripe before has more rows, which no row of the first K-tile waited for.
    """
    before, _, count = previous_stripe(s, machine)
    if before < 0:
        return 0, NEVER
    free, look = reuse_at(s, machine, run, tasks, drains, avail, due, fin, loaded, count - 1)
    return (free + 1 if 0 < free < NEVER else free), look


@inlined_kernel
def hand_over(s, machine, run, units, task, first, avail, due, held):
    """Hand the units of a stripe or a fold, whose last row is issued in this cycle, to the lanes as soon as the port is free: stall."""
    port = s.cycle + 2 + foot(run, machine) + _columns_behind(machine, run, drained_columns(task, first))
    lanes = s.due_end if drain_issued(s) else s.v_until - s.due_shift
    for unit in range(first, first + units):
        index = task.offset + unit
        unheld = max(avail[index] - s.due_shift, lanes)  # start if the port were free
        lanes = unheld + lane_cycles(machine, task, drained_columns(task, unit))
        start = predict_drain(s, machine, task, unit, max(avail[index], port))
        due[index] = start
        held[0, index] = port
        held[1, index] = start - unheld
        s.issued_ordinal = task.ordinal
        s.issued = unit + 1


@inlined_kernel
def postpones(machine, run):
    """Whether the drains of a run's stripes wait for the bank's only read port."""
    return machine.accumulator_read == STALL and run.kt_count > 1


@inlined_kernel
def promise_port(s, machine, tasks):
    """Reserve the lanes for the drains that a row of a later K-tile expects to be before it: stall."""
    _, _, count = previous_stripe(s, machine)
    promise(s, machine, tasks, count - 1)

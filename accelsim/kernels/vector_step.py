"""One cycle of the vector unit: the drain of the accumulators first, then row functions in program order."""

from __future__ import annotations

from accelsim.kernels.compute_state import NEVER
from accelsim.kernels.dependencies import operands_ready_at
from accelsim.kernels.kernel import inlined_kernel


@inlined_kernel
def _work(s, machine, tasks, index, unit, width, fin):
    """Put the lanes on `unit` of task `index`, a row of `width` elements."""
    task = tasks[index]
    cycles = 0
    done = s.cycle
    if machine.lanes > 0:
        cycles = task.passes * -(-width // machine.lanes)
        if task.accesses > machine.port_accesses:
            cycles *= -(-task.accesses // machine.port_accesses)
        done += cycles + task.latency
    fin[task.offset + unit] = done
    s.v_until = s.cycle + cycles
    s.v_accesses = task.accesses
    s.v_busy += cycles
    s.last_fin = max(s.last_fin, done)
    if task.notify and unit + 1 == task.units:
        s.notified = 1


@inlined_kernel
def step_vector(s, machine, tasks, drains, row_tasks, avail, fin, land, visible, loaded):
    """Start what the vector unit can start in this cycle; return (acted, next cycle that could change that)."""
    t = s.cycle
    acted = False
    while True:
        if s.v_until > t:
            return acted, s.v_until
        s.v_accesses = 0
        started = False
        wake = NEVER
        if s.d_task < drains.size and (s.d_task < s.issued_ordinal or (s.d_task == s.issued_ordinal and s.d_unit < s.issued)):
            index = drains[s.d_task]
            task = tasks[index]
            at = max(avail[task.offset + s.d_unit], operands_ready_at(index, s.d_unit % task.rows, tasks, s, fin, loaded))
            if at <= t:
                stripe = (s.d_unit // task.rows) % -(-task.width // task.tile_cols)  # of its group of a grouped convolution
                _work(s, machine, tasks, index, s.d_unit, min(task.tile_cols, task.width - stripe * task.tile_cols), fin)
                started = True
                s.d_unit += 1
                if s.d_unit == task.units:
                    s.d_task += 1
                    s.d_unit = 0
            wake = at
        if not started and s.r_task < row_tasks.size:
            index = row_tasks[s.r_task]
            task = tasks[index]
            at = operands_ready_at(index, s.r_unit, tasks, s, fin, loaded)
            if task.chunk >= 0:
                landed_at = land[visible[task.chunk]]
                at = max(at, landed_at)
                if landed_at >= NEVER:
                    s.starved = min(s.starved, t)
            if at <= t:
                _work(s, machine, tasks, index, s.r_unit, task.width, fin)
                started = True
                s.r_unit += 1
                if s.r_unit == task.units:
                    s.r_task += 1
                    s.r_unit = 0
            wake = min(wake, at)
        if not started:
            return acted, wake
        acted = True

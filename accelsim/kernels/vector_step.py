"""One cycle of the vector unit: the drain of the accumulators first, then row functions in program order.
"""

from __future__ import annotations

from accelsim.kernels.compute_state import NEVER
from accelsim.kernels.dependencies import operands_ready_at
from accelsim.kernels.kernel import inlined_kernel


@inlined_kernel
def step_vector(s, machine, tasks, drains, row_tasks, avail, fin, land, visible, loaded):
    """Start what the vector unit can start in this cycle; return (acted, next cycle that could change that)."""
    t = s.cycle
    acted = False
    wake = NEVER
    while True:
        if s.v_until > t:
            return acted, min(wake, s.v_until)
        s.v_accesses = 0
        started = False
        wake = NEVER
        if s.d_task < drains.size:
            task = tasks[drains[s.d_task]]
            issued = s.d_task < s.issued_ordinal or (s.d_task == s.issued_ordinal and s.d_unit < s.issued)
            if issued:
                row = s.d_unit % task.rows
                at = max(avail[task.offset + s.d_unit], operands_ready_at(drains[s.d_task], row, tasks, s, fin, loaded))
                if at <= t:
                    cycles = 0
                    if machine.lanes > 0:
                        cols = min(task.tile_cols, task.width - (s.d_unit // task.rows) * task.tile_cols)
                        cycles = task.passes * -(-cols // machine.lanes)
                        if task.accesses > machine.port_accesses:
                            cycles *= -(-task.accesses // machine.port_accesses)
                    s.v_until = t + cycles
                    done = t + cycles + (task.latency if machine.lanes > 0 else 0)
                    fin[task.offset + s.d_unit] = done
                    s.last_fin = max(s.last_fin, done)
                    s.v_accesses = task.accesses
                    s.v_busy += cycles
                    s.d_unit += 1
                    if s.d_unit == task.units:
                        if task.notify:
                            s.notify_task = drains[s.d_task]
                            s.notify_cycle = done
                        s.d_task += 1
                        s.d_unit = 0
                    started = True
                else:
                    wake = min(wake, at)
        if not started and s.r_task < row_tasks.size:
            task = tasks[row_tasks[s.r_task]]
            at = operands_ready_at(row_tasks[s.r_task], s.r_unit, tasks, s, fin, loaded)
            if task.chunk >= 0:
                at = max(at, land[visible[task.chunk]])
            if at <= t:
                cycles = 0
                if machine.lanes > 0:
                    cycles = task.passes * -(-task.width // machine.lanes)
                    if task.accesses > machine.port_accesses:
                        cycles *= -(-task.accesses // machine.port_accesses)
                s.v_until = t + cycles
                done = t + cycles + (task.latency if machine.lanes > 0 else 0)
                fin[task.offset + s.r_unit] = done
                s.last_fin = max(s.last_fin, done)
                s.v_accesses = task.accesses
                s.v_busy += cycles
                s.r_unit += 1
                if s.r_unit == task.units:
                    if task.notify:
                        s.notify_task = row_tasks[s.r_task]
                        s.notify_cycle = done
                    s.r_task += 1
                    s.r_unit = 0
                started = True
            else:
                if task.chunk >= 0 and land[visible[task.chunk]] >= NEVER:
                    s.starved = min(s.starved, t)
                wake = min(wake, at)
        if not started:
            return acted, wake
        acted = True
        if s.notify_task >= 0:
            return acted, t + 1

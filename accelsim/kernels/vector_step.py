"""One cycle of the vector unit: the drain of the accumulators first, then row functions in program order.

A row function does not start while it would delay a drain whose accumulators are in use again (see `accumulator_reuse`).
"""

from __future__ import annotations

from accelsim.kernels.accumulator_reuse import delay_predictions, drain_issued, lanes_promised
from accelsim.kernels.compute_state import NEVER, UNWRITTEN
from accelsim.kernels.dependencies import drain_cycles, drained_operands_at, operands_ready_at
from accelsim.kernels.kernel import inlined_kernel


@inlined_kernel
def _work(s, machine, tasks, index, unit, cycles, fin):
    """Occupy the lanes with `unit` of task `index` for `cycles`."""
    task = tasks[index]
    done = s.cycle + cycles
    if machine.lanes > 0:
        done += task.latency
    fin[task.offset + unit] = done
    s.v_until = s.cycle + cycles
    s.v_accesses = min(task.accesses, machine.port_accesses)
    s.v_busy += cycles
    s.last_fin = max(s.last_fin, done)
    if task.notify and unit + 1 == task.units:
        s.notified = 1


@inlined_kernel
def step_vector(s, machine, tasks, drains, row_tasks, avail, due, held, fin, land, visible, loaded):
    """Start what the vector unit can start in this cycle; return (acted, next cycle that could change that)."""
    t = s.cycle
    acted = False
    s.v_unwritten = 0
    while True:
        if s.v_until > t:
            return acted, s.v_until
        s.v_accesses = 0
        started = False
        wake = waits_for = NEVER
        if drain_issued(s):
            index = drains[s.d_task]
            task = tasks[index]
            unit = task.offset + s.d_unit
            at = max(max(avail[unit], held[0, unit]), drained_operands_at(index, s.d_unit, tasks, s, fin, loaded))
            if at <= t:
                delay_predictions(s, tasks, drains, due, t)
                _work(s, machine, tasks, index, s.d_unit, drain_cycles(machine, task, s.d_unit), fin)
                started = True
                s.d_unit += 1
                if s.d_unit == task.units:
                    s.d_task += 1
                    s.d_unit = 0
            wake = waits_for = at
        if not started and s.r_task < row_tasks.size:
            index = row_tasks[s.r_task]
            task = tasks[index]
            at = operands_ready_at(index, s.r_unit, tasks, s, fin, loaded)
            if task.chunk >= 0:
                landed_at = land[visible[task.chunk]]
                at = max(at, landed_at)
                if landed_at >= NEVER and visible[task.chunk] < s.rooms:
                    s.starved = min(s.starved, t)
            if at <= t:
                cycles = task.full_cycles
                if lanes_promised(s, tasks, drains, avail, held, t + cycles):
                    at = NEVER  # until the next drain begins
                else:
                    delay_predictions(s, tasks, drains, due, t + cycles)
                    _work(s, machine, tasks, index, s.r_unit, cycles, fin)
                    started = True
                    s.r_unit += 1
                    if s.r_unit == task.units:
                        s.r_task += 1
                        s.r_unit = 0
            waits_for = waits_for if drain_issued(s) else at
            wake = min(wake, at)
        if not started:
            s.v_unwritten = 1 if waits_for == UNWRITTEN else 0
            return acted, wake
        acted = True

"""The DMA engine and the memories behind it, from one instant in which something happens to the next.

In an instant, all transfers that end in it are taken first, then everything that may be issued is. An instant is decided only when all that
it depends on is known: the cluster's promises (`known`: the cycle up to which rooms, gates and ends of tasks are told) bound how far
this side may run, as this side's landings bound the cluster.

The twin of `accelsim.hw.dma.Dma`, which says the same as events of SimPy.
"""

from __future__ import annotations

from accelsim.kernels.clocks import NEVER, cycle_at, edge_ps
from accelsim.kernels.dma_state import (
    D_ACTIVATIONS,
    D_CORE_HZ,
    D_FABRIC,
    D_LAST_HOST_JOB,
    D_PLACES,
    D_TRANSFER,
    D_WEIGHTS,
    DECIDE_AT,
    F_BYTES,
    F_PART,
    F_PARTS,
    F_WHAT,
    FILL_CYCLE,
    FILL_LOAD,
    FILL_OFFSET,
    FILL_UNITS,
    FILLED,
    FREE_PLACE,
    IN_FLIGHT,
    ISSUED,
    J_ADDRESS,
    J_AFTER,
    J_AFTER_END,
    J_AFTER_JOBS,
    J_DONE,
    J_LANDED,
    J_LAST_ROW,
    J_LAST_WEIGHT,
    J_LOAD,
    J_NEXT_PART,
    J_OFFSET,
    J_PIECE_BYTES,
    J_PITCH,
    J_ROW_BYTES,
    J_ROWS,
    J_SIZE,
    J_WRITE,
    JOB_PART,
    JOB_SENT,
    LAST_LANDING,
    LOG_FILL,
    LOG_LAND,
    LOG_SUBMIT,
    LOGGED,
    NEXT_JOB,
    NEXT_WEIGHT,
    NOW,
    QUIET,
    RECEIVED,
    SENT,
    WAITS_FOR_GATE,
    WAITS_FOR_ROOM,
)
from accelsim.kernels.kernel import borrowing_kernel
from accelsim.kernels.memories import KIND, SERIAL, earliest_landing, ends_at, run_to_end, submit, take
from accelsim.kernels.run_ahead import GATES, ROOMS, START

UNKNOWN = NEVER + 1  # a time that depends on what the cluster has not told
ISSUE, WAIT, ASK = range(3)


@borrowing_kernel
def note(dma, log, time, kind, first, second, third, fourth):
    """Write an event into the log, as long as it has room."""
    if dma[LOGGED] < log.shape[0]:
        row = log[dma[LOGGED]]
        row[0] = time
        row[1] = kind
        row[2] = first
        row[3] = second
        row[4] = third
        row[5] = fourth
        dma[LOGGED] += 1


@borrowing_kernel
def fill(dma, params, fills, log, job, units, time):
    """Tell the cluster that the first `units` units of a job's load are there at `time`."""
    row = fills[dma[FILLED]]
    row[FILL_CYCLE] = cycle_at(time, params[D_CORE_HZ])
    row[FILL_LOAD] = job[J_LOAD]
    row[FILL_OFFSET] = job[J_OFFSET]
    row[FILL_UNITS] = units
    dma[FILLED] += 1
    note(dma, log, time, LOG_FILL, job[J_LOAD], job[J_OFFSET], units, 0)


@borrowing_kernel
def job_ready_at(dma, jobs, after, task_end, land):
    """Time in ps from which the next job may be issued; NEVER while it waits for a write, UNKNOWN while it waits for the cluster."""
    job = jobs[dma[NEXT_JOB]]
    at = 0
    for i in range(job[J_AFTER_JOBS], job[J_AFTER_END]):
        at = max(at, jobs[after[i], J_DONE])
    if at >= NEVER:
        return NEVER
    for i in range(job[J_AFTER], job[J_AFTER_JOBS]):
        end = task_end[after[i]]
        if end >= NEVER:  # certainly not before the weights that its tasks need
            last = job[J_LAST_WEIGHT]
            return NEVER if last >= 0 and land[last] >= NEVER else UNKNOWN
        at = max(at, end)
    return at


@borrowing_kernel
def ends_told_to(dma, promises, known, jobs):
    """Cycle up to which the ends that the next job waits for are told: the last of its tasks cannot end before its last row is issued."""
    if known >= NEVER:
        return known
    return max(known, promises[START] + jobs[dma[NEXT_JOB], J_LAST_ROW] - 2)  # the row is issued in the next cycle, and drained later


@borrowing_kernel
def room_at(dma, params, promises, room, opened):
    """Time in ps at which the weight transfer that waits asks again: as soon as one of the things that it lacked has come."""
    index = dma[NEXT_WEIGHT]
    cycle = NEVER
    unknown = False
    if dma[WAITS_FOR_ROOM]:
        if index < promises[ROOMS]:
            cycle = room[index]
        else:
            unknown = True
    if dma[WAITS_FOR_GATE]:
        if index < promises[GATES]:
            cycle = min(cycle, opened[index])
        else:
            unknown = True
    if cycle >= NEVER and unknown:
        return UNKNOWN
    return edge_ps(cycle, params[D_CORE_HZ])


@borrowing_kernel
def launch(dma, params, memories, states, memory_params, flights, log, memory, what, part, address, size, write, now):
    """Hand a transfer to its memory."""
    flight = 0
    while flights[flight, F_WHAT] != FREE_PLACE:
        flight += 1
    flights[flight, F_WHAT] = what
    flights[flight, F_PART] = part
    flights[flight, F_BYTES] = size
    dma[IN_FLIGHT] += 1
    note(dma, log, now, LOG_SUBMIT, dma[ISSUED], address, size, write)
    dma[ISSUED] += 1
    flights[flight, F_PARTS] = submit(memories, states, memory_params, memory, flight, now, address, size, write)


@borrowing_kernel
def issue_job(dma, params, jobs, memories, states, memory_params, flights, fills, log, now):
    """Issue the next transfer of the next job."""
    number = dma[NEXT_JOB]
    job = jobs[number]
    if job[J_ADDRESS] < 0:  # the host has put it there
        job[J_DONE] = now
        fill(dma, params, fills, log, job, job[J_ROWS], now)
        dma[NEXT_JOB] += 1
        return
    piece = dma[JOB_SENT] // job[J_PIECE_BYTES]
    offset = dma[JOB_SENT] - piece * job[J_PIECE_BYTES]
    size = next_piece(dma, params, job)
    address = job[J_ADDRESS] + piece * job[J_PITCH] + offset
    launch(
        dma, params, memories, states, memory_params, flights, log, params[D_ACTIVATIONS], -1 - number, dma[JOB_PART], address, size,
        job[J_WRITE], now,
    )  # fmt: skip
    dma[JOB_SENT] += size
    dma[JOB_PART] += 1
    if dma[JOB_SENT] == job[J_SIZE]:
        dma[NEXT_JOB] += 1
        dma[JOB_SENT] = 0


@borrowing_kernel
def weight_may_go(dma, params, promises, room, opened, known, now):
    """ISSUE the next weight transfer, WAIT for its room or gate, or ASK the cluster."""
    if dma[WAITS_FOR_ROOM] or dma[WAITS_FOR_GATE]:
        at = room_at(dma, params, promises, room, opened)
        if at == UNKNOWN and cycle_at(now, params[D_CORE_HZ]) > known:
            return ASK  # it may have come already: while all places were taken, this side ran beyond what is told
        if at > now:
            return WAIT
        dma[WAITS_FOR_ROOM] = 0
        dma[WAITS_FOR_GATE] = 0
    index = dma[NEXT_WEIGHT]
    cycle = cycle_at(now, params[D_CORE_HZ])
    if cycle > known and (index >= promises[ROOMS] or index >= promises[GATES]):
        return ASK
    lacks_room = index >= promises[ROOMS] or room[index] > cycle
    lacks_gate = index >= promises[GATES] or opened[index] > cycle
    if lacks_room:
        dma[WAITS_FOR_ROOM] = 1
    if lacks_gate:
        dma[WAITS_FOR_GATE] = 1
    return WAIT if lacks_room or lacks_gate else ISSUE


@borrowing_kernel
def decide(
    dma, params, address, size, promises, room, opened, known, jobs, after, task_end, land, memories, states, memory_params, flights,
    fills, log,
):  # fmt: skip
    """Issue everything that may be issued at `dma[NOW]`; False if that depends on what the cluster has not told."""
    now = dma[NOW]
    while dma[IN_FLIGHT] < params[D_PLACES]:
        if dma[FILLED] == fills.shape[0]:
            return False
        if dma[NEXT_JOB] < jobs.shape[0]:
            at = job_ready_at(dma, jobs, after, task_end, land)
            if at == UNKNOWN and cycle_at(now, params[D_CORE_HZ]) > ends_told_to(dma, promises, known, jobs):
                return False
            if at <= now:
                issue_job(dma, params, jobs, memories, states, memory_params, flights, fills, log, now)
                continue
        if dma[NEXT_WEIGHT] == address.shape[0]:
            break
        may = weight_may_go(dma, params, promises, room, opened, known, now)
        if may == ASK:
            return False
        if may == WAIT:
            break
        index = dma[NEXT_WEIGHT]
        launch(dma, params, memories, states, memory_params, flights, log, params[D_WEIGHTS], index, 0, address[index], size[index], 0, now)
        dma[NEXT_WEIGHT] += 1
    return True


@borrowing_kernel
def land_part(dma, params, job, parts, part, size, fills, log, time):
    """A transfer of a job lands at `time`: rows are there when no byte before them is missing."""
    parts[part] = size
    while job[J_NEXT_PART] < parts.shape[0] and parts[job[J_NEXT_PART]] > 0 and job[J_LANDED] < job[J_SIZE]:
        job[J_LANDED] += parts[job[J_NEXT_PART]]
        job[J_NEXT_PART] += 1
    whole = job[J_LANDED] == job[J_SIZE]
    if whole:
        job[J_DONE] = time
    if job[J_WRITE] == 0:
        fill(dma, params, fills, log, job, min(job[J_ROWS], job[J_LANDED] // job[J_ROW_BYTES]), time)
    elif whole:
        fill(dma, params, fills, log, job, 1, time)


@borrowing_kernel
def complete(dma, params, jobs, parts, flights, land, fills, log, flight):
    """A memory is done with a part of a transfer: with the last one, its place is free, and its landing is known."""
    flights[flight, F_PARTS] -= 1
    if flights[flight, F_PARTS] > 0:
        return
    what = flights[flight, F_WHAT]
    size = flights[flight, F_BYTES]
    flights[flight, F_WHAT] = FREE_PLACE
    dma[IN_FLIGHT] -= 1
    time = dma[NOW] + params[D_FABRIC]
    dma[LAST_LANDING] = time
    if what >= 0:
        dma[RECEIVED] += size
        land[what] = cycle_at(time, params[D_CORE_HZ])
        note(dma, log, time, LOG_LAND, what, 0, 0, 0)
        return
    job = jobs[-1 - what]
    if job[J_WRITE]:
        dma[SENT] += size
    else:
        dma[RECEIVED] += size
    land_part(dma, params, job, parts, flights[flight, F_PART], size, fills, log, time)


@borrowing_kernel
def next_decision(dma, params, promises, room, opened, known, jobs, after, task_end, land):
    """(ps of the next decision that no memory brings about, ps from which the cluster may bring one about)."""
    now = dma[DECIDE_AT]
    horizon = NEVER
    if now < NEVER or dma[IN_FLIGHT] == params[D_PLACES]:
        return now, horizon
    if dma[NEXT_JOB] < jobs.shape[0]:
        at = job_ready_at(dma, jobs, after, task_end, land)
        if at == UNKNOWN and known < NEVER:
            horizon = edge_ps(ends_told_to(dma, promises, known, jobs) + 1, params[D_CORE_HZ])
        now = min(now, max(at, dma[NOW]))  # an end in the instant of the landing that caused it is told behind the decision of that instant
    if dma[WAITS_FOR_ROOM] or dma[WAITS_FOR_GATE]:
        at = room_at(dma, params, promises, room, opened)
        if at == UNKNOWN and known < NEVER:
            horizon = min(horizon, edge_ps(known + 1, params[D_CORE_HZ]))
        now = min(now, at)
    return now, horizon


@borrowing_kernel
def next_end(memories, states, memory_params, until, no_commands, no_samples):
    """Ps of the next end of a transfer's part in any memory, `until` if none is before; the DRAM runs last, up to those of the others."""
    for m in range(memories.shape[0]):
        if memories[m, KIND] == SERIAL:
            until = run_to_end(memories, states, memory_params, m, until, no_commands, no_samples)
    if memories[0, KIND] != SERIAL:
        until = run_to_end(memories, states, memory_params, 0, until, no_commands, no_samples)
    return until


@borrowing_kernel
def next_piece(dma, params, job):
    """Bytes of a job's next transfer."""
    return min(params[D_TRANSFER], job[J_PIECE_BYTES] - dma[JOB_SENT] % job[J_PIECE_BYTES])


@borrowing_kernel
def lands_from(dma, params, size, jobs, memories, states, memory_params, horizon):
    """Ps before which nothing ends, when no decision falls before `horizon`: what is issued then takes its time in the memory."""
    if dma[NEXT_JOB] <= params[D_LAST_HOST_JOB]:
        return horizon  # what the host puts there is there at once
    weight = size[dma[NEXT_WEIGHT]] if dma[NEXT_WEIGHT] < size.shape[0] else 0
    piece = next_piece(dma, params, jobs[dma[NEXT_JOB]]) if dma[NEXT_JOB] < jobs.shape[0] else 0
    end = NEVER
    for m in range(memories.shape[0]):
        first = 0
        if weight and m == params[D_WEIGHTS]:
            first = weight
        if piece and m == params[D_ACTIVATIONS]:
            first = min(first, piece) if first else piece
        end = min(end, earliest_landing(memories[m], states[m], memory_params[m], horizon, first))
    return max(end, horizon)


@borrowing_kernel
def run_memory_side(
    dma, params, address, size, promises, room, opened, known, jobs, after, parts, task_end, memories, states, memory_params, flights,
    land, fills, log, no_commands, no_samples,
):  # fmt: skip
    """Run DMA and memories as far as the cluster's promises reach; the ps before which nothing more will end.

    Parameters
    ----------
    dma, params : int64 (DMA_STATE,) and (DMA_PARAMETERS,)
    address, size : int64 (transfers,) of the weight-side transfers
    promises, room, opened : as `run_ahead` writes them; known : cycle up to which they are told, NEVER: they are complete
    jobs : int64 (jobs, JOB_WIDTH); after : int64 (n,): tasks and writes that jobs wait for; parts : int64 (transfers of all jobs,), bytes
        of those that landed; task_end : int64 (tasks,), ps, NEVER: not told
    memories, states, memory_params : int64 (rows of all memories, ...); a DRAM has one for each channel, and comes first
    flights : int64 (places, FLIGHT_WIDTH)
    land : int64 (transfers,), takes the core cycle from which a transfer can be read; fills : int64 (n, FILL_WIDTH), takes fills
    log : int64 (n, EVENT_WIDTH), takes events
    """
    dma[QUIET] = 0
    while dma[FILLED] + params[D_PLACES] < fills.shape[0]:
        decision, horizon = next_decision(dma, params, promises, room, opened, known, jobs, after, task_end, land)
        now = next_end(memories, states, memory_params, min(decision, horizon), no_commands, no_samples)
        if now >= horizon:
            dma[QUIET] = 1 if dma[IN_FLIGHT] == 0 and decision >= NEVER else 0
            return horizon if horizon >= NEVER else lands_from(dma, params, size, jobs, memories, states, memory_params, horizon)
        dma[NOW] = now
        for m in range(memories.shape[0]):
            while ends_at(memories[m], states[m], now):
                complete(dma, params, jobs, parts, flights, land, fills, log, take(memories[m], states[m], memory_params[m]))
        dma[DECIDE_AT] = NEVER
        if not decide(
            dma, params, address, size, promises, room, opened, known, jobs, after, task_end, land, memories, states, memory_params,
            flights, fills, log,
        ):  # fmt: skip
            dma[DECIDE_AT] = now
            return now
    return dma[NOW]

"""The DMA's records as integers: parameters, state, jobs, and what is on its way."""

from __future__ import annotations

# Parameters. Memories are rows of `memories`, the first of each; times are ps.
(
    D_PLACES,  # transfers in flight at most
    D_TRANSFER,  # bytes of one
    D_FABRIC,  # from the end at the memory to the data in the buffer
    D_CORE_HZ,
    D_WEIGHTS,  # memory of the weight-side transfers
    D_ACTIVATIONS,  # memory of the jobs
    D_LAST_HOST_JOB,  # the last job that the host does, -1: none
    DMA_PARAMETERS,
) = range(8)

# State.
(
    NEXT_WEIGHT,
    NEXT_JOB,
    JOB_SENT,  # bytes of the current job that are issued
    JOB_PART,  # transfers of all jobs that are issued
    IN_FLIGHT,
    ISSUED,  # transfers that were ever issued
    WAITS_FOR_ROOM,  # 1: the next weight transfer found no room, and asks again when there is some
    WAITS_FOR_GATE,  # 1: its gate was shut
    DECIDE_AT,  # ps of an instant whose decision is open; NEVER: none is
    NOW,  # ps of the last instant that something happened in
    RECEIVED,  # bytes
    SENT,
    LAST_LANDING,  # ps
    QUIET,  # 1: nothing is on its way, and nothing will be until the cluster tells of a room, a gate or an end
    FILLED,  # rows of `fills` in use
    LOGGED,  # rows of `log` in use
    DMA_STATE,
) = range(17)

# Columns of a job: an `ActivationJob`, and its progress.
(
    J_WRITE,
    J_ADDRESS,
    J_SIZE,
    J_ROW_BYTES,
    J_ROWS,
    J_LOAD,
    J_OFFSET,  # first of its units in the unit arrays
    J_PIECE_BYTES,
    J_PITCH,
    J_PARTS,  # first of its transfers among those of all jobs
    J_AFTER,  # first of `after`: tasks, then writes
    J_AFTER_JOBS,
    J_AFTER_END,
    J_LAST_WEIGHT,  # weight transfer that has to land before its tasks can end; -1: none
    J_LAST_ROW,  # rows that the array has to issue before they can: those of all runs up to the last that they need
    J_LANDED,  # bytes from its start without a gap
    J_NEXT_PART,  # the first that has not landed
    J_DONE,  # ps at which all of it has landed
    JOB_WIDTH,
) = range(19)

# Columns of a transfer in flight: what it moves (weight transfer, or -1 - job), its place among the transfers of all jobs, bytes,
# and the parts of it (one for each channel) that its memory is not done with.
F_WHAT, F_PART, F_BYTES, F_PARTS, FLIGHT_WIDTH = range(5)
FREE_PLACE = 1 << 40  # F_WHAT of a place that is free

# Columns of a fill: first core cycle in which it counts, load, first unit in the unit arrays, units that are there.
FILL_CYCLE, FILL_LOAD, FILL_OFFSET, FILL_UNITS, FILL_WIDTH = range(5)

# Columns of an event: ps, kind and its three numbers (submit: address, bytes, write; land: transfer; fill: load, offset, units).
LOG_SUBMIT, LOG_LAND, LOG_FILL = range(3)
EVENT_WIDTH = 6

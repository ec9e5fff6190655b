"""The layout of a DRAM channel's numbers: one int64 array for the state, one for the parameters.

A copy of the state array is a copy of the whole channel, so a caller may run a copy ahead and come back. The state is cut
into tables by offsets that stand among the parameters. A slot, a train and a transfer are named by the place in the state
where their fields start, so that a link is such a place and a field is state[slot + SLOT_ROW].

Disputable assumption: one rank per channel. It is built into the layout: a second rank is a second table of banks.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels.kernel import borrowing_kernel, kernel

Ints: TypeAlias = NDArray[np.int64]

NEVER = 1 << 60
NONE = -1

# Commands, in the order of the constraint table's axes. A PRE or REF of every bank carries the bank NONE.
N_COMMANDS = 5
ACT, PRE, RD, WR, REF = range(N_COMMANDS)
# ACT2 and CAS only take a cycle of the command bus: LPDDR5's second half of an ACT, and the start of its data clock.
ACT2, CAS = N_COMMANDS, N_COMMANDS + 1
COMMANDS = ("ACT", "PRE", "RD", "WR", "REF", "ACT2", "CAS")

# Kinds of policy: one shared queue per direction, oldest ready command first; or a queue per bank, served in turn.
FRFCFS, BANK_QUEUES = range(2)

(
    P_BANKS,
    P_BANKS_PER_GROUP,
    P_BANK_GROUPS,
    P_BURST,  # cycles of a burst on the data bus
    P_CL,
    P_CWL,
    P_FAW,
    P_REFI,
    P_AAD,  # ACT to its ACT2 at most; 0: ACT is one command
    P_WCK_POST,  # cycles that the data clock runs on after the last data; NONE: it always runs
    P_COLUMN_SHIFT,  # a burst's number holds column, bank, bank group and row at these bits
    P_COLUMN_MASK,
    P_GROUP_SHIFT,
    P_GROUP_MASK,
    P_BANK_SHIFT,
    P_BANK_MASK,
    P_ROW_SHIFT,
    P_ROW_MASK,
    P_MAX_OUTSTANDING,  # reads in flight
    P_SLOT_RELEASE,  # cycles from a read's data to the release of its place
    P_POLICY,
    P_READ_QUEUE,  # bursts
    P_WRITE_QUEUE,
    P_DRAIN_ABOVE,  # writes are drained when more than this many wait
    P_DRAIN_BELOW,  # FRFCFS: and until fewer than this many wait
    P_ROW_HITS_FIRST,  # FRFCFS: a PRE may not overtake an older hit of its bank
    P_BANK_QUEUE,  # BANK_QUEUES: bursts in a bank's queue
    P_HITS_BEFORE_CUT,  # BANK_QUEUES: RD and WR of a row after which a PRE may cut off its pending hits
    P_SLOTS,
    P_RETURN_MASK,  # places of the ring of returns, less 1
    P_WIDEST_QUEUE,  # of read and write queue
    P_TRANSFERS,
    P_AT_BANK,
    P_AT_GROUP,
    P_AT_SLOT,
    P_AT_TRAIN,
    P_AT_BANK_QUEUE,
    P_AT_WAITING,
    P_AT_RETURN,
    P_AT_TRANSFER,
    P_AT_DONE,
    P_AT_REPORT,
    P_STATE_SIZE,
    P_TABLE,  # the constraint table starts here
) = range(44)
N_SCOPES = 3
SAME_BANK, SAME_GROUP, RANK = range(N_SCOPES)
PARAMETERS_SIZE = P_TABLE + N_SCOPES * N_COMMANDS * N_COMMANDS
NO_CONSTRAINT = -NEVER

# The head of the state.
(
    NOW,  # every event before this cycle is done
    COMMAND_FROM,  # earliest cycle of the next command
    OFFER_FROM,  # earliest cycle of the next offer
    MOVE_FROM,  # earliest cycle of the next move into a bank's queue
    REFRESH_DUE,  # cycle at which the next refresh falls due
    REFRESH_PENDING,  # refreshes that are due and not issued
    OLDEST_ACT,  # which of the four ACT times is the oldest
    ACT_TIME,  # of the last four
    _ACT_TIME_1,
    _ACT_TIME_2,
    _ACT_TIME_3,
    RANK_READY,  # earliest cycle of each of the five commands, as far as the rank decides
    _RANK_PRE,
    _RANK_RD,
    _RANK_WR,
    _RANK_REF,
    ACT2_DEADLINE,  # latest cycle of the ACT2 that is to come; NEVER: none
    WCK_UNTIL,  # first cycle in which the data clock stands still
    WRITE_MODE,  # FRFCFS: 1 while writes are served
    DRAINING,  # BANK_QUEUES: writes of the drain that are still to be moved
    ROUND_ROBIN,  # BANK_QUEUES: the bank that was served last
    LAST_COLUMN,  # RD or WR, whichever used the data bus last; NONE at first
    AGE,  # bursts accepted so far
    QUEUED,  # reads, then writes, in the queue (not those with a row opened for them, not those in a bank's queue)
    _QUEUED_WRITES,
    TRAINS,  # FRFCFS: trains of reads, then of writes
    _WRITE_TRAINS,
    OPENED,  # FRFCFS: requests whose row was opened for them
    IN_BANKS,  # BANK_QUEUES: requests in all bank queues
    FREE_SLOT,
    OUTSTANDING,  # reads whose place is taken
    RELEASED,  # reads whose place was released, in all
    RETURNING,  # reads whose data's time is known, in all
    FREE_TRANSFER,
    FIRST_OFFER,  # the transfer that offers bursts; NONE: none
    LAST_OFFER,
    INCOMPLETE,  # transfers that are not complete
    DONE,  # transfers whose completion is known and lies ahead
    REPORTED,  # transfers that the last call reported
    LOGGED,  # commands
    SAMPLED,  # read latencies
    ACTIVATES,
    PRECHARGES,
    REFRESHES,
    READS,  # RD commands
    WRITES,  # WR commands
    CONFLICTS,  # rows closed for a request to another row
    TURNAROUNDS,  # changes of the data bus's direction
    READ_BURSTS,  # accepted
    WRITE_BURSTS,
    FORWARDED_READS,  # answered from a queued write
    MERGED,  # reads or writes that share the RD or WR of another one
    LATENCY_SUM,  # of reads: accept to last data
    LATENCY_MAX,
    END,  # cycle after the last data on the bus
    PRECHARGES_AT_END,  # issued before the last RD or WR
    REFRESHES_AT_END,
    HEAD_SIZE,
) = range(58)

# A bank: the earliest cycle of each of the five commands as far as the bank decides, then these; BANK_GROUP is where those of
# its bank group start.
BANK_GROUP, BANK_ROW, BANK_OPENED_FOR, BANK_HITS, BANK_QUEUED, BANK_WIDTH = range(N_COMMANDS, N_COMMANDS + 6)
# A slot holds one burst that waits for its RD or WR; SLOT_MERGED chains those that share its RD.
SLOT_BANK, SLOT_ROW, SLOT_COLUMN, SLOT_WRITE, SLOT_AGE, SLOT_ACCEPTED, SLOT_TRANSFER, SLOT_NEXT, SLOT_MERGED, SLOT_WIDTH = range(10)
# A train holds the queued bursts of one direction and row, oldest first.
TRAIN_BANK, TRAIN_ROW, TRAIN_FIRST, TRAIN_LAST, TRAIN_WIDTH = range(5)
# A transfer: sequential bursts that complete together.
(
    TRANSFER_ID,
    TRANSFER_ARRIVAL,
    TRANSFER_WRITE,
    TRANSFER_BURST,  # number of its next burst
    TRANSFER_TO_OFFER,  # bursts
    TRANSFER_TO_SERVE,  # bursts whose data's time is not known
    TRANSFER_END,  # latest of the known times
    TRANSFER_NEXT,
    TRANSFER_WIDTH,
) = range(9)
# A completion: (cycle, transfer) while it lies ahead, (cycle, id) in the report.
DONE_CYCLE, DONE_WHAT, DONE_WIDTH = range(3)

LOG_WIDTH = 6  # cycle, command, bank group, bank in its group, row, column; NONE where a field means nothing


@borrowing_kernel
def bank_at(params: Ints, b: int) -> int:
    """Where the fields of bank `b` start."""
    return params[P_AT_BANK] + b * BANK_WIDTH


@borrowing_kernel
def train_at(params: Ints, d: int, i: int) -> int:
    """Where the fields of train `i` of direction `d` (0 read, 1 write) start; the first state[TRAINS + d] are in use."""
    return params[P_AT_TRAIN] + (d * params[P_WIDEST_QUEUE] + i) * TRAIN_WIDTH


@borrowing_kernel
def queue_at(params: Ints, b: int) -> int:
    """Where bank `b`'s queue of slots starts, oldest first; the bank's BANK_QUEUED are in use."""
    return params[P_AT_BANK_QUEUE] + b * params[P_BANK_QUEUE]


@borrowing_kernel
def waiting_at(params: Ints, d: int) -> int:
    """Where the slots of direction `d` that wait for their bank's queue start, oldest first; state[QUEUED + d] are in use."""
    return params[P_AT_WAITING] + d * params[P_WIDEST_QUEUE]


@borrowing_kernel
def return_at(params: Ints, number: int) -> int:
    """Where the cycle of return `number` lies: a ring in time order."""
    return params[P_AT_RETURN] + (number & params[P_RETURN_MASK])


@borrowing_kernel
def done_at(params: Ints, i: int) -> int:
    """Where completion `i` of those that lie ahead starts, in time order; the first state[DONE] are in use."""
    return params[P_AT_DONE] + i * DONE_WIDTH


@kernel
def report_of(state: Ints, params: Ints) -> Ints:
    """(TRANSFERS, DONE_WIDTH): (cycle, id) of each transfer that the last call completed; the first state[REPORTED] are in use."""
    return state[params[P_AT_REPORT] : params[P_STATE_SIZE]].reshape((params[P_TRANSFERS], DONE_WIDTH))


@kernel
def new_state(params: Ints) -> Ints:
    """A channel at cycle 0: every bank closed, nothing queued, the first refresh due after one interval."""
    state = np.zeros(params[P_STATE_SIZE], np.int64)
    state[REFRESH_DUE] = params[P_REFI]
    state[ACT_TIME : ACT_TIME + 4] = NO_CONSTRAINT
    state[ACT2_DEADLINE] = NEVER
    state[LAST_COLUMN] = NONE
    state[FIRST_OFFER] = NONE
    state[LAST_OFFER] = NONE
    state[ROUND_ROBIN] = NONE
    for b in range(params[P_BANKS]):
        state[bank_at(params, b) + BANK_GROUP] = params[P_AT_GROUP] + b // params[P_BANKS_PER_GROUP] * N_COMMANDS
        state[bank_at(params, b) + BANK_ROW] = NONE
        state[bank_at(params, b) + BANK_OPENED_FOR] = NONE
    state[FREE_SLOT] = NONE
    for i in range(params[P_SLOTS] - 1, -1, -1):
        s = params[P_AT_SLOT] + i * SLOT_WIDTH
        state[s + SLOT_NEXT] = state[FREE_SLOT]
        state[FREE_SLOT] = s
    state[FREE_TRANSFER] = NONE
    for i in range(params[P_TRANSFERS] - 1, -1, -1):
        t = params[P_AT_TRANSFER] + i * TRANSFER_WIDTH
        state[t + TRANSFER_NEXT] = state[FREE_TRANSFER]
        state[FREE_TRANSFER] = t
    return state

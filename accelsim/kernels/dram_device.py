"""The DRAM device: when a command may be issued, and what issuing it changes.

Every constraint is a row of one table (scope, previous command, next command, cycles); the only rule beside the table is
the window of four ACT. A command that is issued pushes the earliest cycle of each later one, for its bank, its bank group
and the rank; so a question costs three loads.

Disputable assumptions: one command per cycle, each one cycle long; a rank's rows hold for a bank group's own banks too, which
is right because no device has a longer distance between bank groups than inside one (checked where the table is loaded).
"""

from __future__ import annotations

from accelsim.kernels.dram_state import (
    ACT,
    ACT2,
    ACT2_DEADLINE,
    ACT_TIME,
    ACTIVATES,
    BANK_GROUP,
    BANK_HITS,
    BANK_ROW,
    CAS,
    COMMAND_FROM,
    END,
    LAST_COLUMN,
    LOGGED,
    N_COMMANDS,
    NEVER,
    NONE,
    OLDEST_ACT,
    P_AAD,
    P_BANKS,
    P_BANKS_PER_GROUP,
    P_BURST,
    P_CL,
    P_CWL,
    P_FAW,
    P_TABLE,
    P_WCK_POST,
    PRE,
    PRECHARGES,
    PRECHARGES_AT_END,
    RANK,
    RANK_READY,
    RD,
    READS,
    REF,
    REFRESH_PENDING,
    REFRESHES,
    REFRESHES_AT_END,
    SAME_BANK,
    SAME_GROUP,
    TURNAROUNDS,
    WCK_UNTIL,
    WR,
    WRITES,
    Ints,
    bank_at,
)
from accelsim.kernels.kernel import borrowing_kernel


@borrowing_kernel
def ready(state: Ints, params: Ints, command: int, b: int) -> int:
    """Earliest cycle at which `command` (ACT, PRE, RD or WR) may go to bank `b`, by the commands issued so far."""
    bank = bank_at(params, b)
    at = max(state[bank + command], max(state[state[bank + BANK_GROUP] + command], state[RANK_READY + command]))
    if command == ACT:
        at = max(at, state[ACT_TIME + state[OLDEST_ACT]] + params[P_FAW])
    return at


@borrowing_kernel
def ready_all(state: Ints, params: Ints) -> int:
    """Earliest cycle of the next step of a refresh with one PRE of all banks: that PRE while a row is open, else REF."""
    closed = True
    at = state[RANK_READY + PRE]
    for b in range(params[P_BANKS]):
        if state[bank_at(params, b) + BANK_ROW] != NONE:
            closed = False
        at = max(at, state[bank_at(params, b) + PRE])
    return state[RANK_READY + REF] if closed else at


@borrowing_kernel
def write_log(state: Ints, params: Ints, log: Ints, now: int, command: int, b: int, row: int, column: int) -> None:
    """Append a command to the log as far as it has room; count it either way."""
    at = state[LOGGED]
    if at < log.shape[0]:
        log[at, 0] = now
        log[at, 1] = command
        log[at, 2] = b // params[P_BANKS_PER_GROUP] if b != NONE else NONE
        log[at, 3] = b % params[P_BANKS_PER_GROUP] if b != NONE else NONE
        log[at, 4] = row
        log[at, 5] = column
    state[LOGGED] = at + 1


@borrowing_kernel
def push_scope(state: Ints, params: Ints, scope: int, command: int, where: int, now: int) -> None:
    """Move the earliest cycles that start at `where` behind `command`, as far as the table's rows of `scope` say."""
    row = P_TABLE + (scope * N_COMMANDS + command) * N_COMMANDS
    for after in range(N_COMMANDS):
        state[where + after] = max(state[where + after], now + params[row + after])


@borrowing_kernel
def push(state: Ints, params: Ints, command: int, b: int, now: int) -> None:
    """Move the earliest cycles of all later commands behind `command`, issued to bank `b` in cycle `now`."""
    push_scope(state, params, SAME_BANK, command, bank_at(params, b), now)
    push_scope(state, params, SAME_GROUP, command, state[bank_at(params, b) + BANK_GROUP], now)
    push_scope(state, params, RANK, command, RANK_READY, now)


@borrowing_kernel
def issue_act(state: Ints, params: Ints, log: Ints, b: int, row: int, now: int) -> None:
    """Open `row` of bank `b`."""
    push(state, params, ACT, b, now)
    state[ACT_TIME + state[OLDEST_ACT]] = now
    state[OLDEST_ACT] = (state[OLDEST_ACT] + 1) & 3
    if params[P_AAD] > 0:
        state[ACT2_DEADLINE] = now + params[P_AAD]
    state[bank_at(params, b) + BANK_ROW] = row
    state[bank_at(params, b) + BANK_HITS] = 0
    state[ACTIVATES] += 1
    write_log(state, params, log, now, ACT, b, row, NONE)


@borrowing_kernel
def issue_act2(state: Ints, params: Ints, log: Ints, now: int) -> None:
    """The second command of the last ACT."""
    state[ACT2_DEADLINE] = NEVER
    write_log(state, params, log, now, ACT2, NONE, NONE, NONE)


@borrowing_kernel
def issue_pre(state: Ints, params: Ints, log: Ints, b: int, now: int) -> None:
    """Close bank `b`, or every bank if `b` is NONE."""
    state[PRECHARGES] += 1
    write_log(state, params, log, now, PRE, b, NONE, NONE)
    if b != NONE:
        push(state, params, PRE, b, now)
        state[bank_at(params, b) + BANK_ROW] = NONE
        return
    for each in range(params[P_BANKS]):
        push(state, params, PRE, each, now)
        state[bank_at(params, each) + BANK_ROW] = NONE


@borrowing_kernel
def issue_ref(state: Ints, params: Ints, log: Ints, now: int) -> None:
    """Refresh every bank."""
    push_scope(state, params, RANK, REF, RANK_READY, now)
    state[REFRESH_PENDING] -= 1
    state[REFRESHES] += 1
    write_log(state, params, log, now, REF, NONE, NONE, NONE)


@borrowing_kernel
def issue_column(state: Ints, params: Ints, log: Ints, command: int, b: int, column: int, now: int) -> int:
    """RD or WR of `column` in bank `b`'s open row; the cycle after its last data on the bus.

    If the data clock stands still, a CAS goes first and the RD or WR follows in the next cycle.
    """
    if params[P_WCK_POST] != NONE and now >= state[WCK_UNTIL]:
        write_log(state, params, log, now, CAS, b, NONE, NONE)
        now += 1
        state[COMMAND_FROM] = now + 1
    push(state, params, command, b, now)
    state[bank_at(params, b) + BANK_HITS] += 1
    if state[LAST_COLUMN] == RD + WR - command:
        state[TURNAROUNDS] += 1
    state[LAST_COLUMN] = command
    if command == RD:
        state[READS] += 1
        end = now + params[P_CL] + params[P_BURST]
    else:
        state[WRITES] += 1
        end = now + params[P_CWL] + params[P_BURST]
    state[END] = max(state[END], end)
    state[WCK_UNTIL] = max(state[WCK_UNTIL], end + params[P_WCK_POST])
    state[PRECHARGES_AT_END] = state[PRECHARGES]
    state[REFRESHES_AT_END] = state[REFRESHES]
    write_log(state, params, log, now, command, b, state[bank_at(params, b) + BANK_ROW], column)
    return end

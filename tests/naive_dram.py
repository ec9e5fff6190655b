"""A DRAM channel clock by clock, in plain Python, and a checker of command streams: the slow and obvious twins of the kernels.

Written from the constraint formulas of the carried references and from the two policies' descriptions; shares nothing with
`accelsim/kernels`. Every rule is asked in every cycle of the whole history that it concerns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.hw.dram.controller import ControllerPolicy
from accelsim.hw.dram.device import DramDevice

ACT, PRE, RD, WR, REF, ACT2, CAS = range(7)
NONE = -1
Rule = tuple[int, int, str, int]
Entry = tuple[int, int, int, int, int, int]  # cycle, command, bank group, bank in it, row, column
Transfer = tuple[int, int, int, int]  # arrival cycle, is write, first burst, bursts


def rules(d: DramDevice) -> list[Rule]:
    """(before, after, scope, cycles) for every distance; scopes: bank, group (same bank group), others (another bank group), rank."""
    read_to_write = d.n_cl + d.n_burst + d.n_rtw_gap - d.n_cwl
    write_end = d.n_cwl + d.n_burst
    found = [
        (ACT, RD, "bank", d.n_rcd),
        (ACT, WR, "bank", d.n_rcd),
        (ACT, PRE, "bank", d.n_ras),
        (ACT, ACT, "bank", d.n_rc),
        (PRE, ACT, "bank", d.n_rp),
        (RD, PRE, "bank", d.n_rtp),
        (WR, PRE, "bank", write_end + d.n_wr),
        (ACT, ACT, "group", d.n_rrd_l),
        (ACT, ACT, "others", d.n_rrd_s),
        (WR, RD, "group", write_end + d.n_wtr_l),
        (WR, RD, "others", write_end + d.n_wtr_s),
        (RD, WR, "rank", read_to_write),
        (PRE, REF, "rank", d.n_rp),
        (REF, ACT, "rank", d.n_rfc),
        (REF, REF, "rank", d.n_rfc),
    ]
    for column in (RD, WR):
        found += [(column, column, "group", max(d.n_burst, d.n_ccd_l)), (column, column, "others", max(d.n_burst, d.n_ccd_s))]
    return found


def concerns(scope: str, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether a rule holds between two (bank group, bank); NONE is every bank."""
    if scope == "rank" or NONE in before or NONE in after:
        return True
    if scope == "bank":
        return before == after
    return (before[0] == after[0]) == (scope == "group")


def violations(log: list[Entry], d: DramDevice) -> list[str]:
    """What a command stream does that the device forbids: distances, the window of four ACT, states, the bus, refresh."""
    found: list[str] = []
    every = rules(d)
    open_row: dict[tuple[int, int], int] = {}
    recent: list[Entry] = []
    longest = max([cycles for *_, cycles in every] + [d.n_faw])
    data_free = refreshes = 0
    last_cycle = -1
    for entry in log:
        cycle, command, group, bank, row, _ = entry
        at = (group, bank)
        if cycle <= last_cycle:
            found.append(f"{cycle}: two commands in a cycle")
        last_cycle = cycle
        recent = [other for other in recent if other[0] > cycle - longest]
        for before, after, scope, cycles in every:
            for other in recent:
                if command == after and other[1] == before and concerns(scope, other[2:4], at) and cycle - other[0] < cycles:
                    found.append(f"{cycle}: {before} to {after} in {scope} after {cycle - other[0]} < {cycles}")
        if command == ACT:
            if sum(other[1] == ACT and cycle - other[0] < d.n_faw for other in recent) > 3:
                found.append(f"{cycle}: five ACT in {d.n_faw}")
            if at in open_row:
                found.append(f"{cycle}: ACT of an open bank")
            open_row[at] = row
        elif command == PRE:
            open_row = {} if NONE in at else {key: value for key, value in open_row.items() if key != at}
        elif command in (RD, WR):
            if open_row.get(at) != row:
                found.append(f"{cycle}: row {row} is not open")
            start = cycle + (d.n_cl if command == RD else d.n_cwl)
            if start < data_free:
                found.append(f"{cycle}: the data bus is taken until {data_free}")
            data_free = start + d.n_burst
        elif command == REF:
            refreshes += 1
            if open_row:
                found.append(f"{cycle}: REF with an open row")
            if cycle < refreshes * d.n_refi:
                found.append(f"{cycle}: refresh {refreshes} before it is due")
        recent.append(entry)
    return found


@dataclass
class Request:
    """One burst in the controller."""

    age: int
    accepted: int
    transfer: int
    write: bool
    group: int
    bank: int
    row: int
    column: int
    merged: list[Request] = field(default_factory=list)

    @property
    def at(self) -> tuple[int, int]:
        return (self.group, self.bank)

    def same(self, other: Request) -> bool:
        return (self.at, self.row, self.column) == (other.at, other.row, other.column)


class NaiveDram:
    """One channel; `run` replays transfers and fills `log`, `completed` (transfer -> cycle) and `latencies` (in order of service)."""

    def __init__(self, device: DramDevice, policy: ControllerPolicy, mapping: str, max_outstanding: int, slot_release: int = 1) -> None:
        self.d, self.policy, self.mapping = device, policy, mapping
        self.max_outstanding, self.slot_release = max_outstanding, slot_release
        self.rules_after = {after: [rule for rule in rules(device) if rule[1] == after] for after in range(5)}
        self.last: list[dict[tuple[int, int], int]] = [{} for _ in range(7)]  # command -> bank -> its latest cycle
        self.log: list[Entry] = []
        self.latencies: list[int] = []
        self.completed: dict[int, int] = {}
        self.left: dict[int, int] = {}
        self.open: dict[tuple[int, int], int] = {}
        self.hits: dict[tuple[int, int], int] = {}
        self.due = 0
        self.releases: list[int] = []  # the cycle at which each read in flight gives its place back; -1 while not known
        self.reads: list[Request] = []
        self.writes: list[Request] = []
        self.opened: list[Request] = []  # frfcfs: a row was opened for each of these
        self.write_mode = False
        self.act2: int | None = None
        self.bus_free = self.clock_until = 0
        self.age = 0
        self.queues: dict[tuple[int, int], list[Request]] = {
            (g, b): [] for g in range(device.bank_groups) for b in range(device.banks_per_group)
        }
        self.turn = list(self.queues)  # bank_queues: banks in the order in which they are asked
        self.draining = 0

    # the device

    def allowed(self, command: int, at: tuple[int, int], t: int) -> bool:
        for before, _, scope, cycles in self.rules_after[command]:
            for other, last in self.last[before].items():
                if t - last < cycles and concerns(scope, other, at):
                    return False
        return command != ACT or sum(entry[1] == ACT and t - entry[0] < self.d.n_faw for entry in self.log[-100:]) < 4

    def issue(self, t: int, command: int, at: tuple[int, int] = (NONE, NONE), row: int = NONE, column: int = NONE) -> None:
        self.log.append((t, command, *at, row, column))
        self.last[command][at] = t
        self.bus_free = t + 1
        if command == ACT:
            self.open[at], self.hits[at] = row, 0
            if self.policy.lpddr5_commands and self.d.n_aad:
                self.act2 = t + self.d.n_aad
        elif command == ACT2:
            self.act2 = None
        elif command == PRE:
            self.open = {} if NONE in at else {key: value for key, value in self.open.items() if key != at}
        elif command == REF:
            self.due -= 1

    def clock_stands(self, t: int) -> bool:
        return self.policy.lpddr5_commands and self.d.wck_sync and t >= self.clock_until

    def column(self, t: int, request: Request) -> None:
        command = WR if request.write else RD
        if self.clock_stands(t):
            self.issue(t, CAS, request.at)
            t += 1
        self.issue(t, command, request.at, request.row, request.column)
        self.hits[request.at] += 1
        end = t + (self.d.n_cwl if request.write else self.d.n_cl) + self.d.n_burst
        self.clock_until = max(self.clock_until, end + self.d.n_wck_post)
        if not request.write:
            for each in [request, *request.merged]:
                self.returns(each, end)

    def returns(self, request: Request, end: int) -> None:
        self.latencies.append(end - request.accepted)
        self.releases.remove(-1)
        self.releases.append(end + self.slot_release)
        self.ends(request.transfer, end)

    def ends(self, transfer: int, end: int) -> None:
        self.left[transfer] -= 1
        self.completed[transfer] = max(self.completed.get(transfer, 0), end)

    # frfcfs

    def frfcfs(self, t: int) -> None:
        if (self.act2 is not None and t >= self.act2) or (not self.frfcfs_request(t) and self.act2 is not None):
            self.issue(t, ACT2)

    def serve(self, t: int, request: Request, queue: list[Request]) -> bool:
        if self.clock_stands(t) and self.act2 is not None and self.act2 <= t + 1:
            return False
        queue.remove(request)
        self.column(t, request)
        return True

    def frfcfs_request(self, t: int) -> bool:
        for request in sorted(self.opened, key=lambda each: each.age):
            if self.allowed(WR if request.write else RD, request.at, t):
                return self.serve(t, request, self.opened)
        if self.due:
            if self.opened:
                return False
            command = PRE if self.open else REF
            if any(not self.allowed(command, at, t) for at in (self.open or [(NONE, NONE)])):
                return False
            self.issue(t, command)
            return True
        self.switch()
        queue = self.writes if self.write_mode else self.reads
        for request in queue:
            row = self.open.get(request.at)
            if row is None:
                if self.act2 is None and self.allowed(ACT, request.at, t):
                    queue.remove(request)
                    self.opened.append(request)
                    self.issue(t, ACT, request.at, request.row)
                    return True
            elif row == request.row:
                if self.allowed(WR if request.write else RD, request.at, t):
                    return self.serve(t, request, queue)
            elif not any(other.at == request.at for other in self.opened):
                older = queue[: queue.index(request)]
                hit = any(other.at == request.at and other.row == row for other in older)
                if not (self.policy.row_hits_first and hit) and self.allowed(PRE, request.at, t):
                    self.issue(t, PRE, request.at)
                    return True
        return False

    def switch(self) -> None:
        writes, reads = len(self.writes), len(self.reads)
        if not self.write_mode:
            self.write_mode = writes > self.policy.drain_above or reads == 0
        else:
            self.write_mode = not (writes < self.policy.drain_below and reads > 0)

    # bank_queues

    def in_turn(self, t: int) -> None:
        if self.due:
            for at in self.queues:
                if at in self.open and self.allowed(PRE, at, t):
                    self.issue(t, PRE, at)
                    return
            if not self.open and self.allowed(REF, (NONE, NONE), t):
                self.issue(t, REF)
            return
        for at in self.turn:
            for place, request in enumerate(self.queues[at]):
                if self.bank_command(t, at, place, request):
                    index = self.turn.index(at) + 1
                    self.turn = self.turn[index:] + self.turn[:index]
                    return

    def bank_command(self, t: int, at: tuple[int, int], place: int, request: Request) -> bool:
        queue, row = self.queues[at], self.open.get(at)
        if row is None:
            if not self.allowed(ACT, at, t):
                return False
            self.issue(t, ACT, at, request.row)
        elif row == request.row:
            waits = request.write and any(not other.write and other.same(request) for other in queue[:place])
            if waits or not self.allowed(WR if request.write else RD, at, t):
                return False
            queue.remove(request)
            self.column(t, request)
        else:
            hits = any(other.row == row for other in queue[1:]) and self.hits[at] < self.policy.hits_before_cut
            if place or hits or not self.allowed(PRE, at, t):
                return False
            self.issue(t, PRE, at)
        return True

    def move(self) -> None:
        empty = not any(self.queues.values())
        if not self.draining and (len(self.writes) >= self.policy.write_queue or (len(self.writes) > self.policy.drain_above and empty)):
            self.draining = len(self.writes)
        for request in self.writes if self.draining else self.reads:
            if len(self.queues[request.at]) < self.policy.bank_queue:
                if request.write:
                    request = next((read for read in self.reads if read.same(request)), request)  # that read goes first
                self.draining -= request.write
                (self.writes if request.write else self.reads).remove(request)
                self.queues[request.at].append(request)
                return

    # offers

    def fields(self, burst: int) -> tuple[int, int, int, int]:
        d = self.d
        if self.mapping == "RoBaBgCo":
            burst, column = divmod(burst, d.bursts_per_row)
            burst, group = divmod(burst, d.bank_groups)
            row, bank = divmod(burst, d.banks_per_group)
        else:
            burst, group = divmod(burst, d.bank_groups)
            burst, bank = divmod(burst, d.banks_per_group)
            row, column = divmod(burst, d.bursts_per_row)
        return group, bank, row, column

    def accept(self, t: int, transfer: int, write: bool, burst: int) -> None:
        request = Request(self.age, t, transfer, write, *self.fields(burst))
        if write:
            self.ends(transfer, t)
        else:
            self.releases.append(-1)
        in_banks = [other for queue in self.queues.values() for other in queue]
        pending = self.writes + [other for other in self.opened + in_banks if other.write]
        if any(request.same(other) for other in pending):
            if not write:
                self.returns(request, t + 1)
            return
        if not write and self.policy.kind == "bank_queues":
            for other in self.reads + [each for each in in_banks if not each.write]:
                if other.same(request):
                    other.merged.insert(0, request)
                    return
        self.age += 1
        (self.writes if write else self.reads).append(request)

    def run(self, transfers: list[Transfer], cycles: int) -> None:
        """Replay `transfers` for `cycles` cycles."""
        bursts = [
            (arrival, bool(write), first + i, number)
            for number, (arrival, write, first, count) in enumerate(transfers)
            for i in range(count)
        ]
        self.left = {number: count for number, (*_, count) in enumerate(transfers)}
        for t in range(cycles):
            if t and t % self.d.n_refi == 0:
                self.due += 1
            if t >= self.bus_free:
                if self.policy.kind == "frfcfs":
                    self.frfcfs(t)
                else:
                    self.in_turn(t)
            self.releases = [cycle for cycle in self.releases if cycle < 0 or cycle > t]
            if bursts and t >= bursts[0][0]:
                _, write, burst, number = bursts[0]
                free = len(self.writes) < self.policy.write_queue if write else len(self.reads) < self.policy.read_queue
                if free and (write or len(self.releases) < self.max_outstanding):
                    bursts.pop(0)
                    self.accept(t, number, write, burst)
            if self.policy.kind == "bank_queues":
                self.move()

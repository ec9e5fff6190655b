"""Where activations live: addresses in the activation buffer, and what is spilled to DRAM when it does not fit.

A tensor's place is free again only for operations that cannot start before its last reader has ended; what an operation
waits for is known from its place in the order of the array and from its operands. Where that does not fit, the place is
free with the last reader, and the next tenant's writer gets a barrier. Placement is greedy (at the lowest address
that is free while a tensor lives), in several orders, of which the tightest is taken. An element-wise or row function writes
over the operand that nobody reads after it. When it does not fit, the tensor that idles longest
across the fullest operation is written out after its last use before the gap and read back before the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from accelsim.compiler.plan import Plan, Tensor, TensorId
from accelsim.errors import CompileError
from accelsim.quantities import human_bytes

ALIGNMENT = 64  # bytes: no two tensors share a burst or a word


class ActivationsTooLarge(CompileError):
    """The activation buffer is short by `short_bytes`."""

    def __init__(self, message: str, short_bytes: int) -> None:
        super().__init__(message)
        self.short_bytes = short_bytes


@dataclass(frozen=True)
class Residency:
    """One stay of a tensor in the buffer.

    Attributes
    ----------
    first, last : operations between which it stays; the first writes it (or begins its read from DRAM)
    readers : operations that read it during this stay
    loaded : it comes from DRAM; stored : it goes there when it is complete
    offset : byte address in the buffer
    """

    tensor: TensorId
    first: int
    last: int
    readers: tuple[int, ...]
    loaded: bool
    stored: bool
    bytes: int
    offset: int = 0


@dataclass(frozen=True)
class Allocation:
    """All stays with their addresses, and the most bytes in use at once.

    `barriers`: operation -> earlier readers that it must wait for before it writes, because it takes their operands' place.
    """

    residencies: tuple[Residency, ...]
    peak_bytes: int
    spilled: tuple[TensorId, ...]
    barriers: Mapping[int, tuple[int, ...]]

    def of(self, tensor: TensorId) -> list[Residency]:
        """Stays of a tensor, in time order."""
        return self._by_tensor.get(tensor, [])

    @cached_property
    def _by_tensor(self) -> dict[TensorId, list[Residency]]:
        out: dict[TensorId, list[Residency]] = {}
        for item in self.residencies:
            out.setdefault(item.tensor, []).append(item)
        return out


def allocate(plan: Plan, capacity_bytes: int, may_spill: bool, always_spill: bool = False) -> Allocation:
    """Place every tensor of `plan` in a buffer of `capacity_bytes`.

    Raises
    ------
    ActivationsTooLarge
        It does not fit: names the operation, what is live there, and by how many bytes the buffer is short.
    """
    order = _Order(plan)
    hosts = {} if always_spill else _hosts(plan, order)
    if not always_spill:
        tight_stays = [_whole(tensor, order, True) for tensor in plan.tensors.values()]
        fits = _most_live(_shared(tight_stays, hosts)[1]) <= capacity_bytes  # else no placement does, and the others need not be tried
        for tight in (False, True) if fits else (True,):
            stays = tight_stays if tight else [_whole(tensor, order, False) for tensor in plan.tensors.values()]
            placed, peak = _place(stays, hosts, capacity_bytes)
            if peak <= capacity_bytes:
                return Allocation(tuple(placed), peak, (), _barriers(plan, placed, order) if tight else {})
        if not may_spill:
            why = " and placement.activations = 'none' allows no spill"
            raise _too_small(plan, placed, hosts, peak - capacity_bytes, capacity_bytes, why)
    stays = [_whole(tensor, order, False) for tensor in plan.tensors.values()]
    if always_spill:
        stays = [piece for stay in stays for piece in _every_use_apart(plan.tensors[stay.tensor], stay, order)]
    spilled: list[TensorId] = [stay.tensor for stay in stays if stay.stored] if always_spill else []
    while True:
        placed, peak = _place(stays, hosts, capacity_bytes)
        if peak <= capacity_bytes:
            return Allocation(tuple(placed), peak, tuple(spilled), {})
        at = _fullest(stays, len(plan.ops))
        victim = _victim(stays, at, plan)
        if victim is None:
            raise _too_small(plan, placed, hosts, peak - capacity_bytes, capacity_bytes, "")
        stays.remove(victim)
        stays += _split(plan.tensors[victim.tensor], victim, at, order)
        spilled.append(victim.tensor)


def _too_small(
    plan: Plan, stays: list[Residency], hosts: dict[TensorId, TensorId], short_bytes: int, capacity_bytes: int, why: str
) -> ActivationsTooLarge:
    """What is live where the buffer is fullest, and by how much that is too much."""
    at = _fullest(stays, len(plan.ops))
    live: dict[TensorId, Residency] = {}
    for stay in stays:
        if stay.first <= at <= stay.last:
            live.setdefault(hosts.get(stay.tensor, stay.tensor), stay)
    names = ", ".join(f"{_name(stay.tensor)} {human_bytes(stay.bytes)}" for stay in sorted(live.values(), key=lambda item: -item.bytes)[:6])
    return ActivationsTooLarge(
        f"layer {plan.ops[at].layer.name!r}: activation_buffer.capacity = {capacity_bytes} B is short by {short_bytes} B{why}; "
        f"live there: {names}",
        short_bytes,
    )


def _name(tensor: TensorId) -> str:
    return tensor.name if tensor.part < 0 else f"{tensor.name}[{tensor.part}]"


class _Order:
    """What is sure to have ended before an operation writes its first result."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.runs_before: list[int] = []  # operations below this index that run on the array have issued every row
        ended: list[frozenset[int]] = []  # row functions that have ended once this operation has
        for op in plan.ops:
            producers = [producer for key, _ in op.reads for producer in plan.tensors[key].producers]
            if op.on_array:
                self.runs_before.append(op.index)
            else:
                self.runs_before.append(max((self.runs_before[p] if not plan.ops[p].on_array else p for p in producers), default=0))
            awaited = [
                p for key, role in op.reads if role != "operand" or not op.on_array for p in plan.tensors[key].producers
            ]  # what a drain reads is not awaited by the array
            closure = frozenset().union(*(ended[p] for p in awaited)) if awaited else frozenset()
            ended.append(closure if op.on_array else closure | {op.index})
        self._ended = ended
        self._vector_done: list[frozenset[int]] = []  # by operation: row functions ended once all array operations below have issued
        done: frozenset[int] = frozenset()
        for op in plan.ops:
            self._vector_done.append(done)
            if op.on_array:
                done |= ended[op.index]

    def safe(self, reader: int, writer: int) -> bool:
        """Whether `writer` cannot write before `reader` has read everything."""
        if writer <= reader:
            return False
        first, second = self.plan.ops[reader], self.plan.ops[writer]
        if not first.on_array and not second.on_array:
            return True  # row functions run in order
        limit = self.runs_before[writer]
        if first.on_array:
            return first.index < limit  # its drain, which may read too, goes before every later drain
        return reader in self._vector_done[min(limit, len(self.plan.ops) - 1)]

    def free_from(self, readers: Iterable[int]) -> int:
        """First operation from which on every writer is safe after all `readers`."""
        last = max(readers)
        unsafe = last
        for writer in range(last + 1, min(last + 33, len(self.plan.ops))):
            if not all(self.safe(reader, writer) for reader in readers):
                unsafe = writer
        return unsafe + 1


def _barriers(plan: Plan, stays: list[Residency], order: _Order) -> dict[int, tuple[int, ...]]:
    """Operation -> readers of what lay in its place that could still be reading when it writes."""
    out: dict[int, tuple[int, ...]] = {}
    for stay in stays:
        for writer in plan.tensors[stay.tensor].producers:
            readers = {
                reader
                for other in stays
                if other.last < stay.first and other.offset < stay.offset + stay.bytes and stay.offset < other.offset + other.bytes
                for reader in (*other.readers, *plan.tensors[other.tensor].producers)
                if not order.safe(reader, writer)
            }
            if readers:
                out[writer] = tuple(sorted(readers))
    return out


def _whole(tensor: Tensor, order: _Order, tight: bool) -> Residency:
    """The stay of a tensor that is never spilled; a tight one ends with its last reader, whose end the next tenant must await."""
    first = tensor.producers[0] if tensor.producers else 0
    end = len(order.plan.ops) - 1
    uses = [*tensor.readers, *tensor.producers]
    last = end if tensor.is_output or not tensor.readers else max(uses) if tight else min(end, order.free_from(uses) - 1)
    return Residency(tensor.id, first, last, tuple(tensor.readers), tensor.is_input, tensor.is_output, _aligned(tensor.bytes))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _split(tensor: Tensor, stay: Residency, at: int, order: _Order) -> list[Residency]:
    """`stay` as two: up to the last use before operation `at`, and from shortly before the next use."""
    before = tuple(op for op in stay.readers if op < at)
    after = tuple(op for op in stay.readers if op > at)
    used = [*before, *(op for op in tensor.producers if stay.first <= op < at), stay.first]
    out_last = min(order.free_from(used) - 1, at - 1)
    return [
        Residency(stay.tensor, stay.first, max(out_last, max(used)), before, stay.loaded, True, stay.bytes),
        Residency(stay.tensor, max(at + 1, after[0] - 1), stay.last, after, True, stay.stored and tensor.is_output, stay.bytes),
    ]


def _every_use_apart(tensor: Tensor, stay: Residency, order: _Order) -> list[Residency]:
    """`stay` as one for its producers and one for each reader: every tensor goes through DRAM."""
    out: list[Residency] = []
    if tensor.producers:
        last = min(order.free_from(tensor.producers) - 1, len(order.plan.ops) - 1)
        out.append(Residency(stay.tensor, stay.first, last, (), False, True, stay.bytes))
    for reader in stay.readers:
        last = min(order.free_from([reader]) - 1, len(order.plan.ops) - 1)
        out.append(Residency(stay.tensor, reader, last, (reader,), True, False, stay.bytes))
    return out


def _place(stays: list[Residency], hosts: dict[TensorId, TensorId], capacity_bytes: int) -> tuple[list[Residency], int]:
    """The best of several greedy placements, results over their hosts; (stays with offsets in time order, bytes used or needed).

    Tensors of nearly the same size leave gaps that none of them fits, so places are first tried in steps of 1/128 of the buffer.
    """
    members, groups = _shared(stays, hosts)
    best: tuple[int, list[int]] | None = None
    least = _most_live(groups)
    if least > capacity_bytes:  # no placement fits
        return sorted(stays, key=lambda stay: (stay.first, stay.tensor.name, stay.tensor.part)), least
    for step in (max(ALIGNMENT, capacity_bytes // 128 // ALIGNMENT * ALIGNMENT), ALIGNMENT):
        sized = [replace(group, bytes=-(-group.bytes // step) * step) for group in groups]
        for sort_key in _SORT_KEYS:
            offsets = _greedy(sized, sorted(range(len(sized)), key=lambda index: (sort_key(sized[index]), index)))
            peak = max((offset + group.bytes for offset, group in zip(offsets, groups, strict=True)), default=0)
            if best is None or peak < best[0]:
                best = (peak, offsets)
            if peak <= capacity_bytes:
                break
        if best is not None and best[0] <= capacity_bytes:
            break
    assert best is not None  # there is at least one order
    out = [replace(stay, offset=offset) for each, offset in zip(members, best[1], strict=True) for stay in each]
    return sorted(out, key=lambda stay: (stay.first, stay.offset)), best[0]


def _shared(stays: list[Residency], hosts: dict[TensorId, TensorId]) -> tuple[list[list[Residency]], list[Residency]]:
    """(stays that take one place together, for each of these a stay as long as all of them); what was split shares with nobody."""
    pieces = Counter(stay.tensor for stay in stays)
    apart = {hosts.get(tensor, tensor) for tensor, count in pieces.items() if count > 1}
    members: dict[tuple[TensorId, int], list[Residency]] = {}
    for index, stay in enumerate(stays):
        root = hosts.get(stay.tensor, stay.tensor)
        members.setdefault((root, -1) if root not in apart else (stay.tensor, index), []).append(stay)
    groups = [replace(each[0], first=min(s.first for s in each), last=max(s.last for s in each)) for each in members.values()]
    return list(members.values()), groups


def _most_live(stays: list[Residency]) -> int:
    """Most bytes that live at once: no placement uses less."""
    change: Counter[int] = Counter()
    for stay in stays:
        change[stay.first] += stay.bytes
        change[stay.last + 1] -= stay.bytes
    live = most = 0
    for op in sorted(change):
        live += change[op]
        most = max(most, live)
    return most


_SORT_KEYS: tuple[Callable[[Residency], tuple[int, ...]], ...] = (
    lambda stay: (-stay.bytes, stay.first),
    lambda stay: (stay.first - stay.last, -stay.bytes),  # longest first
    lambda stay: (stay.first, stay.first - stay.last),  # as they come
)


def _greedy(stays: list[Residency], order: list[int]) -> list[int]:
    """Offset of each stay: in `order`, each at the lowest address that is free while it lives."""
    offsets = [0] * len(stays)
    at_op: dict[int, list[int]] = {}  # operation -> stays placed that live during it
    for index in order:
        stay = stays[index]
        near = {other for op in range(stay.first, stay.last + 1) for other in at_op.get(op, ())}
        offset = 0
        for other in sorted(near, key=lambda item: offsets[item]):
            if offset + stay.bytes <= offsets[other]:
                break
            offset = max(offset, offsets[other] + stays[other].bytes)
        offsets[index] = offset
        for op in range(stay.first, stay.last + 1):
            at_op.setdefault(op, []).append(index)
    return offsets


def _hosts(plan: Plan, order: _Order) -> dict[TensorId, TensorId]:
    """Result -> the tensor whose place it takes: an operand of its own size that nobody reads after it."""
    host: dict[TensorId, TensorId] = {}
    for op in plan.ops:
        result = plan.tensors[op.writes]
        for key, role in op.reads:
            operand = plan.tensors[key]
            others = [reader for reader in operand.readers if reader != op.index]
            alone = len(result.producers) == 1 and not (operand.is_input or operand.is_output or result.is_output)
            if (
                role == "operand" and alone and operand.bytes == result.bytes and op.writes not in host
                and all(order.safe(reader, op.index) for reader in others)
            ):  # fmt: skip
                host[op.writes] = host.get(key, key)
    return host


def _fullest(stays: list[Residency], ops: int) -> int:
    """Operation during which most bytes are live."""
    change = [0] * (ops + 1)
    for stay in stays:
        change[stay.first] += stay.bytes
        change[stay.last + 1] -= stay.bytes
    live, best, at = 0, -1, 0
    for op in range(ops):
        live += change[op]
        if live > best:
            best, at = live, op
    return at


def _victim(stays: list[Residency], at: int, plan: Plan) -> Residency | None:
    """The stay that spans `at` without a use there, and for the longest time; None if all are used."""
    best: Residency | None = None
    longest = 1
    for stay in stays:
        producers = plan.tensors[stay.tensor].producers
        uses = sorted({*stay.readers, *(op for op in producers if stay.first <= op <= stay.last), stay.first})
        if not stay.first < at <= stay.last or at in uses:
            continue
        before = max(op for op in uses if op < at)
        after = min((op for op in uses if op > at), default=None)
        if after is None or any(op > at for op in producers):
            continue
        gap = after - before
        if gap > longest or (gap == longest and best is not None and stay.bytes > best.bytes):
            best, longest = stay, gap
    return best

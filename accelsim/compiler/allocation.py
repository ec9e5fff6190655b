"""Where activations live: addresses in the activation buffer, and what is spilled to DRAM when it does not fit.

A tensor's place is free again only for operations that cannot start before its last reader has ended; what an operation
waits for is known from its place in the order of the array and from its operands. Placement is greedy by size
(largest first, at the lowest address that is free while it lives). When it does not fit, the tensor that idles longest
across the fullest operation is written out after its last use before the gap and read back before the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accelsim.compiler.plan import Plan, Tensor, TensorId
from accelsim.errors import CompileError
from accelsim.quantities import human_bytes

ALIGNMENT = 64  # bytes: no two tensors share a burst or a word


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
    """All stays with their addresses, and the most bytes in use at once."""

    residencies: tuple[Residency, ...]
    peak_bytes: int
    spilled: tuple[TensorId, ...]

    def of(self, tensor: TensorId) -> list[Residency]:
        """Stays of a tensor, in time order."""
        return [item for item in self.residencies if item.tensor == tensor]


def allocate(plan: Plan, capacity_bytes: int, may_spill: bool, always_spill: bool = False) -> Allocation:
    """Place every tensor of `plan` in a buffer of `capacity_bytes`.

    Raises
    ------
    CompileError
        It does not fit: names the operation, what is live there, and by how many bytes the buffer is short.
    """
    order = _Order(plan)
    stays = [stay for tensor in plan.tensors.values() for stay in _whole(tensor, order)]
    if always_spill:
        stays = [piece for stay in stays for piece in _every_use_apart(plan.tensors[stay.tensor], stay, order)]
    spilled: list[TensorId] = [stay.tensor for stay in stays if stay.stored] if always_spill else []
    while True:
        placed, peak = _place(stays)
        if peak <= capacity_bytes:
            return Allocation(tuple(placed), peak, tuple(spilled))
        at = _fullest(stays, len(plan.ops))
        victim = _victim(stays, at, plan) if may_spill else None
        if victim is None:
            live = sorted((stay for stay in stays if stay.first <= at <= stay.last), key=lambda stay: -stay.bytes)
            short = max(peak, sum(stay.bytes for stay in live)) - capacity_bytes
            names = ", ".join(f"{_name(stay.tensor)} {human_bytes(stay.bytes)}" for stay in live[:6])
            why = "" if may_spill else " and placement.activations = 'none' allows no spill"
            raise CompileError(
                f"layer {plan.ops[at].layer.name!r}: activation_buffer.capacity = {capacity_bytes} B is short by {short} B{why}; "
                f"live there: {names}"
            )
        stays.remove(victim)
        stays += _split(plan.tensors[victim.tensor], victim, at, order)
        spilled.append(victim.tensor)


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


def _whole(tensor: Tensor, order: _Order) -> list[Residency]:
    """The stay of a tensor that is never spilled."""
    first = tensor.producers[0] if tensor.producers else 0
    end = len(order.plan.ops) - 1
    last = end if tensor.is_output or not tensor.readers else order.free_from([*tensor.readers, *tensor.producers]) - 1
    return [
        Residency(tensor.id, first, min(last, end), tuple(tensor.readers), tensor.is_input, tensor.is_output, _aligned(tensor.bytes))
    ]


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
        out.append(Residency(stay.tensor, max(stay.first, reader - 1), last, (reader,), True, False, stay.bytes))
    return out


def _place(stays: list[Residency]) -> tuple[list[Residency], int]:
    """Greedy by size; (stays with offsets in time order, bytes used)."""
    placed: list[Residency] = []
    for stay in sorted(stays, key=lambda item: (-item.bytes, item.first, item.tensor.name, item.tensor.part)):
        others = sorted((other for other in placed if other.first <= stay.last and stay.first <= other.last), key=lambda item: item.offset)
        offset = 0
        for other in others:
            if offset + stay.bytes <= other.offset:
                break
            offset = max(offset, other.offset + other.bytes)
        placed.append(Residency(**{**stay.__dict__, "offset": offset}))
    placed.sort(key=lambda item: (item.first, item.offset))
    return placed, max((stay.offset + stay.bytes for stay in placed), default=0)


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

"""Addresses for stays in a buffer: greedy, at the lowest address that is free while a tensor lives, in several orders; the tightest counts.

Results that may take the place of an operand share its address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from accelsim.compiler.plan import Plan, TensorId
from accelsim.compiler.precedence import Precedence
from accelsim.trace.layers import PoolLayer

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


def place(stays: list[Residency], hosts: dict[TensorId, TensorId], capacity_bytes: int) -> tuple[list[Residency], int]:
    """The best of several greedy placements, results over their hosts; (stays with offsets in time order, bytes used or needed).

    Tensors of nearly the same size leave gaps that none of them fits, so places are first tried in steps of 1/128 of the buffer.
    """
    members, groups = shared_places(stays, hosts)
    best: tuple[int, list[int]] | None = None
    least = most_live_bytes(groups)
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


def shared_places(stays: list[Residency], hosts: dict[TensorId, TensorId]) -> tuple[list[list[Residency]], list[Residency]]:
    """(stays that take one place together, for each of these a stay as long as all of them); what was split shares with nobody."""
    pieces = Counter(stay.tensor for stay in stays)
    apart = {hosts.get(tensor, tensor) for tensor, count in pieces.items() if count > 1}
    members: dict[tuple[TensorId, int], list[Residency]] = {}
    for index, stay in enumerate(stays):
        root = hosts.get(stay.tensor, stay.tensor)
        members.setdefault((root, -1) if root not in apart else (stay.tensor, index), []).append(stay)
    groups = [replace(each[0], first=min(s.first for s in each), last=max(s.last for s in each)) for each in members.values()]
    return list(members.values()), groups


def most_live_bytes(stays: list[Residency]) -> int:
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


def sharing_hosts(plan: Plan, order: Precedence) -> dict[TensorId, TensorId]:
    """Result -> the tensor whose place it takes: an operand of its own size that nobody reads after it."""
    host: dict[TensorId, TensorId] = {}
    for op in plan.ops:
        result = plan.tensors[op.writes]
        for key, role in op.reads:
            operand = plan.tensors[key]
            others = [reader for reader in operand.readers if reader not in result.producers]
            alone = (len(result.producers) == 1 or plan.in_bands(result)) and operand.whole is result.whole is None
            alone = alone and not (operand.is_input or operand.is_output or result.is_output)
            if (
                role == "operand" and alone and operand.bytes == result.bytes and op.writes not in host
                and all(order.safe(reader, result.producers[0]) for reader in others)
                and not isinstance(op.layer, PoolLayer)  # windows overlap
            ):  # fmt: skip
                host[op.writes] = host.get(key, key)
    return host

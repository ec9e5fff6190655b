"""The tiles of operations for a choice of tensors in DRAM, the bytes that these move, and the tensors that can leave the buffer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from accelsim.compiler.column_tiles import WideLayer, fewest_reads, finer_tiles, reads
from accelsim.compiler.placement import sharing_hosts
from accelsim.compiler.plan import Op, Plan, Region, Tensor, TensorId
from accelsim.compiler.precedence import Precedence
from accelsim.compiler.row_tiles import TileBytes, TileCounts, can_lie_in_dram, fewest_row_tiles, most_tiles, moved_regions
from accelsim.compiler.weights_read_again import RowTileCost


class RowTileChoice:
    """The consequences of tensors in DRAM and of finer row tiles for the operations of a plan: their tiles, and the bytes they move."""

    def __init__(self, plan: Plan, wide: Mapping[str, WideLayer], again: Mapping[str, RowTileCost], capacity_bytes: int) -> None:
        self.plan, self.order, self.sizes = plan, Precedence(plan), TileBytes(plan)
        self._wide, self._again, self._capacity_bytes = wide, again, capacity_bytes

    def tiles(
        self, ops: Sequence[Op], in_dram: Set[TensorId], finer: Mapping[str, int], hosts: Mapping[TensorId, TensorId] | None = None
    ) -> dict[int, TileCounts]:
        """The tiles of some operations; `hosts` as `sharing_hosts` has them, where they are known."""
        slots = sharing_hosts(self.plan, self.order, in_dram) if hosts is None else hosts
        return {
            op.index: _tiles(
                self.sizes, op, self._wide.get(op.layer.name), in_dram, slots, self._capacity_bytes, finer.get(op.layer.name, 1)
            )
            for op in ops
        }

    def without(self, finer: Mapping[str, int], leaving: Set[TensorId]) -> dict[str, int]:
        """`finer` but for the layers that touch what leaves: their tiles are chosen afresh."""
        touched = {op.layer.name for op in self.plan.ops if touches(op, leaving)}
        return {name: factor for name, factor in finer.items() if name not in touched}

    def cost_of_moving(
        self, keys: Set[TensorId], in_dram: Set[TensorId], finer: Mapping[str, int], hosts: Mapping[TensorId, TensorId] | None = None
    ) -> int:
        """Bytes that are moved more if some tensors go to DRAM as well, by all operations that touch them: fewer if negative."""
        tensors = [self.plan.tensors[key] for key in keys]
        users = sorted({index for tensor in tensors for index in (*tensor.producers, *tensor.readers)})
        touched = [self.plan.ops[index] for index in users]
        crossing = sum(tensor.bytes * (tensor.is_input + tensor.is_output) for tensor in tensors)  # pass the memory in any case
        moved = self._moved_bytes(touched, in_dram | keys, self.without(finer, keys), hosts)
        return moved - self._moved_bytes(touched, in_dram, finer, hosts) - crossing

    def cost_of_halving(self, op: Op, in_dram: Set[TensorId], finer: Mapping[str, int], halved: Mapping[str, int]) -> int:
        """Bytes that an operation moves more if it has the row tiles of `halved`."""
        return self._moved_bytes([op], in_dram, halved) - self._moved_bytes([op], in_dram, finer)

    def move_what_is_cheaper(self, in_dram: set[TensorId], finer: Mapping[str, int]) -> None:
        """Add to `in_dram` each tensor, or those of a slot together, whose move saves more reads of weights than their rows have bytes.

        The operations whose row tiles read most weights again come first. Reads of heads by themselves are not weighed.
        """
        plan = self.plan
        hosts = sharing_hosts(plan, self.order, in_dram)
        counts = self.tiles(plan.ops, in_dram, finer, hosts)
        again = {op.index: self._read_again(op, counts[op.index]) for op in plan.ops}
        weighed: set[TensorId] = set(in_dram)
        for index in sorted((index for index, size in again.items() if size), key=lambda index: -again[index]):
            movable = [key for key in touched(plan.ops[index]) if key not in weighed and self._can_leave_whole(key)]
            for key in movable:
                if key in weighed:
                    continue
                alike = alike_tensors(plan, key)
                weighed |= alike
                if self.cost_of_moving({key}, in_dram, finer, hosts) < 0:
                    in_dram |= alike
            slots: dict[TensorId, set[TensorId]] = {}
            for key in movable:
                slots.setdefault(hosts.get(key, key), set()).add(key)
            for keys in slots.values():
                if len(keys) > 1 and in_dram.isdisjoint(keys) and self.cost_of_moving(keys, in_dram, finer, hosts) < 0:
                    in_dram |= {other for key in keys for other in alike_tensors(plan, key)}

    def _can_leave_whole(self, key: TensorId) -> bool:
        """Whether a tensor can lie in DRAM, and no head reads it by itself."""
        tensor = self.plan.tensors[key]
        return can_lie_in_dram(self.plan, tensor) and all(self.plan.ops[user].head < 0 for user in tensor.readers)

    def _moved_bytes(
        self, ops: Sequence[Op], in_dram: Set[TensorId], finer: Mapping[str, int], hosts: Mapping[TensorId, TensorId] | None = None
    ) -> int:
        counts = self.tiles(ops, in_dram, finer, hosts)
        regions: dict[tuple[str, TensorId, Region], int] = {}
        for op in ops:
            regions |= moved_regions(self.plan, op, in_dram, counts[op.index].rows)
        return sum(regions.values()) + sum(self._read_again(op, counts[op.index]) for op in ops)

    def _read_again(self, op: Op, counts: TileCounts) -> int:
        """Bytes of weights that an operation reads after the first time, or the time to load them in bytes."""
        wide = self._wide.get(op.layer.name)
        times = counts.rows if wide is None else reads(self.plan, op, wide, counts.rows)
        cost = self._again.get(op.layer.name)
        return 0 if cost is None or times == 1 else cost.more(times, op.m)


def alike_tensors(plan: Plan, key: TensorId) -> set[TensorId]:
    """A tensor, and those at the same place in the other blocks of a network of attentions: what one block lacks, all lack."""
    if not plan.attentions:
        return {key}
    place = _place_of(plan, plan.tensors[key])
    return {key, *(other for other, tensor in plan.tensors.items() if other.part < 0 and _place_of(plan, tensor) == place)}


def _place_of(plan: Plan, tensor: Tensor) -> tuple[object, ...]:
    """The size of a tensor, and the operations that write and read it."""
    users = (plan.ops[index] for index in (*tensor.producers[:1], *tensor.readers[:1], *tensor.readers[-1:]))
    return (tensor.bytes, len(tensor.producers), len(tensor.readers), *((op.layer.op, op.head >= 0, op.m, op.k, op.n) for op in users))


def _tiles(
    sizes: TileBytes,
    op: Op,
    wide: WideLayer | None,
    in_dram: Set[TensorId],
    hosts: Mapping[TensorId, TensorId],
    capacity_bytes: int,
    factor: int,
) -> TileCounts:
    """Tiles of `op`: the fewest row tiles that fit beside the tensors idle on chip meanwhile; if none do, beside nothing."""
    plan = sizes.plan
    counts = TileCounts(1, wide.least_tiles if wide is not None else 1)
    if not touches(op, in_dram) or op.head >= 0:
        return counts
    parts, others = _idle_bytes(sizes, op, in_dram, hosts)
    room = capacity_bytes - touched_bytes(plan, op, in_dram, hosts) - parts
    most = most_tiles(plan, op)
    count = fewest_row_tiles(sizes, op, in_dram, room - others)
    if count == most:
        count = fewest_row_tiles(sizes, op, in_dram, room)
    counts = counts._replace(rows=count)
    if wide is not None:
        counts = fewest_reads(sizes, op, wide, in_dram, room, count) or counts
    return finer_tiles(plan, op, wide, counts, factor)


def touches(op: Op, in_dram: Set[TensorId]) -> bool:
    return not in_dram.isdisjoint((op.writes, *(key for key, _ in op.reads)))


def touched_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId]) -> int:
    """Bytes of the slots that the operands and results of `op` occupy whole."""
    return sum(plan.tensors[key].bytes for key in _touched_slots(op, in_dram, hosts))


def _idle_bytes(sizes: TileBytes, op: Op, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId]) -> tuple[int, int]:
    """Bytes of the other slots occupied whole during `op`, by tensors idle until a later reader: (of scores, which stay; of all others)."""
    plan = sizes.plan
    apart = in_dram | {op.writes, *(key for key, _ in op.reads)}
    idle = {hosts.get(key, key): plan.is_part(key) for key in sizes.spanning(op) if key not in apart}
    touched, found = _touched_slots(op, in_dram, hosts), [0, 0]
    for key, is_part in idle.items():
        found[not is_part] += plan.tensors[key].bytes if key not in touched else 0
    return found[0], found[1]


def _touched_slots(op: Op, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId]) -> set[TensorId]:
    used = {op.writes, *(key for key, _ in op.reads)}
    return {hosts.get(key, key) for key in used if key not in in_dram}


def touched(op: Op) -> list[TensorId]:
    """Operands and result of an operation."""
    return list(dict.fromkeys((*(key for key, _ in op.reads), op.writes)))


def largest(plan: Plan, keys: Sequence[TensorId], in_dram: Set[TensorId]) -> TensorId | None:
    """The largest tensor of `keys` that can go to DRAM; among equals the one that is read least often."""
    found = [plan.tensors[key] for key in keys if key not in in_dram and can_lie_in_dram(plan, plan.tensors[key])]
    return max(found, key=lambda tensor: (tensor.bytes, -_times_read(plan, tensor))).id if found else None


def _times_read(plan: Plan, tensor: Tensor) -> int:
    """Number of layers that read a tensor: the heads of one read their parts of it once together."""
    return len({plan.ops[reader].layer.name for reader in tensor.readers})

"""The choice of tensors in DRAM and of row tiles per operation, and the slots of those rows in the activation buffer.

Greedy: the largest tensor of the operation that is short of room goes to DRAM, and each operation takes the fewest row tiles that fit;
then a tensor that leaves its operations so little room that they read their weights more often than it would cost to move goes there too.
A row tile's rows are loaded under the row tile before, and stored under the one after, where there is room; else at their turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from accelsim.compiler.allocation import (
    IN_ROW_TILES,
    ActivationsTooLarge,
    Allocation,
    aligned,
    barriers,
    idlest,
    short_of_room,
    split_range,
    too_small,
    whole_range,
)
from accelsim.compiler.column_tiles import WideLayer, WideLayers, fewest_reads, finer_tiles
from accelsim.compiler.live_bytes import LiveBytes
from accelsim.compiler.placement import LiveRange, place, sharing_hosts, tightest
from accelsim.compiler.plan import Op, Plan, Tensor, TensorId
from accelsim.compiler.precedence import Precedence
from accelsim.compiler.row_tiles import TileBytes, TileCounts, can_lie_in_dram, fewest_row_tiles, most_tiles, row_tile_bytes, rows_moved
from accelsim.compiler.split_plan import split_plan
from accelsim.compiler.weights_read_again import WeightsReadAgain


def allocate_in_row_tiles(
    plan: Plan, capacity_bytes: int, wide_layers: WideLayers, weights_read_again: WeightsReadAgain
) -> tuple[Plan, Allocation]:
    """`plan` with operations in row tiles, products of `wide_layers` in column tiles as well, and the slot of every tensor.

    The buffer is too small for `plan` as it is. `weights_read_again`: bytes that each row tile of a layer reads.

    Raises
    ------
    ActivationsTooLarge
        A single line of what cannot be split further does not fit: see `allocate`.
    """
    order = Precedence(plan)
    _check_single_lines(plan, sharing_hosts(plan, order), capacity_bytes)
    wide = dict(wide_layers)
    choice = _Choice(TileBytes(plan), order, wide, dict(weights_read_again), capacity_bytes)
    in_dram = _sure_to_leave(choice.sizes, order, wide, capacity_bytes)
    choice.move_what_is_cheaper(in_dram)
    finer: dict[int, int] = {}  # operation -> factor on its number of row tiles, where the first estimate left gaps
    while True:
        counts = choice.tiles(plan.ops, in_dram, finer)
        split, origins = split_plan(plan, in_dram, counts, wide)
        try:
            return split, _allocate(split, capacity_bytes)
        except ActivationsTooLarge as error:
            op = plan.ops[origins[error.at]]
            in_buffer = 2 * choice.sizes.of(op, in_dram, counts[op.index].rows)  # one row tile is moved while another is computed
            tensor = _largest(plan, op, in_dram)
            if error.short_bytes < in_buffer and counts[op.index].rows < most_tiles(plan, op):
                halved = finer | {op.index: 2 * finer.get(op.index, 1)}
                if tensor is None or choice.cost_of_moving(tensor, in_dram, finer) >= choice.cost_of_halving(op, in_dram, finer, halved):
                    finer = halved
                    continue
            if tensor is None:
                raise
            in_dram.add(tensor)
            finer = {index: factor for index, factor in finer.items() if not _touches(plan.ops[index], {tensor})}


class _Choice:
    """The consequences of tensors in DRAM and of finer row tiles for operations: their tiles, and the bytes that they move."""

    def __init__(
        self, sizes: TileBytes, order: Precedence, wide: Mapping[str, WideLayer], again: Mapping[str, int], capacity_bytes: int
    ) -> None:
        self.plan, self.sizes = sizes.plan, sizes
        self._order, self._wide, self._again, self._capacity_bytes = order, wide, again, capacity_bytes

    def tiles(self, ops: Sequence[Op], in_dram: Set[TensorId], finer: Mapping[int, int]) -> dict[int, TileCounts]:
        """The tiles of some operations."""
        hosts = sharing_hosts(self.plan, self._order, in_dram)
        return {
            op.index: _tiles(self.sizes, op, self._wide.get(op.layer.name), in_dram, hosts, self._capacity_bytes, finer.get(op.index, 1))
            for op in ops
        }

    def cost_of_moving(self, key: TensorId, in_dram: Set[TensorId], finer: Mapping[int, int]) -> int:
        """Bytes that are moved more if a tensor goes to DRAM as well, by all operations that touch it: fewer if negative."""
        tensor = self.plan.tensors[key]
        touched = [self.plan.ops[index] for index in dict.fromkeys((*tensor.producers, *tensor.readers))]
        fresh = {index: factor for index, factor in finer.items() if not _touches(self.plan.ops[index], {key})}
        crossing = tensor.bytes * (tensor.is_input + tensor.is_output)  # bytes that pass the memory in any case
        return self._moved_bytes(touched, in_dram | {key}, fresh) - self._moved_bytes(touched, in_dram, finer) - crossing

    def cost_of_halving(self, op: Op, in_dram: Set[TensorId], finer: Mapping[int, int], halved: Mapping[int, int]) -> int:
        """Bytes that an operation moves more if it has the row tiles of `halved`."""
        return self._moved_bytes([op], in_dram, halved) - self._moved_bytes([op], in_dram, finer)

    def move_what_is_cheaper(self, in_dram: set[TensorId]) -> None:
        """Add to `in_dram` each tensor whose move saves more reads of weights than its rows have bytes.

        The operations whose row tiles read most weights again come first.
        """
        again = {index: self._read_again(self.plan.ops[index], each) for index, each in self.tiles(self.plan.ops, in_dram, {}).items()}
        for index in sorted((index for index, size in again.items() if size), key=lambda index: -again[index]):
            op = self.plan.ops[index]
            for key in dict.fromkeys((*(key for key, _ in op.reads), op.writes)):
                if key not in in_dram and can_lie_in_dram(self.plan, self.plan.tensors[key]) and self.cost_of_moving(key, in_dram, {}) < 0:
                    in_dram.add(key)

    def _moved_bytes(self, ops: Sequence[Op], in_dram: Set[TensorId], finer: Mapping[int, int]) -> int:
        counts = self.tiles(ops, in_dram, finer)
        return sum(rows_moved(self.plan, op, in_dram, counts[op.index].rows) + self._read_again(op, counts[op.index]) for op in ops)

    def _read_again(self, op: Op, counts: TileCounts) -> int:
        """Bytes of weights that an operation's row tiles read but for the first."""
        return self._again.get(op.layer.name, 0) * (counts.rows - 1)


def _check_single_lines(plan: Plan, hosts: Mapping[TensorId, TensorId], capacity_bytes: int) -> None:
    """Refuse at once what does not fit even if every tensor that can does lie in DRAM and each row tile is one line."""
    movable = {key for key, tensor in plan.tensors.items() if can_lie_in_dram(plan, tensor)}
    for op in plan.ops:
        places: dict[TensorId, list[TensorId]] = {}
        for key in dict.fromkeys((op.writes, *(key for key, _ in op.reads))):
            places.setdefault(hosts.get(key, key), []).append(key)
        least = {each[0]: _least_bytes(plan, op, each, movable) for each in places.values()}
        if sum(least.values()) > capacity_bytes:
            raise short_of_room(op.layer.name, sum(least.values()) - capacity_bytes, capacity_bytes, IN_ROW_TILES, least, op.index)


def _sure_to_leave(sizes: TileBytes, order: Precedence, wide: Mapping[str, WideLayer], capacity_bytes: int) -> set[TensorId]:
    """The tensors in DRAM without which some operation fits in no number of tiles: the largest of the operation that lacks most, in turn.

    What no plan can hold is found before any is split into its thousands of lines.
    """
    plan = sizes.plan
    in_dram: set[TensorId] = set()

    while True:
        hosts = sharing_hosts(plan, order, in_dram)
        needed = {}
        for op in plan.ops:
            loaded = in_dram - {op.writes} if op.layer.name in wide else in_dram  # its results may leave column by column
            needed[op.index] = _touched_bytes(plan, op, in_dram, hosts) + sizes.of(op, loaded, most_tiles(plan, op))
        op = plan.ops[max(needed, key=needed.__getitem__)]
        tensor = _largest(plan, op, in_dram) if needed[op.index] > capacity_bytes else None
        if tensor is None:
            return in_dram
        in_dram.add(tensor)


def _least_bytes(plan: Plan, op: Op, keys: Sequence[TensorId], movable: Set[TensorId]) -> int:
    """Fewest bytes that tensors in a shared slot take during `op`: the whole slot, or a line of each from DRAM."""
    whole = max(plan.tensors[key].bytes for key in keys)
    return min(whole, row_tile_bytes(plan, op, set(keys), most_tiles(plan, op))) if movable >= set(keys) else whole


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
    if not _touches(op, in_dram):
        return counts
    room = capacity_bytes - _touched_bytes(plan, op, in_dram, hosts)
    most = most_tiles(plan, op)
    count = fewest_row_tiles(sizes, op, in_dram, room - _idle_bytes(plan, op, in_dram, hosts))
    if count == most:
        count = fewest_row_tiles(sizes, op, in_dram, room)
    counts = counts._replace(rows=count)
    if wide is not None:
        counts = fewest_reads(sizes, op, wide, in_dram, room, count) or counts
    return finer_tiles(plan, op, wide, counts, factor)


def _touches(op: Op, in_dram: Set[TensorId]) -> bool:
    return not in_dram.isdisjoint((op.writes, *(key for key, _ in op.reads)))


def _touched_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId]) -> int:
    """Bytes of the slots that the operands and results of `op` occupy whole."""
    return sum(plan.tensors[key].bytes for key in _touched_slots(op, in_dram, hosts))


def _idle_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId]) -> int:
    """Bytes of the other slots occupied whole during `op`: by tensors idle until a later reader."""
    used = {op.writes, *(key for key, _ in op.reads)}
    idle = {
        hosts.get(key, key)
        for key, tensor in plan.tensors.items()
        if key not in in_dram | used and min(tensor.producers, default=-1) < op.index < max(tensor.readers, default=-1)
    }
    return sum(plan.tensors[key].bytes for key in idle - _touched_slots(op, in_dram, hosts))


def _touched_slots(op: Op, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId]) -> set[TensorId]:
    used = {op.writes, *(key for key, _ in op.reads)}
    return {hosts.get(key, key) for key in used if key not in in_dram}


def _largest(plan: Plan, op: Op, in_dram: Set[TensorId]) -> TensorId | None:
    """The largest tensor of `op` that can go to DRAM; among equals the one that is read least often."""
    keys = dict.fromkeys((*(key for key, _ in op.reads), op.writes))
    found = [plan.tensors[key] for key in keys if key not in in_dram and can_lie_in_dram(plan, plan.tensors[key])]
    return max(found, key=lambda tensor: (tensor.bytes, -len(tensor.readers))).id if found else None


def _allocate(plan: Plan, capacity_bytes: int) -> Allocation:
    """Place the tensors of a plan with row tiles: rows early and late where there is room, whole tensors as in `allocate`."""
    order = Precedence(plan)
    hosts = sharing_hosts(plan, order)
    live_ranges = [
        whole_range(tensor, order, True) if tensor.whole is None else _rows_range(plan, tensor) for tensor in plan.tensors.values()
    ]
    live = LiveBytes(live_ranges, hosts, len(plan.ops))
    ranges = _LiveRanges(live_ranges)
    spilled: list[TensorId] = []
    while True:
        if live.most > capacity_bytes:
            relief = _relief(plan, ranges, live.fullest, order)
        else:
            found = place(ranges.all, hosts, capacity_bytes)
            if found is not None:
                return Allocation(tuple(found[0]), found[1], tuple(spilled), barriers(plan, found[0], order))
            at = tightest(ranges.all, hosts, capacity_bytes).at
            relief = _relief_of_gaps(plan, ranges, at) or _relief(plan, ranges, at, order)
        if relief is None:
            raise too_small(plan, ranges.all, hosts, capacity_bytes, IN_ROW_TILES)
        live_range, pieces = relief
        live.replace(live_range, pieces)
        ranges.replace(live_range, pieces)
        if len(pieces) > 1:
            spilled.append(live_range.tensor)


class _LiveRanges:
    """Live ranges in order, found by the operation at which they begin or end."""

    def __init__(self, live_ranges: Sequence[LiveRange]) -> None:
        self._ranges: dict[int, LiveRange] = {}
        self._numbers: dict[LiveRange, int] = {}
        self._at_edge: dict[int, set[int]] = {}
        self._next = 0
        for live_range in live_ranges:
            self._append(live_range)

    @property
    def all(self) -> list[LiveRange]:
        """All of them."""
        return list(self._ranges.values())

    def at_edge(self, op: int) -> list[LiveRange]:
        """Those that begin or end at an operation."""
        return [self._ranges[number] for number in sorted(self._at_edge.get(op, ()))]

    def replace(self, live_range: LiveRange, pieces: Sequence[LiveRange]) -> None:
        """A single piece takes the place of `live_range`; several come last."""
        number = self._numbers.pop(live_range)
        for op in (live_range.first, live_range.last):
            self._at_edge[op].discard(number)
        if len(pieces) == 1:
            self._set(number, pieces[0])
            return
        del self._ranges[number]
        for piece in pieces:
            self._append(piece)

    def _append(self, live_range: LiveRange) -> None:
        self._set(self._next, live_range)
        self._next += 1

    def _set(self, number: int, live_range: LiveRange) -> None:
        self._ranges[number] = live_range
        self._numbers[live_range] = number
        for op in (live_range.first, live_range.last):
            self._at_edge.setdefault(op, set()).add(number)


def _relief(plan: Plan, ranges: _LiveRanges, at: int, order: Precedence) -> tuple[LiveRange, list[LiveRange]] | None:
    """(a live range during `at`, its smaller replacement): rows sooner or later, else a spill; None if all are used."""
    edge = ranges.at_edge(at)
    eager = [live_range for live_range in edge if _is_early_or_late(plan, live_range, at)]
    if eager:
        live_range = max(eager, key=lambda item: item.bytes)
        return live_range, [live_range._replace(first=at + 1) if live_range.loaded else live_range._replace(last=at - 1)]
    victim = idlest(ranges.all, at, plan)
    if victim is not None:
        return victim, split_range(plan.tensors[victim.tensor], victim, at, order)
    early = [live_range for live_range in edge if live_range.loaded and live_range.first == at < min(live_range.readers, default=at)]
    return (early[0], [early[0]._replace(first=at + 1)]) if early else None


def _relief_of_gaps(plan: Plan, ranges: _LiveRanges, at: int) -> tuple[LiveRange, list[LiveRange]] | None:
    """(the most rows in the buffer during `at` that are moved under another row tile, the same for one operation less); None if none are.

    Here there is room for all, but not in one piece: what keeps it apart may be in the way before `at`, or after.
    """
    apart = [live_range for live_range in ranges.all if live_range.first <= at <= live_range.last and _is_moved_apart(plan, live_range)]
    if not apart:
        return None
    live_range = max(apart, key=lambda item: item.bytes)
    first, last = (live_range.first + 1, live_range.last) if live_range.loaded else (live_range.first, live_range.last - 1)
    return live_range, [live_range._replace(first=first, last=last)]


def _rows_range(plan: Plan, tensor: Tensor) -> LiveRange:
    """The live range of a row tile: loaded under the operation before if its rows are in DRAM by then, stored under the next row tile."""
    size = aligned(tensor.bytes)
    if tensor.readers:
        reader, last = tensor.readers[0], tensor.readers[-1]
        written = max((producer for key in tensor.sources for producer in plan.tensors[key].producers), default=-1)
        early = reader - 1 if last == reader else reader  # what serves several column tiles is read under none before
        return LiveRange(tensor.id, max(early, written + 1, 0), last, tuple(tensor.readers), True, False, size)
    (writer,) = tensor.producers
    tiles = (plan.ops[writer].row_tile, plan.ops[writer].column_tile)
    more = any(tile is not None and tile.index + 1 < tile.count for tile in tiles)
    return LiveRange(tensor.id, writer, writer + more, (), False, True, size)


def _is_early_or_late(plan: Plan, live_range: LiveRange, at: int) -> bool:
    """True if these rows are in the buffer during `at` only to be moved under another row tile."""
    return _is_moved_apart(plan, live_range) and at == (live_range.first if live_range.loaded else live_range.last)


def _is_moved_apart(plan: Plan, live_range: LiveRange) -> bool:
    """True if these rows are loaded under another row tile than the first that reads them, or stored under another than writes them."""
    written = min(live_range.readers, default=live_range.first) if live_range.loaded else live_range.last
    return live_range.first < written and plan.tensors[live_range.tensor].whole is not None

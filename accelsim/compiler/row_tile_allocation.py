"""The choice of tensors in DRAM, of row tiles per operation and row bands per attention, and the slots of those rows in the buffer.

Greedy: the largest tensor of the operation that is short of room goes to DRAM, and each operation takes the fewest row tiles that fit;
then a tensor that leaves its operations so little room that they read their weights more often than it would cost to move goes there too.
A row tile's rows are loaded under the row tile before, and stored under the one after, where there is room; else at their turn. The heads
of an attention run in row bands where their scores do not fit: bands cost no traffic, as keys and values stay in the buffer for all bands
of a head, so they are halved before a tensor leaves, down to the rows that one load of weights serves; below these, a tensor leaves first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial

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
from accelsim.compiler.column_tiles import WideLayer, WideLayers, fewest_reads, finer_tiles, reads
from accelsim.compiler.head_regions import band_ranges
from accelsim.compiler.live_bytes import LiveBytes
from accelsim.compiler.placement import LiveRange, place, sharing_hosts, tightest
from accelsim.compiler.plan import Attention, Op, Plan, Region, Tensor, TensorId
from accelsim.compiler.planner import WHOLE_HEADS, Bands
from accelsim.compiler.precedence import Precedence
from accelsim.compiler.row_tiles import (
    TileBytes,
    TileCounts,
    band_bytes,
    can_lie_in_dram,
    fewest_row_tiles,
    most_tiles,
    moved_regions,
)
from accelsim.compiler.split_plan import split_plan
from accelsim.compiler.weights_read_again import WeightsReadAgain

_PATIENCE = 48  # rounds in which single parts make room for gaps; from then on twice as many in each as in the one before


def allocate_in_row_tiles(
    plan_in: Callable[[Bands], Plan],
    capacity_bytes: int,
    wide_layers: WideLayers,
    weights_read_again: WeightsReadAgain,
    load_rows: int,
    may_reload: bool,
) -> tuple[Plan, Allocation]:
    """The plan with operations in row tiles, products of `wide_layers` in column tiles as well, and the slot of every tensor.

    The buffer is too small for the plan as it is.

    Parameters
    ----------
    plan_in : the plan whose attentions run in the given row bands
    weights_read_again : bytes that each row tile of a layer reads
    load_rows : rows that one load of weights into the array serves
    may_reload : keys and values of a head may leave between its row bands, to be read again

    Raises
    ------
    ActivationsTooLarge
        A single line of what cannot be split further does not fit: see `allocate`.
    """
    plan = plan_in(WHOLE_HEADS)
    wide, again = dict(wide_layers), dict(weights_read_again)
    choice = _Choice(plan, wide, again, capacity_bytes)
    _check_single_lines(choice.sizes, sharing_hosts(plan, choice.order), capacity_bytes)
    in_dram = _sure_to_leave(choice.sizes, choice.order, wide, capacity_bytes, load_rows)
    bands = _fewest_bands(plan, in_dram, sharing_hosts(plan, choice.order, in_dram), capacity_bytes, may_reload)
    finer: dict[str, int] = {}  # layer -> factor on its number of row tiles, where the first estimate left gaps
    planned: Bands = WHOLE_HEADS
    while True:
        if bands != planned:
            plan, planned = plan_in(bands), dict(bands)
            choice = _Choice(plan, wide, again, capacity_bytes)
        choice.move_what_is_cheaper(in_dram, finer)
        counts = choice.tiles(plan.ops, in_dram, finer)
        split, origins = split_plan(plan, in_dram, counts, wide)
        try:
            return split, _allocate(split, capacity_bytes, may_reload)
        except ActivationsTooLarge as error:
            op = plan.ops[origins[error.at]]
            in_buffer = 2 * choice.sizes.of(op, in_dram, counts[op.index].rows)  # one row tile is moved while another is computed
            tensor = _largest(plan, _touched(op), in_dram)
            if error.short_bytes < in_buffer and counts[op.index].rows < most_tiles(plan, op):
                factor = 2 * finer.get(op.layer.name, 1)
                halved = finer | {plan.ops[plan.tensors[key].producers[0]].layer.name: factor for key in _alike(plan, op.writes)}
                if tensor is None or choice.cost_of_moving(tensor, in_dram, finer) >= choice.cost_of_halving(op, in_dram, finer, halved):
                    finer = halved
                    continue
            attention = plan.attention_of.get(op.layer.name)
            if attention is not None and _band_rows(attention) > load_rows:
                bands = _more_bands(plan, bands, attention)
                continue
            if tensor is not None:
                leaving = _alike(plan, tensor)
                in_dram |= leaving
                finer = choice.without(finer, leaving)
            elif attention is not None and _band_rows(attention) > 1:
                bands = _more_bands(plan, bands, attention)
            else:
                raise


class _Choice:
    """The consequences of tensors in DRAM and of finer row tiles for the operations of a plan: their tiles, and the bytes they move."""

    def __init__(self, plan: Plan, wide: Mapping[str, WideLayer], again: Mapping[str, int], capacity_bytes: int) -> None:
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
        touched = {op.layer.name for op in self.plan.ops if _touches(op, leaving)}
        return {name: factor for name, factor in finer.items() if name not in touched}

    def cost_of_moving(
        self, key: TensorId, in_dram: Set[TensorId], finer: Mapping[str, int], hosts: Mapping[TensorId, TensorId] | None = None
    ) -> int:
        """Bytes that are moved more if a tensor goes to DRAM as well, by all operations that touch it: fewer if negative."""
        tensor = self.plan.tensors[key]
        touched = [self.plan.ops[index] for index in dict.fromkeys((*tensor.producers, *tensor.readers))]
        crossing = tensor.bytes * (tensor.is_input + tensor.is_output)  # bytes that pass the memory in any case
        moved = self._moved_bytes(touched, in_dram | {key}, self.without(finer, {key}), hosts)
        return moved - self._moved_bytes(touched, in_dram, finer, hosts) - crossing

    def cost_of_halving(self, op: Op, in_dram: Set[TensorId], finer: Mapping[str, int], halved: Mapping[str, int]) -> int:
        """Bytes that an operation moves more if it has the row tiles of `halved`."""
        return self._moved_bytes([op], in_dram, halved) - self._moved_bytes([op], in_dram, finer)

    def move_what_is_cheaper(self, in_dram: set[TensorId], finer: Mapping[str, int]) -> None:
        """Add to `in_dram` each tensor whose move saves more reads of weights than its rows have bytes.

        The operations whose row tiles read most weights again come first. What heads read by themselves is not weighed.
        """
        plan = self.plan
        hosts = sharing_hosts(plan, self.order, in_dram)
        counts = self.tiles(plan.ops, in_dram, finer, hosts)
        again = {op.index: self._read_again(op, counts[op.index]) for op in plan.ops}
        weighed: set[TensorId] = set(in_dram)
        for index in sorted((index for index, size in again.items() if size), key=lambda index: -again[index]):
            for key in _touched(plan.ops[index]):
                tensor = plan.tensors[key]
                if key in weighed or not can_lie_in_dram(plan, tensor) or any(plan.ops[user].head >= 0 for user in tensor.readers):
                    continue
                alike = _alike(plan, key)
                weighed |= alike
                if self.cost_of_moving(key, in_dram, finer, hosts) < 0:
                    in_dram |= alike

    def _moved_bytes(
        self, ops: Sequence[Op], in_dram: Set[TensorId], finer: Mapping[str, int], hosts: Mapping[TensorId, TensorId] | None = None
    ) -> int:
        counts = self.tiles(ops, in_dram, finer, hosts)
        regions: dict[tuple[str, TensorId, Region], int] = {}
        for op in ops:
            regions |= moved_regions(self.plan, op, in_dram, counts[op.index].rows)
        return sum(regions.values()) + sum(self._read_again(op, counts[op.index]) for op in ops)

    def _read_again(self, op: Op, counts: TileCounts) -> int:
        """Bytes of weights that an operation reads after the first time."""
        wide = self._wide.get(op.layer.name)
        times = counts.rows if wide is None else reads(self.plan, op, wide, counts.rows)
        return self._again.get(op.layer.name, 0) * (times - 1)


def _band_rows(attention: Attention) -> int:
    """Most rows of a row band."""
    return band_ranges(attention.scores, attention.bands)[0][1]


def _more_bands(plan: Plan, bands: Bands, attention: Attention) -> Bands:
    """Twice as many row bands for an attention, and those that are as large."""
    size = attention.scores.bounds
    return {**bands, **{each.scores.name: 2 * attention.bands for each in plan.attentions if each.scores.bounds == size}}


def _fewest_bands(plan: Plan, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId], capacity_bytes: int, may_reload: bool) -> Bands:
    """The fewest row bands, doubled from one on, in which each attention fits.

    Raises
    ------
    ActivationsTooLarge
        The finest bands do not fit.
    """
    found: dict[str, int] = {}
    for attention in plan.attentions:
        scores = attention.scores
        least = 1 if attention.by_head else 2
        counts = [least << double for double in range((scores.head_rows - 1).bit_length() + (scores.shared - 1).bit_length() + 1)]
        for count in counts:
            live = _band_needs(plan, attention, in_dram, hosts, band_ranges(scores, count)[0][1], may_reload)
            if sum(live.values()) <= capacity_bytes:
                break
        else:
            raise short_of_room(scores.name, sum(live.values()) - capacity_bytes, capacity_bytes, IN_ROW_TILES, live, -1)
        if count > 1:
            found[scores.name] = count
    return found


def _band_needs(
    plan: Plan, attention: Attention, in_dram: Set[TensorId], hosts: Mapping[TensorId, TensorId], rows: int, reload: bool
) -> dict[TensorId, int]:
    """Bytes that an attention in row bands of so many rows needs at most: what all heads use, keys and values of one, scores at once.

    With `reload`, keys and values are in the buffer only while a product reads them.
    """
    held: dict[TensorId, int] = {}
    most: dict[TensorId, int] = {}
    for op in plan.first_heads(attention):
        slots: dict[TensorId, int] = {}
        others = 0  # parts of other heads or bands
        for key, role in ((op.writes, "result"), *op.reads):
            slot = hosts.get(key, key)
            if plan.is_part(key):
                slots[slot] = aligned(band_bytes(plan, op, key, rows))
                others = (attention.at_once or plan.batch * attention.scores.heads * -(-attention.scores.m // rows)) - 1
            elif key not in in_dram:
                held[slot] = aligned(plan.tensors[key].bytes)
            else:
                (held if role == "weights" and not reload else slots)[key] = aligned(band_bytes(plan, op, key, rows))
        parts = max((size for key, size in slots.items() if plan.is_part(key)), default=0)
        slots[TensorId(attention.functions[-1].name)] = others * parts
        most = max(most, slots, key=lambda each: sum(each.values()))
    return held | most


def _check_single_lines(sizes: TileBytes, hosts: Mapping[TensorId, TensorId], capacity_bytes: int) -> None:
    """Refuse at once what does not fit even if every tensor that can does lie in DRAM and each row tile is one line."""
    plan = sizes.plan
    movable = {key for key, tensor in plan.tensors.items() if can_lie_in_dram(plan, tensor)}
    for op in plan.ops:
        places: dict[TensorId, list[TensorId]] = {}
        for key in dict.fromkeys((op.writes, *(key for key, _ in op.reads))):
            places.setdefault(hosts.get(key, key), []).append(key)
        least = {each[0]: _least_bytes(sizes, op, each, movable) for each in places.values()}
        if sum(least.values()) > capacity_bytes:
            raise short_of_room(op.layer.name, sum(least.values()) - capacity_bytes, capacity_bytes, IN_ROW_TILES, least, op.index)


def _sure_to_leave(
    sizes: TileBytes, order: Precedence, wide: Mapping[str, WideLayer], capacity_bytes: int, load_rows: int
) -> set[TensorId]:
    """The tensors in DRAM without which something fits in no number of tiles: the largest of what lacks most, in turn.

    Attentions count in row bands of `load_rows`. What no plan can hold is found before any is split into its thousands of lines.
    """
    plan = sizes.plan
    in_dram: set[TensorId] = set()
    ops = [op for op in plan.ops if op.layer.name not in plan.attention_of]
    finer: set[str] = set()  # attentions of which all that can lies in DRAM: their row bands will be finer
    while True:
        hosts = sharing_hosts(plan, order, in_dram)
        most, keys, name = 0, list[TensorId](), ""
        for op in ops:
            loaded = in_dram - {op.writes} if op.layer.name in wide else in_dram  # its results may leave column by column
            needed = _touched_bytes(plan, op, in_dram, hosts) + sizes.of(op, loaded, most_tiles(plan, op))
            if needed > most:
                most, keys, name = needed, _touched(op), ""
        for attention in plan.attentions:
            live = _band_needs(plan, attention, in_dram, hosts, load_rows, reload=False)
            needed = sum(live.values()) if attention.scores.name not in finer else 0
            if needed > most:
                most, name = needed, attention.scores.name
                keys = list(dict.fromkeys(key for op in plan.first_heads(attention) for key in _touched(op)))
        tensor = _largest(plan, keys, in_dram) if most > capacity_bytes else None
        if tensor is not None:
            in_dram |= _alike(plan, tensor)
        elif most > capacity_bytes and name:
            finer.add(name)
        else:
            return in_dram


def _alike(plan: Plan, key: TensorId) -> set[TensorId]:
    """A tensor, and those at the same place in the other blocks of a network of attentions: what one block lacks, all lack."""
    if not plan.attentions:
        return {key}
    place = _place_of(plan, plan.tensors[key])
    return {key, *(other for other, tensor in plan.tensors.items() if other.part < 0 and _place_of(plan, tensor) == place)}


def _place_of(plan: Plan, tensor: Tensor) -> tuple[object, ...]:
    """The size of a tensor, and the operations that write and read it."""
    users = (plan.ops[index] for index in (*tensor.producers[:1], *tensor.readers[:1], *tensor.readers[-1:]))
    return (tensor.bytes, len(tensor.producers), len(tensor.readers), *((op.layer.op, op.head >= 0, op.m, op.k, op.n) for op in users))


def _least_bytes(sizes: TileBytes, op: Op, keys: Sequence[TensorId], movable: Set[TensorId]) -> int:
    """Fewest bytes that tensors in a shared slot take during `op`: the whole slot, a line of each from DRAM, or a row of scores."""
    plan = sizes.plan
    whole = max(plan.tensors[key].bytes for key in keys)
    if op.layer.name in plan.attention_of and all(key in movable or plan.is_part(key) for key in keys):
        return max(band_bytes(plan, op, key, 1) for key in keys)
    return min(whole, sizes.of(op, set(keys), most_tiles(plan, op))) if movable >= set(keys) else whole


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
    if not _touches(op, in_dram) or op.head >= 0:
        return counts
    parts, others = _idle_bytes(sizes, op, in_dram, hosts)
    room = capacity_bytes - _touched_bytes(plan, op, in_dram, hosts) - parts
    most = most_tiles(plan, op)
    count = fewest_row_tiles(sizes, op, in_dram, room - others)
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


def _touched(op: Op) -> list[TensorId]:
    """Operands and result of an operation."""
    return list(dict.fromkeys((*(key for key, _ in op.reads), op.writes)))


def _largest(plan: Plan, keys: Sequence[TensorId], in_dram: Set[TensorId]) -> TensorId | None:
    """The largest tensor of `keys` that can go to DRAM; among equals the one that is read least often."""
    found = [plan.tensors[key] for key in keys if key not in in_dram and can_lie_in_dram(plan, plan.tensors[key])]
    return max(found, key=lambda tensor: (tensor.bytes, -_times_read(plan, tensor))).id if found else None


def _times_read(plan: Plan, tensor: Tensor) -> int:
    """Number of layers that read a tensor: the heads of one read their parts of it once together."""
    return len({plan.ops[reader].layer.name for reader in tensor.readers})


def _allocate(plan: Plan, capacity_bytes: int, may_reload: bool) -> Allocation:
    """Place the tensors of a plan with row tiles: rows early and late where there is room, whole tensors as in `allocate`.

    With `may_reload` keys and values of a head may leave between its row bands, to be read again.
    """
    order = Precedence(plan)
    hosts = sharing_hosts(plan, order)
    live_ranges = [
        whole_range(tensor, order, True) if tensor.whole is None else _rows_range(plan, tensor) for tensor in plan.tensors.values()
    ]
    live = LiveBytes(live_ranges, hosts, len(plan.ops))
    ranges = _LiveRanges(live_ranges)
    spilled: list[TensorId] = []
    rounds = 0  # in which gaps were in the way
    while True:
        if live.most > capacity_bytes:
            relief = _relief(plan, ranges, live.fullest, order, may_reload)
        else:
            found = place(ranges.all, hosts, capacity_bytes)
            if found is not None:
                return Allocation(tuple(found[0]), found[1], tuple(spilled), partial(barriers, plan, found[0], order))
            at = tightest(ranges.all, hosts, capacity_bytes).at
            relief = _relief_of_gaps(plan, ranges, at)
            if relief is not None:
                rounds += 1
                for alike in _in_the_way_too(plan, ranges, relief[0], 1 << rounds >> _PATIENCE):
                    shorter = _moved_later(alike)
                    live.replace(alike, [shorter])
                    ranges.replace(alike, [shorter])
            else:
                relief = _relief(plan, ranges, at, order, may_reload)
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


def _relief(plan: Plan, ranges: _LiveRanges, at: int, order: Precedence, may_reload: bool) -> tuple[LiveRange, list[LiveRange]] | None:
    """(a live range during `at`, its smaller replacement): rows sooner or later, else a spill; None if all are used."""
    edge = ranges.at_edge(at)
    eager = [live_range for live_range in edge if _is_early_or_late(plan, live_range, at)]
    if eager:
        live_range = max(eager, key=lambda item: item.bytes)
        return live_range, [live_range._replace(first=at + 1) if live_range.loaded else live_range._replace(last=at - 1)]
    victim = idlest([item for item in ranges.all if not _is_held(plan, item, at, may_reload)], at, plan)
    if victim is not None:
        return victim, split_range(plan.tensors[victim.tensor], victim, at, order)
    early = [live_range for live_range in edge if live_range.loaded and live_range.first == at < min(live_range.readers, default=at)]
    return (early[0], [early[0]._replace(first=at + 1)]) if early else None


def _is_held(plan: Plan, live_range: LiveRange, at: int, may_reload: bool) -> bool:
    """True if an attention uses a tensor before operation `at` and after it: it would leave again for each head."""
    if not live_range.first < at < live_range.last:
        return False
    tensor = plan.tensors[live_range.tensor]
    if tensor.whole is not None and may_reload:
        return False
    uses = sorted((*live_range.readers, *tensor.producers))
    after = bisect_left(uses, at)
    if not 0 < after < len(uses):
        return False
    around = [plan.attention_of.get(plan.ops[use].layer.name) for use in uses[after - 1 : after + 1]]
    return around[0] is not None and around[0] is around[1]


def _relief_of_gaps(plan: Plan, ranges: _LiveRanges, at: int) -> tuple[LiveRange, list[LiveRange]] | None:
    """(the most rows in the buffer during `at` that are moved under another row tile, the same for one operation less); None if none are.

    Here there is room for all, but not in one piece: what keeps it apart may be in the way before `at`, or after.
    """
    apart = [live_range for live_range in ranges.all if live_range.first <= at <= live_range.last and _is_moved_apart(plan, live_range)]
    if not apart:
        return None
    live_range = max(apart, key=lambda item: item.bytes)
    return live_range, [_moved_later(live_range)]


def _moved_later(live_range: LiveRange) -> LiveRange:
    """Rows that are loaded an operation later, or stored one earlier."""
    if live_range.loaded:
        return live_range._replace(first=live_range.first + 1)
    return live_range._replace(last=live_range.last - 1)


def _in_the_way_too(plan: Plan, ranges: _LiveRanges, live_range: LiveRange, most: int) -> list[LiveRange]:
    """The same parts of other heads, and of attentions as large, as what is in the way of one is in the way of all; and the `most` largest.

    Each of them is moved under another row tile.
    """
    apart = [item for item in ranges.all if item is not live_range and _is_moved_apart(plan, item)]
    kind = _kind_of(plan, live_range)
    alike = [item for item in apart if kind is not None and _kind_of(plan, item) == kind]
    largest = sorted(apart, key=lambda item: -item.bytes)[:most]
    return list(dict.fromkeys((*alike, *largest)))


def _kind_of(plan: Plan, live_range: LiveRange) -> tuple[object, ...] | None:
    """Size, use and operation of an attention's part of a tensor in DRAM; None for any other."""
    tensor = plan.tensors[live_range.tensor]
    op = plan.ops[(tensor.readers or tensor.producers)[0]]
    if tensor.whole is None or op.head < 0:
        return None
    return live_range.bytes, live_range.loaded, live_range.last - live_range.first, op.layer.op, op.m, op.k, op.n


def _rows_range(plan: Plan, tensor: Tensor) -> LiveRange:
    """The live range of a row tile: loaded under the operation before if its rows are in DRAM by then, stored under the next row tile."""
    size = aligned(tensor.bytes)
    if tensor.readers:
        reader, last = tensor.readers[0], tensor.readers[-1]
        written = max((producer for key in tensor.sources for producer in plan.tensors[key].producers), default=-1)
        early = reader - 1 if plan.ops[reader].column_tile is None else reader  # what serves several column tiles is read under none before
        return LiveRange(tensor.id, max(early, written + 1, 0), last, tuple(tensor.readers), True, False, size)
    (writer,) = tensor.producers
    op = plan.ops[writer]
    more = any(tile is not None and tile.index + 1 < tile.count for tile in (op.row_tile, op.column_tile))
    more |= op.head >= 0 and writer + 1 < len(plan.ops)
    return LiveRange(tensor.id, writer, writer + more, (), False, True, size)


def _is_early_or_late(plan: Plan, live_range: LiveRange, at: int) -> bool:
    """True if these rows are in the buffer during `at` only to be moved under another row tile."""
    return _is_moved_apart(plan, live_range) and at == (live_range.first if live_range.loaded else live_range.last)


def _is_moved_apart(plan: Plan, live_range: LiveRange) -> bool:
    """True if these rows are loaded under another row tile than the first that reads them, or stored under another than writes them."""
    written = min(live_range.readers, default=live_range.first) if live_range.loaded else live_range.last
    return live_range.first < written and plan.tensors[live_range.tensor].whole is not None

"""The choice of tensors in DRAM, of row tiles per operation and row bands per attention, and the slots of those rows in the buffer.

Greedy: the largest tensor of the operation that is short of room goes to DRAM, and each operation takes the fewest row tiles that fit;
then a tensor that leaves its operations so little room that they read their weights more often than it would cost to move goes there too.
A row tile's rows are loaded under the row tile before, and stored under the one after, where there is room; else at their turn. The heads
of an attention run in row bands where their scores do not fit: bands cost no traffic, as keys and values stay in the buffer for all bands
of a head, so they are halved before a tensor leaves, down to the rows that one load of weights serves; below these, a tensor leaves first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from accelsim.compiler.allocation import IN_ROW_TILES, ActivationsTooLarge, Allocation, short_of_room
from accelsim.compiler.column_tiles import WideLayer, WideLayers
from accelsim.compiler.placement import sharing_hosts
from accelsim.compiler.plan import Op, Plan, TensorId
from accelsim.compiler.planner import WHOLE_HEADS, Bands
from accelsim.compiler.precedence import Precedence
from accelsim.compiler.row_bands import band_needs, band_rows, fewest_bands, more_bands
from accelsim.compiler.row_tile_choice import RowTileChoice, alike_tensors, largest, touched, touched_bytes
from accelsim.compiler.row_tile_placement import place_row_tiles
from accelsim.compiler.row_tiles import TileBytes, band_bytes, can_lie_in_dram, most_tiles
from accelsim.compiler.split_plan import split_plan
from accelsim.compiler.weights_read_again import WeightsReadAgain


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
    choice = RowTileChoice(plan, wide, again, capacity_bytes)
    _check_single_lines(choice.sizes, sharing_hosts(plan, choice.order), capacity_bytes)
    in_dram = _sure_to_leave(choice.sizes, choice.order, wide, capacity_bytes, load_rows)
    bands = fewest_bands(plan, in_dram, sharing_hosts(plan, choice.order, in_dram), capacity_bytes, may_reload)
    finer: dict[str, int] = {}  # layer -> factor on its number of row tiles, where the first estimate left gaps
    planned: Bands = WHOLE_HEADS
    while True:
        if bands != planned:
            plan, planned = plan_in(bands), dict(bands)
            choice = RowTileChoice(plan, wide, again, capacity_bytes)
        choice.move_what_is_cheaper(in_dram, finer)
        counts = choice.tiles(plan.ops, in_dram, finer)
        split, origins = split_plan(plan, in_dram, counts, wide)
        try:
            return split, place_row_tiles(split, capacity_bytes, may_reload)
        except ActivationsTooLarge as error:
            op = plan.ops[origins[error.at]]
            in_buffer = 2 * choice.sizes.of(op, in_dram, counts[op.index].rows)  # one row tile is moved while another is computed
            tensor = largest(plan, touched(op), in_dram)
            if error.short_bytes < in_buffer and counts[op.index].rows < most_tiles(plan, op):
                factor = 2 * finer.get(op.layer.name, 1)
                halved = finer | {plan.ops[plan.tensors[key].producers[0]].layer.name: factor for key in alike_tensors(plan, op.writes)}
                if tensor is None or choice.cost_of_moving({tensor}, in_dram, finer) >= choice.cost_of_halving(op, in_dram, finer, halved):
                    finer = halved
                    continue
            attention = plan.attention_of.get(op.layer.name)
            if attention is not None and band_rows(attention) > load_rows:
                bands = more_bands(plan, bands, attention)
                continue
            if tensor is not None:
                leaving = alike_tensors(plan, tensor)
                in_dram |= leaving
                finer = choice.without(finer, leaving)
            elif attention is not None and band_rows(attention) > 1:
                bands = more_bands(plan, bands, attention)
            else:
                raise


def _check_single_lines(sizes: TileBytes, hosts: Mapping[TensorId, TensorId], capacity_bytes: int) -> None:
    """Refuse at once what does not fit even if every tensor that can does lie in DRAM and each row tile is one line."""
    plan = sizes.plan
    movable = {key for key, tensor in plan.tensors.items() if can_lie_in_dram(plan, tensor)}
    for op in plan.ops:
        places: dict[TensorId, list[TensorId]] = {}
        for key in dict.fromkeys((op.writes, *(key for key, _ in op.reads))):
            places.setdefault(hosts.get(key, key), []).append(key)
        if sum(max(plan.tensors[key].bytes for key in each) for each in places.values()) <= capacity_bytes:
            continue
        least = {each[0]: _least_bytes(sizes, op, each, movable) for each in places.values()}
        if sum(least.values()) > capacity_bytes:
            raise short_of_room(op.layer.name, sum(least.values()) - capacity_bytes, capacity_bytes, IN_ROW_TILES, least, op.index)


def _sure_to_leave(
    sizes: TileBytes, order: Precedence, wide: Mapping[str, WideLayer], capacity_bytes: int, load_rows: int
) -> set[TensorId]:
    """The tensors in DRAM without which something fits in no number of tiles: the largest of what lacks most, in turn.

    Attentions count in row bands of `load_rows`. A tensor that no plan can hold is found before any is split into its thousands of lines.
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
            needed = touched_bytes(plan, op, in_dram, hosts) + sizes.of(op, loaded, most_tiles(plan, op))
            if needed > most:
                most, keys, name = needed, touched(op), ""
        for attention in plan.attentions:
            live = band_needs(plan, attention, in_dram, hosts, load_rows, reload=False)
            needed = sum(live.values()) if attention.scores.name not in finer else 0
            if needed > most:
                most, name = needed, attention.scores.name
                keys = list(dict.fromkeys(key for op in plan.first_heads(attention) for key in touched(op)))
        tensor = largest(plan, keys, in_dram) if most > capacity_bytes else None
        if tensor is not None:
            in_dram |= alike_tensors(plan, tensor)
        elif most > capacity_bytes and name:
            finer.add(name)
        else:
            return in_dram


def _least_bytes(sizes: TileBytes, op: Op, keys: Sequence[TensorId], movable: Set[TensorId]) -> int:
    """Fewest bytes that tensors in a shared slot take during `op`: the whole slot, a line of each from DRAM, or a row of scores."""
    plan = sizes.plan
    whole = max(plan.tensors[key].bytes for key in keys)
    if op.layer.name in plan.attention_of and all(key in movable or plan.is_part(key) for key in keys):
        return max(band_bytes(plan, op, key, 1) for key in keys)
    return min(whole, sizes.of(op, set(keys), most_tiles(plan, op))) if movable >= set(keys) else whole

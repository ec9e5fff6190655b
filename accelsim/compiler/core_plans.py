"""One core's part of a plan: its shares of the operations, and the parts of tensors that pass through the shared memory.

A tensor of which each core reads no more than it has written, as the scores of its heads or rows of a chain of layers, stays on the cores.
Any other is written to the memory part by part, and each core reads what it needs of it once all parts are there. Of a plan in tiles a core
has the tiles in its share of each result; a tile across the border of two shares is cut there. Disputable assumption: a core that has some
of what it reads in its buffer reads it from the memory nevertheless.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

from accelsim.compiler.core_splits import Share, Split, operand_region, passes, planes_apart
from accelsim.compiler.head_regions import head_columns
from accelsim.compiler.plan import ColumnTile, Op, Plan, Region, RowTile, Tensor, TensorId, region_of
from accelsim.ops.mac_layers import MatmulLayer
from accelsim.trace.layers import Layer


@dataclass(frozen=True)
class SharedPlan:
    """A plan that cores share.

    Attributes
    ----------
    plan : with each layer's operation, or each head's, in one piece; splits : of each of its operations
    tiles : the same plan, where some run in tiles and some tensors lie in the memory
    leaving : other tensors that no core keeps in its buffer while it does not use them
    """

    plan: Plan
    splits: Sequence[Split]
    tiles: Plan
    leaving: Set[TensorId] = frozenset()

    @cached_property
    def passing(self) -> frozenset[TensorId]:
        """The tensors that are read from the memory: other cores may have written them, or there is no room for them between their uses."""
        return passing_tensors(self.plan, self.splits) | {*self.tiles.in_dram, *self.leaving}

    @cached_property
    def behind(self) -> Sequence[int]:
        """The number in `plan` of the operation behind each one of `tiles`."""
        numbers = {_name(op): op.index for op in self.plan.ops}
        return [numbers[_name(op)] for op in self.tiles.ops]

    @cached_property
    def last_writers(self) -> Mapping[TensorId, int]:
        """Tensor -> the operation of `tiles` that writes the last of it."""
        found: dict[TensorId, int] = {}
        for tensor in self.tiles.tensors.values():
            if tensor.producers and not tensor.partial:
                base = (tensor.whole or tensor).id
                found[base] = max(tensor.producers[-1], found.get(base, -1))
        return found

    @cached_property
    def heads(self) -> Mapping[tuple[str, int], Sequence[int]]:
        """(layer, core) -> the heads of each image that the core has, neighbours."""
        found: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        for op, split in zip(self.plan.ops, self.splits, strict=True):
            if op.layer.head_product is not None and op.head >= 0:
                found[op.layer.name, split.shares[0].core].add(op.head % op.layer.head_product.heads)
        return {key: sorted(heads) for key, heads in found.items()}


def _name(op: Op) -> tuple[str, int, int]:
    """The name that an operation shares with its tiles: the layer, and the head with the first row of its row band."""
    return op.layer.name, op.head, op.row_tile.first_row if op.head >= 0 and op.row_tile is not None else 0


@dataclass(frozen=True)
class CorePlan:
    """A core's plan, and for each part of a tensor that it reads the first of its operations under which all cores have written it."""

    plan: Plan
    ready: Mapping[TensorId, int]


def passing_tensors(plan: Plan, splits: Sequence[Split]) -> frozenset[TensorId]:
    """The tensors of which a core reads what another one writes; and those that come from the host or go to it."""
    return frozenset(key for key, tensor in plan.tensors.items() if passes(plan, splits, tensor))


def core_plan(shared: SharedPlan, core: int, reuse: bool) -> CorePlan:
    """The plan of a core.

    Parameters
    ----------
    reuse : a part of a tensor that several layers read is read from the memory once, and stays in the buffer between them
    """
    builder = _CorePlan(shared, core, reuse)
    for op in shared.tiles.ops:
        builder.add(op)
    return CorePlan(replace(shared.tiles, ops=tuple(_numbered(builder.ops, builder.cut)), tensors=builder.tensors), builder.ready)


class _CorePlan:
    def __init__(self, shared: SharedPlan, core: int, reuse: bool) -> None:
        self.shared, self.core, self.reuse = shared, core, reuse
        self.whole, self.tiles, self.passing = shared.plan, shared.tiles, shared.passing
        self.ops: list[Op] = []
        self.cut: list[int] = []  # operations that compute some rows or columns of a layer, as others of this core may
        self.origins: list[int] = []  # of each operation here, its number in the plan of all cores
        self.tensors: dict[TensorId, Tensor] = {}
        self.ready: dict[TensorId, int] = {}
        self._windows: dict[tuple[TensorId, Region, str], TensorId] = {}
        self._pieces: dict[tuple[TensorId, Region], TensorId] = {}
        self._partials: dict[TensorId, TensorId] = {}  # what an operation has accumulated, in the plan of all cores and here

    def add(self, op: Op) -> None:
        """Append the core's share of an operation, if it has any."""
        number = self.shared.behind[op.index]
        split = self.shared.splits[number]
        for share in split.shares:
            if share.core == self.core:
                region = share.result if split.is_whole else _common(self._result(op), share.result)
                if region is not None:
                    self._append(op, self.whole.ops[number], split, share, region)

    def _append(self, op: Op, whole: Op, split: Split, share: Share, region: Region) -> None:
        """Append an operation that computes a region of its result."""
        index = len(self.ops)
        self.origins.append(op.index)
        keys = dict.fromkeys(key for key, _ in op.reads)
        found = {key: self._read(op, whole, split, key, region, index) for key in keys if self._needs(whole, split, key, region)}
        reads = tuple((found[key], role) for key, role in op.reads if key in found)
        part = replace(op, index=index, reads=reads, writes=self._write(op, split, share, region, index))
        if not split.is_whole:
            self.cut.append(index)
            part = _part(part, split, share, region)
        self.ops.append(part)

    def _needs(self, whole: Op, split: Split, key: TensorId, region: Region) -> bool:
        """Whether a region of the result needs any of an operand: of two that come one after the other it may not."""
        return self.tiles.tensors[key].partial or operand_region(self.whole, whole, key._replace(at=-1), region, split).rows > 0

    def _result(self, op: Op) -> Region:
        """The rows and columns of its layer's result that an operation computes."""
        tensor = self.tiles.tensors[op.writes]
        found = self.whole.tensors[op.writes._replace(at=-1)].region
        if op.row_tile is not None:
            found = found._replace(first_row=op.row_tile.first_row, rows=op.row_tile.rows)
        if op.column_tile is not None:
            found = found._replace(first_column=op.column_tile.first, columns=op.column_tile.columns)
        return found if tensor.partial or tensor.whole is None else tensor.region

    def _read(self, op: Op, whole: Op, split: Split, key: TensorId, region: Region, index: int) -> TensorId:
        """The tensor that holds the core's part of an operand."""
        tensor = self.tiles.tensors[key]
        base = tensor.whole or tensor
        if tensor.partial or base.id not in self.passing:
            key = self._partials.get(key, key)
            if key not in self.tensors:
                self.tensors[key] = replace(tensor, producers=[], readers=[])
            self.tensors[key].readers.append(index)
            return key
        read, planes = self._part_read(op, whole, split, key, region)
        name = (base.id, read, "" if self.reuse else op.layer.name)
        if name not in self._windows:
            self._windows[name] = self._window(base, read, planes, index)
        self.tensors[self._windows[name]].readers.append(index)
        return self._windows[name]

    def _part_read(self, op: Op, whole: Op, split: Split, key: TensorId, region: Region) -> tuple[Region, int]:
        """(the part of an operand that a core reads for a region of the result, planes that have it)."""
        tensor = self.tiles.tensors[key]
        if tensor.whole is not None and (op.head >= 0 or op.part is not None or split.is_whole):
            return tensor.region, tensor.planes
        key = key._replace(at=-1)
        return self._head_columns(whole, key) or operand_region(self.whole, whole, key, region, split), planes_apart(self.whole, whole, key)

    def _window(self, base: Tensor, region: Region, planes: int, index: int) -> TensorId:
        """A part of a tensor that comes from the memory."""
        at = base.id._replace(at=index)
        self.tensors[at] = self._part_of(base, at, region, planes)
        self.ready[at] = bisect_right(self.origins, self.shared.last_writers.get(base.id, -1))
        return at

    def _part_of(self, base: Tensor, at: TensorId, region: Region, planes: int = 1) -> Tensor:
        """A part of a tensor in the memory; shares end where they end, so it lies there row after row."""
        return region_of(replace(base, block_columns=0), at, region, planes, passes=True)

    def _head_columns(self, op: Op, key: TensorId) -> Region | None:
        """The columns of the core's heads in an operand that holds the heads side by side; None where heads do not lie so."""
        layer, width = op.layer.head_product, head_columns(self.whole, op, key)
        if layer is None or width is None or layer.shared > 1:
            return None
        return self._columns_here(layer, self.whole.tensors[key].rows, width)

    def _columns_here(self, layer: MatmulLayer, rows: int, width: int) -> Region:
        """The columns of the core's heads, each of `width` columns."""
        heads = self.shared.heads[layer.name, self.core]
        return Region(0, rows, heads[0] * width, len(heads) * width)

    def _write(self, op: Op, split: Split, share: Share, region: Region, index: int) -> TensorId:
        """The tensor that takes the core's part of a result."""
        tensor = self.tiles.tensors[op.writes]
        base = tensor.whole or tensor
        key = op.writes
        if tensor.partial:
            key = key._replace(at=index)
            self._partials[op.writes] = key
            self.tensors[key] = replace(tensor, id=key, producers=[], readers=[])
        elif base.id not in self.passing:
            if key not in self.tensors:
                in_part = share.result != tensor.region
                rows = region_of(tensor, key, share.result, 1, passes=False) if in_part else replace(tensor, producers=[], readers=[])
                self.tensors[key] = rows
        else:
            written = tensor.region if tensor.whole is not None and split.is_whole else self._written(op, region)
            if (key, written) not in self._pieces:
                at = self._pieces[key, written] = key._replace(at=index)
                self.tensors[at] = self._part_of(base, at, written)
            key = self._pieces[key, written]
        self.tensors[key].producers.append(index)
        return key

    def _written(self, op: Op, region: Region) -> Region:
        """The core's share of a result; of heads side by side, the columns of those that it has."""
        tensor, layer = self.tiles.tensors[op.writes], op.layer.head_product
        if layer is None or op.writes.part >= 0 or len(tensor.producers) == 1:
            return region
        return self._columns_here(layer, tensor.rows, tensor.columns_of_producer)


def _common(one: Region, other: Region) -> Region | None:
    """The intersection of two regions; None if it is empty."""
    row, column = max(one.first_row, other.first_row), max(one.first_column, other.first_column)
    rows = min(one.first_row + one.rows, other.first_row + other.rows) - row
    columns = min(one.first_column + one.columns, other.first_column + other.columns) - column
    return Region(row, rows, column, columns) if rows > 0 and columns > 0 else None


def _part(op: Op, split: Split, share: Share, region: Region) -> Op:
    """An operation with the rows or columns of its result that a core has; `_numbered` says which tiles of the core's these are."""
    if split.how == "rows":
        row_tile = RowTile(0, 1, region.first_row, region.rows, share.most_rows)
        return replace(op, m=region.rows if op.on_array else op.m, row_tile=row_tile)
    own = share.result
    tile = ColumnTile(0, 1, region.first_column - own.first_column, region.columns, own.columns, own.first_column)
    return replace(op, layer=_of_outputs(op.layer, own.columns), n=region.columns, column_tile=tile)


def _numbered(ops: Sequence[Op], cut: Sequence[int]) -> list[Op]:
    """Operations whose tiles are numbered among those of their layer on this core; `cut` are those that may have several."""
    rows: defaultdict[str, dict[int, int]] = defaultdict(dict)  # layer -> first row of a tile -> the tile's number
    columns: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for op in (ops[index] for index in cut):
        if op.row_tile is not None:
            rows[op.layer.name].setdefault(op.row_tile.first_row, len(rows[op.layer.name]))
        if op.column_tile is not None:
            columns[op.layer.name].setdefault(op.column_tile.first, len(columns[op.layer.name]))
    found = list(ops)
    for index in cut:
        op = ops[index]
        row_tile, column_tile, of_rows, of_columns = op.row_tile, op.column_tile, rows[op.layer.name], columns[op.layer.name]
        if row_tile is not None:
            row_tile = replace(row_tile, index=of_rows[row_tile.first_row], count=len(of_rows))
        if column_tile is not None:
            column_tile = replace(column_tile, index=of_columns[column_tile.first], count=len(of_columns))
        found[index] = replace(op, row_tile=row_tile, column_tile=column_tile)
    return found


def _of_outputs(layer: Layer, columns: int) -> Layer:
    """A layer of a core's outputs."""
    assert layer.weighted is not None  # nothing else is split over stripes
    return layer.weighted.of_outputs(columns)

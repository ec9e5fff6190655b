"""One core's part of a plan: its shares of the operations, and the parts of tensors that pass through the shared memory.

A tensor of which each core reads no more than it has written, as the scores of its heads or rows of a chain of layers, stays on the cores.
Any other is written to the memory part by part, and each core reads what it needs of it once all parts are there. Disputable assumption: a
core that has some of that in its buffer reads it from the memory nevertheless.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from accelsim.compiler.core_shares import Share, Split, operand_region, planes_apart, stays
from accelsim.compiler.head_regions import head_columns
from accelsim.compiler.plan import ColumnTile, Op, Plan, Region, RowTile, Tensor, TensorId, region_of
from accelsim.ops.mac_layers import MatmulLayer
from accelsim.trace.layers import Layer


@dataclass(frozen=True)
class CorePlan:
    """A core's plan, and for each part of a tensor that it reads the first of its operations under which all cores have written it."""

    plan: Plan
    ready: Mapping[TensorId, int]


def passing_tensors(plan: Plan, splits: Sequence[Split]) -> frozenset[TensorId]:
    """The tensors of which a core reads what another one writes; and those that come from the host or go to it."""
    return frozenset(key for key, tensor in plan.tensors.items() if _passes(plan, splits, tensor))


def _passes(plan: Plan, splits: Sequence[Split], tensor: Tensor) -> bool:
    cores = {share.core for index in (*tensor.producers, *tensor.readers) for share in splits[index].shares}
    if len(cores) == 1:
        return False
    if tensor.is_input or tensor.is_output or tensor.cache is not None or len(tensor.producers) != 1:
        return True
    (writer,) = tensor.producers
    return not all(stays(plan, splits[writer], plan.ops[reader], splits[reader], tensor.id) for reader in tensor.readers)


def core_plan(plan: Plan, splits: Sequence[Split], core: int, reuse: bool) -> CorePlan:
    """The plan of a core.

    Parameters
    ----------
    reuse : a part of a tensor that several layers read is read from the memory once, and stays in the buffer between them
    """
    builder = _CorePlan(plan, splits, core, reuse)
    for op, split in zip(plan.ops, splits, strict=True):
        for share in split.shares:
            if share.core == core:
                builder.add(op, split, share)
    return CorePlan(Plan(tuple(builder.ops), builder.tensors, plan.head_order, plan.batch), builder.ready)


class _CorePlan:
    def __init__(self, plan: Plan, splits: Sequence[Split], core: int, reuse: bool) -> None:
        self.whole, self.splits, self.core, self.reuse = plan, splits, core, reuse
        self.passing = passing_tensors(plan, splits)
        self.ops: list[Op] = []
        self.origins: list[int] = []  # of each operation here, its number in the whole plan
        self.tensors: dict[TensorId, Tensor] = {}
        self.ready: dict[TensorId, int] = {}
        self._windows: dict[tuple[TensorId, Region, str], TensorId] = {}
        self._pieces: dict[TensorId, TensorId] = {}

    def add(self, op: Op, split: Split, share: Share) -> None:
        """Append the core's share of an operation."""
        index = len(self.ops)
        self.origins.append(op.index)
        found = {key: self._read(op, split, share, key, index) for key in dict.fromkeys(key for key, _ in op.reads)}
        reads = tuple((found[key], role) for key, role in op.reads)
        writes = self._write(op, share, index)
        part = replace(op, index=index, reads=reads, writes=writes)
        self.ops.append(part if split.is_whole else _part(part, split, share, self.whole.tensors[op.writes]))

    def _read(self, op: Op, split: Split, share: Share, key: TensorId, index: int) -> TensorId:
        """The tensor that holds the core's part of an operand."""
        whole = self.whole.tensors[key]
        if key not in self.passing:
            if key not in self.tensors:
                self.tensors[key] = replace(whole, producers=[], readers=[])
            self.tensors[key].readers.append(index)
            return key
        region = self._head_columns(op, key) or operand_region(self.whole, op, key, share.result, split)
        name = (key, region, "" if self.reuse else op.layer.name)
        if name not in self._windows:
            self._windows[name] = self._window(op, key, region, index)
        self.tensors[self._windows[name]].readers.append(index)
        return self._windows[name]

    def _window(self, op: Op, key: TensorId, region: Region, index: int) -> TensorId:
        """A part of a tensor that comes from the memory."""
        whole = self.whole.tensors[key]
        at = key._replace(at=index)
        self.tensors[at] = region_of(whole, at, region, planes_apart(self.whole, op, key), passes=True)
        written = max(whole.producers, default=-1)
        self.ready[at] = bisect_right(self.origins, written)
        return at

    def _head_columns(self, op: Op, key: TensorId) -> Region | None:
        """The columns of the core's heads in an operand that holds the heads side by side; None where heads do not lie so."""
        layer, width = op.layer.head_product, head_columns(self.whole, op, key)
        if layer is None or width is None or layer.shared > 1:
            return None
        heads = self._heads_here(layer)
        return Region(0, self.whole.tensors[key].rows, heads[0] * width, len(heads) * width)

    def _heads_here(self, layer: MatmulLayer) -> list[int]:
        """The heads of a layer that the core has, neighbours, of each image."""
        mine = zip(self.whole.ops, self.splits, strict=True)
        return sorted({op.head % layer.heads for op, split in mine if op.layer is layer and split.shares[0].core == self.core})

    def _write(self, op: Op, share: Share, index: int) -> TensorId:
        """The tensor that takes the core's part of a result."""
        whole = self.whole.tensors[op.writes]
        if op.writes not in self.passing:
            if op.writes not in self.tensors:
                part = share.result != Region(0, whole.rows, 0, whole.width)
                rows = region_of(whole, op.writes, share.result, 1, passes=False)
                self.tensors[op.writes] = rows if part else replace(whole, producers=[], readers=[])
            self.tensors[op.writes].producers.append(index)
            return op.writes
        if op.writes not in self._pieces:
            at = self._pieces[op.writes] = op.writes._replace(at=index)
            self.tensors[at] = region_of(whole, at, self._written(op, share), 1, passes=True)
        piece = self.tensors[self._pieces[op.writes]]
        piece.producers.append(index)
        return piece.id

    def _written(self, op: Op, share: Share) -> Region:
        """The core's share of a result; of heads side by side, the columns of those that it has."""
        whole, layer = self.whole.tensors[op.writes], op.layer.head_product
        if layer is None or op.writes.part >= 0 or len(whole.producers) == 1:
            return share.result
        heads = self._heads_here(layer)
        width = whole.columns_of_producer
        return Region(0, whole.rows, heads[0] * width, len(heads) * width)


def _part(op: Op, split: Split, share: Share, result: Tensor) -> Op:
    """An operation with the rows or columns of its result that a core has."""
    if split.how == "rows":
        rows = share.result.rows
        row_tile = RowTile(0, 1, share.result.first_row, rows, share.most_rows)
        return replace(op, m=rows if op.on_array else op.m, row_tile=row_tile)
    columns = share.result.columns
    tile = ColumnTile(0, 1, share.result.first_column, columns, result.width)
    return replace(op, layer=_of_outputs(op.layer, columns), n=columns, column_tile=tile)


def _of_outputs(layer: Layer, columns: int) -> Layer:
    """A layer of a core's outputs."""
    assert layer.weighted is not None  # nothing else is split over stripes
    return layer.weighted.of_outputs(columns)

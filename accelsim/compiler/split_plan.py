"""Plans whose operations are split into tiles: the operations of each tile, and the parts of tensors in DRAM that they read and write."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Set
from dataclasses import replace

from accelsim.compiler.column_tiles import WideLayer, column_tiles
from accelsim.compiler.plan import ColumnTile, Op, Plan, RowTile, Tensor, TensorId
from accelsim.compiler.row_tiles import TileCounts, planes_of, rows_of, tile_row_ranges


def split_plan(
    plan: Plan, in_dram: Set[TensorId], counts: Mapping[int, TileCounts], wide: Mapping[str, WideLayer]
) -> tuple[Plan, list[int]]:
    """`plan` with the tensors `in_dram` in DRAM and operation i in `counts[i]` tiles; (plan, the operation of `plan` behind each)."""
    splitter = _Splitter(plan, in_dram, counts, wide)
    for op in plan.ops:
        splitter.split(op)
    order = tuple(key for key in plan.tensors if key in in_dram)
    return Plan(tuple(splitter.ops), splitter.tensors, plan.head_order, plan.batch, order), splitter.origins


class _Splitter:
    def __init__(self, plan: Plan, in_dram: Set[TensorId], counts: Mapping[int, TileCounts], wide: Mapping[str, WideLayer]) -> None:
        self.plan, self.counts, self.wide = plan, counts, wide
        self.wholes = {key: replace(tensor, producers=[], readers=[]) for key, tensor in plan.tensors.items()}
        self.in_dram = in_dram
        self.tensors = {key: tensor for key, tensor in self.wholes.items() if key not in in_dram}
        self.written: dict[TensorId, list[Tensor]] = {key: [] for key in in_dram}
        self.ops: list[Op] = []
        self.origins: list[int] = []

    def split(self, op: Op) -> None:
        result = self.plan.tensors[op.writes]
        counts = self.counts.get(op.index, TileCounts(1))
        row_tiles = tile_row_ranges(self.plan, op, counts.rows)
        tiles = column_tiles(op, self.wide.get(op.layer.name), counts.columns)
        for number, (first, rows) in enumerate(row_tiles):
            start = len(self.ops)
            found = {key: self._read(op, key, start, first, rows) for key, _ in op.reads}
            reads = tuple((found[key], role) for key, role in op.reads)
            row_tile = RowTile(number, len(row_tiles), first, rows, result.rows) if len(row_tiles) > 1 else None
            m = rows if row_tile is not None and op.on_array else op.m
            for index, column_tile in enumerate(tiles, start):
                if index > start:
                    for key in dict.fromkeys(found.values()):
                        self.tensors[key].readers.append(index)
                writes = self._write(op, index, first, rows, column_tile)
                n = op.n if column_tile is None else column_tile.columns
                self.ops.append(replace(op, index=index, reads=reads, writes=writes, m=m, n=n, row_tile=row_tile, column_tile=column_tile))
                self.origins.append(op.index)

    def _write(self, op: Op, index: int, first: int, rows: int, tile: ColumnTile | None) -> TensorId:
        """The tensor that a tile writes: its own part of what lies in DRAM, else the result of all tiles."""
        writes = op.writes
        if writes in self.in_dram:
            piece = self._rows(writes, index, first, rows)
            if tile is not None:
                piece = self.tensors[piece.id] = replace(piece, width=tile.columns, first_column=tile.first)
            self.written[writes].append(piece)
            writes = piece.id
        elif tile is not None:
            self.tensors[writes].columns_of_producer = tile.columns
        self.tensors[writes].producers.append(index)
        return writes

    def _read(self, op: Op, key: TensorId, index: int, first: int, rows: int) -> TensorId:
        """The rows that a row tile reads instead of tensor `key`."""
        if key in self.in_dram:
            first, rows = rows_of(self.plan, op, key, first, rows)
            window = self._rows(key, index, first, rows, max(1, planes_of(op, key)))
            pieces = self.written[key]  # in the order of their rows, as one operation writes them
            start = bisect_right(pieces, first, key=lambda piece: piece.first_row + piece.rows)
            stop = bisect_left(pieces, first + rows, key=lambda piece: piece.first_row)
            window.sources = tuple(piece.id for piece in pieces[start:stop])
            key = window.id
        self.tensors[key].readers.append(index)
        return key

    def _rows(self, key: TensorId, index: int, first: int, rows: int, planes: int = 1) -> Tensor:
        whole = self.wholes[key]
        at = key._replace(at=index)
        self.tensors[at] = replace(
            whole, id=at, rows=planes * rows, first_row=first, planes=planes, whole=whole, producers=[], readers=[], sources=(),
        )  # fmt: skip
        return self.tensors[at]

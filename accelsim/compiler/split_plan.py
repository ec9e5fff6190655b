"""Plans whose operations are split into tiles: the operations of each tile, and the parts of tensors in DRAM that they read and write."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Set
from dataclasses import replace

from accelsim.compiler.column_tiles import WideLayer, column_tiles
from accelsim.compiler.head_regions import block_columns
from accelsim.compiler.operand_parts import in_two_passes, parts_of_a_line, parts_of_an_image
from accelsim.compiler.plan import MOST_OPERATIONS, ColumnTile, Op, Part, Plan, Region, Role, RowTile, Tensor, TensorId, changed, region_of
from accelsim.compiler.row_tiles import TileCounts, parts_of_line, planes_of, region_read, region_written, tile_row_ranges
from accelsim.errors import CompileError
from accelsim.ops.operation import VectorLayer

_TWO_PASSES = "moments in a pass of their own"


def split_plan(
    plan: Plan, in_dram: Set[TensorId], counts: Mapping[int, TileCounts], wide: Mapping[str, WideLayer]
) -> tuple[Plan, list[int]]:
    """`plan` with the tensors `in_dram` in DRAM and operation i in `counts[i]` tiles; (plan, the operation of `plan` behind each).

    Raises
    ------
    CompileError
        It would have more than MOST_OPERATIONS: names the layer with most tiles.
    """
    tiles = {op: counts[op].rows * counts[op].columns for op in counts}
    if (needed := len(plan.ops) - len(tiles) + sum(tiles.values())) > MOST_OPERATIONS:
        most = max(tiles, key=lambda op: tiles[op])
        raise CompileError(
            f"layer {plan.ops[most].layer.name!r}: runs in {tiles[most]:,} tiles, as the activation buffer holds no more of it, and the "
            f"plan in {needed:,} operations; allowed: {MOST_OPERATIONS:,}"
        )
    splitter = _Splitter(plan, in_dram, counts, wide)
    for op in plan.ops:
        splitter.split(op)
    order = tuple(key for key in plan.tensors if key in in_dram)
    return replace(plan, ops=tuple(splitter.ops), tensors=splitter.tensors, in_dram=order), splitter.origins


class _Splitter:
    def __init__(self, plan: Plan, in_dram: Set[TensorId], counts: Mapping[int, TileCounts], wide: Mapping[str, WideLayer]) -> None:
        self.plan, self.counts, self.wide = plan, counts, wide
        self.wholes = {key: changed(tensor, producers=[], readers=[]) for key, tensor in plan.tensors.items()}
        self.in_dram = in_dram
        for key in in_dram:
            self.wholes[key].block_columns = self._block_columns(plan.tensors[key])
        self.tensors = {key: tensor for key, tensor in self.wholes.items() if key not in in_dram}
        self.written = {key: _Written() for key in in_dram}
        self.windows: dict[tuple[str, TensorId, Region], TensorId] = {}  # (layer, tensor, part that its heads read) -> that part
        self.ops: list[Op] = []
        self.origins: list[int] = []

    def _block_columns(self, tensor: Tensor) -> int:
        """Columns that lie together in DRAM: of a head, if column tiles are whole heads."""
        columns = block_columns(self.plan, tensor)
        for op in (self.plan.ops[index] for index in tensor.producers if columns):
            if any(tile is not None and tile.first % columns for tile in self._column_tiles(op)):
                return 0
        return columns

    def _column_tiles(self, op: Op) -> list[ColumnTile | None]:
        return column_tiles(op, self.wide.get(op.layer.name), self.counts.get(op.index, TileCounts(1)).columns)

    def split(self, op: Op) -> None:
        result = self.plan.tensors[op.writes]
        counts = self.counts.get(op.index, TileCounts(1))
        row_tiles = tile_row_ranges(self.plan, op, counts.rows)
        tiles = self._column_tiles(op)
        passes = in_two_passes(op)
        if passes is not None and len(row_tiles) > 1:
            self._normalize(op, row_tiles, *passes)
            return
        if (parts := parts_of_line(self.plan, op, counts.rows)) > 1:
            self._accumulate(op, row_tiles, parts)
            return
        for number, (first, rows) in enumerate(row_tiles):
            start = len(self.ops)
            found = {key: part for key, _ in op.reads if (part := self._read(op, key, start, first, rows)) is not None}
            reads = tuple((found[key], role) for key, role in op.reads if key in found)
            row_tile = RowTile(number, len(row_tiles), first, rows, result.rows) if len(row_tiles) > 1 else op.row_tile
            m = rows if row_tile is not None and op.on_array else op.m
            for index, column_tile in enumerate(tiles, start):
                if index > start:
                    for key in dict.fromkeys(found.values()):
                        self.tensors[key].readers.append(index)
                writes = self._write(op, index, first, rows, column_tile)
                n = op.n if column_tile is None else column_tile.columns
                self.ops.append(changed(op, index=index, reads=reads, writes=writes, m=m, n=n, row_tile=row_tile, column_tile=column_tile))
                self.origins.append(op.index)

    def _write(self, op: Op, index: int, first: int, rows: int, tile: ColumnTile | None) -> TensorId:
        """The tensor that a tile writes: its own part of what lies in DRAM, else the result of all tiles."""
        writes = op.writes
        if writes in self.in_dram:
            region = region_written(self.plan, op, first, rows)
            if tile is not None:
                region = region._replace(first_column=tile.first, columns=tile.columns)
            piece = self._part(writes, index, region)
            self.written[writes].add(piece)
            writes = piece.id
        elif tile is not None:
            self.tensors[writes].columns_of_producer = tile.columns
        self.tensors[writes].producers.append(index)
        return writes

    def _read(self, op: Op, key: TensorId, index: int, first: int, rows: int) -> TensorId | None:
        """The part that a row tile reads instead of tensor `key`: the heads, or row bands, of a layer that read the same share it.

        None if it reads none of it.
        """
        if key in self.in_dram:
            region = region_read(self.plan, op, key, first, rows)
            if not region.rows:
                return None
            name = (op.layer.name, key, region)
            if op.head < 0 or name not in self.windows:
                self.windows[name] = self._window(key, index, region, max(1, planes_of(op, key)))
            key = self.windows[name]
        self.tensors[key].readers.append(index)
        return key

    def _read_rows(self, key: TensorId, index: int, first: int, rows: int) -> TensorId:
        """These rows of a tensor in DRAM, or all of one in the buffer, for operation `index`."""
        if key in self.in_dram:
            key = self._window(key, index, Region(first, rows, 0, self.wholes[key].width))
        self.tensors[key].readers.append(index)
        return key

    def _window(self, key: TensorId, index: int, region: Region, planes: int = 1) -> TensorId:
        window = self._part(key, index, region, planes)
        window.sources = self.written[key].ids_in(region)
        return window.id

    def _part(self, key: TensorId, index: int, region: Region, planes: int = 1) -> Tensor:
        at = key._replace(at=index)
        self.tensors[at] = region_of(self.wholes[key], at, region, planes)
        return self.tensors[at]

    # -- reductions

    def _accumulate(self, op: Op, lines: list[tuple[int, int]], parts: int) -> None:
        """Each line of a result by windows, from the parts of its operand."""
        all_rows = self.plan.tensors[op.writes].rows
        tiles = [RowTile(number, len(lines), first, rows, all_rows) for number, (first, rows) in enumerate(lines)]
        found = [list(parts_of_a_line(self.plan, op, line, parts)) for line in tiles]
        note = f"operand read in {max(map(len, found))} parts"
        for line, parts_of_it in zip(tiles, found, strict=True):
            before: tuple[TensorId, ...] = ()
            for part in parts_of_it:
                index = len(self.ops)
                reads = (self._read_rows(op.reads[0][0], index, part.first_row, part.rows), *before)
                last = part is parts_of_it[-1]
                writes = self._write(op, index, line.first_row, line.rows, None) if last else self._partial(op, index, line.rows)
                self._append(op, reads, writes, line, Part(part.layer, note))
                before = (writes,)

    def _normalize(self, op: Op, row_tiles: list[tuple[int, int]], first_pass: VectorLayer, second_pass: VectorLayer) -> None:
        """The moments of each image, then the rows of the result, which read the operand again."""
        all_rows = self.plan.tensors[op.writes].rows
        height = all_rows // self.plan.batch
        moments = [self._moments(op, image, len(row_tiles), first_pass) for image in range(self.plan.batch)]
        for number, (first, rows) in enumerate(row_tiles):
            index = len(self.ops)
            needed = moments[first // height : (first + rows - 1) // height + 1]
            read = self._read(op, op.reads[0][0], index, first, rows)
            reads = tuple(key for key in (read, *needed) if key is not None)
            row_tile = RowTile(number, len(row_tiles), first, rows, all_rows)
            self._append(op, reads, self._write(op, index, first, rows, None), row_tile, Part(second_pass, _TWO_PASSES))

    def _moments(self, op: Op, image: int, row_tiles: int, layer: VectorLayer) -> TensorId:
        """The moments of an image: part by part, or at once where its rows are in the buffer."""
        key = op.reads[0][0]
        found = parts_of_an_image(self.plan, op, image, row_tiles if key in self.in_dram else 1)
        before: tuple[TensorId, ...] = ()
        for number, (first, rows) in enumerate(found):
            index = len(self.ops)
            reads = (self._read_rows(key, index, first, rows), *before)
            row_tile = RowTile(number, len(found), first, rows, self.plan.tensors[op.writes].rows)
            before = (self._partial(op, index, 1),)
            self._append(op, reads, before[0], row_tile, Part(layer, _TWO_PASSES))
        return before[0]

    def _partial(self, op: Op, index: int, rows: int) -> TensorId:
        """The partial results of operation `index` when it ends."""
        layer = op.layer.vector
        assert layer is not None
        assert layer.partial is not None
        key = op.writes._replace(at=index)
        width, bits = layer.partial.width, layer.partial.bits
        self.tensors[key] = Tensor(key, rows, width, bits, width, producers=[index], partial=True)
        return key

    def _append(self, op: Op, reads: tuple[TensorId, ...], writes: TensorId, row_tile: RowTile, part: Part) -> None:
        index = len(self.ops)
        role: Role = "operand"
        for key in reads:
            if self.tensors[key].partial:
                self.tensors[key].readers.append(index)
        tile = row_tile if row_tile.rows < row_tile.all_rows else None
        self.ops.append(changed(op, index=index, reads=tuple((key, role) for key in reads), writes=writes, row_tile=tile, part=part))
        self.origins.append(op.index)


class _Written:
    """The parts of a tensor that are in DRAM, found by the rows in which they begin: parts that overlap in rows have the same."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._parts: dict[int, list[Tensor]] = {}

    def add(self, part: Tensor) -> None:
        """Note a part."""
        if part.first_row not in self._parts:
            insort(self._starts, part.first_row)
        self._parts.setdefault(part.first_row, []).append(part)

    def ids_in(self, region: Region) -> tuple[TensorId, ...]:
        """The parts that hold some of a region, in the order in which they were written."""
        found: list[Tensor] = []
        end_row, end_column = region.first_row + region.rows, region.first_column + region.columns
        for start in self._starts[max(0, bisect_right(self._starts, region.first_row) - 1) :]:
            if start >= end_row:
                break
            for part in self._parts[start]:
                below = part.first_row + part.rows > region.first_row
                if below and part.first_column < end_column and part.first_column + part.width > region.first_column:
                    found.append(part)
        return tuple(part.id for part in sorted(found, key=lambda part: part.id.at))

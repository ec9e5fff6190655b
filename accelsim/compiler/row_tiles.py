"""Operations in row tiles: the fallback when the tensors of one operation do not fit the activation buffer together.

A tensor that does not fit lies in DRAM. Each operation that writes or reads it is split into several, one per row tile of its result:
each loads the rows that it reads, and writes its own to DRAM. Disputable assumption: no row of a row tile is kept for the next one, so
rows that two row tiles need (the halo of a window) are read twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from accelsim.compiler.plan import Op, Plan, Role, RowTile, Tensor, TensorId


def can_be_split(op: Op) -> bool:
    """True if an operation computes its result line by line, or row by row, from the same rows or windows of its operands."""
    return op.head < 0 and op.layer.by_rows


def can_lie_in_dram(plan: Plan, tensor: Tensor) -> bool:
    """True if a tensor can be buffered by rows: rows of whole bytes, one writer, and no reader of single heads.

    Of the planes of a model's image, all readers must read the same lines of each; those of several images are not evenly spaced.
    """
    users = [plan.ops[index] for index in (*tensor.producers, *tensor.readers)]
    planar = [op for op in users if _planes(op, tensor.id)]
    one_writer = len(tensor.producers) <= 1 and tensor.id.part < 0
    even = not planar or (len(planar) == len(users) and plan.batch == 1)
    return one_writer and even and all(op.head < 0 for op in users) and tensor.width * tensor.bits % 8 == 0


def _planes(op: Op, key: TensorId) -> int:
    """Planes of a tensor of which an operation reads the same lines; 0 where the tensor is no image of planes to it."""
    return op.layer.input_planes if op.reads[0][0] == key else 0


def lines_of(plan: Plan, op: Op) -> int:
    """Most row tiles that an operation can have: lines of its result's image, or rows; of all images of the batch together."""
    return plan.tensors[op.writes].rows // _line_rows(op) if can_be_split(op) else 1


def rows_read(plan: Plan, op: Op, role: Role, tensor: Tensor, first_row: int, rows: int) -> tuple[int, int]:
    """(first row, rows) of `tensor`, or of each of its planes, that the given rows of the result need; whole lines where there are lines.

    Of a window at the border only the lines inside the image; with several images, everything from the first image's line on. Of an
    operand that is broadcast, the row of each image.
    """
    window = op.window_of(role)
    if not can_be_split(op):
        return 0, tensor.rows
    if window is None and op.layer.in_step and tensor.rows < plan.tensors[op.writes].rows:
        per_row = plan.tensors[op.writes].rows // tensor.rows
        return first_row // per_row, (first_row + rows - 1) // per_row - first_row // per_row + 1
    if window is None:
        return op.layer.operand_rows(first_row, rows)
    line = window.positions
    image, y = divmod(first_row // line, window.lines)
    last_image, last_y = divmod((first_row + rows) // line - 1, window.lines)
    start = min(window.height - 1, max(0, y * window.stride - window.padding))
    stop = max(1, min(window.height, last_y * window.stride - window.padding + window.span))
    first = image * window.height + start
    end = max(first + 1, last_image * window.height + stop)
    per_line = 1 if _planes(op, tensor.id) else window.width
    return first * per_line, (end - first) * per_line


def rows_of(plan: Plan, op: Op, key: TensorId, first_row: int, rows: int) -> tuple[int, int]:
    """(first row, rows) of tensor `key` that the given rows of the result need in all its roles: a residual block may add its own input."""
    tensor = plan.tensors[key]
    needed = [rows_read(plan, op, role, tensor, first_row, rows) for name, role in op.reads if name == key]
    first = min(start for start, _ in needed)
    return first, max(start + count for start, count in needed) - first


def _line_rows(op: Op) -> int:
    """Rows that an operation computes at least: a line of its image."""
    return op.layer.window.positions if op.layer.window is not None else 1


def tile_row_ranges(plan: Plan, op: Op, count: int) -> list[tuple[int, int]]:
    """(first row, rows) of each of about `count` row tiles: equal numbers of lines, the last with the remainder."""
    rows, line = plan.tensors[op.writes].rows, _line_rows(op)
    step = -(-(rows // line) // count) * line if can_be_split(op) else rows
    return [(first, min(step, rows - first)) for first in range(0, rows, step)]


def split_plan(plan: Plan, in_dram: Set[TensorId], counts: Mapping[int, int]) -> tuple[Plan, list[int]]:
    """`plan` with the tensors `in_dram` in DRAM and operation i in `counts[i]` row tiles; (plan, the operation of `plan` behind each)."""
    splitter = _Splitter(plan, in_dram, counts)
    for op in plan.ops:
        splitter.split(op)
    order = tuple(key for key in plan.tensors if key in in_dram)
    return Plan(tuple(splitter.ops), splitter.tensors, plan.head_order, plan.batch, order), splitter.origins


class _Splitter:
    def __init__(self, plan: Plan, in_dram: Set[TensorId], counts: Mapping[int, int]) -> None:
        self.plan, self.counts = plan, counts
        self.wholes = {key: replace(tensor, producers=[], readers=[]) for key, tensor in plan.tensors.items()}
        self.in_dram = in_dram
        self.tensors = {key: tensor for key, tensor in self.wholes.items() if key not in in_dram}
        self.written: dict[TensorId, list[Tensor]] = {key: [] for key in in_dram}
        self.ops: list[Op] = []
        self.origins: list[int] = []

    def split(self, op: Op) -> None:
        result = self.plan.tensors[op.writes]
        row_tiles = tile_row_ranges(self.plan, op, self.counts.get(op.index, 1))
        for number, (first, rows) in enumerate(row_tiles):
            index = len(self.ops)
            found = {key: self._read(op, key, index, first, rows) for key, _ in op.reads}
            reads = tuple((found[key], role) for key, role in op.reads)
            writes = op.writes
            if writes in self.in_dram:
                piece = self._rows(writes, index, first, rows)
                self.written[writes].append(piece)
                writes = piece.id
            self.tensors[writes].producers.append(index)
            row_tile = RowTile(number, len(row_tiles), first, rows, result.rows) if len(row_tiles) > 1 else None
            m = rows if row_tile is not None and op.on_array else op.m
            self.ops.append(replace(op, index=index, reads=reads, writes=writes, m=m, row_tile=row_tile))
            self.origins.append(op.index)

    def _read(self, op: Op, key: TensorId, index: int, first: int, rows: int) -> TensorId:
        """The rows that a row tile reads instead of tensor `key`."""
        if key in self.in_dram:
            first, rows = rows_of(self.plan, op, key, first, rows)
            window = self._rows(key, index, first, rows, max(1, _planes(op, key)))
            window.sources = tuple(
                piece.id for piece in self.written[key] if piece.first_row < first + rows and first < piece.first_row + piece.rows
            )
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


def fewest_row_tiles(plan: Plan, op: Op, in_dram: Set[TensorId], room_bytes: int) -> int:
    """Fewest row tiles of `op` whose rows fit in `room_bytes` twice (one loads while another computes); one line each if none do."""
    most = lines_of(plan, op)
    for count in _counts(most):
        if row_tile_bytes(plan, op, in_dram, count) * (2 if count > 1 else 1) <= room_bytes:
            return count
    return most


def _counts(most: int) -> Sequence[int]:
    """Numbers of row tiles that differ in their lines."""
    return sorted({-(-most // lines) for lines in range(1, most + 1)})


def row_tile_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], count: int) -> int:
    """Most bytes that a row tile reads from DRAM and writes there."""
    most = 0
    for first, rows in tile_row_ranges(plan, op, count):
        size = 0
        for key in dict.fromkeys(key for key, _ in op.reads):
            if key in in_dram:
                tensor = plan.tensors[key]
                size += rows_of(plan, op, key, first, rows)[1] * max(1, _planes(op, key)) * tensor.width * tensor.bits // 8
        if op.writes in in_dram:
            tensor = plan.tensors[op.writes]
            size += rows * tensor.width * tensor.bits // 8
        most = max(most, size)
    return most

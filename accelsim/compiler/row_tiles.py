"""Operations in row tiles: the fallback when the tensors of one operation do not fit the activation buffer together.

A tensor that does not fit lies in DRAM. Each operation that writes or reads it is split into several, one per row tile of its result:
each loads the rows that it reads, and writes its own to DRAM. Disputable assumption: no row of a row tile is kept for the next one, so
rows that two row tiles need (the halo of a window) are read twice. A reduction whose rows do not fit even for one line of its result reads
them part by part, and keeps what it has so far in the buffer.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import lru_cache
from typing import NamedTuple

from accelsim.compiler.plan import Op, Plan, Role, Tensor, TensorId


class TileCounts(NamedTuple):
    """About how many row tiles an operation runs in, and column tiles in each."""

    rows: int
    columns: int = 1


def can_be_split(op: Op) -> bool:
    """True if an operation computes its result line by line, or row by row, from the same rows or windows of its operands."""
    return op.head < 0 and op.layer.by_rows


def accumulates(op: Op) -> bool:
    """True if an operation can read its operand part by part, and keep what it has so far in the buffer: see `VectorLayer.partial`."""
    return op.head < 0 and not op.on_array and op.layer.vector is not None and op.layer.vector.partial is not None


def can_lie_in_dram(plan: Plan, tensor: Tensor) -> bool:
    """True if a tensor can be buffered by rows: rows of whole bytes, one writer, and no reader of single heads.

    Of the planes of a model's image, all readers must read the same lines of each; those of several images are not evenly spaced.
    """
    users = [plan.ops[index] for index in (*tensor.producers, *tensor.readers)]
    planar = [op for op in users if planes_of(op, tensor.id)]
    one_writer = len(tensor.producers) <= 1 and tensor.id.part < 0
    even = not planar or (len(planar) == len(users) and plan.batch == 1)
    return one_writer and even and all(op.head < 0 for op in users) and tensor.width * tensor.bits % 8 == 0


def planes_of(op: Op, key: TensorId) -> int:
    """Planes of a tensor of which an operation reads the same lines; 0 where the tensor is no image of planes to it."""
    return op.layer.input_planes if op.reads[0][0] == key else 0


def lines_of(plan: Plan, op: Op) -> int:
    """Most row tiles that an operation can have: lines of its result's image, or rows; of all images of the batch together."""
    return plan.tensors[op.writes].rows // _line_rows(op) if can_be_split(op) else 1


def most_tiles(plan: Plan, op: Op) -> int:
    """Most tiles that an operation can run in: its lines, and the input lines of each where it accumulates them; rows of two passes."""
    window = op.layer.window
    if not accumulates(op):
        return lines_of(plan, op)
    return plan.tensors[op.writes].rows if window is None else lines_of(plan, op) * min(window.span, window.height)


def parts_of_line(plan: Plan, op: Op, count: int) -> int:
    """Parts in which `count` tiles read the input lines of each line of the result; 1: together."""
    return max(1, count // lines_of(plan, op)) if accumulates(op) and op.layer.window is not None else 1


def rows_read(plan: Plan, op: Op, role: Role, tensor: Tensor, first_row: int, rows: int) -> tuple[int, int]:
    """(first row, rows) of `tensor`, or of each of its planes, that the given rows of the result need; whole lines where there are lines.

    Of a window at the border only the lines inside the image; with several images, everything from the first image's line on. Of an
    operand that is broadcast, the row of each image.
    """
    window = op.window_of(role)
    if not (can_be_split(op) or accumulates(op)):
        return 0, tensor.rows
    if window is None and op.layer.in_step and tensor.rows < plan.tensors[op.writes].rows:
        per_row = plan.tensors[op.writes].rows // tensor.rows
        return first_row // per_row, (first_row + rows - 1) // per_row - first_row // per_row + 1
    if window is None:
        return op.layer.operand_rows(first_row, rows)
    if planes_of(op, tensor.id) == tensor.rows // plan.batch:  # planes of one line each
        return 0, 1
    line = window.positions
    image, y = divmod(first_row // line, window.lines)
    last_image, last_y = divmod((first_row + rows) // line - 1, window.lines)
    start = min(window.height - 1, max(0, y * window.stride - window.padding))
    stop = max(1, min(window.height, last_y * window.stride - window.padding + window.span))
    first = image * window.height + start
    end = max(first + 1, last_image * window.height + stop)
    per_line = 1 if planes_of(op, tensor.id) else window.width
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
    step = -(-(rows // line) // count) * line if can_be_split(op) or accumulates(op) else rows
    return [(first, min(step, rows - first)) for first in range(0, rows, step)]


def parts_of_rows(op: Op, first_row: int, rows: int, parts: int) -> list[tuple[int, int]]:
    """(first row, rows) of about `parts` equal parts of an operand's rows, of whole lines where there are lines."""
    line = op.layer.window.width if op.layer.window is not None else 1
    step = -(-(rows // line) // parts) * line
    return [(first, min(step, first_row + rows - first)) for first in range(first_row, first_row + rows, step)]


class TileBytes:
    """The most bytes that a row tile of an operation reads from DRAM and writes there, computed once for each number of row tiles."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._known: dict[tuple[int, frozenset[TensorId], int], int] = {}

    def of(self, op: Op, in_dram: Set[TensorId], count: int) -> int:
        """See `row_tile_bytes`."""
        touched = frozenset(key for key in (op.writes, *(key for key, _ in op.reads)) if key in in_dram)
        asked = (op.index, touched, count)
        if asked not in self._known:
            self._known[asked] = row_tile_bytes(self.plan, op, touched, count)
        return self._known[asked]


def fewest_row_tiles(sizes: TileBytes, op: Op, in_dram: Set[TensorId], room_bytes: int) -> int:
    """Fewest row tiles of `op` whose rows fit in `room_bytes` twice (one loads while another computes); one line each if none do."""
    most = most_tiles(sizes.plan, op)
    for count in _tile_counts(sizes.plan, op):
        if sizes.of(op, in_dram, count) * (2 if count > 1 else 1) <= room_bytes:
            return count
    return most


def _tile_counts(plan: Plan, op: Op) -> Sequence[int]:
    """Numbers of tiles that differ: of lines, then of the parts of a single line."""
    most, lines = most_tiles(plan, op), lines_of(plan, op)
    if not accumulates(op) or op.layer.window is None:
        return row_tile_counts(most)
    return (*row_tile_counts(lines), *(lines * parts for parts in row_tile_counts(most // lines)[1:]))


@lru_cache(1024)
def row_tile_counts(most: int) -> Sequence[int]:
    """Numbers of row tiles that differ in their lines."""
    return sorted({-(-most // lines) for lines in range(1, most + 1)})


def row_tile_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], count: int) -> int:
    """Most bytes that a row tile reads from DRAM and writes there."""
    most, parts = 0, parts_of_line(plan, op, count)
    for first, rows in tile_row_ranges(plan, op, count):
        size = 0
        for key in dict.fromkeys(key for key, _ in op.reads):
            if key in in_dram:
                tensor = plan.tensors[key]
                read = rows_of(plan, op, key, first, rows)[1]
                if parts > 1:
                    read = max(lines for _, lines in parts_of_rows(op, 0, read, parts))
                size += read * max(1, planes_of(op, key)) * tensor.width * tensor.bits // 8
        if op.writes in in_dram:
            tensor = plan.tensors[op.writes]
            size += rows * tensor.width * tensor.bits // 8
        most = max(most, size)
    return most


def rows_moved(plan: Plan, op: Op, in_dram: Set[TensorId], count: int) -> int:
    """Bytes that all of an operation's row tiles read from DRAM and write there, rows that two of them need twice."""
    size = 0
    for key in dict.fromkeys(key for key, _ in op.reads):
        if key in in_dram:
            tensor = plan.tensors[key]
            rows = sum(rows_of(plan, op, key, *tile)[1] for tile in tile_row_ranges(plan, op, count))
            size += rows * max(1, planes_of(op, key)) * tensor.width * tensor.bits // 8
    return size + (plan.tensors[op.writes].bytes if op.writes in in_dram else 0)

"""Operations in row tiles: the fallback when the tensors of one operation do not fit the activation buffer together.

A tensor that does not fit lies in DRAM. Each operation that writes or reads it is split into several, one per row tile of its result:
each loads the rows that it reads, and writes its own to DRAM. A head of an attention, or a row band of one, is an operation already: it
loads its own columns, or rows, of a tensor of all heads. Disputable assumption: no row of a row tile is kept for the next one, so
rows that two row tiles need (the halo of a window) are read twice. A reduction whose rows do not fit even for one line of its result reads
them part by part, and keeps what it has so far in the buffer.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from functools import lru_cache
from math import isqrt
from typing import NamedTuple

import numpy as np

from accelsim.compiler.head_regions import band_of, head_region
from accelsim.compiler.plan import MOST_OPERATIONS, Op, Plan, Region, Tensor, TensorId


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
    """True if a tensor can be buffered in parts: by rows of whole bytes that one layer writes, or by heads.

    Of the planes of a model's image, all readers must read the same lines of each; those of several images are not evenly spaced. A cache
    holds what the array reads if its elements are those of the buffer.
    """
    users = [plan.ops[index] for index in (*tensor.producers, *tensor.readers)]
    planar = [op for op in users if planes_of(op, tensor.id)]
    one_writer = len(tensor.producers) <= 1 or all(plan.ops[index].head >= 0 for index in tensor.producers)
    even = not planar or (len(planar) == len(users) and plan.batch == 1)
    as_cached = tensor.cache is None or (tensor.cache.bits == tensor.bits and not tensor.cache.scaled)
    if tensor.id.part >= 0 or not one_writer or not even or not as_cached or tensor.width * tensor.bits % 8:
        return False
    return all(op.head < 0 or head_region(plan, op, tensor.id, *band_of(op)) is not None for op in users)


def planes_of(op: Op, key: TensorId) -> int:
    """Planes of a tensor of which an operation reads the same lines; 0 where the tensor is no image of planes to it."""
    return op.layer.input_planes if op.reads[0][0] == key else 0


def lines_of(plan: Plan, op: Op) -> int:
    """Most row tiles that an operation can have: lines of its result's image, or rows; of all images of the batch together."""
    return plan.tensors[op.writes].rows // _line_rows(op) if can_be_split(op) else 1


def most_tiles(plan: Plan, op: Op) -> int:
    """Most tiles that an operation can run in: those of a line each, or the most operations that a plan may have."""
    return min(MOST_OPERATIONS, _finest_tiles(plan, op))


def _finest_tiles(plan: Plan, op: Op) -> int:
    """Lines of an operation, and the input lines of each where it accumulates them; rows of two passes."""
    window = op.layer.window
    if not accumulates(op):
        return lines_of(plan, op)
    return plan.tensors[op.writes].rows if window is None else lines_of(plan, op) * min(window.span, window.height)


def parts_of_line(plan: Plan, op: Op, count: int) -> int:
    """Parts in which `count` tiles read the input lines of each line of the result; 1: together."""
    return max(1, count // lines_of(plan, op)) if accumulates(op) and op.layer.window is not None else 1


def rows_read(plan: Plan, op: Op, operand: int, first_row: int, rows: int) -> tuple[int, int]:
    """(first row, rows) of an operand, or of each of its planes, that the given rows of the result need; whole lines where there are lines.

    Of a window at the border only the lines inside the image; with several images, everything from the first image's line on. Of an
    operand that is broadcast, the row of each image; of one of which a single row is read, that row, up to the last image's.
    """
    key, role = op.reads[operand]
    tensor, window = plan.tensors[key], op.window_of(role)
    if op.layer.row_read is not None and role == "rows":
        return op.layer.row_read, tensor.rows - tensor.rows // plan.batch + 1
    if not (can_be_split(op) or accumulates(op)):
        return 0, tensor.rows
    if window is None and op.layer.in_step and tensor.rows < plan.tensors[op.writes].rows:
        per_row = plan.tensors[op.writes].rows // tensor.rows
        return first_row // per_row, (first_row + rows - 1) // per_row - first_row // per_row + 1
    if window is None:
        return op.layer.operand_rows(operand, first_row, rows)
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
    """(first row, rows) of tensor `key` that the given rows of the result need in all its roles: a residual block may add its own input.

    (0, 0) if they need none: rows that one tensor gives of two that come one after the other.
    """
    found = [rows_read(plan, op, operand, first_row, rows) for operand, (name, _) in enumerate(op.reads) if name == key]
    needed = [(start, count) for start, count in found if count]
    first = min((start for start, _ in needed), default=0)
    return first, max((start + count for start, count in needed), default=0) - first


def region_read(plan: Plan, op: Op, key: TensorId, first_row: int, rows: int) -> Region:
    """The part of an operand, or of each of its planes, that the given rows of the result need; of a head those of its product."""
    tensor = plan.tensors[key]
    if op.head < 0:
        return Region(*rows_of(plan, op, key, first_row, rows), 0, tensor.width)
    return head_region(plan, op, key, first_row, rows) or Region(0, tensor.rows, 0, tensor.width)


def region_written(plan: Plan, op: Op, first_row: int, rows: int) -> Region:
    """The part of the result that the given rows of it are; of a head those of its product."""
    found = head_region(plan, op, op.writes, first_row, rows)
    return found if found is not None else Region(first_row, rows, 0, plan.tensors[op.writes].width)


def _line_rows(op: Op) -> int:
    """Rows that an operation computes at least: a line of its image."""
    return op.layer.window.positions if op.layer.window is not None else 1


def tile_row_ranges(plan: Plan, op: Op, count: int) -> list[tuple[int, int]]:
    """(first row, rows) of each of about `count` row tiles: equal numbers of lines, the last with the remainder; of a head its rows."""
    if op.layer.head_product is not None:
        return [band_of(op)]
    rows, step = plan.tensors[op.writes].rows, _tile_rows(plan, op, count)
    return [(first, min(step, rows - first)) for first in range(0, rows, step)]


def _tile_rows(plan: Plan, op: Op, count: int) -> int:
    """Rows of each of about `count` row tiles but the last."""
    rows, line = plan.tensors[op.writes].rows, _line_rows(op)
    return -(-(rows // line) // count) * line if can_be_split(op) or accumulates(op) else rows


def parts_of_rows(op: Op, first_row: int, rows: int, parts: int) -> list[tuple[int, int]]:
    """(first row, rows) of about `parts` equal parts of an operand's rows, of whole lines where there are lines."""
    line = op.layer.window.width if op.layer.window is not None else 1
    step = -(-(rows // line) // parts) * line
    return [(first, min(step, first_row + rows - first)) for first in range(first_row, first_row + rows, step)]


class TileBytes:
    """The most bytes that a row tile of an operation reads from DRAM and writes there, computed once for each number of row tiles."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._keys = list(plan.tensors)
        self._written = np.array([min(tensor.producers, default=-1) for tensor in plan.tensors.values()])
        self._read = np.array([max(tensor.readers, default=-1) for tensor in plan.tensors.values()])
        self._known: dict[tuple[int, frozenset[TensorId], int], int] = {}

    def spanning(self, op: Op) -> list[TensorId]:
        """The tensors that are written before an operation and read after it."""
        return [self._keys[number] for number in np.flatnonzero((self._written < op.index) & (self._read > op.index)).tolist()]

    def of(self, op: Op, in_dram: Set[TensorId], count: int) -> int:
        """See `row_tile_bytes`."""
        touched = frozenset(key for key in (op.writes, *(key for key, _ in op.reads)) if key in in_dram)
        if not touched:
            return 0
        asked = (op.index, touched, count)
        if asked not in self._known:
            self._known[asked] = row_tile_bytes(self.plan, op, touched, count)
        return self._known[asked]


def fewest_row_tiles(sizes: TileBytes, op: Op, in_dram: Set[TensorId], room_bytes: int) -> int:
    """Fewest row tiles of `op` whose rows fit in `room_bytes` twice (one loads while another computes); one line each if none do."""
    most = most_tiles(sizes.plan, op)
    for count in _tile_counts(sizes.plan, op):
        if count > most:
            break
        held = 2 if count > 1 else 1
        if (
            held * first_tile_bytes(sizes.plan, op, in_dram, count) > room_bytes
        ):  # found without a look at the others, of which there may be many
            continue
        if held * sizes.of(op, in_dram, count) <= room_bytes:
            return count
    return most


def _tile_counts(plan: Plan, op: Op) -> Sequence[int]:
    """Numbers of tiles that differ, rising: of lines, then of the parts of a single line."""
    most, lines = _finest_tiles(plan, op), lines_of(plan, op)
    if not accumulates(op) or op.layer.window is None:
        return row_tile_counts(most)
    return (*row_tile_counts(lines), *(lines * parts for parts in row_tile_counts(most // lines)[1:]))


@lru_cache(1024)
def row_tile_counts(most: int) -> Sequence[int]:
    """Numbers of row tiles that differ in their lines, ceil(most / lines): those of a few lines, and every small number."""
    few = isqrt(most - 1)  # floor((most - 1) / lines) + 1 takes each value up to the root once its lines are beyond it
    return sorted({-(-most // lines) for lines in range(1, few + 1)} | set(range(1, few + 2)))


def row_tile_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], count: int) -> int:
    """Most bytes that a row tile reads from DRAM and writes there."""
    aligned = op.layer.in_step and op.layer.head_product is None and all(op.window_of(role) is None for _, role in op.reads)
    if aligned and all(plan.tensors[key].rows == plan.tensors[op.writes].rows for key, _ in op.reads):
        return first_tile_bytes(plan, op, in_dram, count)  # each is as large, but for the last
    parts = parts_of_line(plan, op, count)
    return max(_tile_bytes(plan, op, in_dram, first, rows, parts) for first, rows in tile_row_ranges(plan, op, count))


def first_tile_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], count: int) -> int:
    """Bytes that the first of about `count` row tiles reads from DRAM and writes there."""
    first, rows = band_of(op) if op.layer.head_product is not None else (0, _tile_rows(plan, op, count))
    return _tile_bytes(plan, op, in_dram, first, rows, parts_of_line(plan, op, count))


def _tile_bytes(plan: Plan, op: Op, in_dram: Set[TensorId], first: int, rows: int, parts: int) -> int:
    size = 0
    for key in dict.fromkeys(key for key, _ in op.reads):
        if key in in_dram:
            region = region_read(plan, op, key, first, rows)
            if parts > 1:
                region = region._replace(rows=max(lines for _, lines in parts_of_rows(op, 0, region.rows, parts)))
            size += _bytes(plan, key, region) * max(1, planes_of(op, key))
    if op.writes in in_dram:
        size += _bytes(plan, op.writes, region_written(plan, op, first, rows))
    return size


def moved_regions(plan: Plan, op: Op, in_dram: Set[TensorId], count: int) -> dict[tuple[str, TensorId, Region], int]:
    """Bytes of each part of a tensor that an operation's row tiles read from DRAM or write there, by (layer, tensor, part).

    Rows that two row tiles need are in the parts of both; heads of a layer that read the same part share it.
    """
    found: dict[tuple[str, TensorId, Region], int] = {}
    for first, rows in tile_row_ranges(plan, op, count):
        regions = [(key, region_read(plan, op, key, first, rows)) for key in dict.fromkeys(key for key, _ in op.reads) if key in in_dram]
        if op.writes in in_dram:
            regions.append((op.writes, region_written(plan, op, first, rows)))
        for key, region in regions:
            found[op.layer.name, key, region] = _bytes(plan, key, region) * (max(1, planes_of(op, key)) if key != op.writes else 1)
    return found


def band_bytes(plan: Plan, op: Op, key: TensorId, rows: int) -> int:
    """Bytes of a tensor in DRAM, or of scores and their shares, that a row band of so many rows of a head reads or writes."""
    tensor = plan.tensors[key]
    if plan.is_part(key):
        return min(rows, tensor.rows) * tensor.width * tensor.bits // 8
    region = region_written(plan, op, 0, rows) if key == op.writes else region_read(plan, op, key, 0, rows)
    return _bytes(plan, key, region)


def _bytes(plan: Plan, key: TensorId, region: Region) -> int:
    return region.rows * region.columns * plan.tensors[key].bits // 8

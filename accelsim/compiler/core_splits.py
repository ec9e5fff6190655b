"""How cores share an operation, and the regions of its operands that each of them reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from accelsim.compiler.plan import Op, Plan, Region, Tensor, TensorId
from accelsim.compiler.row_tiles import planes_of, rows_of

How = Literal["stripes", "rows", "heads", "one core"]


class Share(NamedTuple):
    """A core's part of an operation: rows and columns of its result, and the most rows that any core has."""

    core: int
    result: Region
    most_rows: int


@dataclass(frozen=True)
class Split:
    """How an operation is split, and the parts, at most one per core; a single part is the whole operation."""

    how: How
    shares: tuple[Share, ...]
    note: str

    @property
    def is_whole(self) -> bool:
        """Whether one core computes all of it."""
        return len(self.shares) == 1


def even_parts(total: int, parts: int) -> list[tuple[int, int]]:
    """(first, count) of at most `parts` consecutive parts of `total`, which differ by one at most, the larger ones first."""
    count, more = divmod(total, parts)
    sizes = [count + (part < more) for part in range(min(parts, total))]
    return [(sum(sizes[:part]), size) for part, size in enumerate(sizes)]


def operand_region(plan: Plan, op: Op, key: TensorId, share: Region, split: Split) -> Region:
    """The region of an operand that a core reads for its share of the result, or for one tile of that."""
    tensor, result = plan.tensors[key], plan.tensors[op.writes]
    found = tensor.region
    if op.head >= 0:
        return found
    if split.how == "rows" or share.rows < result.rows or planes_apart(plan, op, key) > 1:
        first, rows = rows_of(plan, op, key, share.first_row, share.rows)
        found = found._replace(first_row=first, rows=rows)
    roles = {role for name, role in op.reads if name == key}
    if split.how == "stripes" and roles == {"operand"} and tensor.width == result.width:
        found = found._replace(first_column=share.first_column, columns=share.columns)
    return found


def planes_apart(plan: Plan, op: Op, key: TensorId) -> int:
    """Planes of an operand of which a region has the same lines; 1 where it is read as one matrix, as those of several images are."""
    return max(1, planes_of(op, key)) if plan.batch == 1 else 1


def region_bytes(plan: Plan, op: Op, key: TensorId, region: Region) -> int:
    """Bytes of a region of a tensor that an operation reads or writes."""
    return region.rows * planes_apart(plan, op, key) * region.columns * plan.tensors[key].bits // 8


def stays(plan: Plan, written: Split, op: Op, split: Split, key: TensorId) -> bool:
    """Whether each core has written all that it reads of an operand, by a split over rows."""
    if written.how != "rows" or split.how != "rows" or planes_apart(plan, op, key) > 1:
        return False
    own = {share.core: share.result for share in written.shares}
    for share in split.shares:
        read, here = operand_region(plan, op, key, share.result, split), own.get(share.core)
        if not read.rows:
            continue
        if here is None or read.first_row < here.first_row or read.first_row + read.rows > here.first_row + here.rows:
            return False
    return True


def passes(plan: Plan, splits: Sequence[Split], tensor: Tensor) -> bool:
    """Whether a core reads of a tensor what another one writes, or the host does."""
    cores = {share.core for index in (*tensor.producers, *tensor.readers) for share in splits[index].shares}
    if len(cores) == 1:
        return False
    if tensor.is_input or tensor.is_output or tensor.cache is not None or len(tensor.producers) != 1:
        return True
    (writer,) = tensor.producers
    return not all(stays(plan, splits[writer], plan.ops[reader], splits[reader], tensor.id) for reader in tensor.readers)

"""The operations certain to have ended before another writes its first result, by the order of the array and its operands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from accelsim.compiler.plan import Op, Plan, TensorId
from accelsim.program import Int64

_HORIZON = 32  # operations after the last reader that are tried as the next writer


class Precedence:
    """The guaranteed order between operations of a plan: two numbers per operation, in time proportional to the plan's reads and writes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        never = len(plan.ops)
        self._on_array = [op.on_array for op in plan.ops]
        self._runs_before: list[int] = []  # operations below this index that run on the array have issued every row
        self._ended_from = [never] * never  # row function -> first operation of the array that is issued after its end
        # Sets of row functions are integers, bit by bit from a base on: plans in row tiles have thousands of them. All row functions below
        # the base of an operation are known to have ended before it is issued.
        base = 0
        ended: list[_Set] = []  # row functions that have ended once this operation has, without those known to have ended before
        known = 0  # from `base` on: row functions known to have ended before the operations still to come are issued, and products
        runs_of: dict[TensorId, int] = {}  # tensor -> the largest of its producers' `_runs_before`; of a product, its own index
        ended_with: dict[TensorId, _Set] = {}  # tensor -> the union of its producers' `ended`
        for op in plan.ops:
            before = 0
            for key in dict.fromkeys(key for key, role in op.reads if not (op.on_array and role == "operand")):
                # the array does not wait for a drain's operands, a row function waits for all
                if key not in ended_with:
                    producers = plan.tensors[key].producers
                    rows = (producer if self._on_array[producer] else self._runs_before[producer] for producer in producers)
                    runs_of[key] = max(rows, default=0)
                    ended_with[key] = _Set(base, reduce(or_, (ended[producer].bits_from(base) for producer in producers), 0))
                before |= ended_with[key].bits_from(base) & ~known if _waits_for_all(plan, op, key) else 0
            own = 1 << op.index - base
            if op.on_array:
                self._runs_before.append(op.index)
                for row in _members(before):
                    self._ended_from[base + row] = op.index + 1
                ended.append(_Set(base, before))
                known |= before | own
                passed = _trailing_ones(known)
                base, known = base + passed, known >> passed
            else:
                self._runs_before.append(max((runs_of[key] for key, _ in op.reads), default=0))
                ended.append(_Set(base, before | own))
        self._of_array, self._ends = np.array(self._on_array, bool), np.array(self._ended_from, np.int64)
        rows = (never if op.on_array else runs for op, runs in zip(reversed(plan.ops), reversed(self._runs_before), strict=True))
        self._least_before = list(accumulate(rows, min))[::-1]  # least `_runs_before` of all row functions from an operation on

    def safe(self, reader: int, writer: int) -> bool:
        """True if `writer` cannot write before `reader` has read everything.

        Row functions run in order; the drain of a product, which may read too, goes before every later drain.
        """
        return self.all_safe((reader,), writer)

    def newest_unsafe(self, readers: Int64, writer: int) -> tuple[int, ...]:
        """The newest of `readers` on the array, and of the row functions, that are not `safe`."""
        unsafe = readers[self._unsafe(readers, writer)]
        of_array = self._of_array[unsafe]
        return tuple(int(found.max()) for found in (unsafe[of_array], unsafe[~of_array]) if found.size)

    def all_safe(self, readers: Collection[int], writer: int) -> bool:
        """True if all of `readers` are `safe`."""
        return not self._unsafe(np.fromiter(readers, np.int64, len(readers)), writer).any()

    def _unsafe(self, readers: Int64, writer: int) -> npt.NDArray[np.bool_]:
        of_row_function = not self._on_array[writer] or self._ends[readers] <= writer
        safe = np.where(self._of_array[readers], readers < self._runs_before[writer], of_row_function)
        return (writer <= readers) | ~safe

    def safe_from(self, readers: Iterable[int]) -> int:
        """An operation from which on every writer, however late, is safe after all `readers`."""
        return max(
            max(reader + 1, bisect_right(self._least_before, reader) if self._on_array[reader] else self._ended_from[reader])
            for reader in readers
        )

    def free_from(self, readers: Collection[int]) -> int:
        """First operation from which on every writer is safe after all `readers`, as far as the next few operations tell."""
        last = max(readers)
        on_array, runs_before = self._on_array, self._runs_before
        product = max((reader for reader in readers if on_array[reader]), default=-1)
        ended_from = max((self._ended_from[reader] for reader in readers if not on_array[reader]), default=0)
        for writer in range(min(last + _HORIZON, len(on_array) - 1), last, -1):
            if (writer < ended_from) if on_array[writer] else runs_before[writer] <= product:
                return writer + 1
        return last + 1


def _waits_for_all(plan: Plan, op: Op, key: TensorId) -> bool:
    """False for a product of the rows of a tile or an image that is not the last of an operand: later rows may not be made yet."""
    if not op.on_array or (key, "weights") in op.reads:
        return True
    last_tile = op.row_tile is None or op.row_tile.index + 1 == op.row_tile.count
    heads = op.layer.head_product
    if heads is None or key.part >= 0:
        return last_tile or plan.is_part(key)
    last_head = op.head + 1 == plan.batch * heads.heads if heads.a.split == "groups" else op.image + 1 == plan.batch
    return last_tile and last_head


class _Set(NamedTuple):
    """Row functions, bit by bit from operation `base` on."""

    base: int
    bits: int

    def bits_from(self, base: int) -> int:
        """The same without those before a later base."""
        return self.bits >> base - self.base


def _trailing_ones(bits: int) -> int:
    """Set bits below the lowest that is not set."""
    return (~bits & bits + 1).bit_length() - 1


def _members(bits: int) -> Iterator[int]:
    """The numbers of a set, rising."""
    while bits:
        least = bits & -bits
        yield least.bit_length() - 1
        bits ^= least

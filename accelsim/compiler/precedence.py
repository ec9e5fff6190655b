"""The operations certain to have ended before another writes its first result, by the order of the array and its operands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate

from accelsim.compiler.plan import Plan

_HORIZON = 32  # operations after the last reader that are tried as the next writer


class Precedence:
    """The guaranteed order between operations of a plan: two numbers per operation, in time proportional to the plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        never = len(plan.ops)
        self._on_array = [op.on_array for op in plan.ops]
        self._runs_before: list[int] = []  # operations below this index that run on the array have issued every row
        self._ended_from = [never] * never  # row function -> first operation of the array that is issued after its end
        ended: list[frozenset[int]] = []  # row functions that have ended once this operation has, without those known to have ended before
        for op in plan.ops:
            producers = {producer for key, _ in op.reads for producer in plan.tensors[key].producers}
            if op.on_array:
                self._runs_before.append(op.index)
                awaited = {producer for key, role in op.reads if role != "operand" for producer in plan.tensors[key].producers}
            else:  # the array does not wait for a drain's operands, a row function waits for all
                rows = (producer if self._on_array[producer] else self._runs_before[producer] for producer in producers)
                self._runs_before.append(max(rows, default=0))
                awaited = producers
            before = frozenset(row for producer in awaited for row in ended[producer] if self._ended_from[row] > op.index)
            if op.on_array:
                for row in before:
                    self._ended_from[row] = op.index + 1
            ended.append(before if op.on_array else before | {op.index})
        rows = (never if op.on_array else runs for op, runs in zip(reversed(plan.ops), reversed(self._runs_before), strict=True))
        self._least_before = list(accumulate(rows, min))[::-1]  # least `_runs_before` of all row functions from an operation on

    def safe(self, reader: int, writer: int) -> bool:
        """True if `writer` cannot write before `reader` has read everything.

        Row functions run in order; the drain of a product, which may read too, goes before every later drain.
        """
        if writer <= reader:
            return False
        if self._on_array[reader]:
            return reader < self._runs_before[writer]
        return not self._on_array[writer] or self._ended_from[reader] <= writer

    def unsafe(self, readers: Iterable[int], writer: int) -> list[int]:
        """Those of `readers` that could still be reading when `writer` begins to write."""
        return [reader for reader in readers if not self.safe(reader, writer)]

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

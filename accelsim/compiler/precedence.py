"""The operations certain to have ended before another writes its first result, by the order of the array and its operands."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from accelsim.compiler.plan import Plan


class Precedence:
    """The guaranteed order between operations of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.runs_before: list[int] = []  # operations below this index that run on the array have issued every row
        ended: list[frozenset[int]] = []  # row functions that have ended once this operation has
        for op in plan.ops:
            producers = [producer for key, _ in op.reads for producer in plan.tensors[key].producers]
            if op.on_array:
                self.runs_before.append(op.index)
            else:
                self.runs_before.append(max((self.runs_before[p] if not plan.ops[p].on_array else p for p in producers), default=0))
            awaited = [
                p for key, role in op.reads if role != "operand" or not op.on_array for p in plan.tensors[key].producers
            ]  # the array does not wait for a drain's operands
            closure = frozenset().union(*(ended[p] for p in awaited)) if awaited else frozenset()
            ended.append(closure if op.on_array else closure | {op.index})
        self._ended = ended
        self._vector_done: list[frozenset[int]] = []  # by operation: row functions ended once all array operations below have issued
        done: frozenset[int] = frozenset()
        for op in plan.ops:
            self._vector_done.append(done)
            if op.on_array:
                done |= ended[op.index]

    def safe(self, reader: int, writer: int) -> bool:
        """True if `writer` cannot write before `reader` has read everything."""
        return not self.unsafe((reader,), writer)

    def unsafe(self, readers: Iterable[int], writer: int) -> list[int]:
        """Those of `readers` that could still be reading when `writer` begins to write.

        Row functions run in order; the drain of a product, which may read too, goes before every later drain.
        """
        ops, limit = self.plan.ops, self.runs_before[writer]
        ended = self._vector_done[min(limit, len(ops) - 1)]
        in_order = not ops[writer].on_array
        return [
            reader
            for reader in readers
            if writer <= reader or not (reader < limit if ops[reader].on_array else in_order or reader in ended)
        ]

    def free_from(self, readers: Collection[int]) -> int:
        """First operation from which on every writer is safe after all `readers`."""
        last = max(readers)
        unsafe = last
        for writer in range(last + 1, min(last + 33, len(self.plan.ops))):
            if self.unsafe(readers, writer):
                unsafe = writer
        return unsafe + 1

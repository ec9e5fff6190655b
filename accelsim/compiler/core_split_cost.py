"""Estimated cycles of a plan that several cores share: of its operations, and of the tensors that pass through the memory between them.

An operation takes the cycles of its busiest core, or those in which its weights are read if they are more; a tensor that passes is written,
then read, each at the peak of the memory, or as fast as a core's transfers in flight follow each other, and each ends with one latency.
Disputable assumptions: operations take turns, those of a core's heads too; nothing but weights is moved while something computes; the
first weights of a run, and bank conflicts, are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from accelsim.compiler.core_splits import Split, operand_region, planes_apart, stays
from accelsim.compiler.plan import Op, Plan, Region, Tensor, TensorId
from accelsim.compiler.product_cost import product_cycles
from accelsim.compiler.product_facts import ProductFacts, product_facts, product_key
from accelsim.compiler.target import Target


class _Moved(NamedTuple):
    """A part of a tensor that a core writes or reads: pieces that lie apart in the memory, and bytes of each."""

    pieces: int
    size: int


class SplitCost:
    """The estimate for one plan.

    Parameters
    ----------
    target : the chip by whose costs shares are ranked
    leaving : tensors that pass through the memory however they are shared, and are read again by each reader
    """

    def __init__(self, target: Target, plan: Plan, leaving: Iterable[TensorId] = ()) -> None:
        self._target, self._plan, self._leaving = target, plan, frozenset(leaving)
        self._facts: dict[tuple[object, ...], ProductFacts] = {}
        self._heads: dict[str, int] = defaultdict(int)
        for op in plan.ops:
            self._heads[op.layer.name] += op.head >= 0

    def facts(self, op: Op) -> ProductFacts:
        """The facts of a product, computed once for all that are equal."""
        key = product_key(op)
        if key not in self._facts:
            self._facts[key] = product_facts(self._target, op)
        return self._facts[key]

    def of_operations(self, ops: Sequence[tuple[Op, Split]]) -> Fraction:
        """Cycles of a layer, or of all heads of an attention: those of the busiest core."""
        cores: dict[int, Fraction] = defaultdict(Fraction)
        for op, split in ops:
            of_cores = self._product(op, split) if op.on_array else self._function(op, split)
            for core, cycles in of_cores.items():
                cores[core] += cycles
        return max(cores.values(), default=Fraction(0))

    def of_tensor(self, tensor: Tensor, splits: Sequence[Split]) -> Fraction:
        """Cycles in which a tensor passes through the memory; 0 for one that stays on its cores."""
        if not self._passes(tensor, splits):
            return Fraction(0)
        written = self._written(tensor, splits)
        cycles = self._moving(written) if written else Fraction(0)
        here: set[tuple[int, Region]] = set()
        for regions in self._reads(tensor, splits).values():
            new = regions - here
            here |= set() if tensor.id in self._leaving else new  # a part that is read twice stays in the buffer, where there is room
            if new:
                cycles += self._moving(self._of_cores(tensor, new))
        return cycles

    def of_bounds(self, op: Op, split: Split, moved: int) -> Fraction:
        """Cycles of a product of whose shares none fits: its bounds, and those of `moved` bytes of activations.

        Bounds are those of the busiest core's array or decoder, of a shared ROM, or of the weights' bytes.
        """
        facts, whole = self.facts(op), self._plan.tensors[op.writes]
        cycles = 0
        for share in split.shares:
            stripes = -(-share.result.columns // facts.split.stripe_columns)
            rows = -(-op.m * share.result.rows // whole.rows)
            cycles = max(cycles, stripes * facts.split.groups * max(rows * facts.split.kt_count, facts.split.stripe_groups))
        times = len(split.shares) if split.how == "rows" else 1
        weights = facts.split.image_bytes * (1 if self._target.control.weight_broadcast else times)
        cycles = max(cycles, facts.bounds.get("rom", 0) * times)
        loading = self._target.transfer_cycles(self._target.placement.weights, weights)
        return max(Fraction(cycles), loading) + self._target.transfer_cycles(self._target.placement.activations, moved)

    def _passes(self, tensor: Tensor, splits: Sequence[Split]) -> bool:
        """Whether a tensor is written or read through the memory; those of the host are on one core, too."""
        if tensor.is_input or tensor.is_output or tensor.cache is not None or tensor.id in self._leaving:
            return True
        cores = {share.core for index in (*tensor.producers, *tensor.readers) for share in splits[index].shares}
        if len(cores) == 1:
            return False
        plan, (writer, *more) = self._plan, tensor.producers
        return bool(more) or not all(stays(plan, splits[writer], plan.ops[reader], splits[reader], tensor.id) for reader in tensor.readers)

    def _product(self, op: Op, split: Split) -> Mapping[int, Fraction]:
        """Core -> cycles of its array and decoder, of a ROM that all share, or of the weights' bytes."""
        facts, whole = self.facts(op), self._plan.tensors[op.writes]
        times = len(split.shares) if split.how == "rows" else 1  # that weights are decoded, and read unless one read serves all
        reads = 1 if self._target.control.weight_broadcast else times
        loaded = (facts.split.image_bytes + facts.reuse.header_bytes) * reads if facts.records else 0
        least = max(Fraction(facts.bounds.get("rom", 0) * times), self._target.transfer_cycles(self._target.placement.weights, loaded))
        found: dict[int, Fraction] = {}
        for share in split.shares:
            apart = op.head < 0
            rows = -(-op.m * share.result.rows // whole.rows) if apart else op.m
            columns = -(-op.n * share.result.columns // whole.width) if apart else op.n
            found[share.core] = max(least, Fraction(self._array(op, facts, rows, columns)))
        return found

    def _array(self, op: Op, facts: ProductFacts, rows: int, columns: int) -> int:
        """Cycles of some rows and outputs of a product: those of its mapping, and no fewer than their part of the array's bound."""
        geometry, part = facts.split.geometry, replace(op, m=rows, n=columns, row_tile=None)
        bound = -(-facts.bounds["array"] * rows * columns // (op.m * op.n))
        found = product_cycles(self._target, part, geometry)
        return max(bound, facts.bounds["decode"] * columns // op.n if found is None else found)

    def _function(self, op: Op, split: Split) -> Mapping[int, Fraction]:
        """Core -> cycles of its lanes."""
        vector, tensor = self._target.vector_unit, self._plan.tensors[op.writes]
        if op.layer.vector is None:
            return {}
        width, passes = op.layer.vector.row_work(vector.passes.of, tensor.width, vector.lanes)
        cycles = vector.row_cycles(width, passes + tensor.extra_passes)
        return {share.core: Fraction(share.result.rows * cycles) for share in split.shares}

    def _written(self, tensor: Tensor, splits: Sequence[Split]) -> Mapping[int, Sequence[_Moved]]:
        """Core -> the parts that it writes."""
        regions = {
            (share.core, share.result) for index in tensor.producers if self._plan.ops[index].head < 0 for share in splits[index].shares
        }
        return self._of_cores(tensor, regions | self._of_heads(tensor, tensor.producers, splits))

    def _reads(self, tensor: Tensor, splits: Sequence[Split]) -> Mapping[str, set[tuple[int, Region]]]:
        """Layer -> cores and the regions that they read for it."""
        found: dict[str, set[tuple[int, Region]]] = defaultdict(set)
        heads: dict[str, list[int]] = defaultdict(list)
        for index in tensor.readers:
            op, split = self._plan.ops[index], splits[index]
            if op.head >= 0:
                heads[op.layer.name].append(index)
                continue
            for share in split.shares:
                region = operand_region(self._plan, op, tensor.id, share.result, split)
                if region.rows:
                    found[op.layer.name].add((share.core, region._replace(rows=region.rows * planes_apart(self._plan, op, tensor.id))))
        return {**found, **{name: self._of_heads(tensor, readers, splits) for name, readers in heads.items()}}

    def _of_heads(self, tensor: Tensor, indices: Iterable[int], splits: Sequence[Split]) -> set[tuple[int, Region]]:
        """Each core and the columns of its heads, which lie side by side."""
        heads: dict[int, int] = defaultdict(int)
        name = ""
        for index in indices:
            if (op := self._plan.ops[index]).head >= 0:
                name = op.layer.name
                heads[splits[index].shares[0].core] += 1
        found, first = set(), 0
        for core, count in sorted(heads.items()):
            columns = -(-tensor.width * count // self._heads[name]) if tensor.id.part < 0 else tensor.width
            found.add((core, Region(0, tensor.rows, first, columns)))
            first += columns if tensor.id.part < 0 else 0
        return found

    def _of_cores(self, tensor: Tensor, regions: Iterable[tuple[int, Region]]) -> Mapping[int, Sequence[_Moved]]:
        """Core -> the regions that it moves; rows of some columns lie apart in the memory."""
        found: dict[int, list[_Moved]] = defaultdict(list)
        for core, region in regions:
            row = -(-region.columns * tensor.bits // 8)
            found[core].append(_Moved(region.rows, row) if region.columns < tensor.width else _Moved(1, region.rows * row))
        return found

    def _moving(self, parts: Mapping[int, Sequence[_Moved]]) -> Fraction:
        """Cycles of the bytes of all cores, or of the transfers of the one that has most of them, and a latency."""
        memory, transfer = self._target.placement.activations, self._target.dma.transfer
        burst = self._target.memory(memory).burst_bytes if memory != "none" else 1
        size = sum(part.pieces * -(-part.size // burst) * burst for moved in parts.values() for part in moved)
        most = max(sum(part.pieces * -(-part.size // transfer) for part in moved) for moved in parts.values())
        latency = self._target.exchange.latency_cycles
        return max(self._target.transfer_cycles(memory, size), Fraction(most * latency, self._target.exchange.places)) + latency

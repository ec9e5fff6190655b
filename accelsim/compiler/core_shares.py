"""The share of each of several cores in every operation of a plan.

A product of weights is split over its N-stripes or its rows, whichever has the fewer estimated cycles; the heads of an attention, with
their softmax, are shared out; operations of the vector unit are split over rows. Any other operation runs on one core.
Disputable assumption: the estimate takes activations as moved before a product computes, and its weights as moved meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Literal, NamedTuple

from accelsim.compiler.plan import Op, Plan, Region, TensorId
from accelsim.compiler.product_facts import ProductFacts, product_facts, product_key
from accelsim.compiler.row_tiles import can_be_split, lines_of, planes_of, rows_of
from accelsim.compiler.target import Target
from accelsim.hw.l2 import L2

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
        if here is None or read.first_row < here.first_row or read.first_row + read.rows > here.first_row + here.rows:
            return False
    return True


class CoreShares:
    """The splits of all operations of a plan."""

    def __init__(self, target: Target, plan: Plan) -> None:
        self._target, self._plan = target, plan
        self._ranking = target.ranking
        self._heads = Counter(name for name, _ in {(op.layer.name, op.head) for op in plan.ops if op.head >= 0})
        self._facts: dict[tuple[object, ...], ProductFacts] = {}

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """Of each operation; a core that has no product has nothing at all, as the array's time line is a core's clock."""
        cores = self._target.cores
        while True:
            found = self._splits(cores)
            products = (split for op, split in zip(self._plan.ops, found, strict=True) if op.on_array)
            used = 1 + max((share.core for split in products for share in split.shares), default=0)
            if used >= cores:
                return found
            cores = used

    def _splits(self, cores: int) -> tuple[Split, ...]:
        """The splits over so many cores, in the order of the program: what an operand costs depends on how it was written."""
        found: list[Split] = []
        for op in self._plan.ops:
            if op.head >= 0:
                split = self._head(op, cores)
            elif op.on_array:
                split = self._product(op, cores, found)
            else:
                split = self._by_rows(op, cores) or self._one_core(op)
            found.append(split)
        return tuple(found)

    def parts(self) -> Mapping[str, str]:
        """Layer -> how the cores share it."""
        return {op.layer.name: split.note for op, split in zip(self._plan.ops, self.splits, strict=True)}

    def counts(self) -> Mapping[How, int]:
        """How -> layers that are shared in that way."""
        return Counter({op.layer.name: split.how for op, split in zip(self._plan.ops, self.splits, strict=True)}.values())

    def _one_core(self, op: Op) -> Split:
        return Split("one core", (Share(0, self._whole(op), self._plan.tensors[op.writes].rows),), f"on one core of {self._target.cores}")

    def _whole(self, op: Op) -> Region:
        return self._plan.tensors[op.writes].region

    def _head(self, op: Op, cores: int) -> Split:
        """Neighbouring heads on each core, the same of all images."""
        heads = self._heads[op.layer.name] // self._plan.batch
        parts = even_parts(heads, cores)
        core = next(number for number, (first, count) in enumerate(parts) if op.head % heads < first + count)
        note = f"heads over {len(parts)} cores ({', '.join(str(count) for _, count in parts)})"
        return Split("heads", (Share(core, self._whole(op), self._plan.tensors[op.writes].rows),), note)

    def _by_rows(self, op: Op, cores: int) -> Split | None:
        """Whole lines of an image, or rows; None where the operation has no two of them, or not apart."""
        plan, result = self._plan, self._plan.tensors[op.writes]
        lines = lines_of(plan, op)
        planar = any(planes_of(op, key) for key, _ in op.reads)
        if not can_be_split(op) or op.layer.leading_rows or lines < 2 or cores < 2 or (planar and plan.batch > 1):
            return None
        line = result.rows // lines
        parts = [(first * line, count * line) for first, count in even_parts(lines, cores)]
        note = f"rows over {len(parts)} cores ({', '.join(str(rows) for _, rows in parts)})"
        regions = [Region(first, rows, 0, result.width) for first, rows in parts]
        return Split("rows", tuple(Share(core, region, parts[0][1]) for core, region in enumerate(regions)), note)

    def _by_stripes(self, op: Op, cores: int) -> Split | None:
        """Whole N-stripes, or folds of them; of a cache whole heads."""
        layer, result = op.layer.weighted, self._plan.tensors[op.writes]
        if layer is None or layer.tile_groups > 1 or layer.bounds.G > 1:
            return None
        split = self._product_facts(op).split
        stripe = split.stripe_columns * split.file
        unit = stripe if result.cache is None else lcm(stripe, result.cache.head_width)
        units = -(-op.n // unit)
        if units < 2 or unit * result.bits % 8:
            return None
        parts = [(first * unit, min(count * unit, op.n - first * unit)) for first, count in even_parts(units, cores)]
        stripes = ", ".join(str(-(-columns // split.stripe_columns)) for _, columns in parts)
        regions = [Region(0, result.rows, first, columns) for first, columns in parts]
        note = f"stripes over {len(parts)} cores ({stripes})"
        return Split("stripes", tuple(Share(core, region, result.rows) for core, region in enumerate(regions)), note)

    def _product(self, op: Op, cores: int, before: Sequence[Split]) -> Split:
        """The split that the chip names, where the product has it; else the one with the fewest estimated cycles, then bytes."""
        wanted = self._target.control.core_split
        found = [split for split in (self._by_stripes(op, cores), self._by_rows(op, cores)) if split is not None]
        named = [split for split in found if split.how == wanted]
        candidates = named or found
        if not candidates:
            return self._one_core(op)
        fitting = [split for split in candidates if self._fits(op, split)]
        return min(fitting or found, key=lambda split: self._cost(op, split, before))

    def _product_facts(self, op: Op) -> ProductFacts:
        key = product_key(op)
        if key not in self._facts:
            self._facts[key] = product_facts(self._ranking, op)
        return self._facts[key]

    def _moved(self, op: Op, split: Split) -> list[int]:
        """Bytes of activations that each core reads and writes."""
        keys = dict.fromkeys(key for key, _ in op.reads)
        return [
            sum(region_bytes(self._plan, op, key, operand_region(self._plan, op, key, share.result, split)) for key in keys)
            + region_bytes(self._plan, op, op.writes, share.result)
            for share in split.shares
        ]

    def _kept(self, op: Op, split: Split, before: Sequence[Split]) -> int:
        """Of these, bytes that each core has written itself."""
        kept = 0
        for key in dict.fromkeys(key for key, _ in op.reads):
            writers = self._plan.tensors[key].producers
            if len(writers) == 1 and stays(self._plan, before[writers[0]], op, split, key):
                regions = (operand_region(self._plan, op, key, share.result, split) for share in split.shares)
                kept += sum(region_bytes(self._plan, op, key, region) for region in regions)
        return kept

    def _fits(self, op: Op, split: Split) -> bool:
        return max(self._moved(op, split)) <= self._target.activation_buffer.capacity

    def _cost(self, op: Op, split: Split, before: Sequence[Split]) -> tuple[Fraction, int]:
        """(estimated cycles, bytes moved).

        Cycles are those of the busiest core's array and decoder, of a ROM that all share or of the weights' bytes, and of the
        activations' bytes.
        """
        facts, whole = self._product_facts(op), self._plan.tensors[op.writes]
        stripe_groups, cols = facts.split.stripe_groups, facts.split.stripe_columns
        cycles = 0
        for share in split.shares:
            stripes = -(-share.result.columns // cols)
            rows = -(-op.m * share.result.rows // whole.rows)
            cycles = max(cycles, stripes * facts.split.groups * max(rows * facts.split.kt_count, stripe_groups))
        times = len(split.shares) if split.how == "rows" else 1  # that weights are decoded, and read unless one read serves all
        weights = facts.split.image_bytes * (1 if self._ranking.control.weight_broadcast else times)
        cycles = max(cycles, facts.bounds.get("rom", 0) * times)
        activations = sum(self._moved(op, split)) - self._kept(op, split, before)
        placement = self._ranking.placement
        loading = self._cycles(placement.weights, weights)
        return max(Fraction(cycles), loading) + self._cycles(placement.activations, activations), weights + activations

    def _cycles(self, memory: str, size: int) -> Fraction:
        """Least cycles that bytes take through the port of a memory."""
        if memory == L2 and self._ranking.l2 is not None:
            return size / self._ranking.l2.bytes_per_cycle
        rate = self._ranking.memory(memory).bytes_per_cycle
        return size / rate if rate else Fraction(0)
